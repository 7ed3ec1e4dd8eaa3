"""FGSM, BIM and PGD with the settings of the reproduced paper; Foolbox's are the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from robench.api import AttackContext, AttackSpec, Norm, SweepContext, UsageError, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

ROBENCH_API = 1


_NORMS: tuple[Norm, ...] = ("linf", "l2")


@dataclass(frozen=True, kw_only=True)
class GradientParameters:
    """What can be set of FGSM, BIM and PGD.

    Attributes:
        head: What the cross-entropy is of where a defense rejects: ``masked``, the paper's K + 1 outputs, which are
            constant, and so without gradient, where it rejects; or ``unmasked``, the K logits, as if it never did.
    """

    head: Literal["masked", "unmasked"] = "masked"


@dataclass(frozen=True, kw_only=True)
class IterativeParameters(GradientParameters):
    """What can be set of BIM and PGD.

    Attributes:
        steps: Number of gradient steps, at least 1.
        relative_step: Size of a step in units of epsilon, positive. The paper's 0.01 at epsilon 0.3 is 1/30.
    """

    steps: int = 40
    relative_step: float = 0.01 / 0.3

    def __post_init__(self) -> None:
        if self.steps < 1:
            message = f"steps is {self.steps}"
            raise UsageError(message, "give at least 1")
        if not 0 < self.relative_step < float("inf"):
            message = f"relative_step is {self.relative_step}"
            raise UsageError(message, "give a positive number")


@dataclass(frozen=True, kw_only=True)
class PgdParameters(IterativeParameters):
    """What can be set of PGD.

    Attributes:
        restarts: Number of random starts, at least 1; of several, the first that wins counts.
    """

    restarts: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.restarts < 1:
            message = f"restarts is {self.restarts}"
            raise UsageError(message, "give at least 1")


def _fgsm(context: AttackContext[GradientParameters]) -> Tensor:
    from robench_plugins.attacks._foolbox_torch import fast_gradient

    return fast_gradient(context, head=context.parameters.head)


def _sweep_fgsm(context: SweepContext[GradientParameters]) -> Tensor:
    from robench_plugins.attacks._gradient_torch import LOSSES

    return context.ascend(LOSSES[context.parameters.head], steps=1, relative_step=1.0)


def _bim(context: AttackContext[IterativeParameters]) -> Tensor:
    from robench_plugins.attacks._foolbox_torch import projected_gradient_descent

    parameters = context.parameters
    return projected_gradient_descent(
        context,
        steps=parameters.steps,
        relative_step=parameters.relative_step,
        random_start=False,
        head=parameters.head,
    )


def _sweep_bim(context: SweepContext[IterativeParameters]) -> Tensor:
    from robench_plugins.attacks._gradient_torch import LOSSES

    parameters = context.parameters
    return context.ascend(LOSSES[parameters.head], steps=parameters.steps, relative_step=parameters.relative_step)


def _pgd(context: AttackContext[PgdParameters]) -> Tensor:
    from robench_plugins.attacks._foolbox_torch import projected_gradient_descent

    parameters = context.parameters
    if parameters.restarts > 1:
        message = f"pgd: restarts is {parameters.restarts}, and Foolbox knows no restarts"
        raise UsageError(message, "use --engine native")
    return projected_gradient_descent(
        context,
        steps=parameters.steps,
        relative_step=parameters.relative_step,
        random_start=True,
        head=parameters.head,
    )


def _sweep_pgd(context: SweepContext[PgdParameters]) -> Tensor:
    from robench_plugins.attacks._gradient_torch import LOSSES

    parameters = context.parameters
    return context.ascend(
        LOSSES[parameters.head],
        steps=parameters.steps,
        relative_step=parameters.relative_step,
        random_start=True,
        restarts=parameters.restarts,
    )


@hookimpl
def robench_attacks() -> Iterable[
    AttackSpec[GradientParameters] | AttackSpec[IterativeParameters] | AttackSpec[PgdParameters]
]:
    """Offer ``fgsm``, ``bim`` and ``pgd``."""
    return [
        AttackSpec(
            name="fgsm",
            summary="one step of the gradient's sign; in L2 of the gradient, the fast gradient method",
            source="Goodfellow et al. (2015), section 4",
            knowledge="naive",
            parameters=GradientParameters,
            norms=_NORMS,
            run=_fgsm,
            sweep=_sweep_fgsm,
        ),
        AttackSpec(
            name="bim",
            summary="40 steps of eps/30 from the image itself, last iterate",
            source="Kurakin et al. (2017), section 2.2; settings of Wester & Thisted (2020)",
            knowledge="naive",
            parameters=IterativeParameters,
            norms=_NORMS,
            run=_bim,
            sweep=_sweep_bim,
        ),
        AttackSpec(
            name="pgd",
            summary="40 steps of eps/30 from a uniform start, last iterate",
            source="Madry et al. (2018), section 2.1; settings of Wester & Thisted (2020)",
            knowledge="naive",
            parameters=PgdParameters,
            norms=_NORMS,
            run=_pgd,
            sweep=_sweep_pgd,
        ),
    ]
