"""The training loop of every network: resumable to the step, independent of the global generators."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from robench.engine.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from robench.engine.files import require_space
from robench.engine.layers import faster_layers
from robench.engine.memory import halving
from robench.engine.precision import training_precision
from robench.engine.seeding import derive_seed, isolated_default_generator
from robench.errors import RobenchError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from robench.api import Network, Recipe, Split
    from robench.engine.progress import Progress, Task

_SECONDS_BETWEEN_CHECKPOINTS = 15.0
_CHECKPOINT_COST_SHARE = 1 / 30
_SECONDS_BETWEEN_UPDATES = 0.5
_COPIES = 8
"""Of the weights, on the disk at most: two checkpoints with both moments of Adam, one of them unfinished, and two."""


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return Adam's learning rate at a step.

    Args:
        recipe: Peak and schedule.
        step: Counted from 0.
        steps: Total number of steps.

    Source: one-cycle policy, Smith & Topin (2019), with cosine decay.
    """
    if recipe.schedule == "constant":
        return recipe.learning_rate
    warmup = max(1, round(recipe.warmup * steps))
    if step < warmup:
        return recipe.learning_rate * (0.04 + 0.96 * (step + 1) / warmup)
    done = (step - warmup + 1) / (steps - warmup + 1)
    return recipe.learning_rate * (1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * done)) / 2)


def train(
    network: Network,
    split: Split,
    validation: Split,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    progress: Progress,
) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train a network, going on from its checkpoint if there is one.

    Args:
        network: What to train and how.
        split: Training images and labels.
        validation: Images and labels whose losses are recorded after each epoch; nothing is chosen by them.
        seed: Decides initial weights, order of images, dropout and noise.
        device: Where to train.
        checkpoint: Written every few seconds; the caller removes it once the result is safe.
        progress: Told of epoch and losses.

    Returns:
        The trained module on the device, and one entry per epoch: its number, seconds, mean losses while it trained,
        and as ``validation_...`` the mean losses of the validation images at its end, without dropout.

    Raises:
        RobenchError: If the loss diverges or the checkpoint is damaged.
    """
    with isolated_default_generator():
        torch.manual_seed(derive_seed("weights", seed, network.name))
        module = network.build().to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        run = _Training(network, module, split, validation, seed=seed, device=device, checkpoint=checkpoint)
        if checkpoint.exists():
            run.state = load_checkpoint(checkpoint, module, run.optimizer)
            progress.note(f"{network.name}: going on from step {run.state.step:,} of {run.steps:,}")
        require_space(checkpoint.parent, _COPIES * run.bytes, f"training {network.name}")
        title = f"train {network.name}"
        with progress.task(title, run.steps, "steps") as task, faster_layers(module):
            run.finish(task)
    return module, run.state.history


class _Training:
    """One training under way."""

    def __init__(
        self,
        network: Network,
        module: nn.Module,
        split: Split,
        validation: Split,
        *,
        seed: int,
        device: torch.device,
        checkpoint: Path,
    ) -> None:
        self.network, self.module, self.seed, self.device = network, module, seed, device
        self.checkpoint = checkpoint
        self.recipe = network.recipe
        # Resident on the device: a batch is one gather, with no Python per sample.
        self.images = torch.from_numpy(split.images).to(device)
        self.labels = torch.from_numpy(split.labels).to(device)
        self.validation = torch.from_numpy(validation.images).to(device), torch.from_numpy(validation.labels).to(device)
        self.steps_per_epoch = math.ceil(len(split) / self.recipe.batch_size)
        self.steps = self.recipe.epochs * self.steps_per_epoch
        self.optimizer = torch.optim.Adam(module.parameters(), lr=self.recipe.learning_rate, fused=True)
        self.bytes = sum(value.numel() * value.element_size() for value in module.state_dict().values())
        self.state = TrainingState()
        self.order = torch.empty(0)
        self.together = self.recipe.batch_size

    def finish(self, task: Task) -> None:
        """Run the remaining steps."""
        state, pending = self.state, _Sums()
        saved = shown = begun = time.monotonic()
        pause = _SECONDS_BETWEEN_CHECKPOINTS
        task.update(state.step)
        while state.step < self.steps:
            pending.add(*self._step())
            state.step += 1
            now = time.monotonic()
            epoch_ends = state.step % self.steps_per_epoch == 0
            due = now - saved > pause
            if epoch_ends or due or now - shown > _SECONDS_BETWEEN_UPDATES or state.step == self.steps:
                self._absorb(pending)
                state.seconds += now - begun
                begun = shown = now
                task.update(state.step, self._describe())
            if epoch_ends:
                self._close_epoch()
                begun = time.monotonic()
            if due or (epoch_ends and state.step == self.steps):
                save_checkpoint(self.checkpoint, self.module, self.optimizer, state)
                saved = time.monotonic()
                pause = max(_SECONDS_BETWEEN_CHECKPOINTS, (saved - now) / _CHECKPOINT_COST_SHARE)

    def _step(self) -> tuple[dict[str, Tensor], int]:
        """Take one optimiser step; return its losses and the number of images."""
        epoch, batch = divmod(self.state.step, self.steps_per_epoch)
        if batch == 0 or len(self.order) == 0:
            generator = np.random.Generator(np.random.Philox(key=derive_seed("epoch", self.seed, epoch)))
            self.order = torch.from_numpy(generator.permutation(len(self.labels))).to(self.labels.device)
        rows = self.order[batch * self.recipe.batch_size : (batch + 1) * self.recipe.batch_size]
        rate = learning_rate(self.recipe, self.state.step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses = halving(partial(self._differentiate, rows), self.together, self.device)
        self.optimizer.step()
        return losses, len(rows)

    def _differentiate(self, rows: Tensor, together: int) -> dict[str, Tensor]:
        """Compute the gradients of a batch, some of its images together; return its losses.

        In parts they are those of the whole batch but for what a network draws or normalises over the images it sees.
        """
        self.optimizer.zero_grad(set_to_none=True)
        # Seeded for each step, so that a resumed training draws what an uninterrupted one would have drawn.
        torch.manual_seed(derive_seed("step", self.seed, self.network.name, self.state.step))
        sums: dict[str, Tensor] = {}
        for part in torch.split(rows, together):
            # Entered at every step: autocast keeps its reduced copies of the weights for as long as it is open.
            with training_precision(self.device):
                losses = dict(self.network.loss(self.module, self.images[part], self.labels[part]))
            share = len(part) / len(rows)
            (losses["loss"] * share).backward()  # type: ignore[no-untyped-call]
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value.detach() * share
        self.together = together  # what did not fit once is not tried at every step
        return sums

    def _absorb(self, pending: _Sums) -> None:
        """Move the losses since the last look into the epoch's sums: the only point that waits for the device."""
        for name, value in pending.take().items():
            if not math.isfinite(value):
                message = f"training of {self.network.name} diverged: {name} is {value} at step {self.state.step:,}"
                raise RobenchError(message, "lower its learning rate, or train with another --seed")
            self.state.sums[name] = self.state.sums.get(name, 0.0) + value

    def _means(self) -> dict[str, float]:
        done = (self.state.step - 1) % self.steps_per_epoch + 1
        images = min(done * self.recipe.batch_size, len(self.labels))
        return {name: value / images for name, value in self.state.sums.items()}

    def _describe(self) -> str:
        epoch = (self.state.step - 1) // self.steps_per_epoch + 1
        losses = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in self._means().items())
        return f"epoch {epoch}/{self.recipe.epochs}, {losses}"

    def _close_epoch(self) -> None:
        state = self.state
        epoch = state.step // self.steps_per_epoch
        validation = {f"validation_{name}": value for name, value in self._validate().items()}
        state.history.append({"epoch": epoch, "seconds": round(state.seconds, 3), **self._means(), **validation})
        state.sums, state.seconds = {}, 0.0

    def _validate(self) -> dict[str, float]:
        """Return the mean losses of the validation images, with the same draws after every epoch."""
        self.module.eval()
        try:
            return halving(self._measure, self.together, self.device)
        finally:
            self.module.train()

    def _measure(self, together: int) -> dict[str, float]:
        torch.manual_seed(derive_seed("validation", self.seed, self.network.name))
        images, labels = self.validation
        sums = _Sums()
        for rows in torch.split(torch.arange(len(labels), device=self.device), together):
            with training_precision(self.device):  # not without gradients: a loss may follow some, as attacks do
                losses = self.network.loss(self.module, images[rows], labels[rows])
            sums.add({name: value.detach() for name, value in losses.items()}, len(rows))
        return {name: value / len(labels) for name, value in sums.take().items()}


class _Sums:
    """Losses summed on the device, weighted by images, so that no step waits for it."""

    def __init__(self) -> None:
        self._values: dict[str, Tensor] = {}

    def add(self, losses: dict[str, Tensor], images: int) -> None:
        for name, value in losses.items():
            weighted = value.double() * images
            self._values[name] = self._values[name] + weighted if name in self._values else weighted

    def take(self) -> dict[str, float]:
        values = {name: float(value) for name, value in self._values.items()}
        self._values = {}
        return values
