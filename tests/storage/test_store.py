from __future__ import annotations

import itertools
import math
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from robench.api.records import ImageOutcome, Outcome, Shard
from robench.errors import StoreError, UsageError
from robench.storage.rows import shard_sha256
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from tests.storage.conftest import Make, Rows

NUMBERS = itertools.count()
FINITE = st.floats(allow_nan=False, allow_infinity=False)
DRAWS = [
    (draws, wrong, rejected) for draws in (1, 3) for wrong in range(draws + 1) for rejected in range(draws - wrong + 1)
]


def stored_shards(rows: Rows, cell_key: str) -> list[tuple[int, str]]:
    query = "SELECT s.id, s.sha256 FROM shards s JOIN cells c ON c.id = s.cell_id WHERE c.key = :key ORDER BY s.id"
    return [(row["id"], row["sha256"]) for row in rows(query, key=cell_key)]


def test_records_come_back_as_they_went_in(store: ResultStore, location: str, make: Make) -> None:
    run = make.run()
    cells = [
        make.cell(2, stochastic=True, ensemble="e", member=True),
        make.cell(1, attack="clean", epsilon="0", threshold=None),
    ]
    outcomes = (
        make.outcome(0, Outcome.WRONG, None),
        make.outcome(7, Outcome.REJECTED, 5e-324),
        make.outcome(3, Outcome.CORRECT, -1e300),
        make.drawn(4, 10, 6, 3),
    )
    store.add_run(run, cells)
    store.add_shard(cells[0].key, Shard(outcomes=outcomes, seconds=0.25, queries=9, environment="{}"))
    store.close()
    with ResultStore.open(location, create=False) as reopened:
        assert reopened.runs() == (run,)
        assert [counts.cell for counts in reopened.counts(run.id)] == cells
        assert reopened.outcomes(run.id, cells[0].key) == tuple(sorted(outcomes, key=lambda o: o.position))
        assert reopened.outcomes(run.id, cells[1].key) == ()


def test_counts_follow_the_plan_and_sum_to_n(store: ResultStore, make: Make) -> None:
    run = make.run()
    cells = [make.cell(number) for number in (3, 1, 2)]
    store.add_run(run, cells)
    store.add_shard(cells[1].key, make.shard([0, 1], Outcome.WRONG))
    store.add_shard(cells[1].key, make.shard([2], Outcome.REJECTED))
    store.fail_cell(run.id, cells[2].key, "the attack left the ball")
    assert store.counts(run.id) == (
        make.counts(cells[0]),
        make.counts(cells[1], wrong=2, rejected=1, shards=2),
        make.counts(cells[2], failure="the attack left the ball"),
    )


def test_the_same_request_again_resumes_the_run(store: ResultStore, make: Make) -> None:
    run, cell = make.run(), make.cell()
    store.add_run(run, [cell])
    store.add_shard(cell.key, make.shard(range(5)))
    store.fail_cell(run.id, cell.key, "a defect, since mended")
    store.set_status(run.id, "failed")
    store.add_run(make.run(created="2027-01-01T00:00:00+00:00"), [cell])
    assert store.runs() == (run,)
    assert store.counts(run.id)[0].failure == ""
    assert store.missing(cell.key, run.images) == tuple(range(5, 20))


def test_every_status_is_kept(store: ResultStore, make: Make) -> None:
    run = make.run()
    store.add_run(run, [])
    for status in ("interrupted", "complete", "failed", "running"):
        store.set_status(run.id, status)
        assert store.runs()[0].status == status


def test_missing_lists_positions_without_outcome(store: ResultStore, make: Make) -> None:
    cell = make.cell()
    assert store.missing(cell.key, 2) == (0, 1)
    store.add_run(make.run(), [cell])
    store.add_shard(cell.key, make.shard([1, 4, 9]))
    assert store.missing(cell.key, 6) == (0, 2, 3, 5)
    assert store.missing(cell.key, 0) == ()


def test_an_outcome_is_never_overwritten(store: ResultStore, rows: Rows, make: Make) -> None:
    run, cell = make.run(), make.cell()
    store.add_run(run, [cell])
    store.add_shard(cell.key, make.shard([0, 1]))
    store.add_shard(cell.key, make.shard([0, 1], Outcome.WRONG))
    store.add_shard(cell.key, make.shard([1, 2], Outcome.WRONG))
    assert [o.outcome for o in store.outcomes(run.id, cell.key)] == [Outcome.CORRECT, Outcome.CORRECT, Outcome.WRONG]
    assert len(stored_shards(rows, cell.key)) == 2


def test_shards_of_several_cells_are_stored_at_once(store: ResultStore, rows: Rows, make: Make) -> None:
    run, cells = make.run(), [make.cell(number) for number in (2, 1, 3)]
    store.add_run(run, cells)
    sweep = [(cell.key, make.shard(range(place + 1))) for place, cell in enumerate(cells)]
    for _ in range(2):
        store.add_shards([*sweep, (cells[0].key, make.shard([0, 7], Outcome.WRONG))])
        counted = [(counts.correct, counts.wrong) for counts in store.counts(run.id)]
        assert counted == [(1, 1), (2, 0), (3, 0)]
        assert [len(stored_shards(rows, cell.key)) for cell in cells] == [2, 1, 1]
    store.add_shards([])


def test_of_several_shards_all_are_stored_or_none(store: ResultStore, make: Make) -> None:
    run, cell = make.run(), make.cell()
    store.add_run(run, [cell])
    for key, shard, message in (
        ("f00", make.shard([0]), "holds no cell f00"),
        (cell.key, make.shard([3, 3]), "position 3 occurs twice"),
        (cell.key, make.shard_of(make.outcome(1, score=math.nan)), "score nan"),
    ):
        with pytest.raises(StoreError, match=message):
            store.add_shards([(cell.key, make.shard([0])), (key, shard)])
        assert store.counts(run.id)[0].n == 0


def test_a_shard_without_outcomes_leaves_no_trace(store: ResultStore, rows: Rows, make: Make) -> None:
    store.add_run(make.run(), [make.cell()])
    store.add_shard(make.cell().key, make.shard([]))
    assert stored_shards(rows, make.cell().key) == []


def test_runs_over_different_numbers_of_images_share_a_cell(store: ResultStore, make: Make) -> None:
    cell = make.cell()
    small, large = make.run(id_="500000000000", images=500), make.run(id_="a00000000000", images=1000)
    store.add_run(small, [cell])
    store.add_shard(cell.key, make.shard(range(500)))
    store.add_run(large, [cell])
    assert store.missing(cell.key, 1000) == tuple(range(500, 1000))
    store.add_shard(cell.key, make.shard(range(500, 1000), Outcome.WRONG))
    assert [(c.n, c.correct, c.wrong) for c in store.counts(small.id)] == [(500, 500, 0)]
    assert [(c.n, c.correct, c.wrong) for c in store.counts(large.id)] == [(1000, 500, 500)]
    assert len(store.outcomes(small.id, cell.key)) == 500


def test_a_failure_belongs_to_one_run(store: ResultStore, make: Make) -> None:
    cell = make.cell()
    first, second = make.run(id_="1" * 12), make.run(id_="2" * 12)
    store.add_run(first, [cell])
    store.add_run(second, [cell])
    store.fail_cell(first.id, cell.key, "no memory")
    assert store.counts(second.id)[0].failure == ""


def test_runs_are_listed_newest_first(store: ResultStore, make: Make) -> None:
    same = "2026-05-01T00:00:00+00:00"
    for id_, created in (("c", same), ("a", "2026-01-01T00:00:00+00:00"), ("b", same)):
        store.add_run(make.run(id_=id_ * 12, created=created), [])
    assert [run.id[0] for run in store.runs()] == ["b", "c", "a"]


def test_a_run_is_found_by_the_beginning_of_its_id(store: ResultStore, make: Make) -> None:
    with pytest.raises(StoreError, match=r"holds no runs yet; start one with robench run"):
        store.find_run(None)
    store.add_run(make.run(id_="abc000000000"), [])
    store.add_run(make.run(id_="abd000000000", created="2026-02-01T00:00:00+00:00"), [])
    assert store.find_run(None).id == "abd000000000"
    assert store.find_run("abc").id == "abc000000000"
    with pytest.raises(UsageError, match=r"2 runs .*'ab'; there are abd000000000, abc000000000"):
        store.find_run("ab")
    with pytest.raises(UsageError, match=r"no run .*'%'; there are abd000000000, abc000000000"):
        store.find_run("%")


def test_a_long_list_of_runs_is_cut(store: ResultStore, make: Make) -> None:
    for number in range(12):
        store.add_run(make.run(id_=f"{number:012x}"), [])
    with pytest.raises(UsageError, match=r"00000000000b, .* and 2 more"):
        store.find_run("0")


def test_what_is_not_there_is_named(store: ResultStore, make: Make) -> None:
    store.add_run(make.run(), [])
    with pytest.raises(StoreError, match="holds no run f00"):
        store.counts("f00")
    with pytest.raises(StoreError, match="holds no run f00"):
        store.set_status("f00", "complete")
    with pytest.raises(StoreError, match="holds no run f00"):
        store.outcomes("f00", "0")
    with pytest.raises(StoreError, match="holds no cell f00"):
        store.add_shard("f00", make.shard([0]))
    with pytest.raises(StoreError, match="holds no run 0123456789ab with cell f00"):
        store.fail_cell(make.run().id, "f00", "reason")


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_refused(store: ResultStore, make: Make, score: float) -> None:
    cell = make.cell()
    store.add_run(make.run(), [cell])
    bad = make.shard_of(make.outcome(0), make.outcome(1, score=score))
    with pytest.raises(StoreError, match=rf"position 1: score {score} is not a finite number"):
        store.add_shard(cell.key, bad)
    assert store.missing(cell.key, 2) == (0, 1)


def test_other_values_that_are_no_numbers_are_refused(store: ResultStore, make: Make) -> None:
    with pytest.raises(StoreError, match="threshold nan"):
        store.add_run(make.run(), [make.cell(threshold=math.nan)])
    assert store.runs() == ()
    store.add_run(make.run(), [make.cell()])
    with pytest.raises(StoreError, match="inf seconds"):
        store.add_shard(make.cell().key, replace(make.shard_of(), seconds=math.inf))


def test_an_outcome_that_is_not_that_of_its_draws_is_refused(store: ResultStore, make: Make) -> None:
    store.add_run(make.run(), [make.cell()])
    wrong = replace(make.drawn(2, 10, 5, 3), outcome=Outcome.WRONG)
    with pytest.raises(StoreError, match="position 2: wrong is not what 5 wrong and 3 rejected of 10 draws come to"):
        store.add_shard(make.cell().key, make.shard_of(wrong))


def test_a_position_twice_in_one_shard_is_refused(store: ResultStore, make: Make) -> None:
    store.add_run(make.run(), [make.cell()])
    with pytest.raises(StoreError, match="position 3 occurs twice"):
        store.add_shard(make.cell().key, make.shard([3, 3]))


def test_ctrl_c_within_a_transaction_rolls_it_back(store: ResultStore, rows: Rows, make: Make) -> None:
    cell = make.cell()
    store.add_run(make.run(), [cell])

    def interrupt(*arguments: object) -> None:
        if str(arguments[2]).startswith("INSERT INTO outcomes"):
            raise KeyboardInterrupt

    event.listen(store._engine, "after_cursor_execute", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.add_shard(cell.key, make.shard([0, 1]))
    event.remove(store._engine, "after_cursor_execute", interrupt)
    assert stored_shards(rows, cell.key) == []
    store.add_shard(cell.key, make.shard([0, 1]))
    assert store.missing(cell.key, 2) == ()


def test_a_shard_digest_is_recomputed_from_its_outcomes(store: ResultStore, rows: Rows, make: Make) -> None:
    run, cell = make.run(), make.cell()
    store.add_run(run, [cell])
    negative_zero = make.shard_of(make.outcome(9, score=-0.0))
    store.add_shard(cell.key, make.shard([4, 2]))
    store.add_shard(cell.key, make.shard([2, 3]))
    store.add_shard(cell.key, negative_zero)
    by_position = {outcome.position: outcome for outcome in store.outcomes(run.id, cell.key)}
    members = [[2, 4], [3], [9]]
    digests = [shard_sha256(cell.key, [by_position[p] for p in positions]) for positions in members]
    assert [digest for _, digest in stored_shards(rows, cell.key)] == digests


@st.composite
def outcomes_at(draw: st.DrawFn, position: int) -> ImageOutcome:
    draws, wrong, rejected = draw(st.sampled_from(DRAWS))
    return ImageOutcome(
        position=position,
        image=draw(st.integers(0, 2**31 - 1)),
        label=draw(st.integers(0, 9)),
        prediction=draw(st.integers(0, 9)),
        outcome=Outcome.of_draws(draws, wrong, rejected),
        score=draw(st.none() | FINITE),
        draws=draws,
        draws_wrong=wrong,
        draws_rejected=rejected,
    )


@st.composite
def outcomes_of_a_shard(draw: st.DrawFn) -> list[ImageOutcome]:
    positions = draw(st.lists(st.integers(0, 30), unique=True, max_size=12))
    return [draw(outcomes_at(position)) for position in positions]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shards=st.lists(outcomes_of_a_shard(), max_size=6), images=st.integers(1, 31))
def test_the_first_outcome_of_each_position_is_the_one_that_counts(
    store: ResultStore, rows: Rows, make: Make, *, shards: list[list[ImageOutcome]], images: int
) -> None:
    number = next(NUMBERS)  # every example has a cell of its own in the one store
    run, cell = make.run(id_=f"{number:012x}", images=images), make.cell(number)
    store.add_run(run, [cell])
    expected: dict[int, ImageOutcome] = {}
    for outcomes in shards:
        store.add_shard(cell.key, make.shard_of(*outcomes))
        expected = {outcome.position: outcome for outcome in outcomes} | expected
    within = {position: outcome for position, outcome in expected.items() if position < images}
    assert store.outcomes(run.id, cell.key) == tuple(within[position] for position in sorted(within))
    assert store.missing(cell.key, images) == tuple(p for p in range(images) if p not in within)
    (counts,) = store.counts(run.id)
    assert counts.n == len(within)
    assert counts.rejected == sum(outcome.outcome is Outcome.REJECTED for outcome in within.values())
    assert counts.fooled == pytest.approx(sum(outcome.fooled for outcome in within.values()))
    assert sum(len(positions) for positions in digested_positions(rows, cell.key)) == len(expected)


def digested_positions(rows: Rows, cell_key: str) -> list[list[int]]:
    """Positions of every shard of a cell, after its digest was recomputed from the plain table."""
    found = []
    names = ", ".join(field.name for field in fields(ImageOutcome))
    for shard_id, digest in stored_shards(rows, cell_key):
        members = rows(f"SELECT {names} FROM outcomes WHERE shard_id = :shard", shard=shard_id)
        outcomes = [ImageOutcome(**{**row, "outcome": Outcome(row["outcome"])}) for row in members]
        assert shard_sha256(cell_key, outcomes) == digest
        found.append([outcome.position for outcome in outcomes])
    return found
