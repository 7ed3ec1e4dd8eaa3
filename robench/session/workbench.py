"""What evaluation and training share: the chosen plugins with their parameters, the data, the device, the cache."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from robench.api import DataContext, UsageError
from robench.api.records import ADAPTIVE, NORM_LABELS
from robench.config.checks import EFFORTS
from robench.config.parameters import canonical
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

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from robench.api import Norm, References
    from robench.config.request import PathSettings, RunRequest
    from robench.engine.plan import Assault
    from robench.engine.prepare import Prepared
    from robench.engine.progress import Progress
    from robench.registry.catalog import Catalog, Entry

BASELINE = "none"
"""Name of the defense that is none: what every other one is compared with."""


class Workbench:
    """A request with everything it names at hand.

    Args:
        request: What to do.
        catalog: Where its names are looked up.
        progress: Told of long work.

    Raises:
        UsageError: If a name is unknown, a parameter is wrong, or the device is missing.
    """

    def __init__(self, request: RunRequest, catalog: Catalog, progress: Progress) -> None:
        self.request = request
        self.device = resolve_device(request.device)
        self.batch_size = request.batch_size or default_batch_size(self.device)
        self.classifier = self._offer(catalog.classifier(request.classifier))
        self.defenses = [self._offer(catalog.defense(name)) for name in _with_baseline(request, catalog)]
        spec = catalog.dataset(request.dataset).spec
        _check_radii(request, spec.shape)
        named = [catalog.attack(name) for name in request.attacks if name != ADAPTIVE]
        for entry in named:
            _check_attack(entry, request.norm, catalog)
        self.attacks = [self._offer(entry) for entry in named]
        self.assaults = [choose_form(offer, request.engine, worst_case=request.worst_case) for offer in self.attacks]
        self.adaptive = self._adaptive(catalog, progress) if ADAPTIVE in request.attacks else []
        if request.engine == "foolbox" and request.search_precision in {"tf32", "bfloat16"}:
            message = f"--search-precision {request.search_precision}: --engine foolbox searches on the defense itself"
            raise UsageError(message, "leave one of them out")
        self.splits = Splits(spec, data_context(request, progress))
        settings = Settings(
            profile=request.profile,
            seed=request.seed,
            calibration=request.calibration,
            false_positive_rate=request.false_positive_rate,
            batch_size=self.batch_size,
            precision=resolve_precision(request.search_precision, self.device),
        )
        cache = WeightCache(request.cache_dir)
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
        test = self.splits.test
        few = slice(default_batch_size(self.device))
        images, labels = (torch.from_numpy(part[few]).to(self.device) for part in (test.images, test.labels))
        return self._batch_sizes.find(prepared.search, self._key_of(prepared), images, labels)

    def attempt(self, prepared: Prepared) -> AbstractContextManager[int]:
        """Note that a defense is under attack; give the batch size, half of it if the last attempt was killed."""
        return self._attempts.under_way(self._key_of(prepared), self.batch_size_for(prepared))

    def _key_of(self, prepared: Prepared) -> str:
        where = summarise_environment({}, self.device)
        return settings_digest({"weights": prepared.digest, "precision": prepared.search.precision, **where})

    def _adaptive(self, catalog: Catalog, progress: Progress) -> list[Assault]:
        """Return the attacks that budget and norm allow, whatever they are after, the cheapest first."""
        allowed = EFFORTS[: EFFORTS.index(self.request.budget) + 1]
        entries = [
            entry
            for entry in catalog.attacks.values()
            if entry.spec.effort in allowed and self.request.norm in entry.spec.norms
        ]
        lacking = {entry.name: missing for entry in entries if (missing := missing_modules(entry.spec))}
        if lacking:
            listed = "; ".join(f"{name} (needs {', '.join(missing)})" for name, missing in lacking.items())
            progress.note(f"{ADAPTIVE} leaves out {listed}")
        entries = [entry for entry in entries if entry.name not in lacking]
        offers = [self._offer(entry) for entry in sorted(entries, key=lambda entry: (entry.spec.cost, entry.name))]
        return [choose_form(offer, "native", worst_case=True) for offer in offers]

    def _offer(self, entry: Entry[Any]) -> Offer:
        preset = entry.spec.presets.get(self.request.budget, {}) if entry.kind == "attack" else {}
        parameters = self.request.parameters_of(entry.name, entry.spec.parameters, preset)
        origin = {"plugin": f"{entry.distribution} {entry.version}", "code": entry.code_digest()}
        return Offer(spec=entry.spec, parameters=parameters, settings=canonical(parameters), origin=origin)


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
