"""The conditional VAE of PuVAE and the purifier around it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from robench.api import Candidate, Candidates, Verdict

if TYPE_CHECKING:
    from robench.api import ImageRandom


class ConditionalVae(nn.Module):
    """A VAE given a class, q(z|x,y) and p(x|z,y), whose convolutions do not see the class.

    The class enters the first dense layer as one-hot beside the flattened features. That layer is kept in two parts,
    whose outputs are added: the image's, worked out once per image, and the class's, one row per class. So all K
    candidates share the convolutions and the largest matrix product.

    Args:
        classes: Number K of classes.
        convolutions: Images, shape (N, C, H, W), to features, shape (N, F).
        features: Number F.
        hidden: Outputs of the first dense layer, which takes F + K.
        deeper: The layers between the first dense layer and the two heads.
        mean: Head of the posterior mean, with its activation.
        spread: Head of the posterior's spread, before any activation.
        generator: Latent and one-hot class, shape (M, Z + K), to reconstruction logits, shape (M, C, H, W).
        softplus: Whether the log-variance is softplus(spread), as in the paper, or ``spread`` itself.

    Source: Hwang et al. (2019); layers in Wester & Thisted (2020), Table 6.
    """

    def __init__(
        self,
        *,
        classes: int,
        convolutions: nn.Module,
        features: int,
        hidden: int,
        deeper: nn.Module,
        mean: nn.Module,
        spread: nn.Linear,
        generator: nn.Module,
        softplus: bool,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.convolutions = convolutions
        self.image_layer = nn.Linear(features, hidden)
        self.class_layer = nn.Linear(classes, hidden, bias=False)
        # Two parts of one layer: the class's weights are drawn as if they were columns of it.
        nn.init.uniform_(self.class_layer.weight, -(bound := (features + classes) ** -0.5), bound)
        self.deeper = deeper
        self.mean = mean
        self.spread = spread
        self.generator = generator
        self.softplus = softplus
        self.latent_size = spread.out_features

    def image_part(self, images: Tensor) -> Tensor:
        """Return the image's part of the first dense layer, before its activation, shape (N, hidden)."""
        part: Tensor = self.image_layer(self.convolutions(images))
        return part

    def class_part(self) -> Tensor:
        """Return each class's part of the first dense layer, before its activation, shape (K, hidden)."""
        return self.class_layer.weight.T

    def posterior(self, joint: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and spread of q(z|x,y), each (..., Z), from the summed parts, shape (..., hidden)."""
        hidden = self.deeper(functional.relu(joint))
        mean: Tensor = self.mean(hidden)
        return mean, self.spread(hidden)

    def deviation(self, spread: Tensor) -> Tensor:
        """Return the standard deviation: exp(softplus(a)) is 1 + exp(a), which needs no logarithm."""
        return (1 + spread.exp()).sqrt() if self.softplus else (spread / 2).exp()

    def reconstruct(self, joint: Tensor, one_hot: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw from the posterior and decode.

        Args:
            joint: Shape (M, hidden), the summed image and class parts.
            one_hot: Shape (M, K).
            noise: Shape (M, Z), standard normal times the multiplier wanted.

        Returns:
            Reconstruction logits, shape (M, C, H, W); mean and spread, each (M, Z).
        """
        mean, spread = self.posterior(joint)
        latent = mean + self.deviation(spread) * noise
        return self.generator(torch.cat([latent, one_hot.to(latent.dtype)], dim=1)), mean, spread


def reconstruction_error(images: Tensor, reconstructions: Tensor, kind: str) -> Tensor:
    """Measure how far reconstructions are from their images.

    Args:
        images: Shape (..., C, H, W), in [0, 1].
        reconstructions: A shape that broadcasts with it.
        kind: ``pixel``: mean over pixels of the root mean square over channels; ``rmse``: root mean square over all.

    Returns:
        Shape (...), in [0, 1]. Where a difference is zero its gradient is zero too, never NaN.

    Source: Wester & Thisted (2020), section 4, says RMSE; the authors' notebook computes ``pixel``.
    """
    difference = images - reconstructions
    # A norm rather than a root of squares, whose gradient at zero would be NaN.
    norm: Tensor
    if kind == "rmse":
        norm = torch.linalg.vector_norm(difference, dim=(-3, -2, -1))
        return norm / math.sqrt(math.prod(difference.shape[-3:]))
    norm = torch.linalg.vector_norm(difference, dim=-3)
    return (norm / math.sqrt(difference.shape[-3])).mean(dim=(-2, -1))


class Purifier(nn.Module):
    """PuVAE: reconstruct the image as each class, classify the reconstruction closest to it.

    Gradients flow through the winner only, as in the plain form, where ``argmin`` passes none to the others. So all
    candidates are decoded without a graph, and the winner once more with one.

    Args:
        vae: The trained ``ConditionalVae``.
        classifier: Images to logits, shape (N, K).
        error: ``pixel`` or ``rmse``, see ``reconstruction_error``.
        latent_noise: Multiplier of the latent draw.
        detect: Whether verdicts carry the winner's error as rejection score.

    Source: Hwang et al. (2019); the detector from Wester & Thisted (2020), section 4.
    """

    def __init__(
        self,
        vae: ConditionalVae,
        classifier: nn.Module,
        *,
        error: str,
        latent_noise: float,
        detect: bool,
    ) -> None:
        super().__init__()
        self.vae = vae
        self.classifier = classifier
        self.error = error
        self.latent_noise = latent_noise
        self.detect = detect

    def candidates(self, images: Tensor, random: ImageRandom) -> Candidates:
        """Reconstruct images, shape (N, C, H, W), float32, in [0, 1], as every class; a fresh latent draw for each."""
        noise, image_part = self._noise(random), self.vae.image_part(images)
        with torch.no_grad():
            reconstructions, errors = self._decode_all(images, image_part, noise)
        each = torch.arange(len(images), device=images.device)

        def take(choice: Tensor) -> Candidate:
            if image_part.requires_grad:
                return self._decode(images, image_part, noise, choice)
            purified = reconstructions[each, choice]
            return Candidate(images=purified, logits=self.classifier(purified), error=errors[each, choice])

        return Candidates(errors=errors, take=take)

    def candidate(self, images: Tensor, random: ImageRandom, choice: Tensor) -> Candidate:
        """Reconstruct as these classes only, shape (N,), int64, with the draws that ``candidates`` gives them."""
        return self._decode(images, self.vae.image_part(images), self._noise(random), choice)

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        """Purify and classify images, shape (N, C, H, W), float32, in [0, 1]."""
        found = self.candidates(images, random)
        winner = found.take(found.errors.argmin(dim=1))
        return Verdict(logits=winner.logits, score=winner.error if self.detect else None)

    def _noise(self, random: ImageRandom) -> Tensor:
        """Draw what every candidate's latents are moved by, shape (N, K, Z)."""
        return random.normal(self.vae.classes, self.vae.latent_size) * self.latent_noise

    def _decode(self, images: Tensor, image_part: Tensor, noise: Tensor, choice: Tensor) -> Candidate:
        joint, one_hot = image_part + self.vae.class_part()[choice], functional.one_hot(choice, self.vae.classes)
        own = noise[torch.arange(len(images), device=images.device), choice]
        purified = self.vae.reconstruct(joint, one_hot, own)[0].sigmoid()
        error = reconstruction_error(images, purified, self.error)
        return Candidate(images=purified, logits=self.classifier(purified), error=error)

    def _decode_all(self, images: Tensor, image_part: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction as every class, shape (N, K, C, H, W), and its error, shape (N, K)."""
        count, classes, latent = noise.shape
        joint = image_part[:, None] + self.vae.class_part()
        one_hot = torch.eye(classes, device=images.device).repeat(count, 1)
        logits, _, _ = self.vae.reconstruct(joint.flatten(0, 1), one_hot, noise.reshape(-1, latent))
        reconstructions = logits.sigmoid().reshape(count, classes, *images.shape[1:])
        return reconstructions, reconstruction_error(images[:, None], reconstructions, self.error)
