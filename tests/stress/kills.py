"""Evaluations, trainings and upgrades that are killed at random moments."""

from __future__ import annotations

import json
import random
import re
import shutil
import sqlite3
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from robench.storage.schema import REVISIONS
from tests.stress.laboratory import OLD_STORE, acknowledged, altered_shards, stored
from tests.stress.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.stress.nursery import Child, Nursery

_KILLED = -9
_SHORTER = 0.95
"""Of the time in which a kill may come, once it came too late."""
_TRANSACTION_SECONDS = 0.03
_MANY = 20
"""Kills of which some must come after the first checkpoint."""


def kill_runs(nursery: Nursery, folder: Path, count: int) -> Trial:
    """Kill evaluations ``count`` times, resuming each until it is done."""
    trial = Trial(
        name=f"kill -9 of an evaluation at random moments, N = {count}, then resume",
        demand="acknowledged results lost 0, duplicates 0, final report as if never interrupted",
    )
    moments = random.Random(0)
    expected = _report(nursery.run("evaluate", str(folder), str(folder / "whole.db")))  # trains the weights, too
    begun = time.monotonic()
    nursery.run("evaluate", str(folder), str(folder / "again.db"))
    longest = time.monotonic() - begun
    kills = lost = doubled = finished = 0
    while kills < count or finished == 0:
        path = folder / f"killed-{finished}.db"
        promised: set[tuple[str, int]] = set()
        while True:
            child = nursery.start("evaluate", str(folder), str(path))
            if kills < count:
                time.sleep(moments.uniform(0, longest))
                child.kill()
            status = nursery.wait(child)
            kills += status == _KILLED
            said = acknowledged(child.lines())
            # Whatever a child says to have stored was missing before: nothing is done twice.
            doubled += len(said) - len(set(said) - promised)
            promised |= set(said)
            lost += len(promised - stored(path))
            if status != _KILLED:
                longest *= _SHORTER
                break
        finished += 1
        differs = ", ".join(_differences(_report(child.lines()), expected))
        trial.expect(not differs, f"{path.name}: its report differs: {differs}")
        trial.expect(altered_shards(path) == [], f"{path.name}: shards that are not as they were stored")
    trial.expect(lost == 0, f"{lost} acknowledged outcomes lost")
    trial.expect(doubled == 0, f"{doubled} outcomes stored twice")
    trial.found = f"{kills} kills in {finished} evaluations: lost {lost}, duplicates {doubled}, reports identical"
    trial.facts = {"kills": kills, "evaluations": finished, "lost": lost, "duplicates": doubled}
    return trial


def _report(lines: list[str]) -> dict[str, Any]:
    """Return the report that a child ended with, without when its cards were written and the seconds on them."""
    (text,) = [line.removeprefix("report ") for line in lines if line.startswith("report ")]
    report: dict[str, Any] = json.loads(re.sub(r"[\d.]+ s\)", "… s)", text))
    for card in report["cards"]:
        del card["created"]
    return report


def _differences(found: object, expected: object, where: str = "") -> list[str]:
    """Name the places at which two JSON documents differ."""
    if isinstance(found, dict) and isinstance(expected, dict) and found.keys() == expected.keys():
        return [text for key in found for text in _differences(found[key], expected[key], f"{where}.{key}")]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return [text for at, (one, other) in pairs for text in _differences(one, other, f"{where}[{at}]")]
    return [] if found == expected else [f"{where}: {found!r} instead of {expected!r}"]


def kill_trainings(nursery: Nursery, folder: Path, count: int) -> Trial:
    """Kill trainings ``count`` times, resuming each until it is done."""
    trial = Trial(
        name=f"kill -9 of a training at random moments, N = {count}, then resume",
        demand="resumes, final weights load, loss history continuous",
    )
    moments = random.Random(1)
    begun = time.monotonic()
    whole = _trained(nursery.run("train", str(folder / "whole")))
    longest = time.monotonic() - begun
    kills = resumed = finished = 0
    while kills < count or finished == 0:
        cache = folder / f"killed-{finished}"
        while True:
            child = nursery.start("train", str(cache))
            if kills < count:
                time.sleep(moments.uniform(0, longest))
                child.kill()
            status = nursery.wait(child)
            kills += status == _KILLED
            resumed += any("going on from step" in line for line in child.lines())
            if status != _KILLED:
                longest *= _SHORTER
                break
        finished += 1
        _compare(trial, _trained(child.lines()), whole)
        again = _trained(nursery.run("train", str(cache)))
        trial.expect(again["digest"] == whole["digest"], f"{cache.name}: loads other weights")
        left = [path.name for path in cache.rglob("*") if path.name.endswith((".tmp", "checkpoint.safetensors"))]
        trial.expect(left == [], f"{cache.name}: leaves {left}")
    trial.expect(resumed > 0 or count < _MANY, "no training went on from a checkpoint")
    trial.found = f"{kills} kills in {finished} trainings, {resumed} resumed at a step: weights and losses identical"
    trial.facts = {"kills": kills, "trainings": finished, "resumed": resumed}
    return trial


def _trained(lines: list[str]) -> dict[str, Any]:
    (text,) = [line.removeprefix("trained ") for line in lines if line.startswith("trained ")]
    trained: dict[str, Any] = json.loads(text)
    return trained


def _compare(trial: Trial, found: dict[str, Any], whole: dict[str, Any]) -> None:
    trial.expect(found["digest"] == whole["digest"], "the weights are not those of an uninterrupted training")
    epochs = [entry["epoch"] for entry in found["history"]]
    trial.expect(epochs == list(range(1, len(whole["history"]) + 1)), f"epochs {epochs}")
    differences = [
        abs(one["loss"] - other["loss"]) for one, other in zip(found["history"], whole["history"], strict=False)
    ]
    trial.expect(max(differences) < 1e-9, f"the history of losses differs by {max(differences):g}")


def kill_upgrades(nursery: Nursery, folder: Path, count: int) -> Trial:
    """Kill upgrades of the schema ``count`` times."""
    trial = Trial(
        name=f"kill -9 of a schema upgrade at random moments, N = {count}",
        demand="old or new schema, never between",
    )
    moments = random.Random(2)
    new = folder / "new.db"
    shutil.copyfile(OLD_STORE, new)
    begun = time.monotonic()
    nursery.run("open_store", str(new))
    longest = 1.2 * (time.monotonic() - begun)  # some kills come when the upgrade is done
    whole = {REVISIONS[0]: _contents(OLD_STORE), REVISIONS[-1]: _contents(new)}
    ends: list[str] = []
    halfway = 0
    while len(ends) < count:
        path = folder / f"upgraded-{len(ends)}.db"
        shutil.copyfile(OLD_STORE, path)
        child = nursery.start("open_store", str(path), 60)
        journal = path.with_name(f"{path.name}-journal")
        if len(ends) % 2:
            _wait_until(partial(_has_begun, child))
            time.sleep(moments.uniform(0, longest))
        else:  # aimed at the transaction, which is a small part of the time
            _wait_until(journal.exists)
            time.sleep(moments.uniform(0, _TRANSACTION_SECONDS))
        child.kill()
        nursery.wait(child)
        halfway += journal.exists() and journal.stat().st_size > 0
        contents = _contents(path)
        ends += [name for name, expected in whole.items() if contents == expected] or ["between"]
        nursery.run("open_store", str(path))
        trial.expect(_contents(path) == whole[REVISIONS[-1]], f"{path.name}: the next upgrade does not complete it")
    trial.expect("between" not in ends, f"{ends.count('between')} between two schemas")
    trial.found = f"{ends.count(REVISIONS[0])} old, {ends.count(REVISIONS[-1])} new, {ends.count('between')} between"
    trial.found += f"; {halfway} killed in the middle of the transaction"
    trial.facts = {
        "halfway": halfway,
        "old": ends.count(REVISIONS[0]),
        "new": ends.count(REVISIONS[-1]),
        "between": ends.count("between"),
    }
    return trial


def _contents(path: Path) -> dict[str, object]:
    """Return everything in a database, by table, with the definitions."""
    with closing(sqlite3.connect(path)) as database:
        found: dict[str, object] = {"integrity": database.execute("PRAGMA integrity_check").fetchall()}
        definitions = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
        found["definitions"] = definitions
        for kind, name, _ in definitions:
            if kind == "table":
                found[name] = sorted(database.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
    return found


def _has_begun(child: Child) -> bool:
    return "begun" in child.lines()


def _wait_until(happened: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not happened():
        if time.monotonic() > limit:
            message = "a child has done nothing for a minute"
            raise TimeoutError(message)
        time.sleep(0.001)
