"""Many processes that make, and write to, one store at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.storage.store import ResultStore
from tests.stress.laboratory import acknowledged
from tests.stress.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stress.nursery import Nursery

PROCESSES = 8


def crowd(nursery: Nursery, location: Callable[[str], str], kind: str, *, shards: int, openings: int) -> Trial:
    """Let processes open new stores at once, then write shards to one.

    Args:
        nursery: Where they come from.
        location: Returns where a new store of that name is to be.
        kind: What kind of store it is.
        shards: For each process to write.
        openings: How often a new store is opened by all of them; none where there is no first moment.
    """
    wanted = PROCESSES * shards
    trial = Trial(
        name=f"{PROCESSES} processes writing one {kind} store, {shards} shards each; first open by all x {openings}",
        demand=f'{wanted} shards, {PROCESSES * openings} opened, no "database is locked"',
    )
    opened = 0
    for number in range(openings):
        target = location(f"opened_{number}")
        children = [nursery.start("open_store", target) for _ in range(PROCESSES)]
        for child in children:
            nursery.wait(child)
            opened += child.lines()[-1:] == ["done"]
            trial.complaints += [line for line in child.lines() if line not in {"begun", "done"}]
    target = location("shared")
    children = [nursery.start("write", target, number, shards) for number in range(PROCESSES)]
    said = 0
    for child in children:
        nursery.wait(child)
        said += len(acknowledged(child.lines()))
        trial.complaints += [line for line in child.lines() if not line.startswith(("stored ", "done"))]
    with ResultStore.open(target, create=False) as store:
        found = sum(count.n for run in store.runs() for count in store.counts(run.id))
    trial.expect(opened == PROCESSES * openings, f"{opened} of {PROCESSES * openings} opened")
    trial.expect(said == found == wanted * 10, f"{found} of {wanted * 10} outcomes stored, {said} acknowledged")
    trial.found = f"{found // 10}/{wanted} shards, {opened}/{PROCESSES * openings} opened"
    trial.facts = {"shards": found // 10, "of": wanted, "opened": opened, "openings": PROCESSES * openings}
    return trial
