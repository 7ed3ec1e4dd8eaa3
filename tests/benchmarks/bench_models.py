"""The defended model that everyone attacks: trained once by robench, and written plainly for the libraries."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from robench.config.request import Overrides
from robench.engine.deploy import Deployed
from robench.engine.plan import Assault
from robench.engine.prepare import Prepared
from robench.engine.seeding import image_order
from robench.session import Session
from robench.session.workbench import Workbench

if TYPE_CHECKING:
    from robench.engine.progress import Progress
    from robench_plugins.defenses._puvae_torch import ConditionalVae, Purifier

CONFIG = Path(__file__).with_name("benchmarks.toml")


class Plain(nn.Module):
    """PuVAE with its detector as one would write it: every class through the whole network, stack, argmin.

    It answers with the paper's masked head, K + 1 outputs. Without a VAE it is the bare classifier.
    """

    def __init__(self, classifier: nn.Module, purifier: Purifier | None, threshold: float | None) -> None:
        super().__init__()
        self.classifier, self.threshold = classifier, threshold
        self.vae = None if purifier is None else purifier.vae
        self.latent_noise = 0.0 if purifier is None else purifier.latent_noise

    def forward(self, images: Tensor) -> Tensor:
        if self.vae is None or self.threshold is None:
            return cast("Tensor", self.classifier(images))
        reconstructions = torch.stack([self._reconstruct(self.vae, images, k) for k in range(self.vae.classes)], dim=1)
        errors = (images[:, None] - reconstructions).abs().mean((2, 3, 4))
        score, winner = errors.min(dim=1)
        purified = reconstructions[torch.arange(len(images), device=images.device), winner]
        rejected = (score > self.threshold).float()[:, None]
        return torch.cat([self.classifier(purified) * (1 - rejected), rejected], dim=1)

    def _reconstruct(self, vae: ConditionalVae, images: Tensor, label: int) -> Tensor:
        labels = torch.full((len(images),), label, device=images.device)
        one_hot = functional.one_hot(labels, vae.classes).float()
        hidden = vae.deeper(functional.relu(vae.image_layer(vae.convolutions(images)) + vae.class_layer(one_hot)))
        mean, spread = vae.mean(hidden), vae.spread(hidden)
        noise = self.latent_noise * torch.randn_like(mean)
        latent = mean + (1 + spread.exp()).sqrt() * noise
        return cast("Tensor", vae.generator(torch.cat([latent, one_hot], dim=1)).sigmoid())

    @torch.no_grad()
    def robust_accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Share of images that end correct or rejected."""
        robust = 0
        for part, own in zip(torch.split(images, 100), torch.split(labels, 100), strict=True):
            answers = self(part)
            classes = answers[:, :-1] if self.threshold is not None else answers
            rejected = answers[:, -1] == 1 if self.threshold is not None else torch.zeros_like(own, dtype=torch.bool)
            robust += int(((classes.argmax(1) == own) | rejected).sum())
        return robust / len(images)


class Bench:
    """Everything a measurement needs.

    Args:
        device: ``cpu`` or ``cuda``.
        progress: Told of trainings, which happen once.
        precision: Number format of robench's search.
    """

    def __init__(self, device: str, progress: Progress, precision: str = "auto") -> None:
        session = Session(environ=os.environ, cwd=Path.cwd(), config=CONFIG, progress=progress)
        overrides = Overrides(
            dataset="mnist",
            defenses=("none", "puvae-detect"),
            attacks=("fgsm", "pgd"),
            device=device,
            profile="quick",
            search_precision=precision,
        )
        self.catalog = session.catalog
        self.bench = Workbench(session.resolve(overrides), session.catalog, progress)
        self.device = self.bench.device
        self.classifier = self.bench.workshop.train_classifier(self.bench.classifier).module

    def prepare(self, defense: str, threshold: float | None = None) -> Prepared:
        """Return a defense, calibrated unless its threshold is known already."""
        (offer,) = (offer for offer in self.bench.defenses if offer.spec.name == defense)
        workshop = self.bench.workshop
        if offer.spec.rejecting and threshold is None:
            return workshop.prepare(offer, self.classifier)
        deployed = Deployed(
            name=defense,
            module=workshop.build(offer, self.classifier),
            classifier=self.classifier,
            classes=10,
            threshold=threshold,
            stochastic=offer.spec.stochastic,
            selecting=offer.spec.selecting,
        )
        return Prepared(
            deployed=deployed,
            search=workshop.search_form(deployed, workshop.settings.precision),
            digest=f"{defense} {threshold}",
            rule=None,
            false_positive_rate=None,
            validation_images=0,
        )

    def rows(self, prepared: Prepared) -> int:
        """Return the batch size that robench has found for a defense."""
        return self.bench.batch_size_for(prepared)

    def assault(self, name: str, steps: int | None = None, *, worst_case: bool = False) -> Assault:
        """Return an attack in its native form."""
        (offer,) = (offer for offer in self.bench.attacks if offer.spec.name == name)
        if steps is not None:
            offer = replace(offer, parameters=replace(offer.parameters, steps=steps))
        return Assault(offer=offer, form="sweep", keep="first-win" if worst_case else "last")

    def plain(self, defense: str, threshold: float | None, *, frozen: bool = True) -> Plain:
        """Return the same defense for the libraries, in the format in which PyTorch builds modules."""
        module = self.prepare(defense, threshold).deployed.module
        purifier = cast("Purifier", module) if threshold is not None else None
        plain = Plain(self.classifier, purifier, threshold).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        return cast("Plain", plain.eval().requires_grad_(not frozen))

    def images(self, count: int) -> tuple[Tensor, Tensor]:
        """Return the images that a run of seed 0 attacks first, and their labels."""
        rows = image_order(0, len(self.bench.splits.test))[:count]
        test = self.bench.splits.test
        return torch.from_numpy(test.images[rows]).to(self.device), torch.from_numpy(test.labels[rows]).to(self.device)
