"""Runs in the worst case per image, and runs through the library instead of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from robench.api import UsageError
from robench.api.records import WORST_CASE, Outcome
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from robench.api.records import RunSummary
    from tests.conftest import ToyLab

GRID = "0.05:0.4:8"


def fooled(lab: ToyLab, summary: RunSummary) -> dict[tuple[str, str, str], list[bool]]:
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        return {
            (count.cell.defense, count.cell.attack, count.cell.epsilon): [
                item.outcome is Outcome.WRONG for item in store.outcomes(summary.run.id, count.cell.key)
            ]
            for count in store.counts(summary.run.id)
        }


def test_the_worst_case_is_never_better_than_any_attack_and_falls_with_epsilon(lab: ToyLab) -> None:
    each = lab.run(epsilons=GRID)
    worst = lab.run(epsilons=GRID, worst_case=True)
    assert worst.complete
    assert {row.attack for row in worst.results} == {WORST_CASE}
    assert {row.knowledge for row in worst.results} == {"naive"}
    for defense in worst.defenses:
        curve = [row.accuracy for row in worst.results if row.defense == defense]
        assert curve == sorted(curve, reverse=True)
    single, union = fooled(lab, each), fooled(lab, worst)
    for (defense, attack, epsilon), lost in single.items():
        # On a deterministic defense whose attacks win ever more with epsilon, halving misses nothing.
        if defense == "none" and attack == "fgsm":
            assert all(
                worst_one or not one for worst_one, one in zip(union[defense, WORST_CASE, epsilon], lost, strict=True)
            )


def test_the_worst_case_does_not_depend_on_batches_and_resumes(lab: ToyLab) -> None:
    whole = lab.run(epsilons=GRID, worst_case=True, images=40)
    expected = fooled(lab, whole)
    (lab.folder / "toys.db").unlink()
    lab.run(epsilons=GRID, worst_case=True, images=25, batch_size=7)
    rest = lab.run(epsilons=GRID, worst_case=True, images=40, batch_size=7)
    assert fooled(lab, rest) == expected


def test_the_library_and_the_engine_find_the_same_outcomes_in_float32(lab: ToyLab) -> None:
    native = lab.run(search_precision="float32", attacks=("fgsm", "bim", "pgd"))
    library = lab.run(engine="foolbox", attacks=("fgsm", "bim", "pgd"))
    assert native.run.id != library.run.id
    assert fooled(lab, native) == fooled(lab, library)


def test_precision_and_engine_are_part_of_the_record(lab: ToyLab) -> None:
    ids = {lab.run(search_precision=precision).run.id for precision in ("float32", "bfloat16")}
    assert len(ids | {lab.run(engine="foolbox").run.id}) == 3


def test_tf32_is_refused_on_a_cpu_before_anything_is_written(lab: ToyLab) -> None:
    with pytest.raises(UsageError, match="--search-precision tf32: there is no such format on cpu"):
        lab.run(search_precision="tf32")
    assert not (lab.folder / "toys.db").exists()


def test_the_library_does_not_search_in_a_reduced_format(lab: ToyLab) -> None:
    with pytest.raises(
        UsageError, match="--search-precision bfloat16: --engine foolbox searches on the defense itself"
    ):
        lab.run(engine="foolbox", search_precision="bfloat16")


def test_the_attack_that_breaks_the_rules_is_named_in_the_worst_case(lab: ToyLab) -> None:
    summary = lab.run(defenses=("none",), attacks=("fgsm", "broken-ball"), epsilons="0.01", worst_case=True)
    (reason,) = {row.reason for row in summary.failures}
    assert "attack broken-ball: " in reason
