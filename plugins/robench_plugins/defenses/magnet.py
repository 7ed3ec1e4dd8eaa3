"""MagNet: autoencoders that detect images off the manifold, and one that moves images back to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api import DefenseSpec, FitContext, ModelContext, Network, NoParameters, Recipe, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import nn

ROBENCH_API = 1


def _networks(context: ModelContext[NoParameters]) -> list[Network]:
    from robench_plugins.defenses._magnet_torch import build_autoencoder, reconstruction_loss

    recipes = {
        "quick": Recipe(epochs=4, batch_size=256, learning_rate=2e-2, schedule="one-cycle"),
        "fast": Recipe(epochs=15, batch_size=256, learning_rate=2e-2, schedule="one-cycle"),
        "paper": Recipe(epochs=100, batch_size=256, source="Meng & Chen (2017), section 5.2"),
    }
    grey = context.shape[0] == 1
    kinds = ("pooling", "flat") if grey else ("flat",)
    return [
        Network(
            name=f"magnet-{kind}",
            build=lambda kind=kind: build_autoencoder(kind, context.shape[0]),  # type: ignore[misc]
            loss=reconstruction_loss(noise=0.1 if grey else 0.025),
            recipe=recipes[context.profile],
            architecture={"channels": context.shape[0]},
        )
        for kind in kinds
    ]


def _build(context: ModelContext[NoParameters], networks: Mapping[str, nn.Module]) -> nn.Module:
    from robench_plugins.defenses._magnet_torch import MagNet

    return MagNet(context.require_classifier(), list(networks.values()))


def _fit(context: FitContext) -> float:
    from robench_plugins.defenses._magnet_torch import fit_detectors

    return fit_detectors(context)


@hookimpl
def robench_defenses() -> Iterable[DefenseSpec[NoParameters]]:
    """Offer ``magnet``."""
    return [
        DefenseSpec(
            name="magnet",
            summary="detects by reconstruction error, reforms by an autoencoder",
            source="Meng & Chen (2017), MagNet, sections 4 and 5",
            parameters=NoParameters,
            networks=_networks,
            build=_build,
            fit=_fit,
            rejecting=True,
        ),
    ]
