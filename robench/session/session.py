"""One user's view of robench: where configuration, plugins and results are, and what can be done with them."""

from __future__ import annotations

import dataclasses
from functools import cached_property, partial
from typing import TYPE_CHECKING

from robench.api.records import ADAPTIVE
from robench.registry.catalog import load_catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from robench.api import Split
    from robench.api.exhibit import Exhibit
    from robench.api.leaderboard import Board
    from robench.api.published import PublishedComparison
    from robench.api.records import Run, RunSummary
    from robench.config.file import Config
    from robench.config.request import Overrides, PathSettings, RunRequest
    from robench.engine.progress import Progress
    from robench.registry.catalog import Catalog
    from robench.session.checkup import CheckUp
    from robench.session.comparison import DefenseComparison
    from robench.session.diagnosing import Diagnosis
    from robench.session.planning import Estimate
    from robench.session.replay import Replay, Wanted
    from robench.session.training import TrainingReport
    from robench.session.upkeep import Inspection
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
        (request,) = self._resolve([overrides], self._settings(), attacking=attacking)
        return request

    def resolve_variants(self, overrides: Overrides, *, attacking: bool = True) -> dict[str | None, RunRequest]:
        """Do as ``resolve`` for every variant of a suite that has some, unless the overrides name one.

        Returns:
            By name of the variant, in the order of the file; None is the only key where there are none.

        Raises:
            UsageError: If a value is invalid or missing, or a name is unknown.
        """
        config = self._settings()
        own = () if overrides.variant is not None else tuple(config.variants.get(overrides.suite or "", ()))
        chosen = own or (overrides.variant,)
        each = [dataclasses.replace(overrides, variant=name) for name in chosen]
        return dict(zip(chosen, self._resolve(each, config, attacking=attacking), strict=True))

    def _resolve(self, asked: Sequence[Overrides], config: Config, *, attacking: bool) -> list[RunRequest]:
        from robench.config.request import resolve_run
        from robench.session.strangers import find_strangers

        known: dict[str, tuple[str, ...]] = {kind: names for kind, names in self.catalog.names().items()}  # noqa: C416 (widens the keys)
        for stranger in find_strangers(config, self._environ, known):
            self._listener().warn(stranger)
        known["attack"] = (*known["attack"], ADAPTIVE)
        remark = self.catalog.remark()
        return [resolve_run(config, one, self._environ, known, remark, attacking=attacking) for one in asked]

    def _settings(self) -> Config:
        """Return the benchmarks.toml that counts here."""
        from robench.config.file import load_config
        from robench.config.location import find_config

        return load_config(find_config(self._config, self._environ, self._cwd))

    def variants(self, db: str, suite: str) -> dict[str, RunSummary]:
        """Summarise the newest run of each variant of a suite.

        Returns:
            By name of the variant, in the order of the runs; empty if no stored run is of a variant of it.

        Raises:
            RobenchError: If there is no such store.
        """
        from robench.session.summaries import summarise_variants
        from robench.storage.store import ResultStore

        with ResultStore.open(db, create=False) as store:
            return summarise_variants(store, suite)

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

        return evaluate(request, self.catalog, command, self._listener(), self._environ)

    def plan(self, request: RunRequest, *, probe: bool) -> Estimate:
        """Say what a run would do; nothing is trained or stored.

        Args:
            request: What to do.
            probe: Whether to attack a few images, to see how long it would take.

        Raises:
            RobenchError: If the request cannot be carried out.
        """
        from robench.session.planning import plan

        return plan(request, self.catalog, self._listener(), probe=probe)

    def verify_engine(self, request: RunRequest) -> list[Comparison]:
        """Compare the engine's forms of attacks with those of the library, image by image; nothing is stored.

        Raises:
            RobenchError: If no attack has both forms, or a defense cannot be prepared.
        """
        from robench.session.verification import verify_engine

        return verify_engine(request, self.catalog, self._listener())

    def diagnose(self, request: RunRequest) -> list[Diagnosis]:
        """Say whether the attacks of a request search well on its defenses; nothing is stored.

        Raises:
            RobenchError: If none of the attacks can be diagnosed, or a defense cannot be prepared.
        """
        from robench.session.diagnosing import diagnose

        return diagnose(request, self.catalog, self._listener())

    def train(
        self, request: RunRequest, *, retrain: bool = False, fresh: Collection[Path] = ()
    ) -> list[TrainingReport]:
        """Train the networks that a run would need, or find them in the cache.

        Args:
            request: Which classifier and defenses, and how to train them.
            retrain: Train even what is in the cache.
            fresh: Folders of networks that are not to be trained again, since another variant has just done so.

        Raises:
            RobenchError: If a training fails.
        """
        from robench.session.training import train_networks

        return train_networks(request, self.catalog, self._listener(), retrain=retrain, fresh=fresh)

    def summary(self, db: str, run: str | None = None, suite: str | None = None) -> RunSummary:
        """Summarise a stored run.

        Args:
            db: Path or URL of the store.
            run: Beginning of the run's id; None for the newest.
            suite: Name of the suite that it must be of; None for any run.

        Raises:
            RobenchError: If there is no such store or run.
        """
        from robench.session.summaries import find_run, summarise_stored
        from robench.storage.store import ResultStore

        with ResultStore.open(db, create=False) as store:
            return summarise_stored(store, find_run(store, run, suite))

    def compare_published(self, summary: RunSummary, reference: str) -> PublishedComparison:
        """Put a run beside published figures.

        Args:
            summary: Of the run.
            reference: ``paper``, or the path of a CSV file.

        Raises:
            UsageError: If there is no such reference, or it is malformed, or has no figures of the run's data set.
        """
        from robench.session.references import compare_with

        return compare_with(summary, reference)

    def exhibit(
        self, db: str, run: str | None = None, suite: str | None = None, *, data_dir: Path | None = None
    ) -> Exhibit:
        """Gather a stored run with what its pictures need. Whatever is missing is noted, not raised.

        Args:
            db: Path or URL of the store.
            run: Beginning of the run's id; None for the newest.
            suite: Name of the suite that it must be of; None for any run.
            data_dir: Where data sets are: the clean ones beside kept examples come from there.

        Raises:
            RobenchError: If there is no such store or run.
        """
        from robench.session.exhibits import exhibit

        paths = self.paths(db=db, data_dir=data_dir)

        def load(dataset: str) -> tuple[Split, tuple[str, ...]]:
            from robench.session.workbench import load_test_split  # takes seconds, and is needed for kept examples only

            return load_test_split(self.catalog, paths, self._listener(), dataset)

        return exhibit(db, run, suite, load, self.catalog)

    def leaderboard(self, sources: Sequence[str], epsilons: str | None = None) -> tuple[Board, ...]:
        """Put the defenses of several stores beside each other. What anybody has won over a defense counts.

        Args:
            sources: Paths or URLs of stores, and archives that ``export`` has written.
            epsilons: Those that are ranked, as in ``--epsilons``; by default those of the data set in benchmarks.toml.

        Raises:
            UsageError: If there is no such file, nothing was attacked, or nothing was evaluated at any of the epsilons.
            RobenchError: If one of them is damaged, was altered, or says something else about the same outcome.
        """
        from robench.config.epsilons import parse_epsilons
        from robench.session.leaderboard import leaderboard

        asked = None if epsilons is None else parse_epsilons(epsilons, "--epsilons")
        config = self._settings()

        def declared(dataset: str, norm: str) -> tuple[str, ...]:
            own = config.datasets.get(dataset)
            theirs = None if own is None else own.l2_epsilons if norm == "l2" else own.epsilons
            return theirs or ()

        return leaderboard(sources, asked, declared)

    def runs(self, db: str) -> tuple[Run, ...]:
        """List all stored runs, newest first.

        Raises:
            RobenchError: If there is no such store.
        """
        from robench.storage.store import ResultStore

        with ResultStore.open(db, create=False) as store:
            return store.runs()

    def explore(self, db: str, port: int | None, announce: Callable[[str], None]) -> None:
        """Show a store in a browser, read-only, until the process is told to stop.

        Args:
            db: Path of the store.
            port: Of this machine; None for a free one.
            announce: Called with the address once it can be opened.

        Raises:
            UsageError: If the port cannot be used, the store is on a server, or Datasette is not installed.
            RobenchError: If there is no such store.
        """
        from robench.session.exploring import explore

        explore(db, port, announce)

    def compare(
        self, db: str, first: str, second: str, *, run: str | None = None, attack: str | None = None
    ) -> DefenseComparison:
        """Say which of two defenses is more robust, by what a run stored about the same images.

        Args:
            db: Path or URL of the store.
            first: Name of a defense.
            second: Name of the other.
            run: Beginning of the run's id; None for the newest that has both.
            attack: Name; None for ``adaptive`` or ``worst-case``, else the first of the run.

        Raises:
            UsageError: If the run lacks a defense or the attack.
            RobenchError: If there is no such store or run.
        """
        from robench.session.comparison import compare_defenses

        return compare_defenses(db, first, second, run=run, attack=attack)

    def replay(self, wanted: Wanted, overrides: Overrides) -> Replay:
        """Put examples that a run has kept to a defense, prepared as that run would have.

        Args:
            wanted: Which examples.
            overrides: The defense, alone in ``defenses``, and where things are. Data set, classifier, profile and seed
                are those of the run, and the device unless it is given.

        Raises:
            UsageError: If the run or what is wanted of it is not there, or no examples are kept.
            RobenchError: If a file of examples is truncated or foreign, or data or classifier are not those of the run.
        """
        from robench.session.replay import replay

        db = self.paths(db=overrides.db).db
        resolve = partial(self.resolve, attacking=False)
        return replay(db, wanted, overrides, resolve=resolve, catalog=self.catalog, progress=self._listener())

    def check_up(self, *, db: str | None = None, data_dir: Path | None = None) -> CheckUp:
        """Look at versions, device, store, cache, data and plugins, and change nothing."""
        from robench.session.checkup import check_up

        return check_up(self.paths(db=db, data_dir=data_dir), self.catalog)

    def verify(self, *, db: str | None = None, data_dir: Path | None = None, weights: bool, data: bool) -> Inspection:
        """Find every byte of a store that is not as it was written.

        Args:
            db: Path or URL of the store.
            data_dir: Where data sets are.
            weights: Whether to look at the checkpoints in the cache, too.
            data: Whether to look at the files of data sets, too.

        Raises:
            RobenchError: If there is no such store, or it is damaged beyond reading.
        """
        from robench.session.upkeep import inspect

        return inspect(self.paths(db=db, data_dir=data_dir), self.catalog, weights=weights, data=data)

    def note(self, text: str) -> None:
        """Show one line among those that tell of long work."""
        self._listener().note(text)

    def _listener(self) -> Progress:
        from robench.engine.progress import Silent

        return self._progress or Silent()
