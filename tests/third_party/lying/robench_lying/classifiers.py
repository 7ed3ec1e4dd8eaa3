"""Classifiers that break one rule each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from robench.api import ClassifierSpec, ModelContext, Network, NoParameters, Recipe, UsageError, hookimpl
from robench_lying.parameters import WrongDefault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn


def network(context: ModelContext[Any], *, lie: str) -> Network:
    from torch import nn
    from torch.nn import functional

    from robench_lying._lies_torch import Lie

    if context.shape != (1, 8, 8) and lie != "refuses-what-does-not-fit":
        message = f"images of shape {context.shape} do not fit"
        raise UsageError(message, "use (1, 8, 8)")

    def build() -> nn.Module:
        classes = context.classes + (lie == "answers-with-logits")
        return nn.Sequential(Lie(lie), nn.Flatten(), nn.Linear(64, classes))

    def loss(module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        value = functional.cross_entropy(module(images.clone()).float(), labels)
        return {"loss": value}

    def rising(module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        # The value is that of the loss, and its gradient has the wrong sign.
        value = loss(module, images, labels)["loss"]
        return {"loss": 2 * value.detach() - value}

    return Network(
        name=f"lying-{lie}",
        build=build,
        loss=rising if lie == "trains" else loss,
        recipe=Recipe(epochs=2, batch_size=32, learning_rate=0.02),
    )


@hookimpl
def robench_classifiers() -> Iterable[ClassifierSpec[Any]]:
    return [
        ClassifierSpec(
            name=lie,
            summary="lies",
            source="made up",
            parameters=WrongDefault if lie == "takes-its-defaults" else NoParameters,
            network=partial(network, lie=lie),
        )
        for lie in (
            "takes-its-defaults",
            "trains",
            "answers-with-logits",
            "leaves-images-alone",
            "answers-a-single-image",
            "answers-alike-in-any-batch",
            "repeats-itself",
            "reloads",
            "moves-to-a-device",
            "passes-a-gradient",
            "refuses-what-does-not-fit",
            "leaves-global-state-alone",
            "prints-nothing",
        )
    ]
