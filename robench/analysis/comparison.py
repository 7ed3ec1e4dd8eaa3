"""Two defenses on the same images, epsilon by epsilon."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from robench.analysis.judged import aligned
from robench.analysis.mcnemar import Discordance
from robench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from robench.analysis.judged import Judged


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What is known of one defense.

    Attributes:
        clean: The defense on clean images.
        attacked: The defense under attack, by epsilon as exact decimal text.
    """

    clean: Judged
    attacked: Mapping[str, Judged]


@dataclass(frozen=True, kw_only=True)
class EpsilonComparison:
    """Two defenses at one epsilon.

    Attributes:
        epsilon: Exact decimal text.
        first, second: Strict robust accuracy of each, in [0, 1]: the share of images that are correct when clean and
            not wrong when attacked. It counts one answer an image, as the test does.
        robust: The images for which that holds with one defense only.
        p_adjusted: Two-sided p of McNemar's test, adjusted by Holm for all epsilons of the comparison.
    """

    epsilon: str
    first: float
    second: float
    robust: Discordance
    p_adjusted: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two defenses on the same images.

    Attributes:
        clean_rejected: The clean images that only one defense rejects. A small p says that the defenses differ in their
            false-positive rates, so that one pays more for what it detects; a large p does not prove them equal.
        epsilons: Ascending.
    """

    clean_rejected: Discordance
    epsilons: tuple[EpsilonComparison, ...]


def compare(first: Evaluated, second: Evaluated) -> Comparison:
    """Compare two defenses image by image, at the epsilons that both have, by strict robust accuracy.

    The test takes one answer an image, so of a stochastic defense it sees the recorded outcome only.

    Args:
        first: A defense.
        second: The other, on images of the same test split.

    Raises:
        UsageError: They have no epsilon in common, or no images, or an image differs in its label.
    """
    shared = sorted(first.attacked.keys() & second.attacked.keys(), key=Decimal)
    if not shared:
        message = "the defenses to compare have no epsilon in common"
        raise UsageError(message, "evaluate both at the same epsilons")
    robust = [_robust(first, second, epsilon) for epsilon in shared]
    discordances = [Discordance.between(one, other) for one, other in robust]
    adjusted = holm([discordance.p for discordance in discordances])
    clean_first, clean_second = aligned(first.clean, second.clean)
    return Comparison(
        clean_rejected=Discordance.between(clean_first.rejected, clean_second.rejected),
        epsilons=tuple(
            EpsilonComparison(
                epsilon=epsilon,
                first=float(one.mean()),
                second=float(other.mean()),
                robust=discordance,
                p_adjusted=p,
            )
            for epsilon, (one, other), discordance, p in zip(shared, robust, discordances, adjusted, strict=True)
        ),
    )


def _robust(first: Evaluated, second: Evaluated, epsilon: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    clean_first, attacked_first, clean_second, attacked_second = aligned(
        first.clean, first.attacked[epsilon], second.clean, second.attacked[epsilon]
    )
    return clean_first.correct & ~attacked_first.wrong, clean_second.correct & ~attacked_second.wrong


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values for being several, so that the chance of any false finding stays below the level.

    Args:
        ps: In [0, 1], of tests that may depend on each other.

    Returns:
        Adjusted values in the order of ``ps``, in [0, 1], to be held against the same level.

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
    """
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = largest
    return tuple(adjusted)
