"""One user's view of robench: where configuration, plugins and results are, and what can be done with them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from robench.errors import suggestion
from robench.registry.catalog import load_catalog

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from robench.api.records import Run, RunSummary
    from robench.config.file import Config
    from robench.config.request import Overrides, PathSettings, RunRequest
    from robench.engine.progress import Progress
    from robench.registry.catalog import Catalog
    from robench.session.diagnosis import Diagnosis
    from robench.session.training import TrainingReport
    from robench.session.verification import Comparison


class Session:
    """What the command line does, for use from Python. Heavy libraries are loaded by the methods that need them.

    Args:
        environ: The environment; ``ROBENCH_*`` variables count.
        cwd: Where benchmarks.toml is searched from, upward.
        config: A benchmarks.toml to use instead.
        progress: Told of long work; nothing is shown without it.

    Example:
        >>> import os, pathlib
        >>> session = Session(environ=os.environ, cwd=pathlib.Path.cwd())
        >>> "mnist" in session.catalog.datasets
        True
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        cwd: Path,
        config: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._environ = environ
        self._cwd = cwd
        self._config = config
        self._progress = progress

    @cached_property
    def catalog(self) -> Catalog:
        """Everything that plugins offer."""
        return load_catalog(self._environ)

    def resolve(self, overrides: Overrides, *, attacking: bool = True) -> RunRequest:
        """Work out what a run will do, or a training if not ``attacking``, which needs neither attacks nor epsilons.

        Raises:
            UsageError: If a value is invalid or missing, or a name is unknown.
        """
        from robench.config.file import load_config
        from robench.config.location import find_config
        from robench.config.request import resolve_run

        config = load_config(find_config(self._config, self._environ, self._cwd))
        self._mention_strangers(config)
        known: dict[str, tuple[str, ...]] = {kind: names for kind, names in self.catalog.names().items()}  # noqa: C416 (widens the keys)
        return resolve_run(config, overrides, self._environ, known, self.catalog.remark(), attacking=attacking)

    def _mention_strangers(self, config: Config) -> None:
        """Say which tables of benchmarks.toml name nothing that is installed: a misspelt one would have no effect."""
        known = self.catalog.names()
        settable = {name for kind, names in known.items() if kind != "dataset" for name in names}
        for table, found, names in (
            ("parameters", config.parameters, settable),
            ("datasets", config.datasets, known["dataset"]),
        ):
            for name in sorted(set(found) - set(names)):
                place = config.place(table, name)
                self._listener().note(f"{place}: names nothing that is installed; {suggestion(name, names)}")

    def paths(self, *, db: str | None = None, data_dir: Path | None = None) -> PathSettings:
        """Work out where things are."""
        from robench.config.request import Overrides, resolve_paths

        return resolve_paths(Overrides(db=db, data_dir=data_dir), self._environ)

    def run(self, request: RunRequest, command: str) -> RunSummary:
        """Evaluate defenses; what is stored already is not done again.

        Args:
            request: What to do.
            command: The command line, for the record.

        Raises:
            RobenchError: If the request cannot be carried out. A plugin that fails costs its own cells only; they are
                listed in the summary.
        """
        from robench.session.evaluation import evaluate

        return evaluate(request, self.catalog, command, self._listener())

    def verify_engine(self, request: RunRequest) -> list[Comparison]:
        """Compare the engine's forms of attacks with those of the library, image by image; nothing is stored.

        Raises:
            RobenchError: If no attack has both forms, or a defense cannot be prepared.
        """
        from robench.session.verification import verify_engine

        return verify_engine(request, self.catalog, self._listener())

    def train(self, request: RunRequest, *, retrain: bool = False) -> list[TrainingReport]:
        """Train the networks that a run would need, or find them in the cache.

        Raises:
            RobenchError: If a training fails.
        """
        from robench.session.training import train_networks

        return train_networks(request, self.catalog, self._listener(), retrain=retrain)

    def summary(self, db: str, run: str | None = None) -> RunSummary:
        """Summarise a stored run.

        Args:
            db: Path or URL of the store.
            run: Beginning of the run's id; None for the newest.

        Raises:
            RobenchError: If there is no such store or run.
        """
        from robench.analysis.summary import summarise
        from robench.storage.store import ResultStore

        with ResultStore.open(db, create=False) as store:
            found = store.find_run(run)
            return summarise(found, store.counts(found.id))

    def runs(self, db: str) -> tuple[Run, ...]:
        """List all stored runs, newest first.

        Raises:
            RobenchError: If there is no such store.
        """
        from robench.storage.store import ResultStore

        with ResultStore.open(db, create=False) as store:
            return store.runs()

    def diagnose(self, *, db: str | None = None, data_dir: Path | None = None) -> Diagnosis:
        """Look at versions, device, store, cache, data and plugins, and change nothing."""
        from robench.session.diagnosis import diagnose

        return diagnose(self.paths(db=db, data_dir=data_dir), self.catalog)

    def _listener(self) -> Progress:
        from robench.engine.progress import Silent

        return self._progress or Silent()
