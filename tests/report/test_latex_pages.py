from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from robench.report.latex.pages import Block, Row, fill_pages


def block(title: str, rows: int, height: float = 1) -> Block:
    return Block(title=title, rows=tuple(Row(lines=(f"{title}{row}",), height=height) for row in range(rows)))


def titles(pages: list[list[Block]]) -> list[list[str]]:
    return [[each.title for each in page] for page in pages]


def test_blocks_that_fit_stand_in_one_table() -> None:
    assert titles(fill_pages([block("a", 4), block("b", 4), block("c", 4)], 5, 3)) == [["a", "b", "c"]]


def test_a_block_that_does_not_fit_begins_the_next_table() -> None:
    assert titles(fill_pages([block("a", 10), block("b", 10), block("c", 20)], 5, 3)) == [["a", "b"], ["c"]]


def test_a_table_never_has_the_rows_without_attack_alone() -> None:
    first, second = fill_pages([block("a", 15), block("b", 30)], 5, 3)

    assert [each.title for each in first] == ["a", "b"]
    assert [each.title for each in second] == ["b (continued)"]


@given(
    st.lists(st.tuples(st.integers(1, 60), st.floats(1, 4)), min_size=1, max_size=8), st.floats(0, 60), st.floats(0, 60)
)
def test_no_row_is_lost_and_no_page_too_full(sizes: list[tuple[int, float]], caption: float, notes: float) -> None:
    blocks = [block(f"{place}-", rows, height) for place, (rows, height) in enumerate(sizes)]

    pages = fill_pages(blocks, caption, notes)

    lines = [line for page in pages for each in page for row in each.rows for line in row.lines]
    assert lines == [line for each in blocks for row in each.rows for line in row.lines]
    assert all(page and all(each.rows for each in page) for page in pages)
    heights = [sum(each.height for each in page) for page in pages]
    assert max(heights) <= max(8.0, 41 - notes)
    assert heights[0] <= max(8.0, 41 - notes - caption)
    assert all(before[-1].title.split()[0] != "" for before, _ in pairwise(pages))
