"""Several attacks together: how much worse they are than the best of them, and which of them matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from robench.analysis.estimate import Estimate
from robench.analysis.judged import aligned
from robench.analysis.robustness import robust_accuracy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from robench.analysis.judged import Judged


@dataclass(frozen=True, kw_only=True)
class Worst:
    """Robust accuracy under several attacks at one epsilon, in two ways.

    Attributes:
        attack: Name of the attack that leaves the least robust accuracy, the first of several that tie.
        aggregate: Robust accuracy under it alone.
        per_image: Robust accuracy under the attack that is worst for each image, never above ``aggregate``. It is what
            an attacker leaves who may choose.
    """

    attack: str
    aggregate: Estimate
    per_image: Estimate


def worst(attacks: Mapping[str, Judged]) -> Worst:
    """Compare the worst attack with the worst case per image.

    The intervals ignore that a minimum was chosen. With few draws of a stochastic defense, the worst case per image is
    partly bad luck: judge what was chosen on fresh draws before publishing it.

    Args:
        attacks: One defense under each attack, by name, one or more, at one epsilon.

    Raises:
        UsageError: The attacks have no image in common.
        ValueError: There are no attacks.
    """
    if not attacks:
        message = "no attack was given"
        raise ValueError(message)
    judged = aligned(*attacks.values())
    accuracies = dict(zip(attacks, map(robust_accuracy, judged), strict=True))
    attack = min(accuracies, key=lambda name: accuracies[name].value)
    least = 1 - np.max([one.fooled for one in judged], axis=0)
    return Worst(attack=attack, aggregate=accuracies[attack], per_image=Estimate.mean(least))


@dataclass(frozen=True, kw_only=True)
class Wins:
    """What one attack won when it ran on its own.

    Attributes:
        attack: Its name.
        count: Number of images.
        unique: Those that no other attack won, ascending. An attack without any adds nothing to the others.
    """

    attack: str
    count: int
    unique: tuple[int, ...]


def wins(won: Mapping[str, AbstractSet[int]]) -> tuple[Wins, ...]:
    """Count what each attack won, and what only it won.

    Args:
        won: The images that each attack won on its own, by name. Were an attack given only what those before it left
            over, the order would decide.

    Returns:
        In the order of ``won``.
    """
    return tuple(
        Wins(
            attack=attack,
            count=len(images),
            unique=tuple(sorted(images - set().union(*(won[other] for other in won if other != attack)))),
        )
        for attack, images in won.items()
    )
