"""The architectures of PuVAE with their losses and training recipes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from robench.api import Network, Recipe, UsageError
from robench_plugins.defenses._puvae_torch import ConditionalVae

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from robench.api import ModelContext


P = TypeVar("P")


class Crop(nn.Module):
    """Drops the last row and column: what a 2 x 2 transposed convolution with padding ``same`` leaves out."""

    def forward(self, images: Tensor) -> Tensor:
        """Crop images, shape (N, C, H, W), to (N, C, H - 1, W - 1)."""
        return images[:, :, :-1, :-1]


def compact(shape: tuple[int, int, int], classes: int, latent: int) -> ConditionalVae:
    """Build the small network of the profile ``quick``: 3.4 M parameters at 28 x 28."""
    channels, height, width = shape
    features = 64 * (height // 4) * (width // 4)
    return ConditionalVae(
        classes=classes,
        convolutions=nn.Sequential(
            nn.Conv2d(channels, 32, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Flatten(),
        ),
        features=features,
        hidden=512,
        deeper=nn.Identity(),
        mean=nn.Linear(512, latent),
        spread=nn.Linear(512, latent),
        generator=nn.Sequential(
            nn.Linear(latent + classes, 512),
            nn.ReLU(),
            nn.Linear(512, features),
            nn.ReLU(),
            nn.Unflatten(1, (64, height // 4, width // 4)),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        ),
        softplus=False,
    )


def architecture_c(
    shape: tuple[int, int, int], classes: int, latent: int, *, start: int = 1, late_label: bool = False
) -> ConditionalVae:
    """Build architecture C for 28 x 28 grey images: 27.84 M parameters with 32 latents.

    Args:
        shape: Of an image: (1, 28, 28).
        classes: Number K.
        latent: Number Z.
        start: Side of the first map of the decoder, whose 512 features the paper does not arrange: 1 or 4.
        late_label: Whether the class enters the encoder's second dense layer instead of its first.
    """
    if shape != (1, 28, 28):
        message = f"PuVAE architecture c takes images of shape (1, 28, 28), not {shape}"
        raise UsageError(message, "use architecture d or compact")
    dilated = partial(nn.Conv2d, kernel_size=7, dilation=2, padding=6)
    convolutions = nn.Sequential(
        dilated(1, 32),
        nn.ReLU(),
        dilated(32, 32),
        nn.ReLU(),
        dilated(32, 32),
        nn.ReLU(),
        nn.Flatten(),
    )
    features = 32 * 28 * 28
    if late_label:
        convolutions.extend([nn.Linear(features, 1024), nn.ReLU()])
    channels = 512 // start**2
    return ConditionalVae(
        classes=classes,
        convolutions=convolutions,
        features=1024 if late_label else features,
        hidden=1024,
        deeper=nn.Identity() if late_label else nn.Sequential(nn.Linear(1024, 1024), nn.ReLU()),
        mean=nn.Sequential(nn.Linear(1024, latent), nn.ReLU()),
        spread=nn.Linear(1024, latent),
        generator=nn.Sequential(
            nn.Linear(latent + classes, 512),
            nn.ReLU(),
            nn.Unflatten(1, (channels, start, start)),
            nn.ConvTranspose2d(channels, 32, 7, stride=2, padding=start - 1),  # to 7 x 7 from 1 x 1 and from 4 x 4
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 7, stride=2, padding=3, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 7, stride=2, padding=3, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 3, padding=1),
        ),
        softplus=True,
    )


BUILDS_C: Mapping[str, Callable[[tuple[int, int, int], int, int], ConditionalVae]] = {
    "c": architecture_c,
    "c-4x4": partial(architecture_c, start=4),
    "c-late-label": partial(architecture_c, late_label=True),
}
"""Architecture C, and what else its table could mean."""


def architecture_d(shape: tuple[int, int, int], classes: int, latent: int) -> ConditionalVae:
    """Build architecture D for 32 x 32 colour images: 45.15 M parameters with 1,024 latents."""
    if shape != (3, 32, 32):
        message = f"PuVAE architecture d takes images of shape (3, 32, 32), not {shape}"
        raise UsageError(message, "use architecture c or compact")
    return ConditionalVae(
        classes=classes,
        convolutions=nn.Sequential(
            nn.ZeroPad2d((0, 1, 0, 1)),
            nn.Conv2d(3, 3, 2),
            nn.ReLU(),
            nn.Conv2d(3, 32, 2, dilation=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 2, dilation=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 2, dilation=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        ),
        features=32 * 32 * 32,
        hidden=1024,
        deeper=nn.Identity(),
        mean=nn.Sequential(nn.Linear(1024, latent), nn.ReLU()),
        spread=nn.Linear(1024, latent),
        generator=nn.Sequential(
            nn.Linear(latent + classes, 1024),
            nn.ReLU(),
            nn.Linear(1024, 8192),
            nn.ReLU(),
            nn.Unflatten(1, (32, 16, 16)),
            nn.ConvTranspose2d(32, 32, 2),
            Crop(),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 2),
            Crop(),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(32, 3, 2),
        ),
        softplus=True,
    )


def _losses(
    vae: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    classifier: nn.Module,
    divergence: Callable[[Tensor, Tensor], Tensor],
    weights: tuple[float, float, float],
) -> dict[str, Tensor]:
    """Weigh cross-entropy of the classified reconstruction, reconstruction and KL divergence."""
    if not isinstance(vae, ConditionalVae):
        message = f"the loss of PuVAE takes a ConditionalVae, not {type(vae).__name__}"
        raise TypeError(message)
    one_hot = functional.one_hot(labels, vae.classes)
    joint = vae.image_part(images) + vae.class_part()[labels]
    noise = torch.randn(len(images), vae.latent_size, device=images.device)
    logits, mean, spread = vae.reconstruct(joint, one_hot, noise)
    logits, mean, spread = logits.float(), mean.float(), spread.float()
    reconstruction = functional.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)
    cross_entropy = functional.cross_entropy(classifier(logits.sigmoid()).float(), labels)
    kl = divergence(mean, spread)
    total = weights[0] * cross_entropy + weights[1] * reconstruction + weights[2] * kl
    return {"loss": total, "cross_entropy": cross_entropy, "reconstruction": reconstruction, "kl": kl}


def paper_divergence(mean: Tensor, spread: Tensor) -> Tensor:
    """Mean over images and latents of mu^2 + 1 + exp(a) - a; ``a`` itself, since log(exp(softplus(a)) - 1) overflows.

    Source: the authors' notebook.
    """
    return (mean.square() + 1 + spread.exp() - spread).mean()


def standard_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence to the standard normal: summed over latents, mean over images.

    Source: Kingma & Welling (2014), appendix B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1).mean()


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One line of the paper's tables.

    Attributes:
        build: ``build(shape, classes, latents)`` returns the untrained network.
        latents: Size Z of the latent space.
        divergence: KL term from mean and spread, each (M, Z).
        weights: Of the classifier's cross-entropy, the reconstruction and the divergence.
        recipes: By profile.
    """

    build: Callable[[tuple[int, int, int], int, int], ConditionalVae]
    latents: int
    divergence: Callable[[Tensor, Tensor], Tensor]
    weights: tuple[float, float, float]
    recipes: Mapping[str, Recipe]


def _architecture(name: str, dataset: str) -> Architecture:
    one_cycle = partial(Recipe, schedule="one-cycle")
    if name == "compact":
        steep = partial(one_cycle, batch_size=128, learning_rate=4e-3)
        return Architecture(
            build=compact,
            latents=32,
            divergence=standard_divergence,
            weights=(10.0, 1.0, 1.0),
            recipes={"quick": steep(epochs=3), "fast": steep(epochs=12), "paper": steep(epochs=40)},
        )
    gentle = partial(one_cycle, learning_rate=1e-3, warmup=0.15)
    if name in BUILDS_C:
        return Architecture(
            build=BUILDS_C[name],
            latents=128 if dataset == "fashion-mnist" else 32,
            divergence=paper_divergence,
            weights=(10.0, 0.01, 0.1),
            recipes={
                "quick": gentle(epochs=4, batch_size=128),
                "fast": gentle(epochs=20, batch_size=128),
                "paper": Recipe(epochs=350, batch_size=512, source="Wester & Thisted (2020), Table 2"),
            },
        )
    return Architecture(
        build=architecture_d,
        latents=1024,
        divergence=paper_divergence,
        weights=(10.0, 0.01, 0.1),
        recipes={
            "quick": gentle(epochs=4, batch_size=256),
            "fast": gentle(epochs=40, batch_size=256),
            "paper": Recipe(epochs=1024, batch_size=256, source="Wester & Thisted (2020), Table 2"),
        },
    )


def describe_network(name: str, context: ModelContext[P]) -> Network:
    """Describe the network to train.

    Args:
        name: ``compact``, ``d`` or one of ``BUILDS_C``.
        context: What it is built for.
    """
    architecture = _architecture(name, context.dataset)
    return Network(
        name=f"puvae-{name}",
        build=lambda: architecture.build(context.shape, context.classes, architecture.latents),
        loss=partial(
            _losses,
            classifier=context.require_classifier(),
            divergence=architecture.divergence,
            weights=architecture.weights,
        ),
        recipe=architecture.recipes[context.profile],
        uses_classifier=True,
        architecture={
            "shape": "x".join(map(str, context.shape)),
            "classes": context.classes,
            "latents": architecture.latents,
            "weights": "/".join(map(str, architecture.weights)),
        },
    )
