"""The splits of a data set: loaded when first needed, checked against what the plugin declares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import torch

from robench.api import PluginError, Split
from robench.engine.digests import split_digest
from robench.errors import blaming

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robench.api import DataContext, DatasetSpec, SplitName


@dataclass(frozen=True, kw_only=True)
class LoadedSplit(Split):
    """One split with the SHA-256 of its images and labels."""

    digest: str

    def tensors(self, rows: slice, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return copies of some images and labels: whoever gets them may be a plugin that writes to them."""
        images, labels = (torch.from_numpy(part[rows].copy()).to(device) for part in (self.images, self.labels))
        return images, labels


class Splits:
    """The three splits of a data set.

    Args:
        spec: The data set.
        context: Where its files may be.
        given: Splits that are at hand already, and are not loaded.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        context: DataContext,
        given: Mapping[SplitName, LoadedSplit] = MappingProxyType({}),
    ) -> None:
        self.spec = spec
        self._context = context
        self._given = given

    @cached_property
    def train(self) -> LoadedSplit:
        """Images that fit weights."""
        return self._load("train")

    @cached_property
    def validation(self) -> LoadedSplit:
        """Images that fit thresholds."""
        return self._load("validation")

    @cached_property
    def test(self) -> LoadedSplit:
        """Images that are attacked."""
        return self._load("test")

    def _load(self, name: SplitName) -> LoadedSplit:
        if name in self._given:
            return self._given[name]
        with blaming(f"data set {self.spec.name}, split {name}"):
            split = self.spec.load(name, self._context)
            if not isinstance(split, Split):
                message = f"load returned {type(split).__name__}"
                raise TypeError(message)
        self._check(name, split)
        return LoadedSplit(images=split.images, labels=split.labels, digest=split_digest(split))

    def _check(self, name: SplitName, split: Split) -> None:
        """Refuse what differs from the declaration: everything behind relies on it."""
        where = f"data set {self.spec.name}, split {name}"
        images, labels = split.images, split.labels
        expected = (self.spec.sizes[name], *self.spec.shape)
        if images.shape != expected or images.dtype != np.float32:
            message = f"{where}: images are {images.dtype} {images.shape}"
            raise PluginError(message, f"declared are float32 {expected}")
        if labels.shape != expected[:1] or labels.dtype != np.int64:
            message = f"{where}: labels are {labels.dtype} {labels.shape}"
            raise PluginError(message, f"expected int64 {expected[:1]}")
        # A NaN fails both comparisons, and so is refused here too.
        if not (float(images.min()) >= 0 and float(images.max()) <= 1):
            message = f"{where}: pixel values reach from {images.min()} to {images.max()}"
            raise PluginError(message, "scale them to [0, 1]")
        if int(labels.min()) < 0 or int(labels.max()) >= len(self.spec.classes):
            message = f"{where}: labels reach from {labels.min()} to {labels.max()}"
            raise PluginError(message, f"there are {len(self.spec.classes)} classes, counted from 0")
