"""An altered byte of a result is found, whichever it is."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from robench.api.records import Card, Finding, Metric, Outcome
from robench.errors import StoreError
from robench.storage import connection
from robench.storage.models import METADATA
from robench.storage.rows import has_own_key
from robench.storage.seals import sha256_of
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from robench.api.records import Cell
    from robench.storage.verify import Fault
    from tests.storage.conftest import Make

FINDING = Finding(name="gradients", status="WARN", number="3 %", meaning="some vanish", mend="look")
CARD = Card(
    defense="magnet",
    created="2026-01-02T03:04:05+00:00",
    verdict="BROKEN",
    lines=(("THREAT", "linf"),),
    metrics=(Metric(epsilon="0.3", name="strict", value=0.25, low=0.1, high=None, n=4),),
)


def fill(store: ResultStore, make: Make, *, images: int = 4) -> list[Cell]:
    """A run with everything that a run may hold."""
    run = make.run(images=images)
    cells = [make.keyed(0, attack="clean", epsilon="0", threshold=None), make.keyed(1), make.keyed(2, ensemble="e")]
    members = [make.keyed(3, ensemble="e", member=True, stochastic=True)]
    store.add_run(run, cells, members)
    for cell in cells:
        store.add_shard(cell.key, make.shard(range(images - 1), Outcome.WRONG))
        store.add_shard(cell.key, make.shard_of(replace(make.drawn(images - 1, 10, 2, 7), search_won=True)))
    store.add_shard(members[0].key, make.shard([1], Outcome.REJECTED))
    store.add_findings(run.id, "magnet", [FINDING, replace(FINDING, name="steps")])
    store.add_findings(run.id, "none", [])
    store.add_card(run.id, CARD)
    store.add_card(run.id, replace(CARD, created="2026-01-02T03:04:06+00:00", verdict="ROBUST"))
    store.fail_cell(run.id, members[0].key, "no memory")
    store.set_status(run.id, "complete")
    return cells


def faults(store: ResultStore) -> tuple[Fault, ...]:
    return store.verify().faults


def test_what_was_written_is_found_sound_at_every_step(store: ResultStore, make: Make) -> None:
    assert store.verify().faults == ()
    cells = fill(store, make)
    found = store.verify()
    assert (found.runs, found.cells, found.shards, found.outcomes) == (1, 4, 7, 13)
    assert found.faults == ()
    store.add_run(make.run(images=9), [*cells, make.keyed(4)])
    store.set_status(make.run().id, "interrupted")
    assert store.verify().faults == ()


ALTERATIONS = {
    "a score": ("UPDATE outcomes SET score = 0.25 WHERE position = 1", "outcomes differ from their digest"),
    "a label": ("UPDATE outcomes SET label = 9 WHERE position = 1", "outcomes differ from their digest"),
    "draws": ("UPDATE outcomes SET draws_wrong = 1 WHERE position = 3", "outcomes differ from their digest"),
    "what a search saw": (
        "UPDATE outcomes SET search_won = FALSE WHERE draws = 10",
        "outcomes differ from their digest",
    ),
    "that nobody looked": (
        "UPDATE outcomes SET search_won = NULL WHERE draws = 10",
        "outcomes differ from their digest",
    ),
    "an outcome less": ("DELETE FROM outcomes WHERE position = 1", "outcomes differ from their digest"),
    "a digest": ("UPDATE shards SET sha256 = 'f00' WHERE id = 1", "outcomes differ from their digest"),
    "a cost": ("UPDATE shards SET queries = 1 WHERE id = 1", "queries or environment of the shard differ"),
    "an environment": (
        "UPDATE shards SET environment = '[]' WHERE id = 1",
        "queries or environment of the shard differ",
    ),
    "a threshold": ("UPDATE cells SET threshold = 0.2 WHERE threshold = 0.1", "its fields are not those that its key"),
    "an epsilon": ("UPDATE cells SET epsilon = '0.03' WHERE epsilon = '0.3'", "its fields are not those that its key"),
    "provenance": ("UPDATE runs SET details = '{}'", "request and provenance of the run differ"),
    "a number of images": ("UPDATE runs SET images = 3", "request and provenance of the run differ"),
    "a status": ("UPDATE runs SET status = 'failed'", "the status and the id of the run differ"),
    "a failure": ("UPDATE run_cells SET failure = 'x' WHERE position = 0", "the list of cells and their failures"),
    "a cell less": ("DELETE FROM run_cells WHERE position = 3", "the list of cells and their failures"),
    "a finding": ("UPDATE findings SET status = 'PASS' WHERE position = 0", "findings magnet of the run differ"),
    "all findings": ("DELETE FROM findings", "findings magnet of the run differ"),
    "a card": ("UPDATE cards SET verdict = 'ROBUST' WHERE number = 1", "the evaluation cards of the run differ"),
    "a card less": ("DELETE FROM cards WHERE number = 2", "the evaluation cards of the run differ"),
    "a seal less": ("DELETE FROM seals WHERE part = 'request'", "request and provenance of the run differ"),
}


@pytest.mark.parametrize(("statement", "says"), ALTERATIONS.values(), ids=ALTERATIONS)
def test_an_altered_row_is_found(
    store: ResultStore, make: Make, change: Callable[..., None], statement: str, says: str
) -> None:
    fill(store, make)
    change(statement)
    found = faults(store)
    assert any(says in fault.what for fault in found)
    assert all(fault.runs == (make.run().id,) and fault.mend for fault in found)


def test_what_sqlite_would_take_for_true_is_found(
    path: Path, store: ResultStore, make: Make, change: Callable[..., None]
) -> None:
    fill(store, make)
    change("UPDATE outcomes SET search_won = 7 WHERE draws = 10")
    assert {fault.what.partition(": ")[2] for fault in faults(store)} == {"outcomes differ from their digest"}


def test_an_altered_outcome_is_named_by_run_cell_and_positions(
    store: ResultStore, make: Make, change: Callable[..., None]
) -> None:
    cells = fill(store, make)
    other = make.run(id_="b" * 12)
    store.add_run(other, [cells[1]])
    change("UPDATE outcomes SET prediction = 7 WHERE position = 1 AND shard_id = 3")
    (fault,) = faults(store)
    assert (fault.runs, fault.cell, fault.positions) == ((make.run().id, other.id), cells[1].key, (0, 1, 2))
    assert fault.what == "magnet, pgd, epsilon 0.3: outcomes differ from their digest"
    assert fault.mend == "restore the store from a backup, or evaluate into another one with --db"


def test_outcomes_in_the_shard_of_another_cell_are_found(
    store: ResultStore, make: Make, change: Callable[..., None]
) -> None:
    fill(store, make)
    change("UPDATE outcomes SET shard_id = 5 WHERE shard_id = 3")
    assert any("belong to a shard of another cell" in fault.what for fault in faults(store))


def test_a_complete_run_that_lacks_outcomes_is_found(
    store: ResultStore, make: Make, change: Callable[..., None]
) -> None:
    cells = fill(store, make)
    change("DELETE FROM outcomes WHERE shard_id = 3")
    change("DELETE FROM shards WHERE id = 3")
    (fault,) = faults(store)
    assert (fault.cell, fault.positions) == (cells[1].key, (0, 1, 2))
    assert "the run is complete, but these outcomes are not there" in fault.what
    store.set_status(make.run().id, "interrupted")
    assert faults(store) == ()


def test_going_on_with_a_run_does_not_vouch_for_what_was_altered(
    store: ResultStore, make: Make, change: Callable[..., None]
) -> None:
    cells = fill(store, make)
    change("UPDATE runs SET details = '{}'")
    change("UPDATE cards SET verdict = 'ROBUST' WHERE number = 1")
    store.add_run(make.run(), cells)
    store.add_card(make.run().id, replace(CARD, created="2027"))
    store.set_status(make.run().id, "complete")
    assert {fault.what.partition(" of ")[0] for fault in faults(store)} == {
        "request and provenance",
        "the evaluation cards",
    }


def test_rows_that_refer_to_nothing_are_found(path: Path, store: ResultStore, make: Make) -> None:
    fill(store, make)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM runs")
        database.commit()
    found = [fault.what for fault in faults(store)]
    assert "4 rows of run_cells refer to runs that are not there" in found
    assert "2 rows of cards refer to runs that are not there" in found


def test_a_view_that_counts_otherwise_is_found(path: Path, store: ResultStore, make: Make) -> None:
    fill(store, make)
    with closing(sqlite3.connect(path)) as database:
        database.executescript("DROP VIEW results; CREATE VIEW results AS SELECT 1 AS accuracy")
    assert [f.what for f in faults(store)] == ["tables, indices or views are not defined as robench defines them"]


def contents(store: ResultStore) -> dict[str, list[tuple[Any, ...]]]:
    """All that a reader of the store could see."""
    with connection.reading(store._engine) as opened:
        tables = {
            table.name: [tuple(row) for row in opened.execute(select(table).order_by(*table.primary_key))]
            for table in METADATA.sorted_tables
        }
        for view in ("results", "worst_case"):
            tables[view] = [tuple(row) for row in opened.exec_driver_sql(f"SELECT * FROM {view}")]
        return tables


def test_a_flipped_byte_of_the_file_changes_no_result_unnoticed(path: Path, make: Make) -> None:
    with ResultStore.open(str(path), create=True) as store:
        fill(store, make, images=30)
        original = contents(store)
    whole, draw, seen = path.read_bytes(), random.Random(1), 0
    for _ in range(100):
        flipped = bytearray(whole)
        flipped[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        try:
            with ResultStore.open(str(path), create=False) as store:
                noticed = bool(faults(store))
        except StoreError:
            seen += 1
            continue
        seen += noticed
        if not noticed:
            with ResultStore.open(str(path), create=False) as store:
                assert contents(store) == original
    assert seen > 10


def test_keys_of_older_schemas_are_their_own(make: Make) -> None:
    cell = make.cell(subject="")
    fields = {name: value for name, value in vars(cell).items() if name != "key"}
    for later in (("norm",), ("subject", "stochastic", "ensemble", "member")):
        fields = {name: value for name, value in fields.items() if name not in later}
        old = replace(cell, key=sha256_of(fields))
        assert has_own_key(old)
        for altered in (replace(old, norm="l2"), replace(old, seed=2), replace(old, epsilon="0.30")):
            assert not has_own_key(altered)
    assert not has_own_key(replace(old, stochastic=True))
    assert not has_own_key(replace(old, subject="5"))


def test_the_sign_of_zero_that_sqlite_drops_is_no_alteration(store: ResultStore, make: Make) -> None:
    cell = make.keyed(0, threshold=-0.0)
    store.add_run(make.run(), [cell])
    store.add_shard(cell.key, replace(make.shard_of(make.outcome(0, score=-0.0)), seconds=-0.0))
    assert faults(store) == ()


def test_an_upgrade_seals_what_had_no_digests(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    shutil.copyfile(Path(__file__).with_name("schema_0001.sqlite"), old)
    with ResultStore.open(str(old), create=True) as store:
        # The cells of that file have invented keys.
        assert {fault.what.rpartition(": ")[2] for fault in faults(store)} == {
            "its fields are not those that its key was made of"
        }
