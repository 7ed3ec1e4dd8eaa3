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
    """Go to the border of each ball along the gradient at its centre, in Linf along its sign.

    Source: Goodfellow et al. (2015), section 4.
    """
    images, _ = probe.images(slots)
    steps = probe.ball.along(input_gradients(probe, slots, images)).nan_to_num()
    return probe.judge(slots, (images + probe.radius(slots) * steps).clamp(0, 1))


def corners(probe: Probe, slots: Sequence[Slot]) -> frozenset[Slot]:
    """Return the slots that some random corner of the ball wins, in L2 a point of its border."""
    images, _ = probe.images(slots)
    streams, radius = probe.streams(slots, "corners"), probe.radius(slots)
    won: frozenset[Slot] = frozenset()
    for _ in range(_CORNERS):
        steps = probe.ball.draw_extreme(streams, images.shape[1:])
        won |= probe.judge(slots, (images + radius * steps).clamp(0, 1)).won
    return won
