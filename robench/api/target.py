"""What a defense answers, and what an attack sees of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

Norm = Literal["linf", "l2"]
"""How far an image is from another: by the pixel that differs most, or by the root of the sum of squares."""

NORMS: tuple[Norm, ...] = get_args(Norm)
"""All of them."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer of a defense to a batch of images.

    Attributes:
        logits: Shape (N, K), float32: one row of class scores per image.
        score: Shape (N,), float32, larger means more suspicious; None from a defense that never rejects. An image is
            rejected when its score exceeds the threshold, which the engine fixes on clean validation images.
    """

    logits: Tensor
    score: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One of the answers that a selecting defense chooses from, for each image of a batch.

    Attributes:
        images: Shape (N, C, H, W), float32: what is classified.
        logits: Shape (N, K), float32: of ``images``.
        error: Shape (N,), float32: the least one is chosen. It is the rejection score, if the defense has one.
    """

    images: Tensor
    logits: Tensor
    error: Tensor


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What a selecting defense chooses from: one candidate for each class.

    Attributes:
        errors: Shape (N, K), float32, of all candidates, without gradient.
        take: ``take(choice)`` returns the candidates of these classes, shape (N,), int64. Gradients pass from them to
            the images. All candidates of one answer share its random draws.
    """

    errors: Tensor
    take: Callable[[Tensor], Candidate]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How far an attack may move an image.

    Attributes:
        epsilon: Radius of the ball around each image, in pixel values: in (0, 1] for ``linf``, positive for ``l2``.
            Infinite for an attack that looks for the closest adversarial image, see ``AttackSpec.minimal``.
        norm: Of the ball.
    """

    epsilon: float
    norm: Norm = "linf"


class Target(Protocol):
    """A deployed defense as an attack sees it: frozen, in evaluation mode, its threshold fixed.

    Every method takes images of the present batch, shape (N, C, H, W), float32, in [0, 1], in the batch's order, and
    lets gradients reach them wherever the defense is differentiable.
    """

    @property
    def classes(self) -> int:
        """Number K of classes, the label "adversarial" not counted."""

    @property
    def threshold(self) -> float | None:
        """Scores above it are rejected; None for a defense that never rejects."""

    @property
    def stochastic(self) -> bool:
        """Whether the same image may get another answer."""

    @property
    def selecting(self) -> bool:
        """Whether the defense shows what it chooses from, see ``candidates``."""

    @property
    def classifier(self) -> nn.Module:
        """The undefended classifier: images -> logits, shape (N, K)."""

    @property
    def head(self) -> nn.Module:
        """The deployed composite: images -> logits.

        Shape (N, K) for a defense that never rejects. Otherwise (N, K + 1) with the masked head of the paper: an
        accepted image yields its class logits and 0, a rejected one zeros and 1, hence no gradient at all.

        Source: Wester & Thisted (2020), section 4, and the authors' notebook.
        """

    def verdict(self, images: Tensor) -> Verdict:
        """Ask the defense itself; a stochastic one draws afresh at each call."""

    def candidates(self, images: Tensor) -> Candidates:
        """Ask a selecting defense for what it chooses from; a stochastic one draws afresh at each call.

        Raises:
            PluginError: If the defense is not ``selecting``.
        """

    def calm(self) -> Target:
        """Return the same defense with every random draw at its mean: 0 of a normal, 1/2 of a uniform one."""

    def select(self, rows: Tensor) -> Target:
        """Return the same defense for some images of the batch, in any order, each as often as wanted.

        A stochastic defense then gives all rows of an image the same draws.

        Args:
            rows: Shape (M,), int64: which image of the batch each row is about.
        """
