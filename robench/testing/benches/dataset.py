"""A data set on the bench."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from robench.api import DataError, DatasetSpec
from robench.engine.data import Splits
from robench.testing.benches.bench import Bench
from robench.testing.checks.check import NotRun

if TYPE_CHECKING:
    from pathlib import Path

    from robench.api import DataContext


class DatasetBench(Bench[DatasetSpec]):
    """A data set with the files that are here; nothing is downloaded."""

    def context(self, *, cache: str | None = None, data_dir: Path | None = None) -> DataContext:
        """Return where the data set may look, offline.

        Args:
            cache: Name of an empty cache of its own; the user's if None.
            data_dir: A folder of the user, where there is an own cache.
        """
        here = dataclasses.replace(self.data, offline=True)
        if cache is None:
            return here
        return dataclasses.replace(here, cache_dir=self.folder / cache, data_dir=data_dir)

    def load(self) -> Splits:
        """Load all splits anew.

        Raises:
            NotRun: If its files are not here.
            PluginError: If a split is not what the spec declares.
        """
        splits = Splits(self.spec, self.context())
        try:
            _ = splits.train, splits.validation, splits.test
        except DataError as error:
            message = f"its data are not here: {error.message}"
            raise NotRun(message) from error
        return splits

    @property
    def splits(self) -> Splits:
        """The splits."""
        return self.once("loads-as-declared", self.load)
