"""Attacks that know the detector: joint, selective, orthogonal, averaged over draws, transferred, and for rejection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.api import AttackSpec, SweepContext, hookimpl
from robench_plugins.attacks._checks import at_least_one

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from robench.api import Target

ROBENCH_API = 1


@dataclass(frozen=True, kw_only=True)
class JointParameters:
    """What can be set of the joint attack.

    Attributes:
        steps: Number of gradient steps in each round, at least 1.
        rounds: Number of weights that are tried between margin and score, at least 1.
    """

    steps: int = 40
    rounds: int = 6

    def __post_init__(self) -> None:
        at_least_one(self, "joint", "steps", "rounds")


@dataclass(frozen=True, kw_only=True)
class SteppedParameters:
    """What can be set of selective and orthogonal gradient descent.

    Attributes:
        steps: Number of gradient steps, at least 1.
        restarts: Number of starts, the first from the image itself, the others random, at least 1.
    """

    steps: int = 60
    restarts: int = 1

    def __post_init__(self) -> None:
        at_least_one(self, "selective-pgd, orthogonal-pgd", "steps", "restarts")


@dataclass(frozen=True, kw_only=True)
class AveragedParameters:
    """What can be set of the expectation over transformation.

    Attributes:
        steps: Number of gradient steps, first without randomness and then with it, at least 1.
        samples: Number of draws averaged at each step, at least 1.
    """

    steps: int = 30
    samples: int = 8

    def __post_init__(self) -> None:
        at_least_one(self, "eot-pgd", "steps", "samples")


@dataclass(frozen=True, kw_only=True)
class TransferParameters:
    """What can be set of the transfer from the classifier.

    Attributes:
        steps: Number of gradient steps, at least 1.
        restarts: Number of starts, the first from the image itself, the others random, at least 1.
    """

    steps: int = 20
    restarts: int = 1

    def __post_init__(self) -> None:
        at_least_one(self, "transfer", "steps", "restarts")


@dataclass(frozen=True, kw_only=True)
class MaxScoreParameters:
    """What can be set of the search for a rejection.

    Attributes:
        steps: Number of gradient steps, at least 1.
    """

    steps: int = 20

    def __post_init__(self) -> None:
        at_least_one(self, "max-score", "steps")


def _joint(context: SweepContext[JointParameters]) -> Tensor:
    from robench_plugins.attacks._detector_torch import joint

    return joint(context)


def _selective(context: SweepContext[SteppedParameters]) -> Tensor:
    from robench_plugins.attacks._detector_torch import selective

    return selective(context)


def _orthogonal(context: SweepContext[SteppedParameters]) -> Tensor:
    from robench_plugins.attacks._detector_torch import orthogonal

    return orthogonal(context)


def _averaged(context: SweepContext[AveragedParameters]) -> Tensor:
    from robench_plugins.attacks._detector_torch import averaged

    return averaged(context)


def _transfer(context: SweepContext[TransferParameters]) -> Tensor:
    from robench_plugins.attacks._detector_torch import transfer

    return transfer(context)


def _maximise_score(context: SweepContext[MaxScoreParameters]) -> Tensor:
    from robench_plugins.attacks._detector_torch import maximise_score

    return maximise_score(context)


def _rejects(target: Target) -> bool:
    return target.threshold is not None


def _is_random(target: Target) -> bool:
    return target.stochastic


@hookimpl
def robench_attacks() -> Iterable[
    AttackSpec[JointParameters]
    | AttackSpec[SteppedParameters]
    | AttackSpec[AveragedParameters]
    | AttackSpec[TransferParameters]
    | AttackSpec[MaxScoreParameters]
]:
    """Offer ``joint``, ``selective-pgd``, ``orthogonal-pgd``, ``eot-pgd``, ``transfer`` and ``max-score``."""
    return [
        AttackSpec(
            name="transfer",
            summary="fools the bare classifier and puts every iterate to the defense",
            source="Athalye et al. (2018), section 5.2; Tramer et al. (2020), section 4",
            knowledge="adaptive",
            parameters=TransferParameters,
            norms=("linf", "l2"),
            sweep=_transfer,
            effort="quick",
            cost=20.0,
            presets={"thorough": {"steps": 100, "restarts": 5}},
        ),
        AttackSpec(
            name="joint",
            summary="margin less lambda times the score's excess, lambda searched for each image",
            source="Carlini & Wagner (2017), Adversarial examples are not easily detected, section 3",
            knowledge="adaptive",
            parameters=JointParameters,
            norms=("linf", "l2"),
            sweep=_joint,
            effort="quick",
            cost=120.0,
            presets={"quick": {"rounds": 3}, "thorough": {"steps": 100, "rounds": 12}},
        ),
        AttackSpec(
            name="selective-pgd",
            summary="steps on the classifier's loss while it is right, else on the score",
            source="Bryniarski et al. (2022), section 4.1",
            knowledge="adaptive",
            parameters=SteppedParameters,
            norms=("linf", "l2"),
            sweep=_selective,
            effort="standard",
            cost=60.0,
            presets={"thorough": {"steps": 200, "restarts": 5}},
            suits=_rejects,
        ),
        AttackSpec(
            name="orthogonal-pgd",
            summary="selective steps, each without its part along the other gradient",
            source="Bryniarski et al. (2022), section 4.2",
            knowledge="adaptive",
            parameters=SteppedParameters,
            norms=("linf", "l2"),
            sweep=_orthogonal,
            effort="standard",
            cost=61.0,
            presets={"thorough": {"steps": 200, "restarts": 5}},
            suits=_rejects,
        ),
        AttackSpec(
            name="eot-pgd",
            summary="wins without randomness first, then against the average over draws",
            source="Athalye et al. (2018), section 4.2",
            knowledge="adaptive",
            parameters=AveragedParameters,
            norms=("linf", "l2"),
            sweep=_averaged,
            effort="standard",
            cost=270.0,
            presets={"thorough": {"steps": 100, "samples": 20}},
            suits=_is_random,
        ),
        AttackSpec(
            name="max-score",
            summary="raises the score, to find the smallest radius at which an image can be made to be rejected",
            source="Chen et al. (2023), Stratified adversarial robustness with rejection, section 4",
            knowledge="adaptive",
            parameters=MaxScoreParameters,
            norms=("linf", "l2"),
            sweep=_maximise_score,
            goal="rejected",
            effort="quick",
            cost=20.0,
            presets={"thorough": {"steps": 100}},
            suits=_rejects,
        ),
    ]
