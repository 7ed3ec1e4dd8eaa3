"""A plugin on the bench: looked up as a run would, configured, and prepared by the engine's own code."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from robench.api import NoParameters, PluginError, UsageError
from robench.config.parameters import build_parameters, canonical
from robench.engine.data import Splits
from robench.engine.prepare import Offer, Settings, Workshop
from robench.engine.progress import Silent
from robench.engine.seeding import ImageStreams
from robench.engine.weights import WeightCache
from robench.registry import Spec
from robench.testing.checks.check import NotRun
from robench.testing.models import LINEAR
from robench.testing.task import made_up_task, some_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from robench.api import ClassifierSpec, DataContext, DatasetSpec, DefenseSpec, Network
    from robench.registry import Catalog, Entry, Kind
    from robench.testing.setting import Setting

S = TypeVar("S", bound=Spec)
T = TypeVar("T")

SEED = 0
RATE = 0.1
"""False-positive rate that is asked of a detector."""
_ROUNDINGS = 16
"""Units in the last place by which sums over some thousand pixels may differ; four were seen over 3,072."""


class Bench(Generic[S]):
    """One plugin with everything that its checks need, each made once, when first needed.

    Args:
        kind: What the plugin is.
        name: Of its spec.
        catalog: Where it is looked up.
        setting: What it is checked on.
        data: Where data sets may look for their files.
        folder: For weights and other files; its owner removes it.
    """

    def __init__(
        self, kind: Kind, name: str, catalog: Catalog, *, setting: Setting, data: DataContext, folder: Path
    ) -> None:
        self.kind, self.name, self.catalog = kind, name, catalog
        self.setting, self.data, self.folder = setting, data, folder
        self._made: dict[str, Any] = {}

    def look_up(self) -> Entry[S]:
        """Look the plugin up.

        Raises:
            PluginError: If no installed plugin offers it, with the reasons of those that failed to load.
        """
        find: Mapping[Kind, Callable[[str], Entry[Any]]] = {
            "dataset": self.catalog.dataset,
            "classifier": self.catalog.classifier,
            "defense": self.catalog.defense,
            "attack": self.catalog.attack,
        }
        try:
            return find[self.kind](self.name)
        except UsageError as error:
            failed = [
                f"{item.entry_point} of {item.distribution} failed: {item.reason}" for item in self.catalog.failures
            ]
            hint = f"{error.hint}; install its distribution, which needs an entry point in the group robench"
            raise PluginError("; ".join([error.message, *failed]), hint) from error

    def configure(self) -> Offer:
        """Make the plugin's parameters and describe where it comes from.

        Raises:
            RobenchError: If it refuses them, or its code cannot be read.
        """
        spec: Any = self.entry.spec
        cls = getattr(spec, "parameters", NoParameters)
        parameters = build_parameters(cls, {**self.preset(), **self.setting.parameters}, f"parameters of {self.name}")
        origin = {"plugin": f"{self.entry.distribution} {self.entry.version}", "code": self.entry.code_digest()}
        return Offer(spec=spec, parameters=parameters, settings=canonical(parameters), origin=origin)

    def preset(self) -> Mapping[str, object]:
        """Return the parameters that a plugin is checked with where the author gives none."""
        return {}

    @property
    def entry(self) -> Entry[S]:
        """The plugin as the catalog has it."""
        return self.once("is-offered", self.look_up)

    @property
    def spec(self) -> S:
        """What the plugin's hook returned."""
        return self.entry.spec

    @property
    def offer(self) -> Offer:
        """The plugin with its parameters."""
        return self.once("takes-its-defaults", self.configure)

    def once(self, check: str, make: Callable[[], T]) -> T:
        """Make something on first use. What fails is not tried again: one check says why, and the others stand back.

        Args:
            check: Name of the check that says why.
            make: Makes it.

        Raises:
            NotRun: If it cannot be made.
        """
        if check not in self._made:
            try:
                self._made[check] = make()
            except NotRun as remark:
                self._made[check] = remark
            except (Exception, SystemExit):  # noqa: BLE001 (whatever a plugin raises, the check named has it again)
                self._made[check] = NotRun(f"see {check}")
        if isinstance(self._made[check], NotRun):
            raise self._made[check]
        return self._made[check]  # type: ignore[no-any-return]


class ModelBench(Bench[S]):
    """A classifier, a defense or an attack, with a task to work on."""

    @cached_property
    def device(self) -> torch.device:
        """Where everything runs: the rules are the same everywhere."""
        return torch.device("cpu")

    @cached_property
    def workshop(self) -> Workshop:
        """Trains and prepares on the task, in the first shape that the plugin does not refuse."""
        *others, last = self.setting.shapes
        for shape in others:
            workshop = self.open_workshop(shape)
            if self.fits(workshop):
                return workshop
        return self.open_workshop(last)

    def fits(self, workshop: Workshop) -> bool:  # noqa: ARG002
        """Say whether the plugin does not refuse the images of a workshop."""
        return True

    def open_workshop(self, shape: tuple[int, int, int], *, seed: int = SEED) -> Workshop:
        """Return a workshop with a cache of its own folder, so that weights are found again.

        Args:
            shape: Of the made-up images.
            seed: Of the training.
        """
        settings = Settings(
            profile=self.setting.profile,
            seed=seed,
            calibration="finite-sample",
            false_positive_rate=RATE,
            batch_size=100,
            precision="float32",
        )
        splits = Splits(self._task(shape), self.data)
        return Workshop(splits, WeightCache(self.folder), settings, self.device, Silent())

    @cached_property
    def classifier(self) -> nn.Module:
        """A linear classifier, trained on the task."""
        return train_linear(self.workshop)

    @property
    def classes(self) -> int:
        """Number K of classes."""
        return len(self.workshop.splits.spec.classes)

    def images(self, count: int) -> Tensor:
        """Return test images, shape (count, C, H, W), float32, in [0, 1]: their own copy."""
        return torch.from_numpy(self._originals[:count].copy()).to(self.device)

    @cached_property
    def _originals(self) -> NDArray[np.float32]:
        return self.workshop.splits.test.images.copy()  # a plugin may write to what the workshop shows it

    def streams(
        self, rows: Sequence[int], purpose: str = "testing", device: torch.device | None = None
    ) -> ImageStreams:
        """Return fresh streams for these images, the same at each call."""
        return ImageStreams(rows, device or self.device, purpose, SEED)

    def _task(self, shape: tuple[int, int, int]) -> DatasetSpec:
        if self.setting.dataset is None:
            return made_up_task(shape, self.setting.classes)
        return some_of(self.catalog.dataset(self.setting.dataset).spec)


def shortened(network: Network) -> Network:
    """Return a network that is trained for one epoch in small batches."""
    recipe = dataclasses.replace(network.recipe, epochs=1, batch_size=min(network.recipe.batch_size, 64))
    return dataclasses.replace(network, recipe=recipe)


def train_linear(workshop: Workshop) -> nn.Module:
    """Train a linear classifier, or find it in the workshop's cache."""
    return workshop.train_classifier(plain_offer(LINEAR)).module


def plain_offer(spec: ClassifierSpec[NoParameters] | DefenseSpec[NoParameters]) -> Offer:
    """Return one of robench's own models as if a plugin offered it."""
    return Offer(spec=spec, parameters=NoParameters(), settings={}, origin={})


def nearly(left: Tensor, right: Tensor, scale: float = 0.0) -> bool:
    """Say whether two answers are the same to 1e-4 of the largest of them, or to the rounding of what they are made of.

    Args:
        left: Decides with its largest value what 1e-4 is of.
        right: Of the same shape.
        scale: Largest magnitude of what the answers are computed from. Sums over many pixels round differently in
            batches of another size, and a difference of two such sums keeps their rounding, however small it is itself.
    """
    if left.shape != right.shape:
        return False
    rounding = _ROUNDINGS * torch.finfo(left.dtype).eps * scale
    return float((left - right).abs().max()) <= max(1e-6, 1e-4 * float(left.abs().max()), rounding)
