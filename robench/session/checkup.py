"""``robench doctor``: everything that decides whether and how well robench works here. Changes nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from robench import __version__
from robench.engine.precision import resolve_device, training_format
from robench.engine.progress import Silent
from robench.errors import RobenchError
from robench.session.wording import count_of
from robench.session.workbench import data_context
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from robench.config.request import PathSettings
    from robench.registry.catalog import Catalog

_LIBRARIES = ("torch", "foolbox", "numpy", "sqlalchemy", "alembic", "pluggy", "typer", "rich", "safetensors", "pooch")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the check-up.

    Attributes:
        subject: What was looked at.
        status: ``ok``, ``note`` (works, but worth knowing) or ``problem``.
        text: What was found.
    """

    subject: str
    status: str
    text: str


@dataclass(frozen=True, kw_only=True)
class CheckUp:
    """All findings."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is a problem."""
        return all(finding.status != "problem" for finding in self.findings)


def check_up(paths: PathSettings, catalog: Catalog) -> CheckUp:
    """Look at everything; see ``Session.check_up``."""
    findings = [
        *_versions(),
        _device(),
        _sqlite(),
        _store(paths.db),
        _cache(paths.cache_dir),
        *_data(paths, catalog),
        *_plugins(catalog),
    ]
    return CheckUp(findings=tuple(findings))


def _versions() -> Iterator[Finding]:
    yield Finding(subject="robench", status="ok", text=f"{__version__} on Python {platform.python_version()}")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES)
    yield Finding(subject="libraries", status="ok", text=versions)


def _device() -> Finding:
    device = resolve_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    text = f"{device.type} ({name}); training in {training_format(device)}, judgement in float32"
    slow = training_format(device) == "float32"
    return Finding(subject="device", status="note" if slow else "ok", text=text)


def _sqlite() -> Finding:
    return Finding(subject="sqlite", status="ok", text=f"library {sqlite3.sqlite_version}")


def _store(db: str) -> Finding:
    try:
        if warning := ResultStore.check(db):
            return Finding(subject="store", status="note", text=warning)
        if "://" not in db and not os.path.exists(db):  # noqa: PTH110 (a location, not yet a path)
            return Finding(subject="store", status="ok", text=f"{db}: not there yet; robench run creates it")
        with ResultStore.open(db, create=False) as store:
            info = store.describe()
    except RobenchError as error:
        return Finding(subject="store", status="problem", text=str(error))
    text = (
        f"{info.location}: schema {info.schema_revision}, journal {info.journal_mode}, "
        f"{count_of(info.runs, 'runs')}, {count_of(info.outcomes, 'outcomes')}"
    )
    return Finding(subject="store", status="ok", text=text)


def _cache(folder: Path) -> Finding:
    if not folder.exists():
        return Finding(subject="cache", status="ok", text=f"{folder}: not there yet; made when first needed")
    if not os.access(folder, os.W_OK):
        return Finding(subject="cache", status="problem", text=f"{folder}: not writable; set ROBENCH_CACHE")
    networks = len(list(folder.glob("weights/*/*/manifest.json")))
    return Finding(subject="cache", status="ok", text=f"{folder}: {count_of(networks, 'trained networks')}")


def _data(paths: PathSettings, catalog: Catalog) -> Iterator[Finding]:
    """Read each test split without the network: nothing less shows that the files are right."""
    for name, entry in catalog.datasets.items():
        try:
            split = entry.spec.load("test", data_context(paths, Silent(), offline=True))
        except RobenchError as error:
            fetched = paths.data_dir is None and not paths.offline
            text = "not here yet; `robench run` downloads it" if fetched else str(error)
            yield Finding(subject=f"data {name}", status="note", text=text)
        except Exception as error:  # noqa: BLE001 (third-party code may raise anything)
            yield Finding(subject=f"data {name}", status="problem", text=f"{type(error).__name__}: {error}")
        else:
            yield Finding(subject=f"data {name}", status="ok", text=f"{len(split):,} test images, verified")


def _plugins(catalog: Catalog) -> Iterator[Finding]:
    counts = ", ".join(f"{len(names)} {kind}s" for kind, names in catalog.names().items())
    yield Finding(subject="plugins", status="ok", text=counts)
    for failure in catalog.failures:
        who = f"plugin {failure.entry_point} of {failure.distribution} {failure.version}"
        yield Finding(subject="plugins", status="problem", text=f"{who} failed: {failure.reason}")
