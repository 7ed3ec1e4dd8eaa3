"""Plain SQL is part of the interface: these tests read the views as anybody would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robench.api.records import CLEAN, REJECTION, Outcome
from robench.storage.store import ResultStore
from tests.storage.conftest import select_rows

if TYPE_CHECKING:
    from robench.api.records import Cell
    from tests.storage.conftest import Make, Rows

LETTERS = {"c": Outcome.CORRECT, "w": Outcome.WRONG, "r": Outcome.REJECTED}


def fill(store: ResultStore, make: Make, cells: dict[Cell, str], *, images: int = 20) -> str:
    run = make.run(images=images)
    store.add_run(run, list(cells))
    for cell, letters in cells.items():
        outcomes = tuple(make.outcome(position, LETTERS[letter]) for position, letter in enumerate(letters))
        store.add_shard(cell.key, make.shard_of(*outcomes))
    return run.id


def test_a_rejected_image_is_robust_under_attack_and_an_error_when_clean(
    store: ResultStore, rows: Rows, make: Make
) -> None:
    run = fill(store, make, {make.cell(0, attack=CLEAN, epsilon="0"): "ccwr", make.cell(1, epsilon="0.3"): "ccwr"})
    same = {"run": run, "dataset": "mnist", "classifier": "A", "defense": "magnet", "n": 4, "wrong": 1, "rejected": 1}
    assert rows("SELECT * FROM results ORDER BY epsilon") == [
        {**same, "attack": "clean", "knowledge": "none", "norm": "none", "epsilon": "0", "accuracy": 0.5},
        {**same, "attack": "pgd", "knowledge": "naive", "norm": "linf", "epsilon": "0.3", "accuracy": 0.75},
    ]


def test_views_have_the_documented_columns_in_order(store: ResultStore, rows: Rows, make: Make) -> None:
    fill(store, make, {make.cell(): "c"})
    (result,), (worst,) = rows("SELECT * FROM results"), rows("SELECT * FROM worst_case")
    assert " ".join(result) == "run dataset classifier defense attack knowledge norm epsilon n accuracy wrong rejected"
    assert " ".join(worst) == "run dataset classifier defense attack norm worst_case_epsilon accuracy rejected"


def test_only_positions_below_the_images_of_the_run_count(store: ResultStore, rows: Rows, make: Make) -> None:
    fill(store, make, {make.cell(): "ccwww"}, images=2)
    assert [(row["n"], row["accuracy"]) for row in rows("SELECT * FROM results")] == [(2, 1.0)]


def test_a_cell_without_outcomes_does_not_appear(store: ResultStore, rows: Rows, make: Make) -> None:
    fill(store, make, {make.cell(): ""})
    assert rows("SELECT * FROM results") == []
    assert rows("SELECT * FROM worst_case") == []


def test_the_worst_case_is_the_epsilon_with_least_accuracy(store: ResultStore, rows: Rows, make: Make) -> None:
    fill(
        store,
        make,
        {
            make.cell(0, attack=CLEAN, epsilon="0"): "wwww",
            make.cell(1, epsilon="0.1"): "cccw",
            make.cell(2, epsilon="0.2"): "rwww",
            make.cell(3, epsilon="0.3"): "rrrr",
            make.cell(4, epsilon="0.3", defense="none"): "cwww",
            make.cell(5, epsilon="0.3", attack="fgsm"): "ccww",
        },
    )
    found = rows("SELECT * FROM worst_case ORDER BY defense, attack")
    assert [tuple(row.values())[3:] for row in found] == [
        ("magnet", "fgsm", "linf", "0.3", 0.5, 0),
        ("magnet", "pgd", "linf", "0.2", 0.25, 1),
        ("none", "pgd", "linf", "0.3", 0.25, 0),
    ]


@pytest.mark.parametrize("order", [("0.3", "0.05", "0.1"), ("0.1", "0.3", "0.05"), ("0.05", "0.1", "0.3")])
def test_tied_worst_cases_go_to_the_smallest_epsilon(
    store: ResultStore, rows: Rows, make: Make, order: tuple[str, ...]
) -> None:
    fill(store, make, {make.cell(number, epsilon=epsilon): "cw" for number, epsilon in enumerate(order)})
    assert [row["worst_case_epsilon"] for row in rows("SELECT * FROM worst_case")] == ["0.05"]


def test_epsilons_are_ordered_as_numbers_not_as_text(store: ResultStore, rows: Rows, make: Make) -> None:
    fill(store, make, {make.cell(0, epsilon="1"): "cw", make.cell(1, epsilon="1e-3"): "cw"})
    assert [row["worst_case_epsilon"] for row in rows("SELECT * FROM worst_case")] == ["1e-3"]


def test_accuracy_is_the_mean_share_of_draws(store: ResultStore, rows: Rows, make: Make) -> None:
    cells = [make.cell(0, attack=CLEAN, epsilon="0"), make.cell(1, epsilon="0.3")]
    store.add_run(make.run(), cells)
    for cell in cells:
        store.add_shard(cell.key, make.shard_of(make.drawn(0, 8, 4, 2), make.drawn(1, 8, 6, 0)))
    found = rows("SELECT accuracy, wrong, rejected FROM results ORDER BY epsilon")
    assert [tuple(row.values()) for row in found] == [(0.25, 1, 0), (0.375, 1, 0)]


def test_members_of_an_ensemble_are_no_results(store: ResultStore, rows: Rows, make: Make) -> None:
    composite, member = make.cell(0, attack="adaptive", ensemble="e"), make.cell(1, ensemble="e", member=True)
    store.add_run(make.run(), [composite], [member])
    for cell in (composite, member):
        store.add_shard(cell.key, make.shard([0]))
    assert [row["attack"] for row in rows("SELECT * FROM results")] == ["adaptive"]
    assert [row["attack"] for row in rows("SELECT * FROM worst_case")] == ["adaptive"]


def test_being_made_to_be_rejected_is_a_result_but_no_worst_case(store: ResultStore, rows: Rows, make: Make) -> None:
    fill(store, make, {make.cell(0, attack=REJECTION): "rr", make.cell(1, attack="pgd"): "cc"})
    assert {row["attack"] for row in rows("SELECT * FROM results")} == {REJECTION, "pgd"}
    assert [row["attack"] for row in rows("SELECT * FROM worst_case")] == ["pgd"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(st.text("cwr", min_size=1, max_size=8), min_size=1, max_size=6), images=st.integers(1, 8))
def test_views_and_counts_agree(
    tmp_path_factory: pytest.TempPathFactory, make: Make, *, cells: list[str], images: int
) -> None:
    path = tmp_path_factory.mktemp("views") / "robench.db"
    named = {
        make.cell(number, attack="pgd" if number else CLEAN, epsilon=f"0.{number}"): letters
        for number, letters in enumerate(cells)
    }
    with ResultStore.open(str(path), create=True) as store:
        run = fill(store, make, named, images=images)
        counts = {counted.cell.epsilon: counted for counted in store.counts(run)}
        results, worst = (select_rows(store, f"SELECT * FROM {view}") for view in ("results", "worst_case"))
    assert len(results) == len(counts) == len(cells)
    for row in results:
        counted = counts[row["epsilon"]]
        kept = counted.correct if row["attack"] == CLEAN else counted.correct + counted.rejected
        assert (row["n"], row["wrong"], row["rejected"]) == (counted.n, counted.wrong, counted.rejected)
        assert row["accuracy"] == kept / counted.n
    attacked = [row for row in results if row["attack"] != CLEAN]
    expected = min(attacked, key=lambda row: (row["accuracy"], float(row["epsilon"])), default=None)
    assert [row["worst_case_epsilon"] for row in worst] == ([expected["epsilon"]] if expected else [])
