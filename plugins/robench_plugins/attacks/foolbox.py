"""FGSM, BIM and PGD through Foolbox, with the settings of the reproduced paper spelled out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from robench.api import AttackContext, AttackSpec, NoParameters, UsageError, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class IterativeParameters:
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


def _fgsm(context: AttackContext[NoParameters]) -> Tensor:
    from robench_plugins.attacks._foolbox_torch import fast_gradient_sign

    return fast_gradient_sign(context)


def _descend(context: AttackContext[IterativeParameters], *, random_start: bool) -> Tensor:
    from robench_plugins.attacks._foolbox_torch import projected_gradient_descent

    return projected_gradient_descent(
        context,
        steps=context.parameters.steps,
        relative_step=context.parameters.relative_step,
        random_start=random_start,
    )


@hookimpl
def robench_attacks() -> Iterable[AttackSpec[NoParameters] | AttackSpec[IterativeParameters]]:
    """Offer ``fgsm``, ``bim`` and ``pgd``."""
    return [
        AttackSpec(
            name="fgsm",
            summary="one step of the gradient's sign",
            source="Goodfellow et al. (2015), section 4",
            knowledge="naive",
            parameters=NoParameters,
            run=_fgsm,
        ),
        AttackSpec(
            name="bim",
            summary="40 steps of eps/30 from the image itself, last iterate",
            source="Kurakin et al. (2017), section 2.2; settings of Wester & Thisted (2020)",
            knowledge="naive",
            parameters=IterativeParameters,
            run=partial(_descend, random_start=False),
        ),
        AttackSpec(
            name="pgd",
            summary="40 steps of eps/30 from a uniform start, last iterate",
            source="Madry et al. (2018), section 2.1; settings of Wester & Thisted (2020)",
            knowledge="naive",
            parameters=IterativeParameters,
            run=partial(_descend, random_start=True),
        ),
    ]
