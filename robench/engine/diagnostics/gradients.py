"""Whether the defense gives an attack a gradient to go along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from robench.engine.deploy import BoundTarget
from robench.engine.memory import is_out_of_memory
from robench.engine.precision import searching_precision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from robench.engine.diagnostics.probe import Probe, Slot, Tried


def input_gradients(probe: Probe, slots: Sequence[Slot], images: Tensor) -> Tensor:
    """Return the gradients of what naive attacks raise, the cross-entropy of the composite.

    Args:
        probe: The defense, asked in the form that attacks search on.
        slots: Whose images they are.
        images: Shape (M, C, H, W), float32, in [0, 1].

    Returns:
        Shape (M, C, H, W), float32. Zeros where the defense lets no gradient pass, or does not bear being asked for
        one.
    """
    search, labels = probe.prepared.search, probe.images(slots)[1]

    def gradients(part: slice) -> Tensor:
        inputs = images[part].detach().clone().requires_grad_(True)
        try:
            head = BoundTarget(search, probe.streams(slots[part], "gradient")).head
            loss = functional.cross_entropy(head(inputs), labels[part], reduction="sum")
            (found,) = torch.autograd.grad(loss, inputs, materialize_grads=True)
        except RuntimeError as error:  # torch says in many ways that there is no way back to the inputs
            if is_out_of_memory(error):
                raise
            found = torch.zeros_like(inputs)
        return found.detach().float()

    if not slots:
        return torch.zeros_like(images)
    with torch.enable_grad(), searching_precision(probe.device, search.precision):
        return probe.in_parts(gradients, len(images))


def dead(gradients: Tensor) -> Tensor:
    """Say which gradients, shape (M, C, H, W), are exactly zero or not finite, shape (M,), bool."""
    flat = gradients.flatten(1)
    return (flat == 0).all(1) | ~flat.isfinite().all(1)


def count_dead(probe: Probe, tried: Tried) -> tuple[int, int]:
    """Count examples without a gradient among those that have not won.

    One that has won needs none: nothing is lost there.

    Returns:
        The number of such examples, and of all that have not won.
    """
    rows = [row for row, slot in enumerate(tried.slots) if slot not in tried.won]
    slots, examples = [tried.slots[row] for row in rows], tried.examples[rows]
    return int(dead(input_gradients(probe, slots, examples)).sum()), len(rows)
