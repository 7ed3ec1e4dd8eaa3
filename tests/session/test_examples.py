"""Runs that keep their attacked images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from robench.api.records import CLEAN
from robench.engine.progress import Silent
from robench.session.kept import examples_folder
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from robench.api.records import Cell, RunSummary
    from tests.conftest import ToyLab


class Listener(Silent):
    """Remembers what it is told, and stops the run, as a signal would, at an update for which something holds."""

    def __init__(self, stop: Callable[[], bool] = lambda: False) -> None:
        self.stop = stop
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def task(self, title: str, total: int, unit: str) -> Listener:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def update(self, done: int, detail: str = "") -> None:
        if self.stop():
            raise KeyboardInterrupt

    @property
    def mentioned(self) -> list[str]:
        return [note for note in self.notes if "attacked images" in note]


def attacked_cells(lab: ToyLab, summary: RunSummary) -> list[Cell]:
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        return [count.cell for count in store.counts(summary.run.id) if count.cell.attack != CLEAN]


def kept_positions(lab: ToyLab, cell: Cell) -> list[int]:
    found = (lab.folder / "toys.examples").glob(f"*/{cell.key}/*.safetensors")
    return sorted(position for path in found for position in load_file(path)["positions"].tolist())


def test_every_attacked_image_is_kept_once_and_no_clean_one(lab: ToyLab) -> None:
    summary = lab.run(keep_examples=True, batch_size=25)
    cells = attacked_cells(lab, summary)
    folder = lab.folder / "toys.examples" / summary.run.id
    assert {path.name for path in folder.iterdir()} == {cell.key for cell in cells}
    for cell in cells:
        assert kept_positions(lab, cell) == list(range(60))


def test_a_file_says_what_it_holds(lab: ToyLab) -> None:
    summary = lab.run(keep_examples=True, defenses=("toy-detect",), attacks=("fgsm",), epsilons="0.1")
    (cell,) = attacked_cells(lab, summary)
    path = lab.folder / "toys.examples" / summary.run.id / cell.key / "0-59.safetensors"
    with safe_open(path, framework="pt") as file:
        facts = {key: json.loads(value) for key, value in file.metadata().items()}
    assert facts == {
        "run": summary.run.id,
        "cell": cell.key,
        "dataset": "toy-bars",
        "data_digest": summary.details["data_digest"],
        "classifier_digest": summary.details["classifier_digest"],
        "defense": "toy-detect",
        "threshold": cell.threshold,
        "attack": "fgsm",
        "norm": "linf",
        "epsilon": "0.1",
        "seed": 0,
        "robench": "0.1.0",
    }


def test_a_file_from_before_there_were_norms_is_of_linf(lab: ToyLab) -> None:
    summary = lab.run(keep_examples=True, defenses=("none",), attacks=("fgsm",), epsilons="0.1")
    (cell,) = attacked_cells(lab, summary)
    (path,) = (lab.folder / "toys.examples").rglob("*.safetensors")
    with safe_open(path, framework="pt") as file:
        facts = {key: value for key, value in file.metadata().items() if key != "norm"}
    save_file(load_file(path), path, metadata=facts)
    assert kept_positions(lab, cell) == list(range(60))


def test_nothing_is_kept_unless_it_is_asked_for(lab: ToyLab) -> None:
    lab.run(defenses=("none",))
    assert not (lab.folder / "toys.examples").exists()


def test_keeping_changes_neither_the_run_nor_its_outcomes(lab: ToyLab) -> None:
    plain = lab.run()
    (lab.folder / "toys.db").unlink()
    keeping = lab.run(keep_examples=True)
    assert (keeping.run.id, keeping.results) == (plain.run.id, plain.results)


def test_a_run_that_was_stopped_goes_on_keeping(lab: ToyLab) -> None:
    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (lab.folder / "toys.examples").rglob("*.safetensors")}

    with pytest.raises(KeyboardInterrupt):
        lab.run(keep_examples=True, batch_size=20, progress=Listener(lambda: len(files()) > 2))
    written = files()
    assert len(written) < 3 * 2 * 2 * 3
    listener = Listener()
    summary = lab.run(keep_examples=True, batch_size=20, progress=listener)
    for cell in attacked_cells(lab, summary):
        assert kept_positions(lab, cell) == list(range(60))
    assert {path: time for path, time in files().items() if path in written} == written
    assert not listener.mentioned


def test_a_file_is_left_alone_if_it_is_whole_and_written_anew_if_not(lab: ToyLab) -> None:
    few: dict[str, Any] = {"keep_examples": True, "defenses": ("none",), "attacks": ("fgsm",), "epsilons": "0.1"}
    lab.run(batch_size=30, **few)
    first, second = sorted((lab.folder / "toys.examples").rglob("*.safetensors"))
    written, content = second.stat().st_mtime_ns, first.read_bytes()
    first.write_bytes(content[:100])
    (lab.folder / "toys.db").unlink()  # as if it had been killed before it stored anything
    lab.run(batch_size=30, **few)
    assert load_file(first)["positions"].tolist() == list(range(30))
    assert second.stat().st_mtime_ns == written


def test_what_was_stored_before_without_examples_is_mentioned(lab: ToyLab) -> None:
    few: dict[str, Any] = {"defenses": ("none",), "attacks": ("fgsm",)}
    lab.run(**few)
    listener = Listener()
    lab.run(keep_examples=True, progress=listener, **few)
    (note,) = listener.mentioned
    assert note.startswith("120 outcomes are stored already without their attacked images")
    assert note.endswith("to have them, evaluate into another store with --db")
    assert not (lab.folder / "toys.examples").exists()


def test_a_run_over_more_images_keeps_only_what_is_new(lab: ToyLab) -> None:
    few: dict[str, Any] = {"keep_examples": True, "defenses": ("none",), "attacks": ("fgsm",), "epsilons": "0.1"}
    lab.run(images=30, **few)
    listener = Listener()
    summary = lab.run(images=60, progress=listener, **few)
    (cell,) = attacked_cells(lab, summary)
    assert kept_positions(lab, cell) == list(range(60))
    assert not listener.mentioned


@pytest.mark.parametrize(
    ("db", "folder"),
    [
        ("{tmp}/results.v1.db", "{tmp}/results.v1.examples"),
        ("{tmp}/results", "{tmp}/results.examples"),
        ("sqlite:///{tmp}/results.db", "{tmp}/results.examples"),
        ("postgresql+psycopg://user@host/database", "robench.examples"),
    ],
)
def test_examples_are_beside_the_store(tmp_path: Path, db: str, folder: str) -> None:
    assert examples_folder(db.format(tmp=tmp_path)) == Path(folder.format(tmp=tmp_path))


def test_reconstructions_are_kept_of_the_first_images_only(lab: ToyLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robench.session.examples.RECONSTRUCTED", 15)
    summary = lab.run(
        keep_examples=True, defenses=("toy-choose",), attacks=("fgsm",), epsilons="0.1", images=30, batch_size=10
    )
    (cell,) = attacked_cells(lab, summary)
    assert kept_positions(lab, cell) == list(range(30))
    files = (lab.folder / "toys.examples").glob(f"*/{cell.key}/reconstructions/*.safetensors")
    found = {path.name: load_file(path)["positions"].tolist() for path in files}
    assert found == {"0-9.safetensors": list(range(10)), "10-14.safetensors": list(range(10, 15))}


def test_defenses_that_do_not_select_keep_no_reconstructions(lab: ToyLab) -> None:
    lab.run(keep_examples=True, defenses=("toy-detect",), attacks=("fgsm",), epsilons="0.1", images=10)
    assert not list((lab.folder / "toys.examples").rglob("reconstructions"))
