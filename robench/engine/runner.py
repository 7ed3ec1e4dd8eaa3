"""Attack and judge some images of one cell: the shard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from robench.api import AttackContext, Budget
from robench.api.records import CLEAN, ImageOutcome, Shard
from robench.engine.deploy import BoundTarget
from robench.engine.judge import check_admissible, judge
from robench.engine.precision import judging_precision
from robench.engine.seeding import ImageStreams, image_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from robench.engine.data import LoadedSplit
    from robench.engine.deploy import Deployed
    from robench.engine.plan import Assault

_OUT_OF_MEMORY = "can't allocate memory"


class Runner:
    """Attacks and judges images of the test split in the run's order.

    Args:
        split: The test split.
        seed: Orders the images and feeds every stream.
        device: Where attacks run.
        environment: Versions and hardware, as JSON text, kept with every shard.
    """

    def __init__(self, split: LoadedSplit, *, seed: int, device: torch.device, environment: str) -> None:
        self._split = split
        self._seed = seed
        self._device = device
        self._environment = environment
        self._order = image_order(seed, len(split))

    def shard(self, deployed: Deployed, assault: Assault | None, positions: Sequence[int]) -> Shard:
        """Attack the images at these positions and judge the result; without an assault, judge them clean.

        Raises:
            PluginError: If attack or defense break the rules.
        """
        begun = time.monotonic()
        outcomes = self._halving(deployed, assault, positions)
        seconds = time.monotonic() - begun
        return Shard(outcomes=outcomes, seconds=seconds, environment=self._environment)

    def _halving(
        self, deployed: Deployed, assault: Assault | None, positions: Sequence[int]
    ) -> tuple[ImageOutcome, ...]:
        """Halve a batch that does not fit; outcomes do not depend on it, since every image has its own streams."""
        try:
            return self._batch(deployed, assault, positions)
        except RuntimeError as error:  # of which torch.OutOfMemoryError is one; a CPU raises the plain kind
            exhausted = isinstance(error, torch.OutOfMemoryError) or _OUT_OF_MEMORY in str(error)
            if not exhausted or len(positions) == 1:
                raise
        # Outside the handler: the exception's traceback would keep the tensors alive.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        middle = len(positions) // 2
        halves = positions[:middle], positions[middle:]
        return tuple(outcome for half in halves for outcome in self._halving(deployed, assault, half))

    def _batch(self, deployed: Deployed, assault: Assault | None, positions: Sequence[int]) -> tuple[ImageOutcome, ...]:
        indices = self._order[np.asarray(positions)]
        images = torch.from_numpy(self._split.images[indices]).to(self._device)
        labels = torch.from_numpy(self._split.labels[indices]).to(self._device)
        # The defense's name is left out: what two defenses draw is the same, so their difference is not chance.
        where = (assault.name, assault.epsilon) if assault else (CLEAN, "0")
        image_ids = indices.tolist()
        if assault is not None:
            random = ImageStreams(image_ids, self._device, "attack", self._seed, *where)
            images = self._attack(deployed, assault, images, labels, random)
        return judge(
            deployed,
            images,
            labels,
            positions=positions,
            indices=image_ids,
            random=ImageStreams(image_ids, self._device, "judge", self._seed, *where),
        )

    def _attack(
        self, deployed: Deployed, assault: Assault, images: Tensor, labels: Tensor, random: ImageStreams
    ) -> Tensor:
        epsilon = float(assault.epsilon)
        context = AttackContext(
            target=BoundTarget(deployed, random),
            images=images.clone(),  # an attack that writes to its input must not move the ball
            labels=labels.clone(),
            budget=Budget(epsilon=epsilon),
            random=random,
            parameters=assault.offer.parameters,
        )
        # A plugin may have switched gradients off for good; the next one must not pay for it.
        with torch.enable_grad(), judging_precision(self._device):
            attacked = assault.offer.spec.run(context)
        return check_admissible(assault.name, images, attacked, epsilon)


def default_batch_size(device: torch.device) -> int:
    """Return the number of images attacked together: more would be slower on a CPU, fewer on a GPU."""
    return 1000 if device.type == "cuda" else 100


def summarise_environment(versions: Mapping[str, str], device: torch.device) -> dict[str, str]:
    """Return versions and hardware for the record."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return {**versions, "torch": torch.__version__, "device": f"{device.type} ({name})"}
