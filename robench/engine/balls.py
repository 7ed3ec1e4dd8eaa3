"""Balls around images, by norm: how far is far, what is inside, and where the steepest way leads."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from robench.api import ImageRandom, Norm

_IMAGE = (-3, -2, -1)
_LEAST = torch.finfo(torch.float32).tiny
"""Stands in for a length of zero, which nothing can be divided by."""


class Ball(Protocol):
    """What a norm means for images in [0, 1]. Radii are in pixel values."""

    def distance(self, images: Tensor, originals: Tensor) -> Tensor:
        """Return how far images are from their originals.

        Args:
            images: Shape (..., C, H, W), float32.
            originals: The same, or a shape that broadcasts.

        Returns:
            Shape (...,), float64.
        """

    def tolerance(self, radius: Tensor, pixels: int) -> Tensor:
        """Return what rounding may add to a distance that was meant to be a radius.

        Args:
            radius: Shape (...,), float64.
            pixels: Values of an image, C x H x W.

        Returns:
            Shape (...,), float64.
        """

    def diameter(self, pixels: int) -> float:
        """Return the distance of the two images that are furthest apart: a larger radius makes no difference."""

    def project(self, images: Tensor, originals: Tensor, radius: Tensor) -> Tensor:
        """Move images to the closest place in their balls, then into [0, 1], which takes none out of its ball.

        Args:
            images: Shape (M, C, H, W), float32.
            originals: Centres, of the same shape.
            radius: Shape (M, 1, 1, 1), float32.
        """

    def along(self, gradient: Tensor) -> Tensor:
        """Return the step of length 1 that rises most; none where the gradient is zero.

        Args:
            gradient: Shape (M, C, H, W), float32. May be overwritten.
        """

    def draw(self, random: ImageRandom, size: Sequence[int]) -> Tensor:
        """Draw uniformly from the ball of radius 1 around zero.

        Args:
            random: One stream for each image.
            size: Shape of the draw for one image, (..., C, H, W).

        Returns:
            Shape (N, ..., C, H, W), float32.
        """

    def draw_extreme(self, random: ImageRandom, size: Sequence[int]) -> Tensor:
        """Draw what is furthest from the centre of the ball of radius 1; see ``draw``."""


class Linf:
    """The pixel that differs most decides. A ball is a cube."""

    def distance(self, images: Tensor, originals: Tensor) -> Tensor:
        """Return the largest difference of a pixel."""
        return (images - originals).abs().flatten(-3).amax(-1).double()

    def tolerance(self, radius: Tensor, pixels: int) -> Tensor:  # noqa: ARG002 (each pixel for itself)
        """Return 1e-6: adding and clipping in float32 costs up to 6e-8."""
        return torch.full_like(radius, 1e-6)

    def diameter(self, pixels: int) -> float:  # noqa: ARG002
        """Return 1, from black to white."""
        return 1.0

    def project(self, images: Tensor, originals: Tensor, radius: Tensor) -> Tensor:
        """Clip each pixel."""
        return (images - originals).clamp_(-radius, radius).add_(originals).clamp_(0, 1)

    def along(self, gradient: Tensor) -> Tensor:
        """Return the sign of each pixel."""
        return gradient.sign_()

    def draw(self, random: ImageRandom, size: Sequence[int]) -> Tensor:
        """Draw each pixel on its own."""
        return 2 * random.uniform(*size) - 1

    def draw_extreme(self, random: ImageRandom, size: Sequence[int]) -> Tensor:
        """Draw a corner of the cube."""
        return (random.uniform(*size) - 0.5).sign()


class L2:
    """The root of the sum of squares decides."""

    def distance(self, images: Tensor, originals: Tensor) -> Tensor:
        """Return the Euclidean distance, summed up in float64 so that measuring adds no rounding of its own."""
        distance: Tensor = torch.linalg.vector_norm(images.double() - originals.double(), dim=_IMAGE)
        return distance

    def tolerance(self, radius: Tensor, pixels: int) -> Tensor:
        """Return 1e-7 for each pixel, added up as the norm does, and a millionth of the radius.

        Each pixel is rounded to float32 when it is added to the original and when it is clipped, by up to 6e-8; the
        rounded image is off by the root of the number of pixels times that at most. Before, the perturbation was scaled
        by a root of a sum of squares in float32, whose relative error is some 1e-7 where it is summed up in parts.
        """
        return 1e-7 * math.sqrt(pixels) + 1e-6 * radius

    def diameter(self, pixels: int) -> float:
        """Return the root of the number of pixels."""
        return math.sqrt(pixels)

    def project(self, images: Tensor, originals: Tensor, radius: Tensor) -> Tensor:
        """Shorten what is too long."""
        offset = images - originals
        return offset.mul_((radius / _length(offset)).clamp_max_(1)).add_(originals).clamp_(0, 1)

    def along(self, gradient: Tensor) -> Tensor:
        """Return the gradient at length 1. Scaled before it is squared: a tiny one has a direction, too."""
        gradient = gradient / gradient.abs().flatten(1).amax(1).clamp_min(_LEAST).view(-1, 1, 1, 1)
        return gradient.div_(_length(gradient))

    def draw(self, random: ImageRandom, size: Sequence[int]) -> Tensor:
        """Draw from a sphere of two dimensions more, and leave these out.

        Source: Voelker et al. (2017), Efficiently sampling vectors and coordinates from the n-sphere and n-ball.
        """
        *several, pixels = *size[:-3], math.prod(size[-3:])
        draws = random.normal(*several, pixels + 2)
        sphere: Tensor = draws / torch.linalg.vector_norm(draws, dim=-1, keepdim=True)
        return sphere[..., :pixels].reshape(len(draws), *size)

    def draw_extreme(self, random: ImageRandom, size: Sequence[int]) -> Tensor:
        """Draw a point of the sphere."""
        draws = random.normal(*size)
        return draws / _length(draws)


def _length(offsets: Tensor) -> Tensor:
    """Return the lengths of offsets, shape (..., C, H, W), as (..., 1, 1, 1), never quite zero."""
    length: Tensor = torch.linalg.vector_norm(offsets, dim=_IMAGE, keepdim=True)
    return length.clamp_min(_LEAST)


BALLS: Mapping[Norm, Ball] = MappingProxyType({"linf": Linf(), "l2": L2()})
"""Balls by norm."""


def within(norm: Norm, images: Tensor, originals: Tensor, radius: Tensor) -> Tensor:
    """Say which images lie in their balls, but for rounding.

    Args:
        norm: Of the balls.
        images: Shape (..., C, H, W), float32; what is not a number lies nowhere.
        originals: Centres, the same or a shape that broadcasts.
        radius: Shape (...,), float64, in pixel values.

    Returns:
        Shape (...,), bool.
    """
    ball = BALLS[norm]
    reach = radius + ball.tolerance(radius, math.prod(originals.shape[-3:]))
    return ball.distance(images, originals) <= reach
