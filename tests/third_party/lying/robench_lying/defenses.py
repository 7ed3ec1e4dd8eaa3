"""Defenses that break one rule each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from robench.api import DefenseSpec, FitContext, ModelContext, NoParameters, hookimpl
from robench_lying.parameters import WrongDefault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import nn


def build(context: ModelContext[Any], networks: Mapping[str, nn.Module], *, lie: str) -> nn.Module:
    from robench_lying._defenses_torch import Choosy, Lying, Selecting

    if lie == "builds":
        message = "a file is missing"
        raise OSError(message)
    forms = {"selects-as-declared": Selecting, "selects-as-declared-2": Choosy}
    return forms.get(lie, Lying)(context.require_classifier(), lie)


def fit_nothing(context: FitContext) -> float:
    return float("nan")


def fit_too_low(context: FitContext) -> float:
    return 0.0


@hookimpl
def robench_defenses() -> Iterable[DefenseSpec[Any]]:
    make = partial(DefenseSpec, summary="lies", source="made up")
    return [
        make(
            name=lie,
            parameters=WrongDefault if lie == "takes-its-defaults" else NoParameters,
            build=partial(build, lie=lie),
            fit={"fits-and-calibrates": fit_nothing, "fits-and-calibrates-2": fit_too_low}.get(lie),
            rejecting=lie in {"fits-and-calibrates", "fits-and-calibrates-2", "rejects-as-declared-2"},
            stochastic=lie in {"repeats-itself", "is-stochastic-as-declared"},
            selecting=lie.startswith("selects-as-declared"),
        )
        for lie in (
            "takes-its-defaults",
            "builds",
            "answers-with-a-verdict",
            "rejects-as-declared",
            "rejects-as-declared-2",
            "fits-and-calibrates",
            "fits-and-calibrates-2",
            "leaves-images-alone",
            "answers-a-single-image",
            "answers-alike-in-any-batch",
            "repeats-itself",
            "is-stochastic-as-declared",
            "is-stochastic-as-declared-2",
            "selects-as-declared",
            "selects-as-declared-2",
            "reloads",
            "moves-to-a-device",
            "passes-a-gradient",
            "leaves-global-state-alone",
            "prints-nothing",
        )
    ]
