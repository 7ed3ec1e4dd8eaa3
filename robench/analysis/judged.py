"""The outcomes of many images as columns, which is what metrics compute with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from robench.api.records import Outcome
from robench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from robench.api.records import ImageOutcome


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """One defense under one attack at one epsilon, or on clean images. All arrays have shape (n,).

    Attributes:
        image: int64, index of each image in the test split, each once.
        label: int64, true class.
        prediction: int64, class with the largest logit, also where the image is rejected.
        outcome: str, a value of ``Outcome``.
        score: float64, rejection score; None from a defense that never rejects.
        fooled: float64, in [0, 1], share of fresh draws of the defense that accepted the image as a wrong class.
            Without randomness it is 1 where the outcome is wrong and 0 elsewhere.

    Raises:
        ValueError: The arrays differ in shape, an image occurs twice, or a share is outside [0, 1].
    """

    image: NDArray[np.int64]
    label: NDArray[np.int64]
    prediction: NDArray[np.int64]
    outcome: NDArray[np.str_]
    score: NDArray[np.float64] | None
    fooled: NDArray[np.float64]

    def __post_init__(self) -> None:
        columns = (
            self.label,
            self.prediction,
            self.outcome,
            self.fooled,
            self.image if self.score is None else self.score,
        )
        if self.image.ndim != 1 or any(column.shape != self.image.shape for column in columns):
            message = "the columns of judged images differ in shape"
            raise ValueError(message)
        if len(np.unique(self.image)) < len(self.image):
            message = "an image was judged twice"
            raise ValueError(message)
        if not bool(((self.fooled >= 0) & (self.fooled <= 1)).all()):
            message = "a share of fooled draws is outside [0, 1]"
            raise ValueError(message)

    @classmethod
    def of(cls, outcomes: Sequence[ImageOutcome]) -> Judged:
        """Turn outcomes into columns, in the order of their positions.

        Args:
            outcomes: Of distinct images, in any order.

        Raises:
            ValueError: An image occurs twice, or only some have a score.
        """
        ordered = sorted(outcomes, key=lambda one: one.position)
        scores = [one.score for one in ordered if one.score is not None]
        return cls(
            image=np.array([one.image for one in ordered], dtype=np.int64),
            label=np.array([one.label for one in ordered], dtype=np.int64),
            prediction=np.array([one.prediction for one in ordered], dtype=np.int64),
            outcome=np.array([one.outcome.value for one in ordered], dtype=np.str_),
            score=np.array(scores, dtype=np.float64) if scores else None,
            fooled=np.array([one.fooled for one in ordered], dtype=np.float64),
        )

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each image was accepted as its class."""
        return self._ended(Outcome.CORRECT)

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether each image was accepted as another class."""
        return self._ended(Outcome.WRONG)

    @property
    def rejected(self) -> NDArray[np.bool_]:
        """Whether each image was rejected."""
        return self._ended(Outcome.REJECTED)

    @property
    def misclassified(self) -> NDArray[np.bool_]:
        """Whether each prediction differs from the label, accepted or not."""
        differs: NDArray[np.bool_] = self.prediction != self.label
        return differs

    def _ended(self, how: Outcome) -> NDArray[np.bool_]:
        matches: NDArray[np.bool_] = self.outcome == how.value
        return matches

    def at_threshold(self, threshold: float) -> Judged:
        """Return what the same images and scores would have been with another threshold.

        Only one draw of a stochastic defense has its score recorded, so ``fooled`` becomes that of this draw.

        Args:
            threshold: Scores above it are rejected.

        Raises:
            ValueError: The defense never rejects, so it has no scores.
        """
        if self.score is None:
            message = "a defense without scores has no threshold"
            raise ValueError(message)
        answered = np.where(self.misclassified, Outcome.WRONG.value, Outcome.CORRECT.value)
        outcome = np.where(self.score > threshold, Outcome.REJECTED.value, answered)
        return replace(self, outcome=outcome, fooled=(outcome == Outcome.WRONG.value).astype(np.float64))

    def take(self, rows: NDArray[np.intp]) -> Judged:
        """Return some of the images.

        Args:
            rows: Shape (m,), their places in the arrays.
        """
        return Judged(
            image=self.image[rows],
            label=self.label[rows],
            prediction=self.prediction[rows],
            outcome=self.outcome[rows],
            score=None if self.score is None else self.score[rows],
            fooled=self.fooled[rows],
        )


def aligned(*judged: Judged) -> tuple[Judged, ...]:
    """Restrict each to the images that all have, in ascending order, so that rows can be compared.

    Runs that were interrupted, or asked for different numbers of images, have only some in common.

    Args:
        judged: One or more, on images of the same test split.

    Returns:
        As many, all with the same ``image`` and ``label``.

    Raises:
        UsageError: No image is common to all, or an image has another label in another.
    """
    common = reduce(np.intersect1d, [one.image for one in judged])
    if not len(common):
        message = "the results to compare have no image in common"
        raise UsageError(message, "evaluate them with the same dataset, split and seed")
    first, *others = (one.take(np.intersect1d(common, one.image, return_indices=True)[2]) for one in judged)
    for other in others:
        differing = first.label != other.label
        if bool(differing.any()):
            message = f"image {first.image[differing][0]} has different labels in the results to compare"
            raise UsageError(message, "compare results on the same dataset only")
    return (first, *others)
