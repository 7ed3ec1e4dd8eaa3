"""The gradient ascent that robench offers to attacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from robench.api.target import Target

Loss = Callable[["Target", "Tensor", "Tensor"], "Tensor"]
"""``loss(target, images, labels)`` for M rows: images of shape (M, C, H, W) and labels of shape (M,) to (M,), float32.

It is to be raised, asks the target about these rows only, and lets gradients reach the images.
"""

Keep = Literal["last", "first-win"]
"""Which iterate counts: the last one, as in the literature, or the first that the defense accepts as a wrong class."""


class Ascent(Protocol):
    """Steps along the sign of the loss's gradient, for all epsilons of the batch at once.

    Work is shared where the result is the same: without a random start, the first gradient is that of the image itself
    and serves every epsilon. Rows that have won, if wins are kept, are confirmed with the real defense in float32 and
    leave the batch.

    Example:
        A margin instead of the cross-entropy, as the ``sweep`` of an ``AttackSpec``::

            def loss(target, images, labels):
                logits = target.verdict(images).logits
                own = logits.gather(1, labels[:, None])[:, 0]
                others = logits.scatter(1, labels[:, None], -torch.inf)
                return others.amax(1) - own

            def sweep(context):
                return context.ascend(loss, steps=40, relative_step=0.05, random_start=True)
    """

    def __call__(
        self,
        loss: Loss,
        *,
        steps: int,
        relative_step: float,
        random_start: bool = False,
        restarts: int = 1,
        keep: Keep | None = None,
    ) -> Tensor:
        """Attack every image of the batch at each of its epsilons.

        Args:
            loss: What to raise: ``loss(target, images, labels)``, one number for each of M rows, (M,), float32, for
                images of shape (M, C, H, W) and labels of shape (M,). ``target`` answers for these rows.
            steps: Number of gradient steps, at least 1.
            relative_step: Size of a step in units of epsilon.
            random_start: Start from a uniform draw from the ball rather than from the image.
            restarts: Number of random starts, at least 1; of several, the first that wins counts, else the first.
            keep: Which iterate counts; None leaves it to what the run asks for, each attack by itself or the worst
                case.

        Returns:
            Attacked images, shape (N, E, C, H, W), float32, each in its ball and in [0, 1].

        Source: Madry et al. (2018), section 2.1; Kurakin et al. (2017), section 2.2.
        """
