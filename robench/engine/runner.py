"""Attack some images at some epsilons and judge what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from robench.api import AttackContext, Budget, SweepContext
from robench.api.records import CLEAN
from robench.engine.ascent import SignAscent
from robench.engine.deploy import BoundTarget
from robench.engine.judge import check_admissible, judge
from robench.engine.precision import judging_precision, searching_precision
from robench.engine.seeding import ImageStreams, SelectedStreams, SharedDraws, image_order
from robench.engine.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from robench.api.records import ImageOutcome
    from robench.engine.data import LoadedSplit
    from robench.engine.plan import Assault
    from robench.engine.prepare import Prepared

_OUT_OF_MEMORY = "can't allocate memory"


class Runner:
    """Attacks and judges images of the test split in the run's order.

    Args:
        split: The test split.
        seed: Orders the images and feeds every stream.
        device: Where attacks run.
        rows: How many images, or images at one epsilon each, go through a defense together.
        watch: Told what the time goes into.
    """

    def __init__(
        self, split: LoadedSplit, *, seed: int, device: torch.device, rows: int, watch: Stopwatch | None = None
    ) -> None:
        self._split = split
        self._seed = seed
        self._device = device
        self._rows = rows
        self._watch = watch or Stopwatch(device)
        self._order = image_order(seed, len(split))

    def outcomes(
        self,
        prepared: Prepared,
        assault: Assault | None,
        positions: Sequence[int],
        epsilons: Sequence[tuple[str, ...]],
    ) -> dict[str, tuple[ImageOutcome, ...]]:
        """Attack the images at these positions and judge the result; without an assault, judge them as they are.

        What becomes of an image at an epsilon depends neither on the other images nor on the other epsilons.

        Args:
            prepared: The defense.
            assault: The attack.
            positions: Which images.
            epsilons: For each of them, at which epsilons; the same number for all.

        Returns:
            Outcomes by epsilon, in the order of the positions.

        Raises:
            PluginError: If attack or defense break the rules.
        """
        return self._halving(prepared, assault, positions, epsilons, self._rows)

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
        batch = self._prepare(positions, self._rows)
        return batch.attack(prepared, assault, _radius([tuple(epsilons)] * len(positions)).to(self._device)).cpu()

    def judge(
        self, prepared: Prepared, assault: Assault, positions: Sequence[int], examples: Tensor
    ) -> tuple[ImageOutcome, ...]:
        """Judge attacked images, shape (N, E, C, H, W), as after the attack, and return N x E outcomes."""
        batch = self._prepare(positions, self._rows)
        return tuple(batch.judge(prepared, assault.name, examples.to(self._device), positions))

    def _prepare(self, positions: Sequence[int], rows: int) -> _Batch:
        indices = self._order[np.asarray(positions)]
        with self._watch.measure("data"):
            return _Batch(self._split, indices, self._device, seed=self._seed, rows=rows, watch=self._watch)

    def _halving(
        self,
        prepared: Prepared,
        assault: Assault | None,
        positions: Sequence[int],
        epsilons: Sequence[tuple[str, ...]],
        rows: int,
    ) -> dict[str, tuple[ImageOutcome, ...]]:
        """Halve what goes through the defense together when it does not fit."""
        try:
            return self._batch(prepared, assault, positions, epsilons, rows)
        except RuntimeError as error:  # of which torch.OutOfMemoryError is one; a CPU raises the plain kind
            exhausted = isinstance(error, torch.OutOfMemoryError) or _OUT_OF_MEMORY in str(error)
            if not exhausted or (len(positions) == 1 and rows == 1):
                raise
        # Outside the handler: the exception's traceback would keep the tensors alive.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        middle = (len(positions) + 1) // 2
        found: dict[str, tuple[ImageOutcome, ...]] = {}
        for part in (slice(middle), slice(middle, None)):
            if positions[part]:
                half = self._halving(prepared, assault, positions[part], epsilons[part], max(1, min(rows // 2, middle)))
                for epsilon, outcomes in half.items():
                    found[epsilon] = (*found.get(epsilon, ()), *outcomes)
        return found

    def _batch(
        self,
        prepared: Prepared,
        assault: Assault | None,
        positions: Sequence[int],
        epsilons: Sequence[tuple[str, ...]],
        rows: int,
    ) -> dict[str, tuple[ImageOutcome, ...]]:
        batch = self._prepare(positions, rows)
        attacked = batch.images[:, None]
        if assault is not None:
            attacked = batch.attack(prepared, assault, _radius(epsilons).to(self._device))
        purpose = CLEAN if assault is None else assault.name
        found: dict[str, list[ImageOutcome]] = {}
        texts = [text for own in epsilons for text in own]
        for text, outcome in zip(texts, batch.judge(prepared, purpose, attacked, positions), strict=True):
            found.setdefault(text, []).append(outcome)
        return {text: tuple(outcomes) for text, outcomes in found.items()}


class _Batch:
    """Some images with everything that is done to them. Streams never depend on which other images there are.

    The defense's name and the epsilon do not enter the streams' purpose: what two defenses, or one image at two
    epsilons, draw is the same, so that their difference is not a difference of luck.
    """

    def __init__(
        self,
        split: LoadedSplit,
        indices: np.ndarray[tuple[int], np.dtype[np.int64]],
        device: torch.device,
        *,
        seed: int,
        rows: int,
        watch: Stopwatch,
    ) -> None:
        self.indices: list[int] = indices.tolist()
        self.images = torch.from_numpy(split.images[indices]).to(device)
        self.labels = torch.from_numpy(split.labels[indices]).to(device)
        self._device, self._seed, self._rows, self._watch = device, seed, rows, watch

    def _streams(self, purpose: str, attack: str, indices: Sequence[int], *more: int) -> ImageStreams:
        return ImageStreams(indices, self._device, purpose, self._seed, attack, *more)

    def attack(self, prepared: Prepared, assault: Assault, radius: Tensor) -> Tensor:
        """Return the attacked images, shape (N, E, C, H, W), for the balls of these radii, shape (N, E), float64."""
        # A plugin may have switched gradients off for good; the next one must not pay for it.
        with torch.enable_grad(), self._watch.measure("search"):
            return (self._sweep if assault.sweeping else self._one_by_one)(prepared, assault, radius)

    def _sweep(self, prepared: Prepared, assault: Assault, radius: Tensor) -> Tensor:
        def confirm(images: Tensor, owners: Tensor, step: int) -> Tensor:
            return self._fooled(prepared, assault.name, images, owners, step)

        images, labels = self.images.clone(), self.labels.clone()  # an attack that writes to them must not move balls
        random = self._streams("attack", assault.name, self.indices)
        search = prepared.search
        with searching_precision(self._device, search.precision):
            attacked = assault.run_sweep(
                SweepContext(
                    target=BoundTarget(search, random),
                    images=images,
                    labels=labels,
                    epsilons=radius.clone(),
                    random=random,
                    parameters=assault.offer.parameters,
                    ascend=SignAscent(
                        search, random, images, labels, radius, rows=self._rows, keep=assault.keep, confirm=confirm
                    ),
                )
            )
        return check_admissible(
            assault.name, attacked, self.images[:, None].expand(-1, radius.shape[1], -1, -1, -1), radius
        )

    def _one_by_one(self, prepared: Prepared, assault: Assault, radius: Tensor) -> Tensor:
        """Attack at one epsilon after the other, for an attack that knows no more."""
        attacked = self.images[:, None].repeat(1, radius.shape[1], 1, 1, 1)
        for epsilon in torch.unique(radius).tolist():
            where = (radius == epsilon).nonzero()
            owners = where[:, 0]
            random = self._streams("attack", assault.name, [self.indices[owner] for owner in owners.tolist()])
            with judging_precision(self._device):
                found = assault.run_plain(
                    AttackContext(
                        target=BoundTarget(prepared.deployed, random),
                        images=self.images[owners],
                        labels=self.labels[owners],
                        budget=Budget(epsilon=epsilon),
                        random=random,
                        parameters=assault.offer.parameters,
                    )
                )
            found = check_admissible(assault.name, found, self.images[owners], radius.new_full(owners.shape, epsilon))
            attacked[owners, where[:, 1]] = found
        return attacked

    @torch.inference_mode()
    def _fooled(self, prepared: Prepared, attack: str, images: Tensor, owners: Tensor, step: int) -> Tensor:
        """Say which images the real defense accepts as a wrong class, shape (M,), bool."""
        fooled = []
        with judging_precision(self._device), self._watch.measure("judge"):
            for part, owned in zip(torch.split(images, self._rows), torch.split(owners, self._rows), strict=True):
                indices = [self.indices[owner] for owner in owned.tolist()]
                target = BoundTarget(prepared.deployed, self._streams("confirm", attack, indices, step))
                target.verdict(part)
                fooled.append(target.fooled(self.labels[owned]))
        return torch.cat(fooled)

    def judge(self, prepared: Prepared, attack: str, attacked: Tensor, positions: Sequence[int]) -> list[ImageOutcome]:
        """Judge images, shape (N, E, C, H, W), on draws that no attack has seen, and return N x E outcomes."""
        owners = torch.arange(len(attacked), device=self._device).repeat_interleave(attacked.shape[1])
        draws = SharedDraws(self._streams("judge", attack, self.indices))
        outcomes: list[ImageOutcome] = []
        for part, owned in zip(
            torch.split(attacked.flatten(0, 1), self._rows), torch.split(owners, self._rows), strict=True
        ):
            draws.again()
            numbers = owned.tolist()
            with self._watch.measure("judge"):
                outcomes += judge(
                    prepared.deployed,
                    part,
                    self.labels[owned],
                    positions=[positions[number] for number in numbers],
                    indices=[self.indices[number] for number in numbers],
                    random=SelectedStreams(draws, owned),
                )
        return outcomes


def _radius(epsilons: Sequence[tuple[str, ...]]) -> Tensor:
    return torch.tensor([[float(text) for text in texts] for texts in epsilons], dtype=torch.float64)


def default_batch_size(device: torch.device) -> int:
    """Return the number of images that go through a defense together: more would be slower on a CPU, fewer on a GPU."""
    return 1000 if device.type == "cuda" else 100


def summarise_environment(versions: Mapping[str, str], device: torch.device) -> dict[str, str]:
    """Return versions and hardware for the record."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return {**versions, "torch": torch.__version__, "device": f"{device.type} ({name})"}
