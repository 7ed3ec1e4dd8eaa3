"""The only source of randomness that attacks and defenses may use while they are evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class ImageRandom(Protocol):
    """One random stream for each image of the present batch.

    A stream depends on the run's seed, on what is being done and on the image, never on its neighbours in the batch.
    Results are therefore the same for every batch size, and drawing leaves the global generators alone.
    """

    def normal(self, *size: int) -> Tensor:
        """Draw from the standard normal distribution.

        Args:
            size: Shape of the draw for one image.

        Returns:
            Shape (N, *size), float32, on the device of the evaluation. Successive calls give fresh draws.
        """

    def uniform(self, *size: int) -> Tensor:
        """Draw from the uniform distribution over [0, 1).

        Args:
            size: Shape of the draw for one image.

        Returns:
            Shape (N, *size), float32, on the device of the evaluation. Successive calls give fresh draws.
        """
