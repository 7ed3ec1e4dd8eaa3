"""Work out the outcomes of the cells of a sweep."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.api import PluginError
from robench.engine.ensemble import find_worst_case
from robench.engine.work import CellWork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from robench.engine.plan import Ensemble, Sweep
    from robench.engine.prepare import Prepared
    from robench.engine.runner import Runner


@dataclass(frozen=True, kw_only=True)
class SweepWork:
    """What came of some positions of a sweep.

    Attributes:
        works: By key of the cell. The first cells are those of the sweep, in the order of the positions; the others are
            of members of its ensemble, which were tried on some images only.
        examples: The attacked images by epsilon, in the order of the positions, each of shape (N, C, H, W), float32.
    """

    works: dict[str, CellWork]
    examples: dict[str, Tensor]


def run_sweep(runner: Runner, sweep: Sweep, positions: Sequence[int], epsilons: tuple[str, ...]) -> SweepWork:
    """Work out the outcomes of some cells of a sweep at some positions.

    Args:
        runner: Attacks and judges.
        sweep: Whose defense is prepared.
        positions: Which images.
        epsilons: Decimal texts, ascending. An ensemble takes all of its own, whatever is asked for: where the search
            goes depends on the whole list.

    Raises:
        MemberError: If an attack of an ensemble breaks the rules or fails.
        PluginError: If attack or defense break the rules.
    """
    if sweep.prepared is None:
        message = f"defense {sweep.defense} is not prepared"
        raise PluginError(message)
    if sweep.ensemble is not None:
        return _run_ensemble(runner, sweep, sweep.ensemble, sweep.prepared, positions)
    begun = time.monotonic()
    found = runner.attack(sweep.prepared, sweep.assault, positions, [epsilons] * len(positions))
    seconds = (time.monotonic() - begun) / len(epsilons)
    keys = {cell.epsilon: cell.key for cell in sweep.cells}
    each, rest = divmod(found.queries, len(epsilons))  # the sum is what it is, however the images were grouped
    works = {
        keys[epsilon]: CellWork(outcomes=list(outcomes), seconds=seconds, queries=each + (place < rest))
        for place, (epsilon, outcomes) in enumerate(found.by_epsilon([epsilons] * len(positions)).items())
    }
    return SweepWork(works=works, examples={text: found.examples[:, at] for at, text in enumerate(epsilons)})


def _run_ensemble(
    runner: Runner, sweep: Sweep, ensemble: Ensemble, prepared: Prepared, positions: Sequence[int]
) -> SweepWork:
    begun = time.monotonic()
    found = find_worst_case(
        runner,
        prepared,
        ensemble.assaults,
        positions,
        ensemble.epsilons,
        purpose=ensemble.name,
        goal=ensemble.goal,
    )
    seconds = (time.monotonic() - begun) / len(ensemble.epsilons)
    works = {
        cell.key: CellWork(
            outcomes=list(found.outcomes[cell.epsilon]),
            seconds=seconds,
            queries=sum(own[cell.epsilon].queries for own in found.works.values() if cell.epsilon in own),
        )
        for cell in sweep.cells
    }
    for assault, cells in zip(ensemble.assaults, sweep.members, strict=True):
        own = found.works.get(assault.name, {})
        works.update({cell.key: own[cell.epsilon] for cell in cells if cell.epsilon in own})
    return SweepWork(works=works, examples=found.examples)
