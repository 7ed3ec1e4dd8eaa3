"""A figure of a LaTeX table: a number and its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.report.latex.text import width

if TYPE_CHECKING:
    from typing import Self

    from robench.api.records import CleanRow, ResultRow, WorstRow

_SMALL = 0.95
r"""em of \scriptsize in one of \footnotesize, at most."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A percentage with its 95 % interval.

    Attributes:
        value: Text.
        detail: Its interval and, where some images are missing, their number.
    """

    value: str
    detail: str

    @classmethod
    def of(cls, row: CleanRow | ResultRow | WorstRow, images: int) -> Self:
        """Read the figure of a row of a run over ``images`` images."""
        interval = f"[{100 * row.accuracy_low:.1f}, {100 * row.accuracy_high:.1f}]"
        return cls(value=f"{100 * row.accuracy:.1f}", detail=interval + ("" if row.n == images else f" (n={row.n})"))

    @property
    def width(self) -> float:
        """Estimate of its width in em."""
        return width(f"{self.value} ") + _SMALL * width(self.detail)

    def latex(self, *, bold: bool = False, separator: str = " & ") -> str:
        """Return LaTeX: two cells, or whatever else separates the number from its interval."""
        value = f"\\textbf{{{self.value}}}" if bold else self.value
        return f"{value}{separator}{{\\scriptsize {self.detail}}}"
