"""Attacked images beside what a selecting defense makes of them, as one picture."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from robench.errors import UsageError
from robench.report.images import difference, png_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from robench.api.exhibit import Exhibit, Specimen

_ROWS = 6
_SIDE, _GAP, _LEFT, _TOP, _ROW = 32, 3, 74, 14, 44
"""In points: of an image, between two, of the labels, of the heading, of a row with its line of errors."""
_WIDEST = 504
_STYLE = "font-family:Arial,Helvetica,Liberation Sans,sans-serif;font-size:7px"


def draw_reconstructions(exhibit: Exhibit) -> str:
    """Draw up to six images: clean, attacked, difference, and the reconstruction as each class, the winner framed.

    Returns:
        SVG.

    Raises:
        UsageError: If no reconstructions are kept.
    """
    chosen = _choose([one for one in exhibit.specimens if one.reconstructions is not None])
    if not chosen:
        why = exhibit.no_specimens or "none of the defenses whose images are kept chooses among them, as puvae does"
        message = f"run {exhibit.summary.run.id} has no reconstructions to draw: {why.rstrip('.')}"
        raise UsageError(message)
    columns = 3 + max(len(one.classes) for one in chosen)
    width, height = _LEFT + columns * (_SIDE + _GAP) + _GAP, _TOP + _ROW * len(chosen)
    scale = min(1, _WIDEST / width)
    size = f'width="{width * scale:g}" height="{height * scale:g}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{_STYLE}" text-anchor="middle">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_heading(chosen[0]),
        *(line for row, one in enumerate(chosen) for line in _row(one, _TOP + _ROW * row)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _choose(specimens: Sequence[Specimen]) -> list[Specimen]:
    """Take as many of each outcome as there is room for, at the largest epsilon that has them."""
    ordered = sorted(specimens, key=lambda one: -float(one.epsilon))
    by_end = [[one for one in ordered if one.outcome == end] for end in ("correct", "rejected", "wrong")]
    found: list[Specimen] = []
    while len(found) < _ROWS and any(by_end):
        found += [own.pop(0) for own in by_end if own]
    order = {"correct": 0, "rejected": 1, "wrong": 2}
    return sorted(found[:_ROWS], key=lambda one: order[one.outcome])


def _heading(one: Specimen) -> Iterator[str]:
    for column, name in enumerate(("clean", "attacked", "difference", *one.classes)):
        yield _text(_middle(column), _TOP - 5, name)


def _row(one: Specimen, top: int) -> Iterator[str]:
    for line, text in enumerate(
        (f"{one.outcome}: {one.label} as {one.prediction}", one.defense, one.attack, f"epsilon {one.epsilon}")
    ):
        yield _text(2, top + 9 + 9 * line, text, anchor="start")
    reconstructions = one.reconstructions if one.reconstructions is not None else ()
    for column, image in enumerate((one.clean, one.attacked, difference(one.clean, one.attacked), *reconstructions)):
        yield _image(column, top, image)
    if one.errors is None:
        return
    for number, error in enumerate(one.errors):
        yield _text(_middle(3 + number), top + _SIDE + 8, f"{error:.3f}")
    left = _middle(3 + int(np.argmin(one.errors))) - _SIDE / 2
    frame = 'fill="none" stroke="#d55e00" stroke-width="2"'
    yield f'<rect x="{left - 1:g}" y="{top - 1:g}" width="{_SIDE + 2}" height="{_SIDE + 2}" {frame}/>'


def _middle(column: int) -> float:
    # The reconstructions stand a little apart.
    return _LEFT + column * (_SIDE + _GAP) + _SIDE / 2 + (_GAP if column >= 3 else 0)  # noqa: PLR2004


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _image(column: int, top: int, image: NDArray[np.uint8]) -> str:
    place = f'x="{_middle(column) - _SIDE / 2:g}" y="{top}" width="{_SIDE}" height="{_SIDE}"'
    return f'<image {place} image-rendering="optimizeSpeed" href="{png_url(image)}"/>'
