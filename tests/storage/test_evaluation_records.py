"""What the honest worst case needs of the store: ensembles, wins of every run, findings and cards."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from robench.api.records import CLEAN, REJECTION, Card, Finding, Outcome, Win
from robench.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robench.api.records import Cell, ImageOutcome
    from robench.storage.store import ResultStore
    from tests.storage.conftest import Make

SUBJECT = "5" * 64


@pytest.mark.parametrize(
    ("draws", "wrong", "rejected", "outcome"),
    [
        (1, 0, 0, Outcome.CORRECT),
        (1, 1, 0, Outcome.WRONG),
        (1, 0, 1, Outcome.REJECTED),
        (10, 6, 4, Outcome.WRONG),
        (10, 5, 5, Outcome.REJECTED),
        (10, 5, 2, Outcome.CORRECT),
        (10, 4, 3, Outcome.CORRECT),
        (10, 0, 6, Outcome.REJECTED),
    ],
)
def test_the_majority_of_the_draws_decides(draws: int, wrong: int, rejected: int, outcome: Outcome) -> None:
    assert Outcome.of_draws(draws, wrong, rejected) is outcome


def fill(
    store: ResultStore, make: Make, outcomes: Mapping[Cell, tuple[ImageOutcome, ...]], run: str = "0" * 12
) -> None:
    store.add_run(
        make.run(id_=run),
        [cell for cell in outcomes if not cell.member],
        [cell for cell in outcomes if cell.member],
    )
    store.add_shards([(cell.key, make.shard_of(*own)) for cell, own in outcomes.items()])


def test_members_are_counted_apart_and_in_order(store: ResultStore, make: Make) -> None:
    run = make.run()
    cells = [make.cell(number, attack="adaptive", ensemble="e") for number in (4, 3)]
    members = [make.cell(number, ensemble="e", member=True) for number in (2, 1)]
    store.add_run(run, cells, members)
    store.add_shard(cells[0].key, make.shard([0, 1]))
    store.add_shard(members[1].key, make.shard([1], Outcome.WRONG))
    store.add_shard(members[1].key, make.shard([25], Outcome.WRONG))  # beyond the run's images: another's work
    store.fail_cell(run.id, members[0].key, "no gradient")
    assert store.counts(run.id) == (make.counts(cells[0], correct=2, shards=1), make.counts(cells[1]))
    assert store.member_counts(run.id) == (
        make.counts(members[0], failure="no gradient"),
        make.counts(members[1], wrong=1, shards=1),
    )
    assert store.outcomes(run.id, members[1].key) == (make.outcome(1, Outcome.WRONG),)


def test_counts_weigh_images_by_their_draws(store: ResultStore, make: Make) -> None:
    cell = make.cell(stochastic=True)
    fill(store, make, {cell: (make.drawn(0, 8, 5, 1), make.drawn(1, 4, 1, 3), make.drawn(2, 4, 0, 0))})
    (counts,) = store.counts("0" * 12)
    assert (counts.correct, counts.wrong, counts.rejected) == (1, 1, 1)
    assert (counts.fooled, counts.rejected_share) == (0.625 + 0.25, 0.125 + 0.75)


def test_queries_beyond_32_bits_are_kept(store: ResultStore, make: Make) -> None:
    cell = make.cell()
    store.add_run(make.run(), [cell])
    for position in range(2):
        store.add_shard(cell.key, replace(make.shard([position]), queries=2**40))
    assert store.counts(make.run().id)[0].queries == 2**41


def test_the_lowest_win_counts_whichever_run_and_attack_brought_it(store: ResultStore, make: Make) -> None:
    lost = [make.outcome(position, Outcome.WRONG) for position in range(4)]
    fill(store, make, {make.cell(0, attack=CLEAN, epsilon="0"): (lost[3], make.outcome(2, Outcome.REJECTED))})
    fill(store, make, {make.cell(1, epsilon="0.1"): (lost[0], lost[1], lost[3])}, "1" * 12)
    fill(
        store,
        make,
        {
            make.cell(2, attack="fgsm", epsilon="5e-2"): (lost[0],),  # less than 0.1, but not as text
            make.cell(3, attack=REJECTION, epsilon="0.2"): (lost[1], lost[2]),
            make.cell(4, attack="square", epsilon="0.01", subject="6" * 64): tuple(lost),
        },
        "2" * 12,
    )
    wins = (
        Win(image=1000, epsilon="5e-2", attack="fgsm"),
        Win(image=1001, epsilon="0.1", attack="pgd"),
        Win(image=1002, epsilon="0.2", attack=REJECTION),
        Win(image=1003, epsilon="0", attack=CLEAN),
    )
    assert store.lowest_wins(SUBJECT, "linf") == wins
    assert store.lowest_wins(SUBJECT, "linf", {1001, 1003, 5}) == (wins[1], wins[3])
    assert store.lowest_wins(SUBJECT, "linf", ()) == ()
    assert store.lowest_wins("7" * 64, "linf") == ()
    own = tuple(Win(image=image, epsilon="0.1", attack="pgd") for image in (1000, 1001, 1003))
    assert store.lowest_wins(SUBJECT, "linf", run_id="1" * 12) == own
    assert store.lowest_wins(SUBJECT, "linf", {1001}, run_id="1" * 12) == own[1:2]


def test_wins_in_one_norm_say_nothing_of_another_but_a_clean_error_is_in_every_ball(
    store: ResultStore, make: Make
) -> None:
    lost = [make.outcome(position, Outcome.WRONG) for position in range(3)]
    cells = {
        make.cell(0, attack=CLEAN, epsilon="0"): (lost[0],),
        make.cell(1, epsilon="0.3"): (lost[0], lost[1]),
        make.cell(2, epsilon="0.1", norm="l2"): (lost[1], lost[2]),
    }
    fill(store, make, cells)
    clean = Win(image=1000, epsilon="0", attack=CLEAN)
    assert store.lowest_wins(SUBJECT, "linf") == (clean, Win(image=1001, epsilon="0.3", attack="pgd"))
    small = [Win(image=image, epsilon="0.1", attack="pgd") for image in (1001, 1002)]
    assert store.lowest_wins(SUBJECT, "l2") == (clean, *small)


def test_lucky_draws_are_no_wins(store: ResultStore, make: Make) -> None:
    single, drawn = make.outcome(0, Outcome.WRONG), make.drawn(0, 10, 6, 0)
    fill(
        store,
        make,
        {
            make.cell(0, epsilon="0.1", stochastic=True): (single,),
            make.cell(1, epsilon="0.2", stochastic=True, ensemble="e", member=True): (drawn,),
            make.cell(2, epsilon="0.3", stochastic=True): (make.drawn(0, 10, 5, 0),),
            make.cell(3, attack="adaptive", epsilon="0.4", stochastic=True, ensemble="e"): (drawn,),
        },
    )
    assert store.lowest_wins(SUBJECT, "linf") == (Win(image=1000, epsilon="0.4", attack="adaptive"),)


def test_a_win_names_the_attack_itself_rather_than_its_ensemble(store: ResultStore, make: Make) -> None:
    lost = (make.outcome(0, Outcome.WRONG),)
    cells = [make.cell(0, attack="adaptive", ensemble="e"), make.cell(1, ensemble="e", member=True)]
    fill(store, make, dict.fromkeys(cells, lost))
    assert store.lowest_wins(SUBJECT, "linf") == (Win(image=1000, epsilon="0.3", attack="pgd"),)


def test_findings_replace_those_of_the_same_run_and_defense(store: ResultStore, make: Make) -> None:
    first = Finding(name="gradients", status="FAIL", number="0 %", meaning="they vanish", mend="attack without them")
    second = Finding(name="draws", status="PASS", number="20 of 20", meaning="they suffice", mend="")
    for run in ("1" * 12, "2" * 12):
        store.add_run(make.run(id_=run), [])
        for defense in ("magnet", "a"):
            store.add_findings(run, defense, [first])
    store.add_findings("1" * 12, "magnet", [second, first])
    store.add_findings("1" * 12, "a", [])
    assert store.findings("1" * 12) == {"magnet": (second, first)}
    assert store.findings("2" * 12) == {"a": (first,), "magnet": (first,)}


def test_the_newest_card_of_each_defense_is_read(store: ResultStore, make: Make) -> None:
    old = Card(defense="magnet", created="2026-01-01T00:00:00+00:00", verdict="broken", lines=(("data", "MNIST ü"),))
    new = replace(old, created="2026-02-01T00:00:00+00:00", verdict="open", lines=(("data", "MNIST"), ("n", "500")))
    other = replace(old, defense="none")
    store.add_run(make.run(), [])
    assert store.cards(make.run().id) == {}
    for card in (new, old, other, replace(new, verdict="sound")):
        store.add_card(make.run().id, card)
    assert store.cards(make.run().id) == {"magnet": replace(new, verdict="sound"), "none": other}


def test_findings_and_cards_of_a_run_that_is_not_there_are_refused(store: ResultStore) -> None:
    card = Card(defense="d", created="", verdict="", lines=())
    for ask in (
        lambda: store.findings("f00"),
        lambda: store.cards("f00"),
        lambda: store.member_counts("f00"),
        lambda: store.add_findings("f00", "d", []),
        lambda: store.add_card("f00", card),
    ):
        with pytest.raises(StoreError, match="holds no run f00"):
            ask()


def test_a_run_is_charged_for_its_own_images_only(store: ResultStore, make: Make) -> None:
    small, large, cell = make.run(images=2), replace(make.run(images=6), id="large"), make.cell()
    for run in (small, large):
        store.add_run(run, [cell])
    store.add_shard(cell.key, replace(make.shard([0, 1]), queries=20, seconds=1.0))
    assert [(c.queries, c.seconds) for c in store.counts(small.id)] == [(20, 1.0)]
    store.add_shard(cell.key, replace(make.shard([2, 3, 4, 5]), queries=70, seconds=2.0))
    assert [(c.queries, c.seconds) for c in store.counts(small.id)] == [(30, 1.0)]
    assert [(c.queries, c.seconds, c.n) for c in store.counts(large.id)] == [(90, 3.0, 6)]
