"""From specs to a deployed defense: obtain weights, build, fit, calibrate. Everything here precedes any attack."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from robench import __version__
from robench.api import FitContext, ModelContext, PluginError, UsageError
from robench.engine.calibration import RULES, Calibrated, exceedance, rank_threshold
from robench.engine.classifiers import check_classifier
from robench.engine.deploy import Deployed, freeze
from robench.engine.digests import module_digest, settings_digest
from robench.engine.memory import halving, in_portions
from robench.engine.precision import judging_precision
from robench.engine.remembered import Remembered
from robench.engine.search import search_form
from robench.engine.seeding import ImageStreams, isolated_default_generator
from robench.errors import RobenchError, blaming, describe_exception

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from robench.api import ClassifierSpec, DefenseSpec, Network
    from robench.engine.data import LoadedSplit, Splits
    from robench.engine.progress import Progress
    from robench.engine.weights import TrainedNetwork, WeightCache

_COMPARED = 32
"""Images on which the search form of a defense must answer like the defense."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A spec as a plugin offers it, with the parameters that the user wants.

    Attributes:
        spec: A ``ClassifierSpec`` or a ``DefenseSpec``.
        parameters: An instance of its ``parameters`` class.
        settings: The same as canonical JSON values, for the record.
        origin: Distribution, version and code digest of the plugin.
        changed: Those of the settings that the user has set to something else than they would be.
    """

    spec: Any
    parameters: Any
    settings: Mapping[str, object]
    origin: Mapping[str, str]
    changed: Mapping[str, object] = field(default_factory=dict)

    @property
    def described(self) -> dict[str, object]:
        """What the identity of a cell has to say of it."""
        return {"parameters": dict(self.settings), **self.origin}


@dataclass(frozen=True, kw_only=True)
class GivenClassifier:
    """A classifier that came trained, tried out and frozen."""

    module: nn.Module


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """What preparing a defense has fixed, so that another process prepares the same one.

    Attributes:
        digest: SHA-256 of all its weights and buffers.
        threshold: Above which it rejects; None if it does not.
        rule, false_positive_rate, validation_images: As of ``Prepared``.
    """

    digest: str
    threshold: float | None
    rule: str | None
    false_positive_rate: float | None
    validation_images: int


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A defense ready to be attacked, with what is known of it.

    Attributes:
        deployed: The frozen defense with its threshold.
        search: What attacks search on: its search form, or the defense itself where that form is not like it.
        digest: SHA-256 of all its weights and buffers.
        rule: How the threshold was found: a calibration rule, ``own`` for the defense's own, or None without one.
        false_positive_rate: Share of validation images that the threshold rejects; None without one.
        validation_images: Their number; 0 without a threshold.
    """

    deployed: Deployed
    search: Deployed
    digest: str
    rule: str | None
    false_positive_rate: float | None
    validation_images: int

    @property
    def fixed(self) -> Fixed:
        """What another process needs to prepare the same."""
        return Fixed(
            digest=self.digest,
            threshold=self.deployed.threshold,
            rule=self.rule,
            false_positive_rate=self.false_positive_rate,
            validation_images=self.validation_images,
        )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What training and calibration depend on beside the specs.

    Attributes:
        profile: ``quick``, ``fast`` or ``paper``.
        seed: Of training and calibration.
        calibration: ``finite-sample`` or ``paper-grid``.
        false_positive_rate: Share of clean images that a detector may reject, in (0, 1).
        batch_size: Images per forward pass.
        precision: Number format of searches: ``float32``, ``tf32`` or ``bfloat16``.
    """

    profile: str
    seed: int
    calibration: str
    false_positive_rate: float
    batch_size: int
    precision: str


class Workshop:
    """Prepares one classifier and any number of defenses around it.

    Args:
        splits: The data set.
        cache: Trained weights.
        settings: What training and calibration depend on.
        device: Where everything runs.
        progress: Told of long work.
    """

    def __init__(
        self, splits: Splits, cache: WeightCache, settings: Settings, device: torch.device, progress: Progress
    ) -> None:
        self.splits = splits
        self.cache = cache
        self.settings = settings
        self.device = device
        self.progress = progress
        self._classifier_code = ""
        self._thresholds = Remembered(cache.root / "thresholds.json")

    def train_classifier(self, offer: Offer, *, retrain: bool = False) -> TrainedNetwork | GivenClassifier:
        """Obtain the classifier, frozen. One that comes trained is tried out before anything is built on it.

        Raises:
            UsageError: If one that comes trained cannot be built, or does not classify the images of this data set.
            PluginError: If the plugin of one that is to be trained fails.
        """
        spec: ClassifierSpec[Any] = offer.spec
        if spec.network is not None:
            with blaming(f"classifier {spec.name}"):
                return self._obtain(spec.network(self.context(offer, None)), offer, None, retrain=retrain)
        module = self._given(spec, offer)
        self._classifier_code = offer.origin["code"]
        return GivenClassifier(module=module)

    def _given(self, spec: ClassifierSpec[Any], offer: Offer) -> nn.Module:
        if spec.module is None:
            message = f"classifier {spec.name} has neither a network to train nor a module"
            raise PluginError(message)
        try:
            with isolated_default_generator():
                module = spec.module(self.context(offer, None))
        except RobenchError:
            raise
        except (Exception, SystemExit) as error:
            message = f"classifier {spec.name} cannot be built: {describe_exception(error)}"
            raise UsageError(message) from error
        if not isinstance(module, nn.Module):
            message = f"classifier {spec.name} is {type(module).__name__}"
            raise UsageError(message, "return a torch.nn.Module")
        freeze(module, self.device)
        check_classifier(spec.name, module, self.splits, self.device, self.progress.note)
        return module

    def train_networks(
        self, offer: Offer, classifier: nn.Module, *, retrain: bool = False
    ) -> dict[str, TrainedNetwork]:
        """Obtain the networks of a defense by name, frozen. What this workshop has trained is not trained again."""
        spec: DefenseSpec[Any] = offer.spec
        if spec.networks is None:
            return {}
        networks = spec.networks(self.context(offer, classifier))
        return {network.name: self._obtain(network, offer, classifier, retrain=retrain) for network in networks}

    def build(self, offer: Offer, classifier: nn.Module) -> nn.Module:
        """Build a defense from its networks, frozen; its thresholds are not fixed yet.

        Raises:
            PluginError: If what it builds is no module.
        """
        networks = {name: trained.module for name, trained in self.train_networks(offer, classifier).items()}
        with isolated_default_generator():
            module = offer.spec.build(self.context(offer, classifier), networks)
        if not isinstance(module, nn.Module):
            message = f"{offer.spec.name}: build returned {type(module).__name__}, not a torch.nn.Module"
            raise PluginError(message, "return the module that answers images with a Verdict")
        return freeze(module, self.device)

    def prepare(self, offer: Offer, classifier: nn.Module, known: Fixed | None = None) -> Prepared:
        """Build a defense from its networks, fit it and fix its threshold on validation images.

        Args:
            offer: The defense.
            classifier: What it is built around.
            known: What another process has fixed; then this one takes the threshold as it is.

        Raises:
            RobenchError: If the defense is another one than the known.
        """
        spec: DefenseSpec[Any] = offer.spec
        module = self.build(offer, classifier)
        deployed = Deployed(
            name=spec.name,
            module=module,
            classifier=classifier,
            classes=len(self.splits.spec.classes),
            threshold=None,
            stochastic=spec.stochastic,
            selecting=spec.selecting,
            differentiable=spec.differentiable,
        )
        threshold = self._fit(spec, module)
        fixed = self._fix(offer, deployed, threshold) if known is None else known
        if module_digest(module) != fixed.digest:
            message = f"defense {spec.name} has other weights here than where the run was planned"
            raise RobenchError(message, "delete them here, or share one cache of weights: ROBENCH_CACHE")
        deployed = dataclasses.replace(deployed, threshold=fixed.threshold)
        return Prepared(
            deployed=deployed,
            search=self.search_form(deployed, self.settings.precision),
            digest=fixed.digest,
            rule=fixed.rule,
            false_positive_rate=fixed.false_positive_rate,
            validation_images=fixed.validation_images,
        )

    def _fix(self, offer: Offer, deployed: Deployed, threshold: float | None) -> Fixed:
        """Fix the threshold, unless the fit has done so.

        It is fixed once for all commands that share a cache: other threads or processors add up in another order, and a
        threshold that differs in its last digit makes other cells.
        """
        digest = module_digest(deployed.module)
        if not offer.spec.rejecting:
            return Fixed(digest=digest, threshold=threshold, rule=None, false_positive_rate=None, validation_images=0)
        rule = "own" if threshold is not None else self.settings.calibration
        asked = {
            "defense": [offer.spec.name, digest, offer.described],
            "classifier": module_digest(deployed.classifier),
            "validation": self.splits.validation.digest,
            "rule": [rule, threshold, self.settings.false_positive_rate],
            "settings": [self.settings.profile, self.settings.seed, self.device.type, __version__],
        }
        found = Calibrated.read(self._thresholds.get(key := settings_digest(asked)))
        if found is None:
            scores = self._scores(deployed)
            limit = RULES[rule](scores, self.settings.false_positive_rate) if threshold is None else threshold
            found = Calibrated(float(limit), exceedance(scores, limit), len(scores))
            self._thresholds.put(key, found)
        return Fixed(
            digest=digest,
            threshold=found.threshold if threshold is None else threshold,
            rule=rule,
            false_positive_rate=found.rate,
            validation_images=found.images,
        )

    def context(self, offer: Offer, classifier: nn.Module | None = None) -> ModelContext[Any]:
        """Return what a classifier, or a defense around one, is built for."""
        spec = self.splits.spec
        return ModelContext(
            dataset=spec.name,
            shape=spec.shape,
            classes=len(spec.classes),
            profile=self.settings.profile,
            parameters=offer.parameters,
            classifier=classifier,
        )

    def _obtain(self, network: Network, offer: Offer, classifier: nn.Module | None, *, retrain: bool) -> TrainedNetwork:
        trained = self.cache.obtain(
            network,
            self.splits.train,
            self.splits.validation,
            dataset=self.splits.spec.name,
            seed=self.settings.seed,
            device=self.device,
            classifier=classifier if network.uses_classifier else None,
            classifier_code=self._classifier_code,
            origin=offer.origin,
            progress=self.progress,
            retrain=retrain,
        )
        freeze(trained.module, self.device)
        return trained

    def _fit(self, spec: DefenseSpec[Any], module: nn.Module) -> float | None:
        if spec.fit is None:
            return None
        fit = spec.fit

        def attempt(size: int) -> float | None:
            context = FitContext(
                defense=module,
                batches=_Batches(self.splits.validation, size, self.device),
                false_positive_rate=self.settings.false_positive_rate,
                rank_threshold=rank_threshold,
            )
            # Not inference mode: what it makes could never meet autograd again, and a fit may keep what it makes.
            with torch.no_grad(), judging_precision(self.device):
                return fit(context)

        threshold = halving(attempt, self.settings.batch_size, self.device)
        if threshold is not None and not (spec.rejecting and math.isfinite(threshold)):
            message = f"the fit of defense {spec.name} returned the threshold {threshold}"
            hint = "return a finite number" if spec.rejecting else "declare rejecting=True, or return None"
            raise PluginError(message, hint)
        return threshold

    def search_form(self, deployed: Deployed, precision: str) -> Deployed:
        """Return what attacks search on: ``search_form`` of a defense, compared on some test images."""
        images = self.splits.test.tensors(slice(_COMPARED), self.device)[0]

        def random(part: slice) -> ImageStreams:
            return ImageStreams(range(part.start, part.stop), self.device, "compare", self.settings.seed)

        with judging_precision(self.device):
            return search_form(deployed, precision, images, random, self.progress.note)

    def _scores(self, deployed: Deployed) -> Tensor:
        """Return the scores of all validation images, shape (N,), float32, on the CPU."""
        batches = _Batches(self.splits.validation, self.settings.batch_size, self.device)
        scores: list[Tensor] = []
        done = 0
        title = f"calibrate {deployed.name}"
        with (
            self.progress.task(title, len(batches.split), "images") as task,
            torch.no_grad(),
            judging_precision(self.device),
        ):
            for batch in batches:
                scores += in_portions(partial(self._score, deployed, batch, done), len(batch), len(batch), self.device)
                done += len(batch)
                task.update(done)
        return torch.cat(scores)

    def _score(self, deployed: Deployed, batch: Tensor, first: int, part: slice, rows: int) -> Tensor:  # noqa: ARG002
        """Return the scores of a part of a batch, whose first image has this number in the validation split."""
        numbers = range(first + part.start, first + part.stop)
        random = ImageStreams(numbers, self.device, "calibrate", self.settings.seed)
        score = deployed.verdict(batch[part], random).score
        if score is None or not bool(score.isfinite().all()):
            message = f"defense {deployed.name} is declared rejecting but gave no finite score"
            raise PluginError(message, "return a finite score for every image, or declare rejecting=False")
        return score.cpu()


class _Batches:
    """Images of a split on a device, batch by batch; can be walked several times."""

    def __init__(self, split: LoadedSplit, size: int, device: torch.device) -> None:
        self.split = split
        self._size = size
        self._device = device

    def __iter__(self) -> Iterator[Tensor]:
        for start in range(0, len(self.split), self._size):
            yield self.split.tensors(slice(start, start + self._size), self._device)[0]
