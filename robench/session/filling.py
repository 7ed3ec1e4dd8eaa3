"""Fill the cells of a run: hand out tasks, store what comes of them, each defense and attack answering for itself."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from robench.api import PluginError
from robench.engine.diagnostics.examples import FirstExamples
from robench.engine.runner import default_batch_size
from robench.engine.tracing import Tracer
from robench.errors import RobenchError, describe_exception
from robench.executors.executor import Local
from robench.session.attacking import Attacker
from robench.session.savings import Savings
from robench.session.tasks import Pace, Task, batch_size_of_parts, batches, images_a_batch, images_of_part
from robench.session.views import View, WholeView, title

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from robench.api.records import Cell, Run
    from robench.engine.plan import Plan, Sweep
    from robench.engine.prepare import Prepared
    from robench.engine.progress import Progress
    from robench.engine.sweep import SweepWork
    from robench.executors.executor import Executor, Finished
    from robench.session.examples import Keeper
    from robench.session.tasks import TaskResult
    from robench.session.workbench import Workbench
    from robench.storage.store import ResultStore

_MOST_LOST = 2
"""Tasks of a sweep that are set aside before the rest of it is given up: each has cost three workers."""


@dataclass(kw_only=True)
class _Entry:
    """A sweep on its way.

    Attributes:
        sweep: As it is laid out now.
        without: Attacks that its ensemble has lost.
        pace: How long its batches take.
        given_up: Whether no more tasks of it are handed out.
        lost: Tasks of it that were set aside.
    """

    sweep: Sweep
    without: tuple[str, ...] = ()
    pace: Pace = field(default_factory=Pace)
    given_up: bool = False
    lost: int = 0

    @property
    def key(self) -> str:
        """Name of the sweep among those of the run."""
        return self.sweep.cells[0].key


class Filling:
    """Fills what is missing of one run.

    Args:
        bench: The request with everything it names.
        plan: Names the cells.
        store: Where outcomes are and go.
        run: Which run.
        environment: Versions and hardware of this process, as JSON text.
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
        self._entries: dict[str, _Entry] = {}
        self._waiting: deque[_Entry] = deque()
        self._view = View(progress)
        self._lost: list[Cell] = []
        self._failed: dict[str, str] = {}
        self._told: set[str] = set()
        self._tracer = Tracer(bench.device, bench.request.trace)
        self.examples = FirstExamples()
        self._savings = Savings(store, environment, self._tracer.watch)
        shard = bench.request.shard
        usual = bench.request.batch_size or default_batch_size(bench.device)
        self._size_of_parts = None if shard is None else batch_size_of_parts(shard, run.images, usual)
        self._executor: Executor[Task, TaskResult] = Local(
            Attacker(bench, self._sweep_of, environment, self._tracer.watch)
        )

    def fill(
        self,
        sweeps: Sequence[Sweep],
        failures: Mapping[str, str],
        executor: Executor[Task, TaskResult] | None = None,
    ) -> bool:
        """Evaluate what is missing; a plugin that fails costs its own cells only.

        Args:
            sweeps: All of the run.
            failures: Why defenses could not be prepared, by name.
            executor: Has the work done, ready; None to do it here.

        Returns:
            Whether no cell failed.

        Raises:
            RobenchError: If something else than a plugin fails. What was judged before is stored.
        """
        self._sweeps = list(sweeps)
        self._executor = executor or self._executor
        if self._keeper is not None:
            self._keeper.mention_lost(self._store, sweeps, self._progress.warn)
        for sweep in sweeps:
            self._enter(_Entry(sweep=sweep))
        with self._tracer.tracing(self._progress), self._savings, self._viewing():
            while self._waiting:  # what fails late may have something laid out anew
                with closing(self._executor.run(self._tasks(failures))) as finished:
                    for one in finished:
                        self._take(one)
        return not self._failed

    @property
    def outcomes(self) -> int:
        """How many outcomes there are to be."""
        return sum(len(sweep.cells) * len(self._positions(sweep)) for sweep in self._sweeps)

    @property
    def sweeps(self) -> Sequence[Sweep]:
        """The sweeps as they were filled in the end: an ensemble may have gone on without one of its attacks."""
        return self._sweeps

    @contextmanager
    def _viewing(self) -> Iterator[None]:
        if not self._executor.in_process:
            counts = [self._count(sweep, self._missing(sweep)) for sweep in self._sweeps]
            done, total = (sum(count) for count in zip(*counts, strict=True))
            workers = self._executor.workers
            text = f"all attacks, {workers} {'worker' if workers == 1 else 'workers'}"
            self._view = WholeView(self._progress, text, done, total)
        with self._view:
            yield

    def _enter(self, entry: _Entry, *, first: bool = False) -> None:
        self._entries[entry.key] = entry
        (self._waiting.appendleft if first else self._waiting.append)(entry)

    def _positions(self, sweep: Sweep) -> range:
        """Return the positions to fill: all, or those of a part."""
        together = images_a_batch(sweep, self._size_of_parts or 1, len(sweep.cells))
        return images_of_part(self._bench.request.shard, self._run.images, together)

    def _missing(self, sweep: Sweep) -> dict[str, list[int]]:
        wanted = self._positions(sweep)
        missing = {cell.epsilon: self._store.missing(cell.key, self._run.images) for cell in sweep.cells}
        return {epsilon: [place for place in places if place in wanted] for epsilon, places in missing.items()}

    def _count(self, sweep: Sweep, missing: Mapping[str, Sequence[int]]) -> tuple[int, int]:
        """Return how many outcomes of a sweep are stored, and how many there are to be."""
        total = len(missing) * len(self._positions(sweep))
        return total - sum(map(len, missing.values())), total

    def _sweep_of(self, task: Task) -> Sweep:
        return self._entries[task.key].sweep

    def _tasks(self, failures: Mapping[str, str]) -> Iterator[Task]:
        """Cut what is missing into tasks, sweep by sweep."""
        while self._waiting:
            entry = self._waiting.popleft()
            if entry.sweep.prepared is None:
                self._fail_sweep(entry, failures[entry.sweep.defense])
                continue
            missing = self._missing(entry.sweep)
            if any(missing.values()):
                yield from self._hand_out(entry, entry.sweep.prepared, missing)

    def _hand_out(self, entry: _Entry, prepared: Prepared, missing: Mapping[str, Sequence[int]]) -> Iterator[Task]:
        here = self._executor.in_process
        with ExitStack() as stack:
            try:
                # Where attacks run here, a note says what this process may die of.
                attempt = self._bench.attempt(prepared) if here else nullcontext(self._bench.batch_size_for(prepared))
                size = stack.enter_context(attempt)
            except (Exception, SystemExit) as error:  # noqa: BLE001 (third-party code may raise anything)
                self._fail_sweep(entry, _plugins_fault(error))
                return
            self._view.begin(entry.sweep, *self._count(entry.sweep, missing))
            left = list(batches(missing, self._size_of_parts or size, entry.sweep))
            while left and not entry.given_up:
                # Here, each batch is stored as soon as it is done.
                count = 1 if here else entry.pace.batches(len(left), self._executor.workers)
                together, left = tuple(left[:count]), left[count:]
                defense, attack = entry.sweep.defense, entry.sweep.attack
                without, key = entry.without, entry.key
                yield Task(defense=defense, attack=attack, without=without, key=key, batches=together, rows=size)
            self._view.end()

    def _take(self, one: Finished[Task, TaskResult]) -> None:
        """Store what came of a task, and see to what failed."""
        entry, result = self._entries[one.task.key], one.result
        if result is None:
            entry.lost += 1
            entry.given_up |= entry.lost >= _MOST_LOST
            self._fail_sweep(entry, one.reason, give_up=False)
            return
        entry.pace.learn(result)
        try:
            for (positions, _), found in zip(one.task.batches, result.found, strict=False):  # fewer after a failure
                self._keep(entry.sweep, positions, found, result.environment)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (third-party code may raise anything)
            self._fail_sweep(entry, _plugins_fault(error))
        if result.failure is not None and not entry.given_up:
            if result.failure.member is not None:
                self._drop_member(entry, result.failure.member, result.failure.reason)
            else:
                self._fail_sweep(entry, result.failure.reason)

    def _keep(self, sweep: Sweep, positions: Sequence[int], found: SweepWork, environment: str) -> None:
        if self._keeper is not None:
            self._keeper.keep(sweep, found)
        if sweep.ensemble is not None:
            self.examples.keep(sweep.defense, sweep.attack, positions, found.examples)
        self._savings.add(found.works, environment)
        self._tracer.batch_done()
        self._view.add(sum(len(found.works[cell.key].outcomes) for cell in sweep.cells if cell.key in found.works))

    def _drop_member(self, entry: _Entry, member: str, reason: str) -> None:
        """Go on without an attack that fails. What the others find is recorded as found without it."""
        sweep = entry.sweep
        if sweep.ensemble is None or len(sweep.ensemble.assaults) == 1:
            self._fail_sweep(entry, reason)
            return
        entry.given_up = True
        self._view.break_off()
        rest = self._plan.lay_out(sweep.offer, sweep.prepared, sweep.ensemble.without(member))
        self._sweeps[self._sweeps.index(sweep)] = rest
        lost = [cell for cells in sweep.members for cell in cells if cell.attack == member]
        self._lost += lost
        self._savings.commit()
        record(self._store, self._run, self._sweeps, self._lost)
        for key, known in self._failed.items():
            self._store.fail_cell(self._run.id, key, known)
        for cell in lost:
            self._fail(cell.key, reason)
        self._progress.warn(f"{sweep.attack} on {sweep.defense} goes on without {member}: {reason}")
        self._enter(_Entry(sweep=rest, without=(*entry.without, member)), first=True)

    def _fail_sweep(self, entry: _Entry, reason: str, *, give_up: bool = True) -> None:
        if give_up:
            entry.given_up = True
            self._view.break_off()
        for cell in entry.sweep.cells:
            self._fail(cell.key, reason)
        text = f"{title(entry.sweep)} on {entry.sweep.defense} failed: {reason}"
        if entry.sweep.prepared is not None and text not in self._told:
            self._told.add(text)
            self._progress.warn(text)

    def _fail(self, key: str, reason: str) -> None:
        self._failed[key] = reason
        self._store.fail_cell(self._run.id, key, reason)


def _plugins_fault(error: BaseException) -> str:
    """Return why a plugin failed.

    Raises:
        RobenchError: The error itself, if it is no plugin's fault.
    """
    if isinstance(error, PluginError):
        return str(error)
    if isinstance(error, RobenchError):
        raise error
    return describe_exception(error)


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
