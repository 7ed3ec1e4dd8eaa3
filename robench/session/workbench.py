"""What evaluation and training share: the chosen plugins with their parameters, the data, the device, the cache."""

from __future__ import annotations

import math
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from robench.api import DataContext, PluginError, UsageError
from robench.api.records import ADAPTIVE, NORM_LABELS
from robench.config.checks import EFFORTS
from robench.config.parameters import build_parameters, canonical
from robench.config.settings import place_of
from robench.engine.attempts import Attempts
from robench.engine.balls import BALLS
from robench.engine.batching import BatchSizes
from robench.engine.data import Splits
from robench.engine.digests import settings_digest
from robench.engine.plan import choose_form
from robench.engine.precision import resolve_device, resolve_precision
from robench.engine.prepare import Offer, Settings, Workshop
from robench.engine.runner import default_batch_size, pick_references, summarise_environment
from robench.engine.weights import WeightCache
from robench.registry.requirements import missing_modules
from robench.session.own_classifier import offer_classifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from robench.api import Norm, References, Split, SplitName
    from robench.config.request import PathSettings, RunRequest
    from robench.engine.data import LoadedSplit
    from robench.engine.plan import Assault
    from robench.engine.prepare import Prepared
    from robench.engine.progress import Progress
    from robench.registry import Catalog, Entry, FailedPlugin

BASELINE = "none"
"""Name of the defense that is none: what every other one is compared with."""


class Workbench:
    """A request with everything it names at hand.

    Args:
        request: What to do.
        catalog: Where its names are looked up.
        progress: Told of long work.
        trains: Whether networks are trained that are not in the cache.
        given: Splits of the data that are at hand already.

    Raises:
        UsageError: If a name is unknown, a parameter is wrong, or the device is missing.
    """

    def __init__(
        self,
        request: RunRequest,
        catalog: Catalog,
        progress: Progress,
        *,
        trains: bool = True,
        fresh: Iterable[Path] = (),
        given: Mapping[SplitName, LoadedSplit] = MappingProxyType({}),
    ) -> None:
        self.request = request
        self.device = resolve_device(request.device)
        self.batch_size = request.batch_size or default_batch_size(self.device)
        if request.classifier_file is None:
            self.classifier = self._offer(catalog.classifier(request.classifier))
        else:
            self.classifier = offer_classifier(request.classifier_file)
        self.defenses = [self._offer(catalog.defense(name)) for name in _with_baseline(request, catalog)]
        spec = catalog.dataset(request.dataset).spec
        _check_radii(request, spec.shape)
        named = [catalog.attack(name) for name in request.attacks if name != ADAPTIVE]
        for entry in named:
            _check_attack(entry, request.norm, catalog)
        self.attacks = [self._offer(entry) for entry in named]
        self.assaults = [choose_form(offer, request.engine, worst_case=request.worst_case) for offer in self.attacks]
        self.unusable: list[FailedPlugin] = []
        self.adaptive = self._adaptive(catalog, progress) if ADAPTIVE in request.attacks else []
        self._refuse_idle_settings()
        if request.engine == "foolbox" and request.search_precision in {"tf32", "bfloat16"}:
            message = f"--search-precision {request.search_precision}: --engine foolbox searches on the defense itself"
            raise UsageError(message, "leave one of them out")
        self.splits = Splits(spec, data_context(request, progress), given)
        settings = Settings(
            profile=request.profile,
            seed=request.seed,
            calibration=request.calibration,
            false_positive_rate=request.false_positive_rate,
            batch_size=self.batch_size,
            precision=resolve_precision(request.search_precision, self.device),
        )
        cache = WeightCache(request.cache_dir, trains=trains, fresh=fresh)
        self._batch_sizes = BatchSizes(request.cache_dir / "batch-sizes.json")
        self._attempts = Attempts(request.cache_dir / "attempts", progress.note)
        self.workshop = Workshop(self.splits, cache, settings, self.device, progress)

    @cached_property
    def references(self) -> References:
        """Clean validation images for attacks to start from."""
        return pick_references(self.splits.validation, self.device)

    def batch_size_for(self, prepared: Prepared) -> int:
        """Return how many images, or images at one epsilon each, go through a defense together under attack."""
        if self.request.batch_size is not None:
            return self.request.batch_size
        images, labels = self.splits.test.tensors(slice(default_batch_size(self.device)), self.device)
        return self._batch_sizes.find(prepared.search, self._key_of(prepared), images, labels)

    def attempt(self, prepared: Prepared) -> AbstractContextManager[int]:
        """Note that a defense is under attack; give the batch size, half of it if the last attempt was killed."""
        return self._attempts.under_way(self._key_of(prepared), self.batch_size_for(prepared))

    def _key_of(self, prepared: Prepared) -> str:
        where = summarise_environment({}, self.device)
        return settings_digest({"weights": prepared.digest, "precision": prepared.search.precision, **where})

    def _adaptive(self, catalog: Catalog, progress: Progress) -> list[Assault]:
        """Return the attacks that budget and norm allow, whatever they are after, the cheapest first.

        Nobody has asked for each of them: one that needs a module that is not installed, or whose defaults do not fit
        their types, is left out, and mentioned.
        """
        allowed = EFFORTS[: EFFORTS.index(self.request.budget) + 1]
        entries = [
            entry
            for entry in catalog.attacks.values()
            if entry.spec.effort in allowed and self.request.norm in entry.spec.norms
        ]
        lacking = {entry.name: missing for entry in entries if (missing := missing_modules(entry.spec))}
        if lacking:
            listed = "; ".join(f"{name} (needs {', '.join(missing)})" for name, missing in lacking.items())
            progress.warn(f"{ADAPTIVE} leaves out {listed}")
        offers = []
        for entry in sorted(entries, key=lambda entry: (entry.spec.cost, entry.name)):
            try:
                if entry.name not in lacking:
                    offers.append(self._offer(entry))
            except PluginError as error:
                self.unusable.append(entry.failed(str(error)))
        return [choose_form(offer, "native", worst_case=True) for offer in offers]

    def _offer(self, entry: Entry[Any]) -> Offer:
        preset = entry.spec.presets.get(self.request.budget, {}) if entry.kind == "attack" else {}
        parameters = self.request.parameters_of(entry.name, entry.spec.parameters, preset)
        settings = canonical(parameters)
        usual = canonical(build_parameters(entry.spec.parameters, preset, entry.name))
        return Offer(
            spec=entry.spec,
            parameters=parameters,
            settings=settings,
            origin={"plugin": f"{entry.distribution} {entry.version}", "code": entry.code_digest()},
            changed={key: value for key, value in settings.items() if value != usual[key]},
        )

    @property
    def offers(self) -> list[Offer]:
        """Everything that has parameters, each once."""
        attacks = [*self.attacks, *(assault.offer for assault in self.adaptive)]
        return list({offer.spec.name: offer for offer in (self.classifier, *self.defenses, *attacks)}.values())

    def _refuse_idle_settings(self) -> None:
        """Refuse what ``--set`` asks of a plugin that has no part in this."""
        used = [offer.spec.name for offer in self.offers]
        for plugin, values in self.request.settings.items():
            if plugin not in used:
                message = f"{place_of(plugin, next(iter(values)))}: {plugin} is not used here, so it has no effect"
                raise UsageError(message, f"used are {', '.join(used)}")


def _check_radii(request: RunRequest, shape: tuple[int, int, int]) -> None:
    """Refuse epsilons beyond which nothing is: no two images are further apart.

    Raises:
        UsageError: If there are some.
    """
    most = BALLS[request.norm].diameter(math.prod(shape))
    for epsilon in request.epsilons:
        if float(epsilon) > most:
            far = f"{most:.6g} ({NORM_LABELS[request.norm]})"
            message = f"epsilon {epsilon}: no two images of {request.dataset} are further apart than {far}"
            raise UsageError(message, "ask for less")


def _check_attack(entry: Entry[Any], norm: Norm, catalog: Catalog) -> None:
    """Refuse an attack that cannot run.

    Raises:
        UsageError: If it does not search in this norm, or needs a module that is not installed.
    """
    if norm not in entry.spec.norms:
        able = ", ".join(name for name, other in catalog.attacks.items() if norm in other.spec.norms)
        message = f"attack {entry.name} does not search in {NORM_LABELS[norm]}"
        raise UsageError(message, f"leave it out, or choose among {able}")
    missing = missing_modules(entry.spec)
    if missing:
        message = f"attack {entry.name} needs {', '.join(missing)}"
        packages = " ".join(f'"{package}"' for package in dict.fromkeys(missing.values()))
        raise UsageError(message, f"pip install {packages}")


def _with_baseline(request: RunRequest, catalog: Catalog) -> tuple[str, ...]:
    """Return the defenses of a run; the undefended classifier is among them where attacks adapt, for comparison."""
    if ADAPTIVE not in request.attacks or BASELINE in request.defenses or BASELINE not in catalog.defenses:
        return request.defenses
    return (BASELINE, *request.defenses)


def data_context(paths: PathSettings, progress: Progress, *, offline: bool = False) -> DataContext:
    """Return where data sets may look for their files."""
    return DataContext(
        data_dir=paths.data_dir,
        cache_dir=paths.cache_dir / "data",
        offline=offline or paths.offline,
        report=progress.note,
    )


def load_test_split(
    catalog: Catalog, paths: PathSettings, progress: Progress, dataset: str
) -> tuple[Split, tuple[str, ...]]:
    """Return the test images of a data set that is here already, and the names of its classes.

    Args:
        catalog: Where the data set is looked up.
        paths: Where its files are.
        progress: Told what is read.
        dataset: Its name.

    Raises:
        UsageError: If no plugin has it.
        RobenchError: If its files are not here.
    """
    if dataset not in catalog.datasets:
        message = f"no plugin has the data set {dataset!r}"
        raise UsageError(message, "install it where the report is made")
    spec = catalog.datasets[dataset].spec
    return Splits(spec, data_context(paths, progress, offline=True)).test, spec.classes
