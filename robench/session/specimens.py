"""Which of the kept images of a run are shown, and what is known of each."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, cast

import numpy as np

from robench.api.exhibit import Specimen
from robench.api.records import ADAPTIVE, CLEAN, REJECTION, WORST_CASE
from robench.session.kept import example_files, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from robench.api import Split
    from robench.api.records import Cell, CellCounts, ImageOutcome, RunSummary
    from robench.engine.data import LoadedSplit
    from robench.storage.store import ResultStore

_WHITE = 255
_ATTACKS = 2
"""Of each defense: the strongest kind, and the first that is naive."""
_EPSILONS = 3
_EACH = 2
"""Images of each outcome in a cell."""


def pick_specimens(
    store: ResultStore,
    summary: RunSummary,
    counts: Iterable[CellCounts],
    root: Path,
    load: Callable[[], tuple[Split, Sequence[str]]],
) -> tuple[Specimen, ...]:
    """Pick a few images of each defense, attack, epsilon and outcome: the first ones of the run's order.

    Args:
        store: Where the run is.
        summary: Of the run.
        counts: Of its cells.
        root: Folder of all examples of the store.
        load: Returns the test split and the names of its classes; asked only if examples are kept.

    Raises:
        RobenchError: If a file of examples is truncated or foreign, or the data set is not here.
    """
    kept = [cell for cell in _cells(summary, counts) if example_files(root, cell)]
    if not kept:
        return ()
    split, classes = load()
    return tuple(
        specimen
        for _, cells in groupby(kept, key=lambda cell: cell.defense)
        for cell in _some(list(cells))
        for specimen in _of_cell(
            store.outcomes(summary.run.id, cell.key), root, cell, cast("LoadedSplit", split), classes
        )
    )


def _cells(summary: RunSummary, counts: Iterable[CellCounts]) -> list[Cell]:
    """Return the attacked cells that hold outcomes, by defense."""
    places = {defense: place for place, defense in enumerate(summary.defenses)}
    cells = [count.cell for count in counts if count.n and count.cell.attack not in {CLEAN, REJECTION}]
    return sorted(cells, key=lambda cell: places[cell.defense])


def _some(cells: Sequence[Cell]) -> Iterator[Cell]:
    """Yield the cells of a few attacks of one defense, each at a few epsilons up to the largest."""
    attacks = list(dict.fromkeys(cell.attack for cell in cells))
    attacks.sort(key=lambda name: (name != ADAPTIVE, name != WORST_CASE))
    for attack in attacks[:_ATTACKS]:
        own = sorted((cell for cell in cells if cell.attack == attack), key=lambda cell: float(cell.epsilon))
        count = min(len(own), _EPSILONS)
        yield from (own[len(own) * (place + 1) // count - 1] for place in range(count))


def _of_cell(
    outcomes: Sequence[ImageOutcome], root: Path, cell: Cell, split: LoadedSplit, classes: Sequence[str]
) -> Iterator[Specimen]:
    from robench.session.examples import read_kept, read_kept_reconstructions  # with torch, which nothing else needs

    ranges = [span(path) for path in example_files(root, cell)]
    by_end: dict[str, list[ImageOutcome]] = {}
    for item in outcomes:
        if any(item.position in own for own in ranges):
            by_end.setdefault(item.outcome, []).append(item)
    wanted = sorted((item for found in by_end.values() for item in found[:_EACH]), key=lambda item: item.position)
    images = read_kept(root, cell, split, eight_bit=True, positions={item.position for item in wanted})
    shape = cast("tuple[int, int, int]", split.images.shape[1:])
    candidates = read_kept_reconstructions(root, cell, shape)
    for item in wanted:
        if item.position not in images:
            continue
        pictures, errors = candidates.get(item.position, (None, None))
        yield Specimen(
            defense=cell.defense,
            attack=cell.attack,
            knowledge=cell.knowledge,
            epsilon=cell.epsilon,
            image=item.image,
            label=classes[item.label],
            prediction=classes[item.prediction],
            outcome=item.outcome.value,
            score=item.score,
            threshold=cell.threshold,
            clean=_bytes(split.images[item.image]),
            attacked=_bytes(images[item.position].numpy()),
            classes=tuple(classes),
            reconstructions=None if pictures is None else pictures.numpy(),
            errors=None if errors is None else errors.numpy(),
        )


def _bytes(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    return (_WHITE * image).round().astype(np.uint8)
