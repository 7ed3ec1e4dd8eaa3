"""A defense on the bench."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch

from robench.api import DefenseSpec, UsageError, Verdict
from robench.engine.deploy import Deployed
from robench.engine.precision import judging_precision
from robench.testing.benches.bench import ModelBench, shortened, train_linear
from robench.testing.checks.check import NotRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from robench.api import ModelContext, Network
    from robench.engine.prepare import Offer, Prepared, Workshop


class DefenseBench(ModelBench[DefenseSpec[Any]]):
    """A defense around a linear classifier."""

    def configure(self) -> Offer:
        """Make the parameters; the defense's networks are trained for one epoch."""
        offer = super().configure()
        networks = offer.spec.networks

        def short(context: ModelContext[Any]) -> list[Network]:
            return [shortened(network) for network in networks(context)]

        return (
            offer
            if networks is None
            else dataclasses.replace(offer, spec=dataclasses.replace(offer.spec, networks=short))
        )

    def fits(self, workshop: Workshop) -> bool:
        """Say whether the defense can be built for the images of a workshop."""
        try:
            workshop.build(self.offer, train_linear(workshop))
        except UsageError:
            return False
        except (Exception, SystemExit):  # noqa: BLE001 (no matter of shapes; a check meets it again)
            return True
        return True

    def build(self) -> nn.Module:
        """Train and build the defense, or find its networks in the cache."""
        return self.workshop.build(self.offer, self.classifier)

    def prepare(self) -> Prepared:
        """Build, fit and calibrate the defense as a run does."""
        return self.workshop.prepare(self.offer, self.classifier)

    @property
    def built(self) -> Deployed:
        """The defense as it is built, without a threshold."""
        module = self.once("builds", self.build)
        return Deployed(
            name=self.name,
            module=module,
            classifier=self.classifier,
            classes=self.classes,
            threshold=None,
            stochastic=self.spec.stochastic,
            selecting=self.spec.selecting,
        )

    @property
    def deployed(self) -> Deployed:
        """The defense with its threshold."""
        _ = self.built
        return self.once("fits-and-calibrates", self.prepare).deployed

    def ask(
        self,
        images: Tensor,
        rows: Sequence[int] | None = None,
        *,
        deployed: Deployed | None = None,
        purpose: str = "ask",
    ) -> Verdict:
        """Ask the defense in float32, without gradients.

        Args:
            images: Shape (N, C, H, W), float32, in [0, 1].
            rows: Numbers of the images, which decide their random draws; counted from 0 by default.
            deployed: Another form of the defense.
            purpose: Decides the random draws too.
        """
        streams = self.streams(range(len(images)) if rows is None else rows, purpose)
        with torch.no_grad(), judging_precision(self.device):
            return (deployed or self.deployed).verdict(images, streams)

    def require(self, declared: str) -> None:
        """Stand back from a defense that does not declare something.

        Raises:
            NotRun: If so.
        """
        if not getattr(self.spec, declared):
            message = f"it is not declared {declared}"
            raise NotRun(message)
