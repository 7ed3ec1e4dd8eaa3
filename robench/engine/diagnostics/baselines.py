"""What every iterative attack has to beat: one step of the gradient, and random corners of the ball."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.engine.diagnostics.gradients import input_gradients

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.engine.diagnostics.probe import Probe, Slot, Tried

_CORNERS = 2
"""Corners of each ball that are tried."""


def one_step(probe: Probe, slots: Sequence[Slot]) -> Tried:
    """Go to the border of each ball along the sign of the gradient at its centre.

    Source: Goodfellow et al. (2015), section 4.
    """
    images, _ = probe.images(slots)
    signs = input_gradients(probe, slots, images).sign().nan_to_num()
    return probe.judge(slots, (images + probe.radius(slots) * signs).clamp(0, 1))


def corners(probe: Probe, slots: Sequence[Slot]) -> frozenset[Slot]:
    """Return the slots that some random corner of the ball wins."""
    images, _ = probe.images(slots)
    streams, radius = probe.streams(slots, "corners"), probe.radius(slots)
    won: frozenset[Slot] = frozenset()
    for _ in range(_CORNERS):
        signs = (streams.uniform(*images.shape[1:]) - 0.5).sign()
        won |= probe.judge(slots, (images + radius * signs).clamp(0, 1)).won
    return won
