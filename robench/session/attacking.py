"""A worker's part of a run: attack and judge what a task names."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from robench.api import PluginError
from robench.engine.ensemble import MemberError
from robench.engine.runner import Runner
from robench.engine.sweep import run_sweep
from robench.errors import RobenchError, describe_exception
from robench.session.tasks import Failure, TaskResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from robench.engine.plan import Sweep
    from robench.engine.stopwatch import Stopwatch
    from robench.engine.sweep import SweepWork
    from robench.session.tasks import Task
    from robench.session.workbench import Workbench


class Attacker:
    """Carries out tasks.

    Args:
        bench: The request with everything it names.
        find: Finds the sweep of a task.
        environment: Versions and hardware of this process, as JSON text.
        watch: Told what the time goes into.
    """

    def __init__(
        self, bench: Workbench, find: Callable[[Task], Sweep], environment: str, watch: Stopwatch | None = None
    ) -> None:
        self._bench, self._find, self._environment, self._watch = bench, find, environment, watch
        self._runners: dict[int, Runner] = {}

    def __call__(self, task: Task, tried: int) -> TaskResult:
        """Carry out a task, with half as many rows at once each time that a worker died of it.

        A plugin that fails costs its own cells only, so that is a result like any other.

        Raises:
            RobenchError: If something else than a plugin fails.
        """
        found: list[SweepWork] = []
        failure = None
        begun = time.monotonic()
        try:
            sweep = self._find(task)
            runner = self._runner(max(1, task.rows >> tried))
            for positions, epsilons in task.batches:
                found.append(run_sweep(runner, sweep, positions, epsilons))
        except MemberError as error:
            failure = Failure(reason=str(error), member=error.member)
        except PluginError as error:
            failure = Failure(reason=str(error))
        except RobenchError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 (third-party code may raise anything)
            failure = Failure(reason=describe_exception(error))
        seconds = time.monotonic() - begun
        return TaskResult(found=tuple(found), seconds=seconds, environment=self._environment, failure=failure)

    def _runner(self, rows: int) -> Runner:
        if rows not in self._runners:
            self._runners[rows] = Runner(
                self._bench.splits.test,
                self._bench.references,
                seed=self._bench.request.seed,
                device=self._bench.device,
                rows=rows,
                norm=self._bench.request.norm,
                watch=self._watch,
            )
        return self._runners[rows]
