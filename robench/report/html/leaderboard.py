"""The page of a leaderboard: tables and cards, without any program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.api.records import NORM_LABELS
from robench.report.html.rendering import render_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.leaderboard import Board, Entry


@dataclass(frozen=True, kw_only=True)
class _Place:
    rank: int
    entry: Entry


def leaderboard_html(boards: Sequence[Board]) -> str:
    """Render boards as one self-contained page, which asks nothing of the network.

    Args:
        boards: All of them.

    Returns:
        HTML that ends with a line feed; to be written as UTF-8.
    """
    entries = [entry for board in boards for entry in board.entries]
    return render_page(
        "leaderboard.html.j2",
        boards=[
            {
                "board": board,
                "norm": NORM_LABELS.get(board.norm, board.norm),
                "tables": [{"epsilon": epsilon, "places": _rank(board, epsilon)} for epsilon in board.epsilons],
                "apart": [entry for entry in board.entries if entry.doubts],
            }
            for board in boards
        ],
        # Identity, not equality: it is quicker, and all entries are of these boards.
        anchors={id(entry): f"entry-{number}" for number, entry in enumerate(entries, start=1)},
        anchor=id,
    )


def _rank(board: Board, epsilon: str) -> list[_Place]:
    """Return the entries with an evaluation at an epsilon, the most robust first; who is equal shares a rank."""
    values = {
        id(entry): entry.worst[epsilon].value or 0.0
        for entry in board.entries
        if epsilon in entry.worst and not entry.doubts
    }
    ranked = sorted((entry for entry in board.entries if id(entry) in values), key=lambda one: -values[id(one)])
    return [
        _Place(rank=1 + sum(other > values[id(entry)] for other in values.values()), entry=entry) for entry in ranked
    ]
