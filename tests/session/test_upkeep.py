"""Real runs, weights and data sets under `robench db`."""

from __future__ import annotations

import errno
import json
import pickle
import resource
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from robench.engine.digests import settings_digest, tensors_digest
from robench.engine.weights import MANIFEST, WEIGHTS, check_weights
from robench.errors import RobenchError, StoreError, UsageError
from robench.session import Session, upkeep
from robench.session.upkeep import back_up, export, import_archive, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import ToyLab
    from tests.postgres_server import PostgresServer

SHIPPED = Path(__file__).parents[2] / "plugins/robench_plugins/datasets/mnist_files"


@pytest.mark.postgres
def test_a_run_on_a_server_is_the_run_in_a_file(lab: ToyLab, postgres: PostgresServer) -> None:
    file, server = str(lab.folder / "toys.db"), postgres.new_database()
    attacks: dict[str, Any] = {"attacks": ("fgsm", "toy-corner"), "epsilons": "0.1", "images": 20, "worst_case": True}
    ours, theirs = lab.run(**attacks), lab.run(**attacks, db=server)
    assert (ours.clean, ours.results, ours.worst) == (theirs.clean, theirs.results, theirs.worst)
    session = lab.session()
    for db in (file, server):
        assert session.verify(db=db, weights=False, data=False).faults == ()
    receipts = merge(file, [server])
    assert [(receipt.runs, receipt.cells, receipt.outcomes) for receipt in receipts] == [(0, 0, 0)]
    assert session.verify(db=file, weights=False, data=False).faults == ()


def test_a_run_that_is_imported_reads_and_goes_on_as_it_was(lab: ToyLab) -> None:
    asked: dict[str, Any] = {"epsilons": "0.1", "images": 10, "attacks": ("fgsm",)}
    made = lab.run(**asked)
    session, archive, there = lab.session(), lab.folder / "toys.zip", str(lab.folder / "there.db")
    export(str(lab.folder / "toys.db"), archive, [])
    import_archive(there, archive)
    assert session.summary(there) == made
    assert lab.run(**asked, db=there) == made


def test_a_backup_is_a_verified_store_and_replaces_nothing(lab: ToyLab) -> None:
    made = lab.run(epsilons="0.1", images=10, attacks=("fgsm",))
    session, db, copy = lab.session(), str(lab.folder / "toys.db"), lab.folder / "copy.db"
    assert back_up(db, copy).faults == ()
    assert session.summary(str(copy)) == made
    with pytest.raises(UsageError, match="is there already"):
        back_up(db, copy)
    with pytest.raises(UsageError, match="there is no folder"):
        back_up(db, lab.folder / "nowhere" / "copy.db")
    assert not list(lab.folder.glob("*.unverified*"))


@pytest.mark.parametrize("way", [back_up, partial(export, runs=[])], ids=["back_up", "export"])
def test_a_read_only_folder_is_named_and_not_the_store(
    lab: ToyLab, way: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run(epsilons="0.1", images=10, attacks=("fgsm",))
    folder = lab.folder / "read-only"
    folder.mkdir()

    def refusing(original: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(path: Path, *args: Any, **options: Any) -> Any:
            if path.parent == folder:
                raise OSError(errno.EROFS, "Read-only file system")
            return original(path, *args, **options)

        return refuse

    for name in ("open", "touch", "unlink"):  # permissions would not stop root
        monkeypatch.setattr(Path, name, refusing(getattr(Path, name)))
    with pytest.raises(RobenchError, match=f"^cannot write {folder}/some.file: Read-only file system; name a file"):
        way(str(lab.folder / "toys.db"), folder / "some.file")


def test_a_full_disk_under_a_backup_is_named_and_not_the_store(lab: ToyLab) -> None:
    lab.run(epsilons="0.1", images=10, attacks=("fgsm",))
    db, copy = lab.folder / "toys.db", lab.folder / "copy.db"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (db.stat().st_size // 2, before[1]))
    try:
        with pytest.raises(RobenchError, match=f"^cannot write {copy}"):
            back_up(str(db), copy)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(lab.folder.glob("copy.db*"))


def test_an_upgrade_says_from_what_to_what_and_where_the_copy_is(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    shutil.copyfile(Path(__file__).parents[1] / "storage" / "schema_0001.sqlite", old)
    done = upkeep.upgrade(str(old))
    assert (done.before, done.copy) == ("0001", tmp_path / "old.db.schema-0001.bak")
    assert upkeep.upgrade(str(old)) == replace(done, before=done.after, copy=None)
    with pytest.raises(StoreError, match="no result store at"):
        upkeep.upgrade(str(tmp_path / "none.db"))


def test_a_schema_that_was_altered_beyond_reading_is_said_to_be_damaged(lab: ToyLab) -> None:
    lab.run(epsilons="0.1", images=5, attacks=("fgsm",))
    path = lab.folder / "toys.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE cells RENAME COLUMN device TO devise")
        database.commit()
    session = lab.session()
    (fault,) = session.verify(db=str(path), weights=False, data=False).faults
    assert fault.what == "tables, indices or views are not defined as robench defines them"
    with pytest.raises(StoreError, match="is damaged or truncated; restore it from a backup"):
        session.summary(str(path))


@pytest.fixture
def weights(lab: ToyLab) -> Iterator[Path]:
    """Folder of trained weights in a cache of our own."""
    rerun(lab)
    (folder,) = (lab.folder / "cache").glob("weights/*/toy-linear*")
    yield folder
    assert not (lab.folder / "canary").exists()


def faults_of(folder: Path) -> list[str]:
    return [error.message for error in check_weights(folder.parents[2]) if error is not None]


def rerun(lab: ToyLab) -> None:
    session = Session(environ=lab.environ({"ROBENCH_CACHE": str(lab.folder / "cache")}), cwd=lab.folder)
    session.run(session.resolve(lab.overrides(db=str(lab.folder / "new.db"), images=5)), "robench run")


def test_an_altered_byte_of_weights_or_manifest_is_found(weights: Path) -> None:
    assert faults_of(weights) == []
    for name in (WEIGHTS, MANIFEST):
        whole = bytearray((weights / name).read_bytes())
        (weights / name).write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
        assert [str(weights) in message for message in faults_of(weights)] == [True]
        (weights / name).write_bytes(whole)
    (weights / WEIGHTS).unlink()
    assert len(faults_of(weights)) == 1


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("size", [None, 2**60, 2**27, 1])
def test_a_pickle_that_poses_as_weights_is_refused_unread(lab: ToyLab, weights: Path, size: int | None) -> None:
    pickled = pickle.dumps(Canary(lab.folder / "canary"))
    (weights / WEIGHTS).write_bytes((b"" if size is None else size.to_bytes(8, "little")) + pickled)
    assert len(faults_of(weights)) == 1
    with pytest.raises(RobenchError, match="differ from their manifest; delete the folder"):
        rerun(lab)


@pytest.mark.parametrize("change", ["dtype", "shape", "name"])
def test_forged_weights_of_another_form_are_refused_though_their_manifest_fits(
    lab: ToyLab, weights: Path, change: str
) -> None:
    tensors = load_file(weights / WEIGHTS)
    name = next(iter(tensors))
    forged = {
        "dtype": {**tensors, name: tensors[name].double()},
        "shape": {**tensors, name: torch.zeros(3)},
        "name": {**tensors, "another": torch.zeros(3)},
    }[change]
    save_file(forged, weights / WEIGHTS)
    manifest = json.loads((weights / MANIFEST).read_text())
    rest = {**manifest, "digest": tensors_digest(forged)}
    del rest["manifest_digest"]
    (weights / MANIFEST).write_text(json.dumps({**rest, "manifest_digest": settings_digest(rest)}))
    assert faults_of(weights) == []
    with pytest.raises(RobenchError, match="differ from their manifest; delete the folder"):
        rerun(lab)


def test_altered_data_files_are_found_and_missing_ones_are_not_at_fault(lab: ToyLab) -> None:
    lab.run(epsilons="0.1", images=5, attacks=("fgsm",))
    data, db = lab.folder / "data" / "mnist", str(lab.folder / "toys.db")
    shutil.copytree(SHIPPED, data)
    session = lab.session()
    sound = session.verify(db=db, data_dir=data.parent, weights=False, data=True)
    assert sound.faults == ()
    labels = next(data.glob("t10k-labels*"))
    content = bytearray(labels.read_bytes())
    content[len(content) // 2] ^= 1
    labels.write_bytes(content)
    (fault,) = session.verify(db=db, data_dir=data.parent, weights=False, data=True).faults
    assert fault.what.startswith("data set mnist: ")
    assert str(labels) in fault.what
