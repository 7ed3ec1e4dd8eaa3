"""Which attack won what, where some were not tried on everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from robench.analysis.judged import Judged


@dataclass(frozen=True, kw_only=True)
class Credit:
    """What one attack and no other of several won. An image counts once for each epsilon.

    Attributes:
        alone: Images that all others were tried on, at this epsilon or a larger one, without winning at
            this one or a smaller.
        first: Those that no other won either, but that not all of them were tried on: an ensemble spares the later ones
            what an earlier one has won. Whether they would have won is not known.
    """

    alone: int
    first: int


def assign_credit(attempts: Mapping[str, Mapping[str, Judged]], clean: Judged) -> dict[str, Credit]:
    """Count what each attack won and no other. An image that is wrong when clean is nobody's win.

    Balls nest: who wins an image at some epsilon wins it at every larger one, and who loses it there would not have won
    it at a smaller one.

    Args:
        attempts: What each attack was tried on, by its name and by epsilon as decimal text.
        clean: The same images as they are, and perhaps more.

    Returns:
        In the order of ``attempts``.
    """
    images = np.unique([image for tried in attempts.values() for one in tried.values() for image in one.image])
    lowest = {name: np.full(len(images), np.inf) for name in attempts}
    highest = {name: np.full(len(images), -np.inf) for name in attempts}
    for name, tried in attempts.items():
        for epsilon, one in tried.items():
            rows = np.searchsorted(images, one.image)
            won, lost = rows[one.wrong], rows[~one.wrong]
            lowest[name][won] = np.minimum(lowest[name][won], float(epsilon))
            highest[name][lost] = np.maximum(highest[name][lost], float(epsilon))
    return {
        name: _credit(
            tried,
            images,
            given=clean.image[clean.wrong],
            best=np.min([lowest[other] for other in attempts if other != name], axis=0, initial=np.inf),
            seen=np.min([highest[other] for other in attempts if other != name], axis=0, initial=np.inf),
        )
        for name, tried in attempts.items()
    }


def _credit(
    tried: Mapping[str, Judged],
    images: NDArray[np.int64],
    *,
    given: NDArray[np.int64],
    best: NDArray[np.float64],
    seen: NDArray[np.float64],
) -> Credit:
    """Count the wins of one attack.

    Args:
        tried: By epsilon.
        images: All images, ascending.
        given: Those that nobody had to win.
        best: The smallest epsilon at which another attack won each of them.
        seen: The largest epsilon at which every other attack lost each of them.
    """
    best, seen = (np.broadcast_to(bound, images.shape) for bound in (best, seen))
    alone = first = 0
    for epsilon, one in tried.items():
        rows = np.searchsorted(images, np.setdiff1d(one.image[one.wrong], given))
        only = best[rows] > float(epsilon)
        all_tried = seen[rows] >= float(epsilon)
        alone += int((only & all_tried).sum())
        first += int((only & ~all_tried).sum())
    return Credit(alone=alone, first=first)
