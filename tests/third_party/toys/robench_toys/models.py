"""A linear classifier, a detector and a randomised defense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.api import ClassifierSpec, DefenseSpec, ModelContext, Network, NoParameters, Recipe, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import nn


@dataclass(frozen=True, kw_only=True)
class NoiseParameters:
    scale: float = 0.05


def classifier_network(context: ModelContext[NoParameters]) -> Network:
    from robench_toys._torch import build_linear, cross_entropy

    return Network(
        name="toy-linear",
        build=lambda: build_linear(context.shape, context.classes),
        loss=cross_entropy,
        recipe=Recipe(epochs=4 if context.profile == "quick" else 8, batch_size=32, learning_rate=0.02),
        architecture={"classes": context.classes},
    )


def build_detector(context: ModelContext[NoParameters], networks: Mapping[str, nn.Module]) -> nn.Module:
    from robench_toys._torch import BrightnessDetector

    return BrightnessDetector(context.require_classifier())


def build_noise(context: ModelContext[NoiseParameters], networks: Mapping[str, nn.Module]) -> nn.Module:
    from robench_toys._torch import NoisyClassifier

    return NoisyClassifier(context.require_classifier(), context.parameters.scale)


def build_coin(context: ModelContext[NoParameters], networks: Mapping[str, nn.Module]) -> nn.Module:
    from robench_toys._torch import CoinClassifier

    return CoinClassifier(context.require_classifier())


@hookimpl
def robench_classifiers() -> Iterable[ClassifierSpec[NoParameters]]:
    return [
        ClassifierSpec(
            name="toy-linear", summary="linear", source="made up", parameters=NoParameters, network=classifier_network
        )
    ]


@hookimpl
def robench_defenses() -> Iterable[DefenseSpec[NoParameters] | DefenseSpec[NoiseParameters]]:
    return [
        DefenseSpec(
            name="toy-detect",
            summary="rejects what is too bright",
            source="made up",
            parameters=NoParameters,
            build=build_detector,
            rejecting=True,
        ),
        DefenseSpec(
            name="toy-noise",
            summary="adds noise",
            source="made up",
            parameters=NoiseParameters,
            build=build_noise,
            stochastic=True,
        ),
        DefenseSpec(
            name="toy-coin",
            summary="takes the next class one time in ten",
            source="made up",
            parameters=NoParameters,
            build=build_coin,
            stochastic=True,
        ),
    ]
