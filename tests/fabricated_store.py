"""Stores full of made-up outcomes, written through ``ResultStore`` as by a run, in seconds instead of hours."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from robench.api.records import ADAPTIVE, CLEAN, Cell, Finding, ImageOutcome, Outcome, Run, Shard
from robench.engine.seeding import image_order
from robench.session.cards import write_cards
from robench.session.summaries import summarise_stored
from robench.storage.seals import sha256_of
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from pathlib import Path

    from robench.api.records import FindingStatus, RunStatus

THRESHOLD = 0.09
_TEST_IMAGES = 10_000


@dataclass(frozen=True, kw_only=True)
class Fabrication:
    """What to make up. The smaller ``hardness``, the earlier images fall; defenses come in the order of theirs."""

    defenses: tuple[str, ...] = ("none", "magnet", "puvae", "puvae-detect")
    attacks: tuple[str, ...] = ("fgsm", "pgd", ADAPTIVE)
    epsilons: tuple[str, ...] = ("0.1", "0.2", "0.3")
    images: int = 60
    seed: int = 0
    norm: str = "linf"
    dataset: str = "mnist"
    classifier: str = "paper-a"
    hardness: float = 0.12
    diagnosed: FindingStatus | None = "PASS"
    naively: FindingStatus = "PASS"  # what diagnostics say of a naive attack
    judged: float = 1.0  # share of the images that are judged already
    failed: tuple[str, ...] = ()  # attacks that failed
    rejecting: tuple[str, ...] = ("magnet", "puvae-detect")
    cards: bool = True
    details: dict[str, object] = field(default_factory=dict)


def fabricate(path: Path, made: Fabrication) -> str:
    """Write a run and return its id."""
    cells = [_cell(made, defense, CLEAN, "0") for defense in made.defenses]
    cells += [
        _cell(made, defense, attack, epsilon)
        for defense in made.defenses
        for attack in made.attacks
        for epsilon in made.epsilons
    ]
    members = [
        _cell(made, defense, "pgd-knowing", epsilon, member=True)
        for defense in made.defenses
        for epsilon in made.epsilons
        if ADAPTIVE in made.attacks
    ]
    run = _run(made, sha256_of({"cells": [cell.key for cell in cells], "images": made.images})[:12])
    with ResultStore.open(str(path), create=True) as store:
        store.add_run(run, cells, members)
        store.add_shards(
            [(cell.key, _shard(made, cell)) for cell in [*cells, *members] if cell.attack not in made.failed]
        )
        for cell in cells:
            if cell.attack in made.failed:
                store.fail_cell(run.id, cell.key, "made up")
        if made.diagnosed is not None:
            for defense in made.defenses:
                store.add_findings(run.id, defense, [_finding("pgd", made.naively), _finding(ADAPTIVE, made.diagnosed)])
        whole = made.judged >= 1
        if whole and made.cards:
            write_cards(store, summarise_stored(store, run))
        status: RunStatus = "failed" if made.failed else "complete" if whole else "interrupted"
        store.set_status(run.id, status)
    return run.id


def _run(made: Fabrication, id_: str) -> Run:
    details = {
        "data_digest": "d" * 64,
        "classifier_digest": "c" * 64,
        "budget": "standard",
        "defenses": {
            name: {"digest": sha256_of({"name": name}), "threshold": THRESHOLD if name in made.rejecting else None}
            for name in made.defenses
        },
        "attacks": {name: {"goal": "wrong"} for name in made.attacks},
        "environment": {"python": "3.11"},
        "replay": f"robench run --dataset {made.dataset} --images {made.images} --seed {made.seed}",
        **made.details,
    }
    return Run(
        id=id_,
        command="robench run",
        created="2026-01-02T03:04:05+00:00",
        status="running",
        dataset=made.dataset,
        classifier=made.classifier,
        profile="quick",
        images=made.images,
        seed=made.seed,
        details=json.dumps(details),
    )


def _cell(made: Fabrication, defense: str, attack: str, epsilon: str, *, member: bool = False) -> Cell:
    adaptive = member or attack == ADAPTIVE
    cell = Cell(
        key="",
        dataset=made.dataset,
        data_digest="d" * 64,
        classifier=made.classifier,
        classifier_digest="c" * 64,
        defense=defense,
        defense_digest=sha256_of({"name": defense}),
        threshold=THRESHOLD if defense in made.rejecting else None,
        attack=attack,
        knowledge="none" if attack == CLEAN else "adaptive" if adaptive else "naive",
        norm="none" if attack == CLEAN else made.norm,
        epsilon=epsilon,
        seed=made.seed,
        device="cpu",
        settings=json.dumps({"hardness": made.hardness}),
        subject=sha256_of({"defense": defense, "dataset": made.dataset}),
        stochastic=False,
        ensemble=f"ensemble-{made.hardness}" if adaptive else "",
        member=member,
    )
    return replace(cell, key=sha256_of({name: value for name, value in vars(cell).items() if name != "key"}))


def _shard(made: Fabrication, cell: Cell) -> Shard:
    """Each image has an epsilon at which it falls; naive attacks need more, and detectors see some of what they do."""
    count = round(made.images * made.judged)
    images = image_order(made.seed, _TEST_IMAGES)[:count]
    draws = np.random.default_rng(made.seed).random((3, made.images))[:, :count]
    place, epsilon = made.defenses.index(cell.defense), float(cell.epsilon)
    effort = 1.0 if cell.knowledge == "adaptive" else 1.3 + 0.1 * (cell.attack == "fgsm")
    falls = effort * made.hardness * (0.5 + place) * (0.3 + 1.4 * draws[0])
    fooled = (epsilon >= falls) | (draws[1] < 0.02)
    caught = 0.012 if cell.knowledge == "adaptive" else 0.2
    scores = 0.05 + 0.03 * draws[2] + caught * epsilon + 0.01 * draws[1]
    return Shard(
        outcomes=tuple(
            _outcome(position, int(image), bool(fool), float(score), cell)
            for position, (image, fool, score) in enumerate(zip(images, fooled, scores, strict=True))
        ),
        seconds=1.5,
        queries=400,
        environment="{}",
    )


def _outcome(position: int, image: int, fooled: bool, score: float, cell: Cell) -> ImageOutcome:
    rejected = cell.threshold is not None and score > cell.threshold
    end = Outcome.REJECTED if rejected else Outcome.WRONG if fooled else Outcome.CORRECT
    label = image % 10
    return ImageOutcome(
        position=position,
        image=image,
        label=label,
        prediction=(label + 3) % 10 if fooled else label,
        outcome=end,
        score=None if cell.threshold is None else score,
        draws=1,
        draws_wrong=int(end is Outcome.WRONG),
        draws_rejected=int(rejected),
    )


def _finding(attack: str, status: FindingStatus) -> Finding:
    return Finding(
        name=f"{attack}: order",
        status=status,
        number="0 of 60",
        meaning="made up",
        mend="" if status == "PASS" else "-",
    )
