"""Puts plugins on the bench and runs their checks, with or without pytest."""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from robench.errors import RobenchError
from robench.testing.checks import CHECKS, NotRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from robench.api import DataContext
    from robench.engine.progress import Progress
    from robench.registry import Catalog, Entry, Kind
    from robench.testing.benches.bench import Bench
    from robench.testing.checks import Check
    from robench.testing.setting import Setting

Status = Literal["PASS", "FAIL", "not run"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one check.

    Attributes:
        check: Its name.
        summary: What it shows.
        status: ``not run`` where it does not concern the plugin, or needs something that is missing.
        reason: What was seen and what to do, in one line; empty for ``PASS``.
        seconds: Wall time.
    """

    check: str
    summary: str
    status: Status
    reason: str
    seconds: float


@contextmanager
def open_bench(kind: Kind, name: str, catalog: Catalog, setting: Setting, data: DataContext) -> Iterator[Bench[Any]]:
    """Put a plugin on a bench; its folder goes with it.

    Args:
        kind: What the plugin is.
        name: Of its spec.
        catalog: Where it is looked up.
        setting: What it is checked on.
        data: Where data sets may look for their files.
    """
    from robench.testing.benches.attack import AttackBench
    from robench.testing.benches.classifier import ClassifierBench
    from robench.testing.benches.dataset import DatasetBench
    from robench.testing.benches.defense import DefenseBench

    benches: Mapping[Kind, type[Bench[Any]]] = {
        "dataset": DatasetBench,
        "classifier": ClassifierBench,
        "defense": DefenseBench,
        "attack": AttackBench,
    }
    with tempfile.TemporaryDirectory(prefix="robench-check-") as folder:
        yield benches[kind](kind, name, catalog, setting=setting, data=data, folder=Path(folder))


def examine_all(
    entry: Entry[Any], catalog: Catalog, setting: Setting, environ: Mapping[str, str], progress: Progress
) -> list[Result]:
    """Run all checks of a plugin.

    Args:
        entry: The plugin.
        catalog: Where it is from.
        setting: What it is checked on.
        environ: Says where data are.
        progress: Told of each check.
    """
    checks = CHECKS[entry.kind]
    results = []
    with (
        progress.task(f"check {entry.kind} {entry.name}", len(checks), "checks") as task,
        open_bench(entry.kind, entry.name, catalog, setting, user_data(environ)) as bench,
    ):
        for check in checks:
            results.append(run_check(check, bench))
            task.update(len(results))
    return results


def execute(check: Check, bench: Bench[Any]) -> None:
    """Run one check and put global state back.

    Raises:
        PluginError: If the plugin breaks the rule.
        NotRun: If the rule does not concern it, or something is missing.
        Exception, SystemExit: Whatever else the plugin raises.
    """
    from robench.testing.guards import restored

    with restored():
        check.run(bench)


def run_check(check: Check, bench: Bench[Any]) -> Result:
    """Run one check. Whatever the plugin raises is its failure."""
    begun = time.monotonic()
    status: Status = "FAIL"
    try:
        execute(check, bench)
        status, reason = "PASS", ""
    except NotRun as remark:
        status, reason = "not run", str(remark)
    except RobenchError as error:
        reason = str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (a plugin may fail in any way)
        reason = f"{type(error).__name__}: {error}{_place(error, bench)}"
    return Result(
        check=check.name,
        summary=check.summary,
        status=status,
        reason=" ".join(reason.split()),
        seconds=round(time.monotonic() - begun, 3),
    )


def _place(error: BaseException, bench: Bench[Any]) -> str:
    """Say where in the plugin's own code an exception went through; nothing if nowhere."""
    package = bench.entry.module.partition(".")[0]
    place, trace = "", error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0] == package:
            place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


def user_data(environ: Mapping[str, str]) -> DataContext:
    """Return where the user's data are; nothing is downloaded."""
    from robench.api import DataContext
    from robench.config.request import Overrides, resolve_paths

    paths = resolve_paths(Overrides(), environ)
    return DataContext(data_dir=paths.data_dir, cache_dir=paths.cache_dir / "data", offline=True, report=lambda _: None)
