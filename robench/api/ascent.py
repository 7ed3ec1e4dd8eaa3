"""The gradient ascent that robench offers to attacks, and the record of what they have tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

Loss = Callable[..., "Tensor"]
"""``loss(target, images, labels, *given)`` for M rows: images (M, C, H, W) and labels (M,) to (M,), float32.

It is to be raised, asks the target about these rows only, and lets gradients reach the images.
"""

Direction = Callable[..., "Tensor"]
"""``direction(target, images, labels, *given)`` for M rows: where to go, shape (M, C, H, W); its length does not count.

For what is no gradient of one number, such as a gradient less its part along another one.
"""

Keep = Literal["last", "first-win"]
"""Which iterate counts: the last one, as in the literature, or the first that the real defense confirms as a win."""


class Trial(Protocol):
    """What has been tried on a batch, and what has won.

    A win is an image inside its ball that the real defense, in float32, accepts as a wrong class (or rejects, if that
    is the attack's goal). Slots are images times epsilons; one that is won is not attacked again. A stochastic defense
    is asked on several draws that the search has not seen, and a slot is won when it loses on all of them: until then
    a larger share can be had.
    """

    @property
    def standing(self) -> Tensor:
        """Which slots are not won yet, shape (N, E), bool."""

    @property
    def best(self) -> Tensor:
        """What counts of each slot, shape (N, E, C, H, W): what wins on the most draws; of several, the latest."""

    def propose(self, images: Tensor, where: Tensor | None = None) -> Tensor:
        """Put one image for each slot to the real defense; those of slots that have won are not looked at.

        Args:
            images: Shape (N, E, C, H, W), float32. They are moved into their balls and into [0, 1] first.
            where: Which slots are meant, shape (N, E), bool; all if None.

        Returns:
            Which slots are won by now, shape (N, E), bool.
        """


class Ascent(Protocol):
    """Steps along a gradient, for all epsilons of the batch at once: along its sign in Linf, at unit length in L2.

    Work is shared where the result is the same: without a random start, the first gradient is that of the image itself
    and serves every epsilon. If wins are kept, rows of slots that have won, in this call or before it, leave the batch,
    and what has won is in ``trial``.

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
        objective: Loss | Direction,
        *,
        steps: int,
        relative_step: float | tuple[float, float],
        random_start: bool = False,
        start: Tensor | None = None,
        restarts: int = 1,
        samples: int = 1,
        given: Sequence[Tensor] = (),
        keep: Keep | None = None,
    ) -> Tensor:
        """Attack every image of the batch at each of its epsilons.

        Args:
            objective: What to raise, one number for each of M rows, (M,), float32; or where to go, (M, C, H, W).
            steps: Number of gradient steps, at least 1.
            relative_step: Size of a step in units of epsilon; two numbers are the first and the last of a geometric
                series.
            random_start: Start from a uniform draw from the ball rather than from the image.
            start: Start from these images instead, shape (N, E, C, H, W); they are moved into their balls.
            restarts: Number of random starts, at least 1; of several, the first that wins counts, else the first.
            samples: Number of draws of a stochastic defense that are averaged at each step, at least 1.
            given: What the objective is told of each slot beside the label, each of shape (N, E, ...).
            keep: Which iterate counts; None leaves it to what the run asks for, each attack by itself or the worst
                case.

        Returns:
            Attacked images, shape (N, E, C, H, W), float32, each in its ball and in [0, 1]: of slots that have won, now
            or before, what has won; else the last iterate.

        Source: Madry et al. (2018), section 2.1; Kurakin et al. (2017), section 2.2; Athalye et al. (2018), section 4.2
        (the average over draws).
        """
