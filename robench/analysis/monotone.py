"""A check on the attack: with a larger epsilon it must not win less.

What wins in a small ball lies in every larger one. So an attack that loses an image as epsilon grows did not search
well, and its numbers flatter the defense.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from robench.analysis.judged import aligned
from robench.analysis.mcnemar import Discordance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robench.analysis.judged import Judged


@dataclass(frozen=True, kw_only=True)
class Monotonicity:
    """Where robust accuracy rises most as epsilon grows.

    Attributes:
        smaller, larger: Two epsilons, as exact decimal text.
        rise: Robust accuracy at the larger minus that at the smaller; negative if it falls between any two epsilons.
        p: One-sided p of McNemar's exact test that it rises between these two. It does not account for their having
            been picked among all pairs.
        recovered: Images that were fooled at some epsilon and robust at a larger one, ascending.
    """

    smaller: str
    larger: str
    rise: float
    p: float
    recovered: tuple[int, ...]


def check_monotone(by_epsilon: Mapping[str, Judged]) -> Monotonicity:
    """Look for the largest rise of robust accuracy of one attack on one defense.

    The test takes one answer an image, so of a stochastic defense it sees the recorded outcome only. Some of its images
    recover by luck; p tells whether more do than fall.

    Args:
        by_epsilon: The defense under that attack, by epsilon as exact decimal text, two or more.

    Raises:
        UsageError: The epsilons have no image in common.
        ValueError: There are fewer than two epsilons.
    """
    epsilons = sorted(by_epsilon, key=Decimal)
    pairs = list(combinations(epsilons, 2))
    if not pairs:
        message = "a rise takes two epsilons"
        raise ValueError(message)
    judged = aligned(*(by_epsilon[epsilon] for epsilon in epsilons))
    robust = {epsilon: ~one.wrong for epsilon, one in zip(epsilons, judged, strict=True)}
    changes = {pair: Discordance.between(robust[pair[0]], robust[pair[1]]) for pair in pairs}
    smaller, larger = max(pairs, key=lambda pair: changes[pair].difference)
    recovered = np.any([~robust[before] & robust[after] for before, after in pairs], axis=0)
    return Monotonicity(
        smaller=smaller,
        larger=larger,
        rise=changes[smaller, larger].difference,
        p=changes[smaller, larger].p_second_greater,
        recovered=tuple(judged[0].image[recovered].tolist()),
    )
