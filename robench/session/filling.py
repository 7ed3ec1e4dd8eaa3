"""Fill the cells of a run: batch by batch, each defense and attack answering for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api import PluginError
from robench.api.records import CLEAN
from robench.engine.diagnostics.examples import FirstExamples
from robench.engine.ensemble import MemberError
from robench.engine.runner import Runner
from robench.engine.sweep import run_sweep
from robench.engine.tracing import Tracer
from robench.errors import RobenchError, describe_exception
from robench.session.savings import Savings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from robench.api.records import Cell, Run
    from robench.engine.plan import Plan, Sweep
    from robench.engine.progress import Progress
    from robench.session.examples import Keeper
    from robench.session.workbench import Workbench
    from robench.storage.store import ResultStore


class Filling:
    """Fills what is missing of one run.

    Args:
        bench: The request with everything it names.
        plan: Names the cells.
        store: Where outcomes are and go.
        run: Which run.
        environment: Versions and hardware, as JSON text.
        progress: Told of each sweep.
        keeper: Keeps the attacked images, if they are wanted.

    Attributes:
        examples: Those of ensembles that were attacked just now, for diagnoses.
    """

    def __init__(
        self,
        bench: Workbench,
        plan: Plan,
        store: ResultStore,
        run: Run,
        *,
        environment: str,
        progress: Progress,
        keeper: Keeper | None = None,
    ) -> None:
        self._bench, self._plan = bench, plan
        self._store, self._run, self._progress = store, run, progress
        self._keeper = keeper
        self._sweeps: list[Sweep] = []
        self._lost: list[Cell] = []
        self._failed: dict[str, str] = {}
        self._tracer = Tracer(bench.device, bench.request.trace)
        self.examples = FirstExamples()
        self._savings = Savings(store, environment, self._tracer.watch)

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
        self._sweeps = list(sweeps)
        if self._keeper is not None:
            self._keeper.mention_lost(self._store, sweeps, self._progress.warn)
        with self._tracer.tracing(self._progress), self._savings:
            for sweep in sweeps:
                try:
                    if sweep.prepared is None:
                        raise PluginError(failures[sweep.defense])  # noqa: TRY301 (recorded like any other failure)
                    self._fill_sweep(sweep)
                except PluginError as error:
                    self._fail_sweep(sweep, str(error))
                except RobenchError:
                    raise
                except (Exception, SystemExit) as error:  # noqa: BLE001 (third-party code may raise anything)
                    self._fail_sweep(sweep, describe_exception(error))
        return not self._failed

    @property
    def sweeps(self) -> Sequence[Sweep]:
        """The sweeps as they were filled in the end: an ensemble may have gone on without one of its attacks."""
        return self._sweeps

    def _fill_sweep(self, sweep: Sweep) -> None:
        """Fill a sweep; where one attack of an ensemble fails, that of the others."""
        while True:
            try:
                self._fill_cells(sweep)
            except MemberError as error:
                sweep = self._drop_member(sweep, error)
            else:
                return

    def _fill_cells(self, sweep: Sweep) -> None:
        keys = {cell.epsilon: cell.key for cell in sweep.cells}
        missing = {epsilon: self._store.missing(key, self._run.images) for epsilon, key in keys.items()}
        total = len(keys) * self._run.images
        done = total - sum(len(positions) for positions in missing.values())
        if done == total or sweep.prepared is None:
            return
        with (
            self._bench.attempt(sweep.prepared) as size,
            self._progress.task(f"{sweep.defense}: {_title(sweep)}", total, "outcomes") as task,
        ):
            runner = Runner(
                self._bench.splits.test,
                self._bench.references,
                seed=self._run.seed,
                device=self._bench.device,
                rows=size,
                norm=self._bench.request.norm,
                watch=self._tracer.watch,
            )
            task.update(done)
            for positions, epsilons in _batches(missing, size, sweep):
                found = run_sweep(runner, sweep, positions, epsilons)
                if self._keeper is not None:
                    self._keeper.keep(sweep, found)
                if sweep.ensemble is not None:
                    self.examples.keep(sweep.defense, sweep.attack, positions, found.examples)
                self._savings.add(found.works)
                self._tracer.batch_done()
                done += sum(len(found.works[cell.key].outcomes) for cell in sweep.cells if cell.key in found.works)
                task.update(done)

    def _drop_member(self, sweep: Sweep, error: MemberError) -> Sweep:
        """Go on without an attack that fails. What the others find is recorded as found without it.

        Raises:
            PluginError: If it was the last one.
        """
        if sweep.ensemble is None or len(sweep.ensemble.assaults) == 1:
            raise PluginError(error.message, error.hint) from error
        rest = self._plan.lay_out(sweep.offer, sweep.prepared, sweep.ensemble.without(error.member))
        self._sweeps[self._sweeps.index(sweep)] = rest
        lost = [cell for cells in sweep.members for cell in cells if cell.attack == error.member]
        self._lost += lost
        self._savings.commit()
        record(self._store, self._run, self._sweeps, self._lost)
        for key, reason in self._failed.items():
            self._store.fail_cell(self._run.id, key, reason)
        for cell in lost:
            self._fail(cell.key, str(error))
        self._progress.warn(f"{sweep.attack} on {sweep.defense} goes on without {error.member}: {error}")
        return rest

    def _fail_sweep(self, sweep: Sweep, reason: str) -> None:
        for cell in sweep.cells:
            self._fail(cell.key, reason)
        if sweep.prepared is not None:
            self._progress.warn(f"{_title(sweep)} on {sweep.defense} failed: {reason}")

    def _fail(self, key: str, reason: str) -> None:
        self._failed[key] = reason
        self._store.fail_cell(self._run.id, key, reason)


def record(store: ResultStore, run: Run, sweeps: Sequence[Sweep], lost: Sequence[Cell] = ()) -> None:
    """Record which cells a run asks for.

    Args:
        store: Where to.
        run: The run.
        sweeps: All of its sweeps.
        lost: Cells of attacks that an ensemble had to do without.
    """
    cells = [cell for sweep in sweeps for cell in sweep.cells]
    members = [cell for sweep in sweeps for own in sweep.members for cell in own]
    store.add_run(run, cells, [*members, *lost])


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
        # In an ensemble every image is at one epsilon at a time, and a minimal attack takes all at once.
        once = sweep.assault is None or sweep.assault.form == "minimal"
        count = size if once else max(1, size // len(epsilons))
        for start in range(0, len(positions), count):
            yield positions[start : start + count], epsilons
