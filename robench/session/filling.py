"""Fill the cells of a run: batch by batch, each defense and attack answering for itself."""

from __future__ import annotations

import json
import time
import traceback
from typing import TYPE_CHECKING

from robench.api import PluginError
from robench.api.records import CLEAN
from robench.engine.bisection import run_sweep
from robench.engine.runner import Runner
from robench.engine.tracing import Tracer
from robench.errors import RobenchError
from robench.session.savings import Savings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from robench.api.records import Run
    from robench.engine.plan import Sweep
    from robench.engine.prepare import Prepared
    from robench.engine.progress import Progress
    from robench.session.workbench import Workbench
    from robench.storage.store import ResultStore


class Filling:
    """Fills what is missing of one run.

    Args:
        bench: The request with everything it names.
        store: Where outcomes are and go.
        run: Which run.
        environment: Versions and hardware, for the record.
        progress: Told of each sweep.
    """

    def __init__(
        self, bench: Workbench, store: ResultStore, run: Run, environment: Mapping[str, str], progress: Progress
    ) -> None:
        self._bench, self._store, self._run, self._progress = bench, store, run, progress
        self._tracer = Tracer(bench.device, bench.request.trace)
        self._savings = Savings(store, json.dumps(environment), self._tracer.watch)

    def fill(self, sweeps: Sequence[Sweep], failures: Mapping[str, str]) -> bool:
        """Evaluate what is missing; a plugin that fails costs its own cells only.

        Args:
            sweeps: All of the run.
            failures: Why defenses could not be prepared, by name.

        Returns:
            Whether no cell failed.

        Raises:
            RobenchError: If something else than a plugin fails. What was judged before is stored.
        """
        complete = True
        with self._tracer.tracing(self._progress), self._savings:
            for sweep in sweeps:
                try:
                    if sweep.prepared is None:
                        raise PluginError(failures[sweep.defense])  # noqa: TRY301 (recorded like any other failure)
                    self._fill_sweep(sweep, sweep.prepared)
                except PluginError as error:
                    complete = False
                    self._fail_sweep(sweep, str(error))
                except RobenchError:
                    raise
                except (Exception, SystemExit) as error:  # noqa: BLE001 (third-party code may raise anything)
                    complete = False
                    self._fail_sweep(sweep, describe_exception(error))
        return complete

    def _fill_sweep(self, sweep: Sweep, prepared: Prepared) -> None:
        keys = {cell.epsilon: cell.key for cell in sweep.cells}
        missing = {epsilon: self._store.missing(key, self._run.images) for epsilon, key in keys.items()}
        total = len(keys) * self._run.images
        done = total - sum(len(positions) for positions in missing.values())
        if done == total:
            return
        size = self._bench.batch_size_for(prepared)
        runner = Runner(
            self._bench.splits.test,
            seed=self._run.seed,
            device=self._bench.device,
            rows=size,
            watch=self._tracer.watch,
        )
        with self._progress.task(f"{sweep.defense}: {_title(sweep)}", total, "outcomes") as task:
            task.update(done)
            for positions, epsilons in _batches(missing, size, sweep):
                begun = time.monotonic()
                found = run_sweep(runner, sweep, positions, epsilons)
                seconds = time.monotonic() - begun
                self._savings.add({keys[epsilon]: outcomes for epsilon, outcomes in found.items()}, seconds)
                self._tracer.batch_done()
                done += sum(len(outcomes) for outcomes in found.values())
                task.update(done)

    def _fail_sweep(self, sweep: Sweep, reason: str) -> None:
        for cell in sweep.cells:
            self._store.fail_cell(self._run.id, cell.key, reason)
        if sweep.prepared is not None:
            self._progress.note(f"{_title(sweep)} on {sweep.defense} failed: {reason}")


def _title(sweep: Sweep) -> str:
    if sweep.attack == CLEAN:
        return CLEAN
    first, last = sweep.cells[0].epsilon, sweep.cells[-1].epsilon
    return f"{sweep.attack} eps {first}" + (f" to {last}" if len(sweep.cells) > 1 else "")


def _batches(
    missing: Mapping[str, Sequence[int]], size: int, sweep: Sweep
) -> Iterator[tuple[list[int], tuple[str, ...]]]:
    """Group positions that lack the same epsilons so that image times epsilons fill a batch."""
    lacking: dict[int, list[str]] = {}
    for epsilon, positions in missing.items():
        for position in positions:
            lacking.setdefault(position, []).append(epsilon)
    groups: dict[tuple[str, ...], list[int]] = {}
    for position in sorted(lacking):
        groups.setdefault(tuple(lacking[position]), []).append(position)
    for epsilons, positions in groups.items():
        # In the worst case every image is at one epsilon at a time.
        count = size if sweep.worst_case else max(1, size // len(epsilons))
        for start in range(0, len(positions), count):
            yield positions[start : start + count], epsilons


def describe_exception(error: BaseException) -> str:
    """Return one line with type, message and the place where a plugin's exception was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno}, in {frame.name})"
