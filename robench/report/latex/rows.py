"""The rows of a LaTeX table: a block without attack and one for each attack."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from robench.api.records import CLEAN
from robench.report.best import best_defenses
from robench.report.latex.caption import DAGGER, unreliable_defenses
from robench.report.latex.figure import Figure
from robench.report.latex.pages import Block, Row
from robench.report.latex.text import escape, width
from robench.report.sweeps import UPPER_BOUNDS, list_sweeps, rejecting_defenses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from robench.api.records import CleanRow, ResultRow, RunSummary
    from robench.report.sweeps import Sweep

LABEL_WIDTH = 14.0
"""em that a name may take on a line."""
_MISSING = "--"
_FAILED = "failed"


def block_title(sweep: Sweep) -> str:
    """Say whose rows follow, and what they are worth."""
    title = f"{sweep.attack}, worst case per image" if sweep.per_image else sweep.attack
    return f"{title} ({sweep.knowledge}: upper bounds)" if sweep.knowledge in UPPER_BOUNDS else title


def label_width(name: str) -> float:
    """Estimate the em that a name takes, with a dagger."""
    return width(f"{name}+")


class Rows:
    """Writes the rows of a run.

    Args:
        summary: The run.
        epsilons: Those that have a column, which is a pair of cells.
        proportion: Whether defenses that reject get a row with the share rejected.
    """

    def __init__(self, summary: RunSummary, epsilons: Sequence[str], *, proportion: bool) -> None:
        self._summary = summary
        self._epsilons = epsilons
        self._results = {(row.defense, row.attack, row.epsilon): row for row in summary.results}
        self._failed = {(row.defense, row.attack, row.epsilon) for row in summary.failures}
        self._unreliable = unreliable_defenses(summary)
        self._rejecting = rejecting_defenses(summary)
        self._proportion = proportion
        self._wraps = any(label_width(name) > LABEL_WIDTH for name in summary.defenses)

    def blocks(self) -> Iterator[Block]:
        """Yield all blocks, each with an entry per defense."""
        defenses = self._summary.defenses
        clean = {row.defense: row for row in self._summary.clean}
        best = self._best(clean.values())
        rows = [self._row(name, self._clean(name, clean.get(name), name in best)) for name in defenses]
        yield Block(title="without attack", rows=tuple(rows))
        for sweep in list_sweeps(self._summary):
            yield Block(title=block_title(sweep), rows=tuple(self._attacked(sweep)))

    def _best(self, rows: Iterable[CleanRow | ResultRow]) -> frozenset[str]:
        images = self._summary.run.images  # on fewer it would not be the same images
        return best_defenses([row for row in rows if row.n == images and row.defense not in self._unreliable])

    def _clean(self, name: str, row: CleanRow | None, bold: bool) -> str:
        if row is None:
            return self._wide(name, _FAILED if (name, CLEAN, "0") in self._failed else _MISSING)
        figure = Figure.of(row, self._summary.run.images).latex(bold=bold, separator=" ")
        return self._wide(name, f"{figure}, {_rejected(row)} rejected" if name in self._rejecting else figure)

    def _row(self, name: str, *lines: str) -> Row:
        return Row(lines=lines, height=len(lines) - 1 + math.ceil(label_width(name) / LABEL_WIDTH))

    def _attacked(self, sweep: Sweep) -> Iterator[Row]:
        columns = [
            {
                row.defense: row
                for name in self._summary.defenses
                if (row := self._results.get((name, sweep.attack, epsilon)))
            }
            for epsilon in self._epsilons
        ]
        honest = sweep.knowledge not in UPPER_BOUNDS
        best = [self._best(column.values()) if honest else frozenset[str]() for column in columns]
        images = self._summary.run.images
        for name in self._summary.defenses:
            rows = [column.get(name) for column in columns]
            cells = [
                Figure.of(row, images).latex(bold=name in winners)
                if row
                else _pair(_FAILED if (name, sweep.attack, epsilon) in self._failed else _MISSING)
                for row, winners, epsilon in zip(rows, best, self._epsilons, strict=True)
            ]
            lines = [f"{self._label(name)} & {' & '.join(cells)} \\\\"]
            if self._proportion and name in self._rejecting:
                shares = [f"{_rejected(row)} &" if row else _pair(_MISSING) for row in rows]
                lines.append(f"\\quad rejected & {' & '.join(shares)} \\\\")
            yield self._row(name, *lines, *self._worst(name, sweep, [row for row in rows if row]))

    def _worst(self, name: str, sweep: Sweep, shown: Sequence[ResultRow]) -> Iterator[str]:
        """Yield the least robust accuracy of a sweep if it is at an epsilon that has no column."""
        rows = [row for row in self._summary.worst if (row.defense, row.attack) == (name, sweep.attack)]
        for row in rows:
            if row.accuracy < min((other.accuracy for other in shown), default=1.0):
                figure = Figure.of(row, self._summary.run.images).latex(separator=" ")
                yield self._wide("", f"least: {figure} at $\\varepsilon={escape(row.worst_case_epsilon)}$")

    def _label(self, name: str) -> str:
        alignment = "\\raggedright " if self._wraps else ""
        return alignment + escape(name) + (DAGGER if name in self._unreliable else "")

    def _wide(self, name: str, text: str) -> str:
        label = self._label(name) if name else ""
        return f"{label} & \\multicolumn{{{2 * max(1, len(self._epsilons))}}}{{l@{{}}}}{{{text}}} \\\\"


def _rejected(row: CleanRow | ResultRow) -> str:
    return f"{100 * row.rejected / row.n:.1f}"


def _pair(text: str) -> str:
    return f"\\multicolumn{{2}}{{c}}{{{text}}}"
