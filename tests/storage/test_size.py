"""A store of the size that a full evaluation makes: what grows with the square of it shows here."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from robench.storage.store import ResultStore
    from tests.storage.conftest import Make

CELLS = 100
IMAGES = 10_000
GENEROUS_SECONDS = 3
"""Of this thread, whatever else the machine does. It takes 0.3; whole commands with 1,000,000 outcomes, less than 1."""

FILL = f"""
INSERT INTO shards (cell_id, sha256, seconds, environment, created) SELECT id, '', 0, '{{}}', '' FROM cells;
WITH RECURSIVE images (position) AS (SELECT 0 UNION ALL SELECT position + 1 FROM images WHERE position < {IMAGES - 1})
INSERT INTO outcomes (cell_id, position, image, label, prediction, outcome, score, draws, draws_wrong, draws_rejected,
  shard_id)
SELECT cell_id, position, position, position % 10, 3,
  CASE position % 10 WHEN 0 THEN 'rejected' WHEN 1 THEN 'wrong' ELSE 'correct' END, 0.5, 1, position % 10 = 1,
  position % 10 = 0, id
FROM shards CROSS JOIN images;
"""


@pytest.mark.slow
def test_a_million_outcomes_are_counted_quickly(store: ResultStore, path: Path, make: Make) -> None:
    run, cells = make.run(images=IMAGES), [make.cell(number) for number in range(CELLS)]
    store.add_run(run, cells[: CELLS // 2], cells[CELLS // 2 :])
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(f"BEGIN; {FILL} COMMIT;")
    begun = time.thread_time()
    counts = store.counts(run.id) + store.member_counts(run.id)
    assert time.thread_time() - begun < GENEROUS_SECONDS
    tenth = IMAGES // 10
    assert counts == tuple(make.counts(cell, correct=8 * tenth, wrong=tenth, rejected=tenth) for cell in cells)
    begun = time.thread_time()
    wins = store.lowest_wins(cells[0].subject, "linf")
    assert time.thread_time() - begun < GENEROUS_SECONDS
    assert [win.image for win in wins] == list(range(1, IMAGES, 10))
    begun = time.thread_time()
    assert {store.missing(cell.key, IMAGES) for cell in cells} == {()}
    assert time.thread_time() - begun < GENEROUS_SECONDS
