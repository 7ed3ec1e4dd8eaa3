"""Archives and merges: nothing is lost, doubled or overwritten, and nothing that a stranger wrote is trusted."""

from __future__ import annotations

import hashlib
import json
import pickle
import stat
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from robench.api.records import Card, Finding, ImageOutcome, Outcome
from robench.errors import DataError, RobenchError, StoreError, UsageError
from robench.session import upkeep
from robench.storage import archive as archives
from robench.storage.archive import Archive
from robench.storage.receiving import check
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from robench.api.records import Cell
    from tests.storage.conftest import Make

OUTCOMES = (Outcome.CORRECT, Outcome.WRONG, Outcome.REJECTED)
FINDING = Finding(name="gradients", status="WARN", number="3 %", meaning="some vanish", mend="")
CARD = Card(defense="magnet", created="2026-01-02", verdict="BROKEN", lines=(("THREAT", "linf"),))


def cells_of(make: Make) -> list[Cell]:
    return [make.keyed(0, attack="clean", epsilon="0", threshold=None), make.keyed(1), make.keyed(2, epsilon="0.1")]


def evaluate(location: str, make: Make, positions: range, *, images: int = 100, status: str = "interrupted") -> None:
    """What a machine does that evaluates some positions of a run."""
    run = make.run(images=images)
    with ResultStore.open(location, create=True) as store:
        store.add_run(run, cells_of(make), [make.keyed(3, member=True, ensemble="e")])
        for cell in cells_of(make):
            for first in range(positions.start, positions.stop, 5):
                outcomes = [watched(make, p) for p in range(first, min(first + 5, positions.stop))]
                store.add_shard(cell.key, make.shard_of(*outcomes))
        store.set_status(run.id, status)  # type: ignore[arg-type]


def watched(make: Make, position: int) -> ImageOutcome:
    outcome = make.outcome(position, OUTCOMES[position % 3], position / 7)
    return replace(outcome, search_won=(None, False, True)[position % 3])


def figures(location: str, make: Make) -> object:
    with ResultStore.open(location, create=False) as store:
        assert store.verify().faults == ()
        run = make.run().id
        outcomes = [store.outcomes(run, cell.key) for cell in cells_of(make)]
        return store.counts(run), store.member_counts(run), outcomes, store.lowest_wins("5" * 64, "linf"), store.runs()


@pytest.fixture
def whole(tmp_path: Path, make: Make) -> str:
    """A store of one machine that evaluated everything."""
    evaluate(str(tmp_path / "whole.db"), make, range(100), status="complete")
    return str(tmp_path / "whole.db")


def test_ten_machines_come_to_the_figures_of_one(location: str, tmp_path: Path, make: Make, whole: str) -> None:
    parts = [str(tmp_path / f"{number}.db") for number in range(10)]
    for number, part in enumerate(parts):
        evaluate(part, make, range(10 * number, 10 * number + 10))
    receipts = upkeep.merge(location, parts)
    assert [(receipt.runs, receipt.outcomes) for receipt in receipts] == [(1, 30)] + [(0, 30)] * 9
    assert figures(location, make) == figures(whole, make)
    assert {(receipt.outcomes, receipt.known_outcomes) for receipt in upkeep.merge(location, parts)} == {(0, 30)}
    assert figures(location, make) == figures(whole, make)


def test_an_archive_carries_everything_there_and_back(location: str, tmp_path: Path, make: Make, whole: str) -> None:
    with ResultStore.open(whole, create=True) as store:
        store.add_findings(make.run().id, "magnet", [FINDING])
        store.add_card(make.run().id, CARD)
        store.add_card(make.run().id, replace(CARD, verdict="ROBUST"))
    there, back = tmp_path / "there.zip", tmp_path / "back.zip"
    upkeep.export(whole, there, [])
    receipt = upkeep.import_archive(location, there)
    assert (receipt.runs, receipt.cells, receipt.outcomes, receipt.known_outcomes) == (1, 4, 300, 0)
    again = upkeep.import_archive(location, there)
    assert (again.runs, again.cells, again.outcomes, again.known_outcomes) == (0, 0, 0, 300)
    with ResultStore.open(location, create=False) as store:
        assert store.findings(make.run().id) == {"magnet": (FINDING,)}
        assert store.cards(make.run().id)["magnet"].verdict == "ROBUST"
    upkeep.export(location, back, [])
    assert back.read_bytes() == there.read_bytes()


def test_only_the_runs_that_are_named_are_exported(tmp_path: Path, make: Make, whole: str) -> None:
    other = make.keyed(9)
    with ResultStore.open(whole, create=True) as store:
        store.add_run(make.run(id_="b" * 12), [other])
        store.add_shard(other.key, make.shard([0]))
    upkeep.export(whole, tmp_path / "b.zip", ["bbb"])
    with Archive(tmp_path / "b.zip") as archive:
        assert [parcel.run.id for parcel in archive.runs()] == ["b" * 12]
        assert [cell.key for cell in archive.cells()] == [shard.cell for shard in archive.shards()] == [other.key]
    with pytest.raises(UsageError, match="'f00'"):
        upkeep.export(whole, tmp_path / "f.zip", ["f00"])
    with pytest.raises(UsageError, match="is there already"):
        upkeep.export(whole, tmp_path / "b.zip", [])


def test_outcomes_that_differ_are_reported_and_nothing_is_taken_in(
    location: str, tmp_path: Path, make: Make, whole: str
) -> None:
    cell = cells_of(make)[1]
    with ResultStore.open(location, create=True) as store:
        store.add_run(make.run(images=100), [cell])
        store.add_shard(cell.key, make.shard_of(*(watched(make, p) for p in range(8))))
        store.add_shard(cell.key, make.shard_of(*(make.outcome(p, score=9.0) for p in (8, 9, 12))))
    upkeep.export(whole, tmp_path / "a.zip", [])
    with pytest.raises(RobenchError) as caught:
        upkeep.import_archive(location, tmp_path / "a.zip")
    assert f"cell {cell.key[:12]} (magnet, pgd, epsilon 0.3): outcomes at positions 8-9" in str(caught.value)
    assert "positions 12" in str(caught.value)
    assert caught.value.exit_code == 1
    with ResultStore.open(location, create=False) as store:
        assert [count.n for count in store.counts(make.run().id)] == [11]
        assert store.verify().faults == ()


def test_an_outcome_that_nobody_watched_contradicts_none_that_somebody_did(
    location: str, tmp_path: Path, make: Make, whole: str
) -> None:
    cell = cells_of(make)[1]
    with ResultStore.open(location, create=True) as store:
        store.add_run(make.run(images=100), [cell])
        store.add_shard(cell.key, make.shard_of(*(replace(watched(make, p), search_won=None) for p in range(8))))
    upkeep.export(whole, tmp_path / "a.zip", [])
    assert upkeep.import_archive(location, tmp_path / "a.zip").known_outcomes == 8
    with ResultStore.open(location, create=False) as store:
        assert {item.search_won for item in store.outcomes(make.run().id, cell.key)[:8]} == {None}
        assert store.verify().faults == ()


def test_archives_of_version_1_are_read(location: str, tmp_path: Path, make: Make) -> None:
    store, path = str(tmp_path / "old.db"), tmp_path / "new.zip"
    with ResultStore.open(store, create=True) as opened:
        opened.add_run(make.run(images=3), [make.keyed(1)])
        opened.add_shard(make.keyed(1).key, make.shard(range(3)))
    upkeep.export(store, path, [])
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist() if name != archives.MANIFEST}
    members[archives.SHARDS] = members[archives.SHARDS].replace(b",null]", b"]")
    assert upkeep.import_archive(location, forge(tmp_path / "old.zip", members)).outcomes == 3


def test_a_run_of_the_same_id_that_asks_for_something_else_is_a_conflict(location: str, make: Make, whole: str) -> None:
    with ResultStore.open(location, create=True) as store:
        store.add_run(make.run(images=7), [])
    with pytest.raises(RobenchError, match="run 0123456789ab has another images"):
        upkeep.merge(location, [whole])


def test_an_interrupted_import_leaves_nothing_and_is_made_up_for(
    location: str, make: Make, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("robench.storage.receiving._Receiving._receive_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        upkeep.merge(location, [whole])
    with ResultStore.open(location, create=False) as store:
        assert store.verify().cells == 0
    monkeypatch.undo()
    upkeep.merge(location, [whole])
    assert figures(location, make) == figures(whole, make)


def test_a_failure_is_forgotten_once_another_machine_has_the_outcomes(tmp_path: Path, make: Make) -> None:
    failed, done = str(tmp_path / "failed.db"), str(tmp_path / "done.db")
    evaluate(failed, make, range(50), status="failed")
    with ResultStore.open(failed, create=True) as store:
        store.fail_cell(make.run().id, cells_of(make)[1].key, "no memory")
        store.set_status(make.run().id, "failed")
    evaluate(done, make, range(50, 100))
    upkeep.merge(done, [failed])
    with ResultStore.open(done, create=False) as store:
        assert {count.failure for count in store.counts(make.run().id)} == {""}
        assert store.runs()[0].status == "complete"


def test_an_altered_store_is_neither_exported_nor_merged_nor_backed_up(
    tmp_path: Path, make: Make, path: Path, store: ResultStore, change: Callable[..., None]
) -> None:
    evaluate(str(path), make, range(10))
    change("UPDATE outcomes SET prediction = 9 WHERE position = 3")
    for attempt in (
        lambda: upkeep.export(str(path), tmp_path / "a.zip", []),
        lambda: upkeep.merge(str(tmp_path / "new.db"), [str(path)]),
        lambda: upkeep.back_up(str(path), tmp_path / "copy.db"),
    ):
        with pytest.raises(StoreError, match=r"has been altered: 3 faults.*; robench db verify lists them"):
            attempt()
    assert {file.name for file in tmp_path.iterdir()} <= {"robench.db", "robench.db.lock"}


def test_a_store_is_not_merged_into_itself(whole: str) -> None:
    with pytest.raises(UsageError, match="cannot be merged into itself"):
        upkeep.merge(whole, [f"sqlite:///{whole}"])


def test_a_store_that_is_imported_and_an_archive_that_is_merged_are_told_the_right_command(
    tmp_path: Path, whole: str
) -> None:
    archive, new = tmp_path / "a.zip", str(tmp_path / "new.db")
    upkeep.export(whole, archive, [])
    with pytest.raises(DataError, match=r"is a store, not an archive; robench db merge"), Archive(Path(whole)):
        pass
    for receiver, giver in ((new, str(archive)), (str(archive), whole)):
        with pytest.raises(StoreError, match=r"a\.zip is an archive, not a store; robench db import"):
            upkeep.merge(receiver, [giver])
    assert not Path(new).exists()


class Canary:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


def forge(path: Path, members: Mapping[str, bytes], *, lie: bool = False) -> Path:
    """An archive with these members and a manifest that fits them."""
    said = [
        {
            "name": name,
            "sha256": hashlib.sha256(members[name]).hexdigest() if not lie else "0" * 64,
            "bytes": len(members[name]),
            "lines": members[name].count(b"\n"),
        }
        for name in (archives.CELLS, archives.RUNS, archives.SHARDS)
    ]
    manifest = {"format": "robench-archive", "version": 1, "robench": "0", "members": said}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in {archives.MANIFEST: json.dumps(manifest).encode(), **members}.items():
            file.writestr(name, content)
    return path


@pytest.fixture
def members(tmp_path: Path, whole: str) -> dict[str, bytes]:
    """Members of a good archive, but for its manifest."""
    upkeep.export(whole, tmp_path / "good.zip", [])
    with zipfile.ZipFile(tmp_path / "good.zip") as file:
        return {name: file.read(name) for name in (archives.CELLS, archives.RUNS, archives.SHARDS)}


def refusal(path: Path) -> str:
    """What is said to an archive, of which no store must be made."""
    receiver = path.with_name("receiver.db")
    with pytest.raises((DataError, StoreError)) as caught:
        upkeep.import_archive(str(receiver), path)
    assert not receiver.exists()
    return str(caught.value)


def test_a_forged_archive_that_hangs_together_is_one(tmp_path: Path, members: dict[str, bytes]) -> None:
    with Archive(forge(tmp_path / "a.zip", members)) as archive:
        check(archive)


@pytest.mark.parametrize("name", ["outcomes.npz", "/etc/robench", "../robench.db", "cells.jsonl/", "a\\b"])
def test_a_member_that_no_archive_has_is_refused_and_nothing_runs(
    tmp_path: Path, members: dict[str, bytes], name: str
) -> None:
    canary = tmp_path / "canary"
    path = forge(tmp_path / "a.zip", {**members, name: pickle.dumps(Canary(canary))})
    assert "and nothing else" in refusal(path)
    path = forge(tmp_path / "b.zip", {**members, archives.SHARDS: pickle.dumps(Canary(canary))})
    assert "shards.jsonl, line 1" in refusal(path)
    assert not canary.exists()


def test_a_link_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = forge(tmp_path / "a.zip", members)
    with zipfile.ZipFile(path) as good, zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        for info in good.infolist():
            content = good.read(info)
            if info.filename == archives.SHARDS:
                info.external_attr, content = (stat.S_IFLNK | 0o777) << 16, b"/etc/passwd"
            file.writestr(info, content)
    assert "shards.jsonl is a link or a folder" in refusal(tmp_path / "b.zip")


def test_a_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, members: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = forge(tmp_path / "a.zip", {**members, archives.SHARDS: b" " * 10_000_000})
    assert "shards.jsonl would grow 200 times and more" in refusal(bomb)
    monkeypatch.setitem(archives.LARGEST, archives.SHARDS, 1000)
    assert "shards.jsonl would unpack to" in refusal(forge(tmp_path / "b.zip", members))
    monkeypatch.undo()
    monkeypatch.setattr(archives, "LONGEST_LINE", 100)
    assert "line 1 is longer than 100 bytes" in refusal(forge(tmp_path / "c.zip", members))


def test_a_size_that_is_declared_too_small_does_not_help(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = forge(tmp_path / "a.zip", members)
    content = bytearray(path.read_bytes())
    directory = content.rindex(archives.SHARDS.encode()) - 46
    content[directory + 24 : directory + 28] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    assert "cannot be read" in refusal(path) or "line 1" in refusal(path)


def test_files_that_are_no_archives_are_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    text = tmp_path / "text"
    text.write_text("accuracy")
    assert "cannot be read: File is not a zip file" in refusal(text)
    assert "is no file" in refusal(tmp_path)
    good = (tmp_path / "good.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(good[: len(good) // 2])
    assert "cannot be read" in refusal(tmp_path / "cut.zip")
    assert "differs from its digest" in refusal(forge(tmp_path / "lie.zip", members, lie=True))


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (b"[]", "is no archive of robench"),
        (b'{"format": "robench-archive", "version": 3}', "upgrade robench"),
        (b'{"format": "robench-archive", "version": 1}', "must be an object of"),
        (b"[" * 60_000, "nested too deeply"),
    ],
)
def test_a_manifest_that_is_none_is_refused(
    tmp_path: Path, members: dict[str, bytes], manifest: bytes, says: str
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in {archives.MANIFEST: manifest, **members}.items():
            file.writestr(name, content)
    assert says in refusal(path)


def changed(members: Mapping[str, bytes], member: str, change: Callable[[dict[str, Any]], object]) -> dict[str, bytes]:
    """The members with the first record of one changed."""
    first, *rest = members[member].splitlines(keepends=True)
    record = json.loads(first)
    change(record)
    return {**members, member: json.dumps(record).encode() + b"\n" + b"".join(rest)}


@pytest.mark.parametrize(
    ("member", "change", "says"),
    [
        ("shards.jsonl", lambda r: r["outcomes"][0].__setitem__(3, 9), "differ from their digest"),
        ("shards.jsonl", lambda r: r["outcomes"][0].__setitem__(0, -1), "out of its range"),
        ("shards.jsonl", lambda r: r["outcomes"][0].__setitem__(0, 2**40), "out of its range"),
        ("shards.jsonl", lambda r: r["outcomes"][0].__setitem__(0, 2**70), "must be a whole number of 64 bits"),
        ("shards.jsonl", lambda r: r["outcomes"][0].__setitem__(0, True), "must be a whole number"),
        ("shards.jsonl", lambda r: r["outcomes"][0].__setitem__(5, float("nan")), "holds NaN"),
        ("shards.jsonl", lambda r: r["outcomes"][0].__setitem__(4, "won"), "must be one of correct, wrong, rejected"),
        ("shards.jsonl", lambda r: r["outcomes"][0].__setitem__(7, 1), "is not what 1 wrong"),
        ("shards.jsonl", lambda r: r["outcomes"].append([]), "must be a list of position, image"),
        ("shards.jsonl", lambda r: r.update(outcomes=[]), "differ from their digest"),
        ("shards.jsonl", lambda r: r.update(cell="f" * 64), "is not described"),
        ("shards.jsonl", lambda r: r.update(environment="\0"), "environment: must be text"),
        ("shards.jsonl", lambda r: r.update(seconds=-1.0), "out of its range"),
        ("cells.jsonl", lambda r: r.update(epsilon="0.2"), "fields that its key was not made of"),
        ("cells.jsonl", lambda r: r.update(more=1), "must be an object of key, dataset"),
        ("runs.jsonl", lambda r: r["run"].update(id="../../x"), "an id or a number of images that no run has"),
        ("runs.jsonl", lambda r: r["run"].update(images=0), "an id or a number of images that no run has"),
        ("runs.jsonl", lambda r: r["run"].update(details="[]"), "provenance that is no JSON object"),
        ("runs.jsonl", lambda r: r["run"].update(status="won"), "run: status: must be one of"),
        ("runs.jsonl", lambda r: r["cells"].append(r["cells"][0]), "asks for a cell twice"),
        ("runs.jsonl", lambda r: r["cells"][0].update(key="f"), "asks for a cell twice, or for one that"),
    ],
)
def test_a_record_that_cannot_be_is_refused(
    tmp_path: Path, members: dict[str, bytes], member: str, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    assert says in refusal(forge(tmp_path / "a.zip", changed(members, member, change)))


@pytest.mark.parametrize("member", [archives.CELLS, archives.RUNS, archives.SHARDS])
def test_a_record_that_is_there_twice_is_refused(tmp_path: Path, members: dict[str, bytes], member: str) -> None:
    twice = members[member].splitlines(keepends=True)[0] + members[member]
    assert "twice" in refusal(forge(tmp_path / "a.zip", {**members, member: twice}))
