"""What one source (a suite, the environment, the flags) asks for. ``None`` stands for silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from robench.config import checks
from robench.config.epsilons import parse_epsilons

DEFAULTS_KEYS = (
    "dataset",
    "images",
    "seed",
    "profile",
    "calibration",
    "defenses",
    "attacks",
    "engine",
    "search_precision",
    "worst_case",
    "budget",
    "norm",
)
_EITHER_KEYS = ("classifier", "classifier_weights", "epsilons", "false_positive_rate")
DATASET_KEYS = (*_EITHER_KEYS, "l2_epsilons")
SUITE_KEYS = DEFAULTS_KEYS + _EITHER_KEYS
SUITE_TABLES = ("parameters", "variants")

Place = Callable[[str], str]
"""Tells where a key was set, such as ``benchmarks.toml: suites.quick.images`` or ``--images``."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Checked values; names of plugins may still be unknown.

    Attributes:
        dataset, classifier: Names; the classifier may be a file.
        classifier_weights: Path of a file.
        defenses, attacks: Names, not empty.
        epsilons: Normalised decimal texts, ascending; of a data set, those of Linf.
        l2_epsilons: The same of L2.
        images: Number of test images, at least 1.
        seed: In [0, 2**63).
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:INDEX``.
        profile: ``quick``, ``fast`` or ``paper``.
        batch_size: Images, at least 1.
        calibration: ``finite-sample`` or ``paper-grid``.
        false_positive_rate: In (0, 1).
        engine: ``native`` or ``foolbox``.
        search_precision: ``auto``, ``float32``, ``tf32`` or ``bfloat16``.
        worst_case: Whether to evaluate the worst case per image over all attacks and smaller epsilons.
        budget: ``quick``, ``standard`` or ``thorough``.
        norm: ``linf`` or ``l2``.
    """

    dataset: str | None = None
    classifier: str | None = None
    classifier_weights: str | None = None
    defenses: tuple[str, ...] | None = None
    attacks: tuple[str, ...] | None = None
    epsilons: tuple[str, ...] | None = None
    l2_epsilons: tuple[str, ...] | None = None
    images: int | None = None
    seed: int | None = None
    device: str | None = None
    profile: str | None = None
    batch_size: int | None = None
    calibration: str | None = None
    false_positive_rate: float | None = None
    engine: str | None = None
    search_precision: str | None = None
    worst_case: bool | None = None
    budget: str | None = None
    norm: str | None = None


_CHECKS: Mapping[str, Callable[[object, str], Any]] = MappingProxyType(
    {
        "dataset": checks.text,
        "classifier": checks.text,
        "classifier_weights": checks.text,
        "defenses": checks.names,
        "attacks": checks.names,
        "epsilons": parse_epsilons,
        "l2_epsilons": parse_epsilons,
        "images": checks.count,
        "seed": checks.seed,
        "device": checks.device,
        "profile": checks.profile,
        "batch_size": checks.count,
        "calibration": checks.calibration,
        "false_positive_rate": checks.rate,
        "engine": checks.engine,
        "search_precision": checks.search_precision,
        "worst_case": checks.flag,
        "budget": checks.budget,
        "norm": checks.norm,
    }
)


def read_choices(values: Mapping[str, object], place: Place, allowed: Iterable[str]) -> Choices:
    """Check the values of one source.

    Args:
        values: By key.
        place: Tells where a key was set.
        allowed: The keys that this source may set.

    Raises:
        UsageError: If a key is not allowed or its value is invalid.
    """
    return Choices(
        **{
            checks.known_name(key, place(key), "key", allowed): _CHECKS[key](value, place(key))
            for key, value in values.items()
        }
    )
