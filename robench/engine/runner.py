"""Attack some images at some epsilons and judge what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from robench.api import References
from robench.api.records import CLEAN
from robench.engine.batch import Batch
from robench.engine.memory import in_portions
from robench.engine.plan import JUDGING_DRAWS
from robench.engine.seeding import image_order
from robench.engine.sightings import Sightings
from robench.engine.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from robench.api import Norm
    from robench.api.records import ImageOutcome
    from robench.engine.ascent import Observe
    from robench.engine.data import LoadedSplit
    from robench.engine.plan import Assault
    from robench.engine.prepare import Prepared

_REFERENCES_PER_CLASS = 20


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """What became of some images at some epsilons each.

    Attributes:
        outcomes: For each image those at its epsilons, shape (N, E).
        examples: The attacked images, shape (N, E, C, H, W), float32, on the device of the evaluation.
        queries: How many images went through the defense during the search.
    """

    outcomes: tuple[tuple[ImageOutcome, ...], ...]
    examples: Tensor
    queries: int

    def by_epsilon(self, epsilons: Sequence[tuple[str, ...]]) -> dict[str, tuple[ImageOutcome, ...]]:
        """Sort outcomes by epsilon, in the order of the images, given the epsilons of each image."""
        found: dict[str, list[ImageOutcome]] = {}
        for texts, own in zip(epsilons, self.outcomes, strict=True):
            for text, outcome in zip(texts, own, strict=True):
                found.setdefault(text, []).append(outcome)
        return {text: tuple(outcomes) for text, outcomes in found.items()}


class Runner:
    """Attacks and judges images of the test split in the run's order.

    Args:
        split: The test split.
        references: Clean images of the validation split, see ``pick_references``.
        seed: Orders the images and feeds every stream.
        device: Where attacks run.
        rows: How many images, or images at one epsilon each, go through a defense together.
        norm: Of the balls.
        watch: Told what the time goes into.
        observe: Told of each step of an ascent, see ``GradientAscent``.
    """

    def __init__(
        self,
        split: LoadedSplit,
        references: References,
        *,
        seed: int,
        device: torch.device,
        rows: int,
        norm: Norm = "linf",
        watch: Stopwatch | None = None,
        observe: Observe | None = None,
    ) -> None:
        self._split = split
        self._references = references
        self._seed = seed
        self._device = device
        self._rows = rows
        self._norm: Norm = norm
        self._watch = watch or Stopwatch(device)
        self._observe = observe
        self._order = image_order(seed, len(split))

    def attack(
        self,
        prepared: Prepared,
        assault: Assault | None,
        positions: Sequence[int],
        epsilons: Sequence[tuple[str, ...]],
    ) -> Attacked:
        """Attack the images at these positions and judge the result; without an assault, judge them as they are.

        What becomes of an image at an epsilon depends neither on the other images nor on the other epsilons.

        Args:
            prepared: The defense.
            assault: The attack.
            positions: Which images.
            epsilons: For each of them, at which epsilons, decimal texts; the same number for all.

        Raises:
            PluginError: If attack or defense break the rules.
        """

        def attack(part: slice, rows: int) -> Attacked:
            return self._batch(prepared, assault, positions[part], epsilons[part], rows, first=part.start)

        parts = in_portions(attack, len(positions), self._rows, self._device)
        return Attacked(
            outcomes=tuple(outcomes for part in parts for outcomes in part.outcomes),
            examples=torch.cat([part.examples for part in parts]),
            queries=sum(part.queries for part in parts),
        )

    def examples(
        self, prepared: Prepared, assault: Assault, positions: Sequence[int], epsilons: Sequence[str]
    ) -> Tensor:
        """Return the attacked images themselves, shape (N, E, C, H, W), float32, in [0, 1], on the CPU.

        Args:
            prepared: The defense.
            assault: The attack.
            positions: Which images.
            epsilons: Decimal texts, the same for all images.

        Raises:
            PluginError: If the attack breaks the rules.
        """

        def attack(part: slice, rows: int) -> Tensor:
            own = positions[part]
            radius = _radius([tuple(epsilons)] * len(own)).to(self._device)
            return self._prepare(own, rows).attack(prepared, assault, radius).cpu()

        return torch.cat(in_portions(attack, len(positions), self._rows, self._device))

    def judge(
        self, prepared: Prepared, purpose: str, positions: Sequence[int], examples: Tensor, *, draws: int = 1
    ) -> tuple[ImageOutcome, ...]:
        """Judge attacked images, shape (N, E, C, H, W), as after the attack of that name; returns N x E outcomes."""

        def judge(part: slice, rows: int) -> list[ImageOutcome]:
            own = positions[part]
            return self._prepare(own, rows).judge(prepared, purpose, examples[part].to(self._device), own, draws=draws)

        parts = in_portions(judge, len(positions), self._rows, self._device)
        return tuple(outcome for part in parts for outcome in part)

    def distances(self, prepared: Prepared, positions: Sequence[int]) -> list[float]:
        """Return how far the boundary of a deterministic defense seems to be from some images, in pixel values."""

        def look(part: slice, rows: int) -> list[float]:
            found: list[float] = self._prepare(positions[part], rows).distances(prepared).tolist()
            return found

        parts = in_portions(look, len(positions), self._rows, self._device)
        return [distance for part in parts for distance in part]

    def _prepare(self, positions: Sequence[int], rows: int, observe: Observe | None = None) -> Batch:
        indices = self._order[np.asarray(positions)]
        with self._watch.measure("data"):
            images, labels = (
                torch.from_numpy(values[indices]).to(self._device)
                for values in (self._split.images, self._split.labels)
            )
            return Batch(
                images,
                labels,
                indices.tolist(),
                self._references,
                seed=self._seed,
                rows=rows,
                watch=self._watch,
                norm=self._norm,
                observe=observe,
            )

    def _batch(
        self,
        prepared: Prepared,
        assault: Assault | None,
        positions: Sequence[int],
        epsilons: Sequence[tuple[str, ...]],
        rows: int,
        *,
        first: int,
    ) -> Attacked:
        count = len(epsilons[0])
        observe = _shifted(self._observe, first * count) if self._observe is not None else None
        sightings = Sightings(len(positions) * count, observe)
        batch = self._prepare(positions, rows, sightings if _passes_by(assault) else observe)
        attacked = batch.images[:, None]
        if assault is not None:
            attacked = batch.attack(prepared, assault, _radius(epsilons).to(self._device))
        purpose, draws = (CLEAN, JUDGING_DRAWS) if assault is None else (assault.name, assault.draws)
        judged = batch.judge(prepared, purpose, attacked, positions, draws=draws)
        outcomes = [replace(one, search_won=won) for one, won in zip(judged, sightings.read(), strict=True)]
        rowwise = tuple(tuple(outcomes[at : at + count]) for at in range(0, len(outcomes), count))
        return Attacked(outcomes=rowwise, examples=attacked, queries=batch.queries)


def _passes_by(assault: Assault | None) -> bool:
    """Say whether an attack that the engine takes the steps of may pass by a win: its last iterate counts."""
    return assault is not None and assault.form == "sweep" and assault.keep == "last"


def _shifted(observe: Observe, first: int) -> Observe:
    """Number slots from ``first``, for a batch that is a later part of what is observed."""
    return lambda step, slots, values, hits: observe(step, slots + first, values, hits)


def pick_references(split: LoadedSplit, device: torch.device) -> References:
    """Return the first twenty images of every class, in order of class.

    Args:
        split: The validation split.
        device: Where to.
    """
    places = [np.flatnonzero(split.labels == label)[:_REFERENCES_PER_CLASS] for label in np.unique(split.labels)]
    chosen = np.concatenate(places)
    return References(
        images=torch.from_numpy(split.images[chosen]).to(device),
        labels=torch.from_numpy(split.labels[chosen]).to(device),
    )


def _radius(epsilons: Sequence[tuple[str, ...]]) -> Tensor:
    return torch.tensor([[float(text) for text in texts] for texts in epsilons], dtype=torch.float64)


def default_batch_size(device: torch.device) -> int:
    """Return the number of images that go through a defense together: more would be slower on a CPU, fewer on a GPU."""
    return 1000 if device.type == "cuda" else 100


def summarise_environment(versions: Mapping[str, str], device: torch.device) -> dict[str, str]:
    """Return versions and hardware for the record."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return {**versions, "torch": torch.__version__, "device": f"{device.type} ({name})"}
