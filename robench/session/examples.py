"""Kept examples: where the attacked images of a run are, and what belongs to which cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from robench import __version__
from robench.api.records import CLEAN
from robench.engine.examples import Examples, from_eight_bit, read_examples, to_eight_bit, unusable, write_examples
from robench.engine.reconstructions import read_reconstructions, reconstruct, write_reconstructions
from robench.errors import RobenchError
from robench.session.kept import RECONSTRUCTIONS, example_files, reconstruction_files, span

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from robench.api import Norm
    from robench.api.records import Cell, ImageOutcome, Run
    from robench.engine.data import LoadedSplit
    from robench.engine.deploy import Deployed
    from robench.engine.plan import Sweep
    from robench.engine.sweep import SweepWork
    from robench.storage.store import ResultStore

RECONSTRUCTED = 100
"""Images of a run, its first ones, of which the reconstructions are kept: ten times the bytes, and to be looked at."""


class Keeper:
    """Writes the attacked images that count, batch by batch.

    Args:
        root: Folder of all examples of the store.
        run: Which run they are of.
        test: The test split.
    """

    def __init__(self, root: Path, run: Run, test: LoadedSplit) -> None:
        self._root, self._run, self._test = root, run, test

    def mention_lost(self, store: ResultStore, sweeps: Sequence[Sweep], note: Callable[[str], None]) -> None:
        """Say how many outcomes are stored already, so that they are not worked out again, but lack their examples."""
        lost = 0
        for cell in _kept_cells(sweeps):
            stored = set(range(self._run.images)).difference(store.missing(cell.key, self._run.images))
            lost += len(stored - self._positions(cell)) if stored else 0
        if lost:
            note(
                f"{lost:,} outcomes are stored already without their attacked images, which are not kept therefore; "
                "to have them, evaluate into another store with --db"
            )

    def keep(self, sweep: Sweep, found: SweepWork) -> None:
        """Write what an attack came to, before its outcomes are stored: a killed run does some work again instead.

        A file that is there already and holds the same positions is left alone.

        Raises:
            RobenchError: If it cannot be written.
        """
        for cell in _kept_cells([sweep]):
            if cell.key in found.works and cell.epsilon in found.examples:
                outcomes, exact = found.works[cell.key].outcomes, found.examples[cell.epsilon]
                if sweep.prepared is not None and sweep.prepared.deployed.selecting:
                    self._write_reconstructions(cell, sweep.prepared.deployed, outcomes, exact)
                self._write(cell, outcomes, exact.cpu())

    def _write_reconstructions(
        self, cell: Cell, deployed: Deployed, outcomes: Sequence[ImageOutcome], exact: Tensor
    ) -> None:
        shown = [row for row, item in enumerate(outcomes) if item.position < RECONSTRUCTED]
        if not shown:
            return
        positions = [outcomes[row].position for row in shown]
        found = reconstruct(
            deployed,
            exact[shown],
            indices=[outcomes[row].image for row in shown],
            positions=positions,
            seed=self._run.seed,
            attack=cell.attack,
        )
        folder = self._root / self._run.id / cell.key / RECONSTRUCTIONS
        facts = _facts(cell, self._run.id)
        write_reconstructions(folder / f"{min(positions)}-{max(positions)}.safetensors", found, facts)

    def _write(self, cell: Cell, outcomes: Sequence[ImageOutcome], exact: Tensor) -> None:
        positions = [item.position for item in outcomes]
        folder = self._root / self._run.id / cell.key
        path = folder / f"{min(positions)}-{max(positions)}.safetensors"
        if self._readable(path, cell) == positions:
            return
        images = [item.image for item in outcomes]
        examples = Examples(
            exact=exact,
            eight_bit=to_eight_bit(
                exact, torch.from_numpy(self._test.images[images]), float(cell.epsilon), cast("Norm", cell.norm)
            ),
            positions=torch.tensor(positions),
            images=torch.tensor(images),
            labels=torch.tensor([item.label for item in outcomes]),
        )
        write_examples(path, examples, _facts(cell, self._run.id))

    def _positions(self, cell: Cell) -> set[int]:
        return {position for path in example_files(self._root, cell) for position in self._readable(path, cell)}

    def _readable(self, path: Path, cell: Cell) -> list[int]:
        """Return the positions in a file, in its order; none if it is missing or unusable."""
        if not path.exists():
            return []
        try:
            examples = _read(path, cell, self._test)
        except RobenchError:
            return []
        return examples.positions.tolist()


def keeps_any(root: Path, cells: Sequence[Cell]) -> bool:
    """Say whether there is a file of examples of some of these cells."""
    return any(example_files(root, cell) for cell in cells)


def read_kept(
    root: Path, cell: Cell, test: LoadedSplit, *, eight_bit: bool, positions: Collection[int] | None = None
) -> dict[int, Tensor]:
    """Read examples of a cell, whichever run has kept them.

    Args:
        root: Folder of all examples of the store.
        cell: Which cell.
        test: The test split.
        eight_bit: Whether to take them as an image file would have them.
        positions: Which ones to read; files that have none of them stay closed. None for all.

    Returns:
        By position, each of shape (C, H, W), float32, in [0, 1], on the CPU.

    Raises:
        RobenchError: If a file is truncated, foreign, or of something else than this cell.
    """
    found: dict[int, Tensor] = {}
    for path in example_files(root, cell):
        if positions is not None and not any(position in span(path) for position in positions):
            continue
        examples = _read(path, cell, test)
        images = from_eight_bit(examples.eight_bit) if eight_bit else examples.exact
        rows = zip(examples.positions.tolist(), images, strict=True)
        found.update((place, image) for place, image in rows if positions is None or place in positions)
    return found


def read_kept_reconstructions(root: Path, cell: Cell, shape: tuple[int, int, int]) -> dict[int, tuple[Tensor, Tensor]]:
    """Read the reconstructions of a cell, whichever run has kept them.

    Args:
        root: Folder of all examples of the store.
        cell: Which cell.
        shape: Channels, height and width of an image.

    Returns:
        By position: images, shape (K, C, H, W), uint8, and errors, shape (K,), float32.

    Raises:
        RobenchError: If a file is truncated, foreign, or of something else than this cell.
    """
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for path in reconstruction_files(root, cell):
        own, facts = read_reconstructions(path, shape)
        _check_facts(path, facts, _facts(cell, path.parent.parent.parent.name))
        found.update(zip(own.positions.tolist(), zip(own.images, own.errors, strict=True), strict=True))
    return found


def _kept_cells(sweeps: Sequence[Sweep]) -> list[Cell]:
    """Return the cells whose images are kept: all but the clean ones, which the data set has."""
    return [cell for sweep in sweeps for cell in sweep.cells if cell.attack != CLEAN]


def _read(path: Path, cell: Cell, test: LoadedSplit) -> Examples:
    examples, facts = read_examples(path, test.images.shape[1:])
    # There was no other norm before files named it.
    _check_facts(path, {"norm": "linf", **facts}, _facts(cell, path.parent.parent.name))
    try:
        examples.check(test, cell.seed, float(cell.epsilon), cast("Norm", cell.norm))
    except ValueError as error:
        raise unusable(path, str(error)) from error
    return examples


def _check_facts(path: Path, facts: Mapping[str, object], expected: Mapping[str, object]) -> None:
    # The version is for people: whether it matters is for the cell's key to say.
    wrong = [name for name in expected if name != "robench" and facts.get(name, ...) != expected[name]]
    if wrong:
        raise unusable(path, f"has another {', '.join(wrong)}")


def _facts(cell: Cell, run: str) -> dict[str, object]:
    return {
        "run": run,
        "cell": cell.key,
        "dataset": cell.dataset,
        "data_digest": cell.data_digest,
        "classifier_digest": cell.classifier_digest,
        "defense": cell.defense,
        "threshold": cell.threshold,
        "attack": cell.attack,
        "norm": cell.norm,
        "epsilon": cell.epsilon,
        "seed": cell.seed,
        "robench": __version__,
    }
