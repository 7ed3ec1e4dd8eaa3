"""Parts of a run, done one by one as a cluster's array jobs do, and joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from robench.config.staff import Part
from robench.session.tasks import images_of_part
from robench.session.upkeep import merge
from robench.storage.store import ResultStore
from tests.executors.sharing import report, stored

if TYPE_CHECKING:
    from tests.conftest import ToyLab

CHANGES: dict[str, Any] = {"attacks": ("fgsm", "toy-closest", "adaptive"), "batch_size": 8}


def test_parts_that_are_merged_are_the_whole_run(lab: ToyLab) -> None:
    whole = lab.run(**CHANGES, db=str(lab.folder / "whole.db"))
    parts = [str(lab.folder / f"part-{number}.db") for number in (1, 2, 3)]
    for number, db in enumerate(parts, start=1):
        part = lab.run(**CHANGES, db=db, shard=f"{number}/3")
        assert part.run.id == whole.run.id
        assert part.run.status == "interrupted"
        assert not part.cards
        with ResultStore.open(db, create=False) as store:
            assert store.describe().outcomes > 0
            assert store.findings(part.run.id) == {}
    merge(str(lab.folder / "toys.db"), parts)
    merged = lab.run(**CHANGES)
    assert merged.complete
    assert stored(lab, merged) == stored(lab, whole, "whole.db")
    assert report(merged) == report(whole)


def test_a_part_does_its_positions_and_no_others(lab: ToyLab) -> None:
    summary = lab.run(attacks=("fgsm",), batch_size=20, shard="2/3")
    found = {key[:3]: [item.position for item in own] for key, own in stored(lab, summary).items()}
    assert found["none", "clean", "0"] == [*range(20, 40)]  # 3 batches of 20, of which it is the second
    assert found["none", "fgsm", "0.1"] == [*range(20, 40)]  # 6 batches of 10 images at 2 epsilons


@pytest.mark.parametrize("images", [1, 7, 60, 1000])
@pytest.mark.parametrize("together", [1, 3, 16, 100])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_parts_cover_all_images_once_and_begin_where_batches_do(images: int, together: int, count: int) -> None:
    parts = [images_of_part(Part(number=number, count=count), images, together) for number in range(1, count + 1)]
    assert [position for part in parts for position in part] == [*range(images)]
    assert all(part.start % together == 0 for part in parts if part)
    whole = [part for part in parts if part]
    sizes = [-(-len(part) // together) for part in whole]
    assert max(sizes) - min(sizes) <= 1


def test_parts_are_cut_alike_whatever_batch_size_a_machine_finds(lab: ToyLab, monkeypatch: pytest.MonkeyPatch) -> None:
    positions = []
    for size in (7, 50):
        monkeypatch.setattr("robench.engine.batching._try_out", lambda *_, size=size: size)
        monkeypatch.setattr("robench.engine.remembered.Remembered._read", lambda _: {})
        db = f"machine-{size}.db"
        summary = lab.run(attacks=("fgsm",), shard="1/4", db=str(lab.folder / db))
        positions.append({key: [item.position for item in own] for key, own in stored(lab, summary, db).items()})
    assert positions[0] == positions[1]
