"""Runs in L2 beside runs in Linf, minimal attacks, and attacks that cannot run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from robench.api import UsageError
from robench.engine.progress import Silent
from robench.report import render
from robench.session import workbench
from robench.session.replay import Wanted
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from robench.api import AttackSpec
    from robench.api.records import Cell, RunSummary
    from tests.conftest import ToyLab


class Notes(Silent):
    """Remembers what it is told and shows nothing."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def cells(lab: ToyLab, summary: RunSummary, db: str = "toys.db") -> list[Cell]:
    with ResultStore.open(str(lab.folder / db), create=False) as store:
        return [count.cell for count in store.counts(summary.run.id)]


def accuracy(summary: RunSummary) -> dict[tuple[str, str, str], float]:
    return {(row.defense, row.attack, row.epsilon): row.accuracy for row in summary.results}


def test_a_run_in_l2_says_so_everywhere(lab: ToyLab) -> None:
    summary = lab.run(defenses=("toy-detect",), attacks=("fgsm", "adaptive"), epsilons="0.4,1.2", images=8, norm="l2")
    assert summary.complete
    assert not summary.failures
    assert {cell.norm for cell in cells(lab, summary)} == {"none", "l2"}
    assert {row.norm for row in summary.results} | {row.norm for row in summary.worst} == {"l2"}
    assert all(card.lines[0][1].startswith("L2, eps 0.4 1.2;") for card in summary.cards)
    document = json.loads(render(summary, "json"))
    assert (document["norm"], document["details"]["norm"]) == ("l2", "l2")
    assert "norm L2" in render(summary, "markdown")
    assert "--norm l2 --epsilons 0.4,1.2" in str(summary.details["replay"])
    # An L2 ball of 0.4 holds no Linf ball beyond 0.05, so what falls here falls for another reason.
    fallen = accuracy(summary)
    assert fallen["none", "adaptive", "1.2"] < fallen["none", "adaptive", "0.4"]


def test_wins_in_l2_do_not_lower_the_bound_in_linf(lab: ToyLab) -> None:
    def run(**changes: Any) -> RunSummary:
        return lab.run(defenses=("none",), attacks=("pgd",), images=12, **changes)

    alone = run(epsilons="0.01", db=str(lab.folder / "alone.db"))
    wide = run(epsilons="4", norm="l2")
    after = run(epsilons="0.01")
    assert min(accuracy(wide).values()) == 0
    assert [card.metrics for card in after.cards] == [card.metrics for card in alone.cards]
    clean = [cell.key for summary in (wide, after) for cell in cells(lab, summary) if cell.attack == "clean"]
    assert len(set(clean)) == 1  # clean images are in no ball, so they are judged once
    assert len({cell.subject for summary in (wide, after) for cell in cells(lab, summary)}) == 1


def test_what_is_kept_in_l2_is_replayed_in_eight_bits(lab: ToyLab) -> None:
    lab.run(defenses=("none",), attacks=("pgd",), epsilons="1.5", images=8, norm="l2", keep_examples=True)
    overrides = lab.overrides(defenses=("none",), attacks=None, epsilons=None, images=None)
    for form in ("float", "8-bit"):
        found = lab.session().replay(Wanted(epsilon="1.5", form=form), overrides)
        assert [row.n for row in found.rows] == [8]
        assert form == "8-bit" or found.rows[0].alike == 8


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"attacks": ("fgsm", "toy-corner")},
            "attack toy-corner does not search in L2; leave it out, or choose among ",
        ),
        ({"attacks": ("fgsm",), "epsilons": "8.5"}, r"epsilon 8.5: no two images of toy-bars .* than 8 \(L2\)"),
    ],
)
def test_what_cannot_be_done_in_l2_is_refused_before_any_work(
    lab: ToyLab, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        lab.run(norm="l2", **changes)
    assert "square-reject" not in str(caught.value)
    assert not (lab.folder / "toys.db").exists()


def test_adaptive_leaves_out_what_cannot_search_in_l2(lab: ToyLab) -> None:
    notes = Notes()
    request = lab.session().resolve(lab.overrides(attacks=("adaptive",), norm="l2", budget="thorough"))
    bench = workbench.Workbench(request, lab.session().catalog, notes)
    assert {"joint", "noise", "eot-pgd"} <= {assault.name for assault in bench.adaptive}
    assert not {"square-reject", "hopskipjump-reject"} & {assault.name for assault in bench.adaptive}


@pytest.mark.parametrize(
    ("norm", "some", "more"), [("linf", "0.2,0.5", "0.1,0.2,0.3,0.5,0.6"), ("l2", "1,2.5", "0.5,1,1.5,2,2.5,3")]
)
def test_a_minimal_attack_ends_alike_whatever_epsilons_are_asked_for(
    lab: ToyLab, norm: str, some: str, more: str
) -> None:
    few, many = (
        lab.run(
            defenses=("none", "toy-noise"),
            attacks=("toy-closest",),
            epsilons=epsilons,
            images=10,
            norm=norm,
            db=str(lab.folder / f"{place}.db"),
        )
        for place, epsilons in enumerate((some, more))
    )
    queries = []
    for place, summary in enumerate((few, many)):
        with ResultStore.open(str(lab.folder / f"{place}.db"), create=False) as store:
            queries.append(sum(count.queries for count in store.counts(summary.run.id)))
    assert queries[1] == queries[0]
    found = accuracy(many)
    assert all(found[key] == value for key, value in accuracy(few).items())
    for defense in ("none", "toy-noise"):
        curve = [value for key, value in found.items() if key[0] == defense]
        assert curve == sorted(curve, reverse=True)
    assert min(found.values()) < max(found.values())


def test_a_minimal_attack_is_a_member_of_the_worst_case(lab: ToyLab) -> None:
    options: dict[str, Any] = {"defenses": ("none",), "epsilons": "0.1,0.3,0.5", "images": 10}
    alone = accuracy(lab.run(attacks=("toy-closest", "toy-corner"), **options))
    together = accuracy(lab.run(attacks=("toy-corner", "toy-closest"), worst_case=True, **options))
    for epsilon in ("0.1", "0.3", "0.5"):
        single = min(alone["none", name, epsilon] for name in ("toy-closest", "toy-corner"))
        assert together["none", "worst-case", epsilon] <= single
    assert together["none", "worst-case", "0.5"] < 1


def test_an_attack_without_its_module_is_refused_before_any_work(lab: ToyLab) -> None:
    with pytest.raises(UsageError) as caught:
        lab.run(attacks=("fgsm", "toy-foreign"))
    assert caught.value.message == "attack toy-foreign needs module_that_nobody_has"
    assert caught.value.hint == 'pip install "robench-toys[foreign]"'
    assert not (lab.folder / "toys.db").exists()


def test_adaptive_does_without_an_attack_that_lacks_its_module_and_says_so(
    lab: ToyLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(spec: AttackSpec[object]) -> dict[str, str]:
        return {"strange": "robench[strange]"} if spec.name in {"joint", "noise"} else {}

    monkeypatch.setattr(workbench, "missing_modules", missing)
    notes = Notes()
    request = lab.session().resolve(lab.overrides(attacks=("adaptive",)))
    bench = workbench.Workbench(request, lab.session().catalog, notes)
    assert not {"joint", "noise"} & {assault.name for assault in bench.adaptive}
    assert "transfer" in {assault.name for assault in bench.adaptive}
    assert notes.texts == ["adaptive leaves out noise (needs strange); joint (needs strange)"]
