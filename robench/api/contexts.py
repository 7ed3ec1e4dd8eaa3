"""What robench hands to the functions of a plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from torch import Tensor, nn

    from robench.api.ascent import Ascent, Trial
    from robench.api.randomness import ImageRandom
    from robench.api.target import Budget, Norm, Target

P = TypeVar("P")


@dataclass(frozen=True, kw_only=True)
class NoParameters:
    """For a plugin that has nothing to set."""


@dataclass(frozen=True, kw_only=True)
class DataContext:
    """Where a data set may look for its files.

    Attributes:
        data_dir: The user's folder (``--data-dir`` or ``ROBENCH_DATA``); when given, the files are read from it, or
            from the folder in it that has the data set's name, and from nowhere else.
        cache_dir: Where downloads are kept; may not exist yet.
        offline: Forbids any download.
        report: Shows one line of progress to the user.
    """

    data_dir: Path | None
    cache_dir: Path
    offline: bool
    report: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class ModelContext(Generic[P]):
    """What a classifier or a defense is built for.

    Attributes:
        dataset: Name of the data set.
        shape: Channels, height and width of an image.
        classes: Number K of classes.
        profile: Which architecture and training recipe to use: ``quick`` trains in minutes on two cores, ``fast`` a
            full architecture in fewer epochs than published, ``paper`` as published.
        parameters: An instance of the ``parameters`` class of the spec.
        classifier: The trained classifier, frozen, in evaluation mode; None while a classifier itself is built.
    """

    dataset: str
    shape: tuple[int, int, int]
    classes: int
    profile: str
    parameters: P
    classifier: nn.Module | None

    def require_classifier(self) -> nn.Module:
        """Return the classifier.

        Raises:
            TypeError: If a classifier asks for it, which would be itself.
        """
        if self.classifier is None:
            message = "a classifier cannot be built on top of a classifier"
            raise TypeError(message)
        return self.classifier


@dataclass(frozen=True, kw_only=True)
class FitContext:
    """Clean validation images for a defense that sets something of its own before it is deployed.

    Attributes:
        defense: The built defense, frozen; ``fit`` may write its buffers.
        batches: Images, shape (N, C, H, W), float32, in [0, 1], on the defense's device. Can be walked several times.
        false_positive_rate: Share of clean images that a detector may reject, in (0, 1), as the run asks.
        rank_threshold: ``rank_threshold(scores, rate)`` takes the scores of one detector on all these images, shape
            (N,), and returns the threshold that rejects at most that share of fresh clean images in expectation.
    """

    defense: nn.Module
    batches: Iterable[Tensor]
    false_positive_rate: float
    rank_threshold: Callable[[Tensor, float], float]


@dataclass(frozen=True, kw_only=True)
class References:
    """Clean images that the attacker has of the task: some validation images of every class, never under attack.

    Attributes:
        images: Shape (R, C, H, W), float32, in [0, 1], on the device of the evaluation. Not to be written to.
        labels: Shape (R,), int64.
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True, kw_only=True)
class AttackContext(Generic[P]):
    """One batch for an attack that takes one epsilon at a time.

    Attributes:
        target: The deployed defense, in float32.
        images: Shape (N, C, H, W), float32, in [0, 1], on the device of the evaluation. Not to be written to.
        labels: Shape (N,), int64: the true classes.
        budget: How far each image may be moved.
        random: One stream per image of the batch.
        parameters: An instance of the ``parameters`` class of the spec.
        references: Clean images to start from or to aim at.
    """

    target: Target
    images: Tensor
    labels: Tensor
    budget: Budget
    random: ImageRandom
    parameters: P
    references: References


@dataclass(frozen=True, kw_only=True)
class SweepContext(Generic[P]):
    """One batch for an attack that takes several epsilons at once.

    Attributes:
        target: The search form of the deployed defense: the same weights, in the number format of the search.
        images: Shape (N, C, H, W), float32, in [0, 1], on the device of the evaluation. Not to be written to.
        labels: Shape (N,), int64: the true classes.
        epsilons: Shape (N, E), float64, positive: the radii of the balls around each image, in pixel values.
        norm: Of the balls.
        random: One stream per image of the batch, whatever its epsilons.
        parameters: An instance of the ``parameters`` class of the spec.
        ascend: Robench's own gradient ascent on this batch.
        trial: What has been tried on this batch and has won.
        references: Clean images to start from or to aim at.
    """

    target: Target
    images: Tensor
    labels: Tensor
    epsilons: Tensor
    random: ImageRandom
    parameters: P
    ascend: Ascent
    trial: Trial
    references: References
    norm: Norm = "linf"
