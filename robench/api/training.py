"""Networks that robench trains on first use and keeps in its cache."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

Schedule = Literal["constant", "one-cycle"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained, always with Adam.

    Attributes:
        epochs: Passes over the training split, at least 1.
        batch_size: Images per step; the last, shorter batch of an epoch is kept.
        learning_rate: Of Adam; the peak for ``one-cycle``.
        schedule: ``constant``, or ``one-cycle``: linear warm-up, then cosine decay to nearly zero.
        warmup: Share of all steps spent warming up, in (0, 1); for ``one-cycle`` only.
        source: Where the numbers come from.
    """

    epochs: int
    batch_size: int
    learning_rate: float = 1e-3
    schedule: Schedule = "constant"
    warmup: float = 0.3
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network to train. Its weights are found again by everything that is declared here.

    Attributes:
        name: Kebab-case, such as ``puvae-compact``; two defenses that offer the same network share its weights.
        build: Returns the untrained module. Called under a fixed seed.
        loss: ``loss(module, images, labels)`` returns named scalar tensors; the one called ``loss`` is minimised and
            the others are shown and recorded. Images have shape (N, C, H, W), float32, in [0, 1]; labels (N,), int64.
            It may draw from torch's default generator, which is seeded for each step.
        recipe: How to train it.
        uses_classifier: Whether the loss depends on the defended classifier; its weights then enter the cache key.
        architecture: Every number that shapes the module or its loss; enters the cache key.
    """

    name: str
    build: Callable[[], nn.Module]
    loss: Callable[[nn.Module, Tensor, Tensor], Mapping[str, Tensor]]
    recipe: Recipe
    uses_classifier: bool = False
    architecture: Mapping[str, str | int | float | bool] = field(default_factory=dict)
