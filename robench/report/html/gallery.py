"""Images under attack as pictures in a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.report.images import difference, png_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.exhibit import Specimen


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One image of the page.

    Attributes:
        source: A PNG as a data URL.
        text: What it shows, in words.
        caption: To stand below it.
        error: Reconstruction error, for people; empty where there is none.
        winner: Whether it is the reconstruction that was taken.
    """

    source: str
    text: str
    caption: str
    error: str = ""
    winner: bool = False


@dataclass(frozen=True, kw_only=True)
class GalleryRow:
    """What the page shows of one image under attack.

    Attributes:
        specimen: The facts.
        pictures: Clean, attacked, difference.
        reconstructions: One for each class; none where the defense has none.
    """

    specimen: Specimen
    pictures: tuple[Picture, ...]
    reconstructions: tuple[Picture, ...]


def gallery_rows(specimens: Sequence[Specimen]) -> list[GalleryRow]:
    """Turn images under attack into pictures."""
    return [
        GalleryRow(specimen=one, pictures=_pictures(one), reconstructions=_reconstructions(one)) for one in specimens
    ]


def _pictures(one: Specimen) -> tuple[Picture, ...]:
    return (
        Picture(source=png_url(one.clean), text=f"clean image of class {one.label}", caption="clean"),
        Picture(source=png_url(one.attacked), text=f"attacked, predicted {one.prediction}", caption="attacked"),
        Picture(
            source=png_url(difference(one.clean, one.attacked)),
            text="difference, grey where nothing changed",
            caption="difference",
        ),
    )


def _reconstructions(one: Specimen) -> tuple[Picture, ...]:
    if one.reconstructions is None or one.errors is None:
        return ()
    winner = int(one.errors.argmin())
    return tuple(
        Picture(
            source=png_url(image),
            text=f"reconstruction as class {name}{', the least error' if number == winner else ''}",
            caption=name,
            error=f"{one.errors[number]:.3f}",
            winner=number == winner,
        )
        for number, (name, image) in enumerate(zip(one.classes, one.reconstructions, strict=True))
    )
