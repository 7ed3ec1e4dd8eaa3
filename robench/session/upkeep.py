"""``robench db``: whether what is stored is what was written, and how it gets from one store to another."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from robench.api import SPLIT_NAMES
from robench.errors import MissingDataError, RobenchError, StoreError, UsageError
from robench.session.wording import count_of
from robench.storage.archive import Archive, write_archive
from robench.storage.location import Location
from robench.storage.receiving import check
from robench.storage.schema import copy_of
from robench.storage.store import ResultStore
from robench.storage.verify import Fault, Verification

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from robench.config.request import PathSettings
    from robench.registry.catalog import Catalog
    from robench.storage.archive import Manifest
    from robench.storage.receiving import Receipt


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was looked at, and what is not as it was written.

    Attributes:
        looked_at: Kinds of things, such as ``shards``, with how many there are.
        faults: What is wrong.
    """

    looked_at: Mapping[str, int]
    faults: tuple[Fault, ...]


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """What an upgrade did.

    Attributes:
        before, after: Schema revisions; equal where there was nothing to do.
        copy: Of the file as it was; None where none was made.
    """

    before: str
    after: str
    copy: Path | None


def inspect(paths: PathSettings, catalog: Catalog, *, weights: bool, data: bool) -> Inspection:
    """Look for alterations; see ``Session.verify``."""
    with ResultStore.open(paths.db, create=False) as store:
        found = store.verify()
    looked_at = {"runs": found.runs, "cells": found.cells, "shards": found.shards, "outcomes": found.outcomes}
    faults = list(found.faults)
    if weights:
        from robench.engine.weights import check_weights

        checked = list(check_weights(paths.cache_dir))
        looked_at["checkpoints"] = len(checked)
        faults += [Fault(what=error.message, mend=error.hint) for error in checked if error is not None]
    if data:
        looked_at["data sets"], wrong = _check_data(paths, catalog)
        faults += wrong
    return Inspection(looked_at=looked_at, faults=tuple(faults))


def _check_data(paths: PathSettings, catalog: Catalog) -> tuple[int, list[Fault]]:
    """Read the data sets that are here, whose plugins hold the files against their published digests.

    Returns:
        How many are here, and what is wrong with them.
    """
    from robench.engine.data import Splits
    from robench.engine.progress import Silent
    from robench.session.workbench import data_context

    here, faults = 0, []
    for name, entry in catalog.datasets.items():
        passed_over: list[str] = []
        context = replace(data_context(paths, Silent(), offline=True), report=passed_over.append)
        try:
            for split in SPLIT_NAMES:
                getattr(Splits(entry.spec, context), split)  # one at a time: all of them may take gigabytes
            here += 1
        except MissingDataError:
            pass
        except RobenchError as error:
            here += 1
            faults.append(Fault(what=f"data set {name}: {error.message}", mend=error.hint))
        except Exception as error:  # noqa: BLE001 (third-party code may raise anything)
            what = f"data set {name}: {type(error).__name__}: {error}"
            faults.append(Fault(what=what, mend="tell the author of the plugin"))
        copies = [f"data set {name}: {line}" for line in dict.fromkeys(passed_over)]
        faults += [Fault(what=what, mend="replace it by a fresh copy") for what in copies]
    return here, faults


def back_up(db: str, copy: Path) -> Verification:
    """Copy a store of one file, though it be in use; the copy is there whole and verified, or not at all.

    Raises:
        UsageError: If the store is on a server, or the copy is there already.
        RobenchError: If there is no such store, it was altered, or the copy cannot be written.
    """
    _refuse_existing(copy)
    unverified = copy.with_name(f"{copy.name}.unverified")
    try:
        _require_writable(unverified, copy)
        with ResultStore.open(db, create=False) as store:
            store.back_up(unverified)
        with ResultStore.open(str(unverified), create=False) as copied:
            found = copied.verify()
        _refuse_faults(db, found.faults)
        unverified.replace(copy)
    finally:
        with suppress(OSError):  # where nothing can be written, nothing was left
            unverified.unlink(missing_ok=True)
    return found


def upgrade(db: str) -> Upgrade:
    """Bring a store of an older robench up to date.

    Raises:
        RobenchError: If there is no such store, or it cannot be upgraded.
    """
    before, after = ResultStore.upgrade(db)
    path = Location.parse(db).path
    copied = path is not None and before != after
    return Upgrade(before=before, after=after, copy=copy_of(path, before) if path and copied else None)


def export(db: str, archive: Path, runs: Sequence[str]) -> Manifest:
    """Write runs with their outcomes to an archive that another machine imports.

    Args:
        db: Path or URL of the store.
        archive: File to write.
        runs: Beginnings of the runs' ids; empty for all.

    Raises:
        UsageError: If the archive is there already, or there is no such run.
        RobenchError: If there is no such store, it was altered, or the archive cannot be written.
    """
    _refuse_existing(archive)
    with ResultStore.open(db, create=False) as store:
        ids = [store.find_run(prefix).id for prefix in runs] or None
        wanted = None if ids is None else set(ids)
        found = store.verify().faults
        _refuse_faults(db, [f for f in found if wanted is None or not f.runs or wanted.intersection(f.runs)])
        with store.source(ids) as source:
            return write_archive(source, archive)


def import_archive(db: str, path: Path) -> Receipt:
    """Take an archive in, all or nothing; what is there already is skipped.

    Raises:
        DataError: If the archive is damaged, or none.
        RobenchError: If it says something else than the store about the same outcome, or the store cannot be used.
    """
    with Archive(path) as archive:
        check(archive)
        with ResultStore.open(db, create=True) as store:
            return store.receive(archive)


def merge(db: str, others: Sequence[str]) -> list[Receipt]:
    """Take other stores in, each all or nothing; what is there already is skipped.

    Args:
        db: Path or URL of the store that receives.
        others: Paths or URLs of those that give.

    Raises:
        RobenchError: If one of them was altered, says something else about the same outcome, or cannot be used.
    """
    here = Location.parse(db)
    for other in others:
        if Location.parse(other).url == here.url:
            message = f"{here} cannot be merged into itself"
            raise UsageError(message, "name the receiving store with --db, and the others after merge")
        with ResultStore.open(other, create=False) as store:
            _refuse_faults(other, store.verify().faults)
            with store.source() as source:
                check(source)
    receipts = []
    with ResultStore.open(db, create=True) as receiver:
        for other in others:
            with ResultStore.open(other, create=False) as store, store.source() as source:
                receipts.append(receiver.receive(source))
    return receipts


def _refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        message = f"{path} is there already"
        raise UsageError(message, "name another file, or remove it")
    if not path.parent.is_dir():
        message = f"{path}: there is no folder {path.parent}"
        raise UsageError(message, "create the folder, or name another file")


def _require_writable(unverified: Path, copy: Path) -> None:
    try:
        unverified.touch()
    except OSError as error:
        message = f"cannot write {copy}: {error.strerror or error}"
        raise RobenchError(message, "name a file on another disk or in another folder") from error


def _refuse_faults(db: str, faults: Sequence[Fault]) -> None:
    if faults:
        counted = count_of(len(faults), "faults")
        message = f"{Location.parse(db)} has been altered: {counted}, the first is: {faults[0].what}"
        raise StoreError(message, "robench db verify lists them and says what to do")
