"""The page of a leaderboard ranks who may be ranked, and sets the others apart."""

from __future__ import annotations

from typing import Any

from robench.api.leaderboard import Board, Entry, NaiveClaim
from robench.api.records import Card, Metric, Run
from robench.report.html.leaderboard import leaderboard_html
from tests.report.test_page import Reader


def metric(value: float) -> Metric:
    return Metric(epsilon="0.1", name="strict robust accuracy", value=value, low=value - 0.05, high=value + 0.05, n=100)


def entry(defense: str, value: float, **changes: Any) -> Entry:
    run = Run(
        id="0123456789ab",
        command="robench run",
        created="2026-01-02",
        status="complete",
        dataset="mnist",
        classifier="a",
        profile="quick",
        images=100,
        seed=3,
        details="{}",
    )
    given: dict[str, Any] = {
        "digest": "f" * 64,
        "sources": ("a.db",),
        "card": Card(defense=defense, created="2026", verdict=f"verdict of {defense}", lines=(("THREAT", "Linf"),)),
        "clean": metric(0.9),
        "worst": {"0.1": metric(value)},
        "naive": {"0.1": NaiveClaim(attack="pgd", accuracy=0.99)},
        "doubts": (),
        "warnings": (),
        "replay": "robench run --seed 3",
    }
    return Entry(defense=defense, run=run, **{**given, **changes})


def page_of(*entries: Entry, epsilons: tuple[str, ...] = ("0.1",)) -> Reader:
    board = Board(dataset="mnist", data_digest="d" * 64, norm="linf", epsilons=epsilons, entries=entries)
    return Reader(leaderboard_html([board]))


def test_the_most_robust_comes_first_and_equals_share_a_rank() -> None:
    page = page_of(entry("weak", 0.1), entry("strong", 0.8), entry("alike", 0.1), entry("last", 0.05))
    words = page.words
    assert "1 strong 80.0 [75.0, 85.0] 99.0 (pgd)" in words
    assert words.index("2 weak") < words.index("2 alike") < words.index("4 last")


def test_who_may_not_be_ranked_is_set_apart_with_the_reason() -> None:
    words = page_of(entry("sound", 0.5), entry("blind", 0.99, doubts=("not diagnosed",))).words
    ranked, apart = words.split("Set apart")
    assert "blind" not in ranked.split("How to read it")[-1]
    assert "1 sound" in ranked
    assert "blind not diagnosed 99.0 (pgd) at 0.1" in apart


def test_who_was_not_evaluated_at_an_epsilon_has_no_rank_there() -> None:
    words = page_of(entry("only", 0.5), epsilons=("0.1", "0.2")).words
    assert "No entry can be ranked at epsilon 0.2 (Linf)." in words


def test_every_entry_has_its_card_and_the_command_that_repeats_it() -> None:
    page = page_of(entry("one", 0.5, warnings=("pgd: rounding",)), entry("two", 0.4))
    for told in ("verdict of one", "verdict of two", "robench run --seed 3", "1 warn", "ffffffffffff"):
        assert told in page.words
    links = {own["href"][1:] for own in page.all("a") if own["href"].startswith("#")}
    assert links <= {own["id"] for _, own in page.tags if "id" in own}


def test_the_page_says_which_wins_runs_and_warnings_count() -> None:
    _, words = page_of(entry("one", 0.5)).words.split("How to read it, how to submit Ranked")
    assert "Over a stochastic defense a win of another run counts half" in words
    assert "of runs over equally many images, the newest" in words
    assert "the warnings about those attacks, which know the defense, are counted" in words


def test_names_of_strangers_stay_text_and_no_program_runs() -> None:
    evil = "<script>alert(1)</script>"
    page = page_of(entry(evil, 0.5, sources=(evil,), replay=evil))
    assert page.scripts == []
    assert evil in page.words
    (policy,) = (own["content"] for own in page.all("meta") if "content" in own and "default-src" in own["content"])
    assert "script-src 'none'" in policy


def test_no_entries_make_a_page_that_says_so() -> None:
    assert "No store has an attacked defense." in Reader(leaderboard_html([])).words
