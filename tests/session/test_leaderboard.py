"""Leaderboards: checked, joined, and no more flattering than all stores together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from robench.errors import RobenchError, UsageError
from robench.report.html.leaderboard import leaderboard_html
from robench.session import Session
from robench.session.leaderboard import _name
from robench.session.upkeep import export
from tests.conftest import clean_environment
from tests.fabricated_store import Fabrication, fabricate

if TYPE_CHECKING:
    from pathlib import Path

    from robench.api.leaderboard import Board, Entry
    from robench.api.records import FindingStatus

ATTACKED = Fabrication(images=40)


def session(folder: Path) -> Session:
    return Session(environ={**clean_environment(), "ROBENCH_CACHE": str(folder)}, cwd=folder)


def store(folder: Path, name: str, made: Fabrication) -> str:
    path = folder / f"{name}.db"
    fabricate(path, made)
    return str(path)


def entries(boards: tuple[Board, ...]) -> dict[str, Entry]:
    return {entry.defense: entry for board in boards for entry in board.entries}


def test_stores_and_archives_are_read_alike(tmp_path: Path) -> None:
    made = store(tmp_path, "a", ATTACKED)
    export(made, tmp_path / "a.zip", [])
    direct = session(tmp_path).leaderboard([made])
    packed = session(tmp_path).leaderboard([str(tmp_path / "a.zip")])
    assert [(name, entry.worst) for name, entry in entries(direct).items()] == [
        (name, entry.worst) for name, entry in entries(packed).items()
    ]
    assert entries(packed)["magnet"].sources == ("a.zip",)


def test_the_epsilons_of_the_configuration_are_ranked(tmp_path: Path) -> None:
    first = store(tmp_path, "a", Fabrication(images=20, epsilons=("0.05", "0.1", "0.2", "0.3")))
    second = store(tmp_path, "b", Fabrication(images=20, norm="l2", epsilons=("0.5", "1", "2")))
    other = store(tmp_path, "c", Fabrication(images=20, dataset="other"))
    boards = session(tmp_path).leaderboard([first, second, other])
    assert [(board.dataset, board.norm, board.epsilons) for board in boards] == [
        ("mnist", "l2", ("0.5", "1", "2")),
        ("mnist", "linf", ("0.1", "0.2", "0.3")),
        ("other", "linf", ("0.1", "0.2", "0.3")),
    ]
    (asked,) = session(tmp_path).leaderboard([first], "0.05")
    assert asked.epsilons == ("0.05",)
    with pytest.raises(UsageError, match=r"nothing was evaluated there; evaluated were 0\.05, 0.1, 0.2, 0.3"):
        session(tmp_path).leaderboard([first], "0.15,0.25")


@pytest.mark.parametrize("source", ["", "nothing.db"])
def test_a_source_that_is_not_there_is_named(tmp_path: Path, source: str) -> None:
    with pytest.raises(UsageError, match=f'"{source}": there is no such file; name stores, or archives'):
        session(tmp_path).leaderboard([source])


def test_figures_are_those_of_the_cards_and_naive_claims_stand_beside(tmp_path: Path) -> None:
    found = entries(session(tmp_path).leaderboard([store(tmp_path, "a", ATTACKED)]))
    magnet = found["magnet"]
    assert magnet.doubts == ()
    assert magnet.worst["0.3"].value == next(
        metric.value
        for metric in magnet.card.metrics
        if (metric.epsilon, metric.name) == ("0.3", "strict robust accuracy")
    )
    assert magnet.naive["0.3"].accuracy > (magnet.worst["0.3"].value or 0) + 0.3


@pytest.mark.parametrize(
    ("made", "doubt"),
    [
        (Fabrication(images=40, attacks=("fgsm", "pgd")), "no attack that knows the defense was run on it"),
        (Fabrication(images=40, diagnosed=None), "not diagnosed"),
        (Fabrication(images=40, diagnosed="FAIL"), "diagnostics failed: adaptive: order"),
        (Fabrication(images=40, failed=("fgsm",)), "the run is not complete"),
    ],
    ids=["naive", "undiagnosed", "failing", "partial"],
)
def test_entries_without_what_makes_them_comparable_are_set_apart(
    tmp_path: Path, made: Fabrication, doubt: str
) -> None:
    found = entries(session(tmp_path).leaderboard([store(tmp_path, "a", made)]))
    assert found["magnet"].doubts == (doubt,)


def test_a_warning_sets_nobody_apart(tmp_path: Path) -> None:
    found = entries(session(tmp_path).leaderboard([store(tmp_path, "a", Fabrication(images=20, diagnosed="WARN"))]))
    assert found["magnet"].doubts == ()
    assert found["magnet"].warnings == ("adaptive: order",)


@pytest.mark.parametrize("status", ["WARN", "FAIL"])
def test_what_is_found_about_a_naive_attack_is_not_counted(tmp_path: Path, status: FindingStatus) -> None:
    found = entries(session(tmp_path).leaderboard([store(tmp_path, "a", Fabrication(images=20, naively=status))]))
    assert (found["magnet"].doubts, found["magnet"].warnings) == ((), ())
    assert f"{status} 1: pgd: order" in dict(found["magnet"].card.lines)["DIAG"]


@pytest.mark.parametrize(
    "made",
    [Fabrication(images=10, attacks=()), Fabrication(images=10, judged=0.5)],
    ids=["clean only", "half done"],
)
def test_stores_without_an_attacked_defense_are_refused(tmp_path: Path, made: Fabrication) -> None:
    sources = [store(tmp_path, name, made) for name in ("a", "b")]
    says = "a.db, b.db: no defense in there was attacked, so there is nothing to rank; attack some first: robench run"
    for epsilons in (None, "0.1"):
        with pytest.raises(UsageError, match=says):
            session(tmp_path).leaderboard(sources, epsilons)


def test_hints_name_no_option_that_there_is_not(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no store at all, " * 50, encoding="utf-8")
    (tmp_path / "empty.db").touch()
    (tmp_path / "folder.db").mkdir()
    for source in ("text.db", "empty.db", "folder.db"):
        with pytest.raises(RobenchError, match="name another store or archive") as caught:
            session(tmp_path).leaderboard([str(tmp_path / source)])
        assert "--db" not in str(caught.value)


def test_what_anybody_has_won_over_a_defense_counts(tmp_path: Path) -> None:
    mine = store(tmp_path, "mine", Fabrication(images=40, hardness=0.3))
    alone = entries(session(tmp_path).leaderboard([mine]))["magnet"]
    theirs = store(tmp_path, "theirs", Fabrication(images=30, hardness=0.1))
    joined = entries(session(tmp_path).leaderboard([mine, theirs]))["magnet"]
    assert joined.run.id == alone.run.id  # the one over most images
    assert (joined.worst["0.2"].value or 0) < (alone.worst["0.2"].value or 0)


def test_the_same_run_twice_is_one_entry_with_two_sources(tmp_path: Path) -> None:
    made = store(tmp_path, "a", ATTACKED)
    export(made, tmp_path / "b.zip", [])
    (board,) = session(tmp_path).leaderboard([made, str(tmp_path / "b.zip")])
    assert len(board.entries) == 4
    assert {entry.sources for entry in board.entries} == {("a.db", "b.zip")}


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    export(store(tmp_path, "a", ATTACKED), tmp_path / "a.zip", [])
    whole = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[:200] + b"\0\1\2" + whole[203:])
    with pytest.raises(RobenchError, match=r"a\.zip"):
        session(tmp_path).leaderboard([str(tmp_path / "a.zip")])


def test_sources_are_only_read(tmp_path: Path) -> None:
    made = tmp_path / "a.db"
    fabricate(made, Fabrication(images=10))
    before, names = made.read_bytes(), sorted(tmp_path.iterdir())
    assert "magnet" in leaderboard_html(session(tmp_path).leaderboard([str(made)]))
    assert made.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == names


def test_a_run_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    senseless = Fabrication(images=10, cards=False, details={"parameters_changed": {"magnet": 3}})
    with pytest.raises(RobenchError, match=r"odd\.db: run [0-9a-f]{12} is not as robench writes one"):
        session(tmp_path).leaderboard([store(tmp_path, "odd", senseless)])


def test_sources_are_named_without_where_they_are() -> None:
    assert _name("some/where/a.db") == "a.db"
    assert _name("postgresql://me:secret@host/results?sslpassword=secret") == "results"
