"""The classifiers of the reproduced paper: A for 28 x 28 grey images, B for 32 x 32 colour images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from robench.api import ClassifierSpec, ModelContext, Network, NoParameters, Recipe, UsageError, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

ROBENCH_API = 1

_PAPER_EPOCHS_A = {"mnist": 64, "fashion-mnist": 256}
_TABLE_1 = "Wester & Thisted (2020), Table 1"


@dataclass(frozen=True, kw_only=True)
class ClassifierBParameters:
    """What can be set of classifier B.

    Attributes:
        form: ``table``, as published; or ``notebook``, as in the authors' code, which contradicts the table.
    """

    form: Literal["table", "notebook"] = "table"


def _network_a(context: ModelContext[NoParameters]) -> Network:
    from robench_plugins.classifiers._paper_torch import ClassifierA, cross_entropy

    if context.shape != (1, 28, 28):
        message = (
            f"classifier paper-a takes images of shape (1, 28, 28); those of {context.dataset} are {context.shape}"
        )
        raise UsageError(message, "use --classifier paper-b")
    recipes = {
        "quick": Recipe(epochs=2, batch_size=128, learning_rate=2e-3, schedule="one-cycle"),
        "fast": Recipe(epochs=10, batch_size=128, learning_rate=2e-3, schedule="one-cycle"),
        "paper": Recipe(epochs=_PAPER_EPOCHS_A.get(context.dataset, 64), batch_size=128, source=_TABLE_1),
    }
    return Network(
        name="paper-a",
        build=lambda: ClassifierA(context.classes),
        loss=cross_entropy,
        recipe=recipes[context.profile],
        architecture={"classes": context.classes},
    )


def _network_b(context: ModelContext[ClassifierBParameters]) -> Network:
    from robench_plugins.classifiers._paper_torch import ClassifierB, cross_entropy

    recipes = {
        "quick": Recipe(epochs=2, batch_size=128, learning_rate=1e-3, schedule="one-cycle"),
        "fast": Recipe(epochs=15, batch_size=128, learning_rate=1e-3, schedule="one-cycle"),
        "paper": Recipe(epochs=350, batch_size=64, source=_TABLE_1),
    }
    return Network(
        name="paper-b",
        build=lambda: ClassifierB(context.shape, context.classes, notebook=context.parameters.form == "notebook"),
        loss=cross_entropy,
        recipe=recipes[context.profile],
        architecture={
            "classes": context.classes,
            "shape": "x".join(map(str, context.shape)),
            "form": context.parameters.form,
        },
    )


@hookimpl
def robench_classifiers() -> Iterable[ClassifierSpec[NoParameters] | ClassifierSpec[ClassifierBParameters]]:
    """Offer both classifiers."""
    source = "Wester & Thisted (2020), Table 6"
    return [
        ClassifierSpec(
            name="paper-a",
            summary="two 5x5 convolutions and two dense layers, for 28 x 28 grey images",
            source=source,
            parameters=NoParameters,
            network=_network_a,
        ),
        ClassifierSpec(
            name="paper-b",
            summary="three 3x3 convolutions and three dense layers, for 32 x 32 colour images",
            source=source,
            parameters=ClassifierBParameters,
            network=_network_b,
        ),
    ]
