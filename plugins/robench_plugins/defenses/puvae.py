"""PuVAE, a purifier, and PuVAE with a detector on its reconstruction error, which may reject."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

from robench.api import DefenseSpec, ModelContext, Network, UsageError, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import nn

    from robench_plugins.defenses._puvae_torch import ConditionalVae

ROBENCH_API = 1


@dataclass(frozen=True, kw_only=True)
class PuvaeParameters:
    """What can be set of both defenses.

    Attributes:
        architecture: ``compact`` trains in two minutes on two cores; ``c`` and ``d`` are those of the paper, which
            ``paper`` chooses between as it did: ``c`` for grey images, ``d`` for colour. ``auto`` takes ``compact``
            under the profile ``quick``, and what ``paper`` takes under the profiles ``fast`` and ``paper``.
            ``c-4x4`` and ``c-late-label`` are ``c`` where its table leaves a choice: the decoder's 512 features as
            4 x 4 maps, not as 1 x 1; the class beside the encoder's hidden layer, not beside its features.
        error: What ranks the reconstructions and is the rejection score: ``pixel``, the mean over pixels of the root
            mean square over channels, which the authors computed; or ``rmse``, the root mean square over the whole
            image, which their text says.
        latent_noise: Multiplies the standard deviation of the latent draw at inference, at least 0. The authors
            used 0.1; 0 makes the defense deterministic.
    """

    architecture: Literal["auto", "compact", "paper", "c", "c-4x4", "c-late-label", "d"] = "auto"
    error: Literal["pixel", "rmse"] = "pixel"
    latent_noise: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.latent_noise < float("inf"):
            message = f"puvae: latent_noise is {self.latent_noise}"
            raise UsageError(message, "give a number of at least 0")


def _architecture(context: ModelContext[PuvaeParameters]) -> str:
    wanted = context.parameters.architecture
    if wanted == "auto":
        wanted = "compact" if context.profile == "quick" else "paper"
    if wanted == "paper":
        return "c" if context.shape[0] == 1 else "d"
    return wanted


def _networks(context: ModelContext[PuvaeParameters]) -> list[Network]:
    from robench_plugins.defenses._puvae_networks import describe_network

    return [describe_network(_architecture(context), context)]


def _build(context: ModelContext[PuvaeParameters], networks: Mapping[str, nn.Module], *, detect: bool) -> nn.Module:
    from robench_plugins.defenses._puvae_torch import Purifier

    (vae,) = networks.values()
    return Purifier(
        cast("ConditionalVae", vae),
        context.require_classifier(),
        error=context.parameters.error,
        latent_noise=context.parameters.latent_noise,
        detect=detect,
    )


@hookimpl
def robench_defenses() -> Iterable[DefenseSpec[PuvaeParameters]]:
    """Offer ``puvae`` and ``puvae-detect``, which share their network."""
    return [
        DefenseSpec(
            name="puvae",
            summary="classifies the best of K class-conditional reconstructions",
            source="Hwang et al. (2019), PuVAE; as in Wester & Thisted (2020), section 3.1",
            parameters=PuvaeParameters,
            networks=_networks,
            build=partial(_build, detect=False),
            stochastic=True,
            selecting=True,
        ),
        DefenseSpec(
            name="puvae-detect",
            summary="PuVAE that rejects what it cannot reconstruct well",
            source="Wester & Thisted (2020), section 4",
            parameters=PuvaeParameters,
            networks=_networks,
            build=partial(_build, detect=True),
            rejecting=True,
            stochastic=True,
            selecting=True,
        ),
    ]
