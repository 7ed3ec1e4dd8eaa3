"""A classifier on the bench."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch

from robench.api import ClassifierSpec, PluginError, UsageError
from robench.engine.precision import judging_precision
from robench.engine.seeding import isolated_default_generator
from robench.testing.benches.bench import ModelBench, shortened
from robench.testing.checks.check import NotRun

if TYPE_CHECKING:
    from torch import Tensor, nn

    from robench.api import ModelContext, Network
    from robench.engine.prepare import GivenClassifier, Offer, Workshop
    from robench.engine.weights import TrainedNetwork


class ClassifierBench(ModelBench[ClassifierSpec[Any]]):
    """A classifier, trained for one epoch."""

    def configure(self) -> Offer:
        """Make the parameters; a network is trained for one epoch."""
        offer = super().configure()
        network = offer.spec.network
        if network is None:
            return offer

        def short(context: ModelContext[Any]) -> Network:
            return shortened(network(context))

        return dataclasses.replace(offer, spec=dataclasses.replace(offer.spec, network=short))

    def fits(self, workshop: Workshop) -> bool:
        """Say whether there is one for the images of a workshop."""
        spec = self.offer.spec
        try:
            (spec.network or spec.module)(workshop.context(self.offer))
        except UsageError:
            return False
        except (Exception, SystemExit):  # noqa: BLE001 (no matter of shapes; a check meets it again)
            return True
        return True

    def train(self) -> TrainedNetwork | GivenClassifier:
        """Train the classifier, or find it in the cache; build one that comes trained."""
        return self.workshop.train_classifier(self.offer)

    @property
    def trained(self) -> TrainedNetwork | GivenClassifier:
        """The trained classifier, frozen."""
        return self.once("trains", self.train)

    def network(self) -> Network:
        """Describe the network once more.

        Raises:
            NotRun: If it comes trained.
        """
        if self.offer.spec.network is None:
            message = "it comes trained"
            raise NotRun(message)
        network: Network = self.offer.spec.network(self.workshop.context(self.offer))
        return network

    def ask(self, images: Tensor, module: nn.Module | None = None) -> Tensor:
        """Return the logits of images, shape (N, C, H, W), in float32.

        Raises:
            PluginError: If they are no float32 tensor of shape (N, K), or not finite.
        """
        asked = module or self.trained.module  # which may have to be trained first, with gradients
        with torch.no_grad(), judging_precision(self.device):
            logits: object = asked(images)
        return checked(logits, len(images), self.classes)

    def loss(self, module: nn.Module) -> float:
        """Return the network's own loss on validation images, the module in evaluation mode."""
        split = self.workshop.splits.validation
        images, labels = (torch.from_numpy(values).to(self.device) for values in (split.images, split.labels))
        with torch.no_grad(), isolated_default_generator():
            torch.manual_seed(0)
            return float(self.network().loss(module.eval(), images, labels)["loss"])


def checked(logits: object, count: int, classes: int) -> Tensor:
    """Return logits if they are a finite float32 tensor of shape (count, classes).

    Raises:
        PluginError: If not.
    """
    if not isinstance(logits, torch.Tensor):
        message = f"it answered with {type(logits).__name__}"
        raise PluginError(message, "return a tensor of logits")
    if tuple(logits.shape) != (count, classes) or logits.dtype != torch.float32:
        message = f"its logits are {logits.dtype} of shape {tuple(logits.shape)}"
        raise PluginError(message, f"return float32 of shape ({count}, {classes})")
    if not bool(logits.isfinite().all()):
        message = f"{int((~logits.isfinite()).sum())} of {logits.numel()} logits are NaN or infinite"
        raise PluginError(message, "look for divisions by zero, logarithms and exponentials")
    return logits
