"""``robench train``: all networks that a run would need, without the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.engine.memory import keep_freed_memory
from robench.engine.prepare import GivenClassifier
from robench.session.workbench import Workbench

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from robench.config.request import RunRequest
    from robench.engine.progress import Progress
    from robench.engine.weights import TrainedNetwork
    from robench.registry.catalog import Catalog


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """One network and where it is.

    Attributes:
        network: Name.
        trained: False if it was in the cache.
        folder: Of its weights and manifest.
        manifest: Everything that is known of the weights.
    """

    network: str
    trained: bool
    folder: Path
    manifest: Mapping[str, object]


def train_networks(
    request: RunRequest, catalog: Catalog, progress: Progress, *, retrain: bool, fresh: Collection[Path]
) -> list[TrainingReport]:
    """Train what is missing, the classifier first, each network once.

    Args:
        request: Which classifier and defenses, and how to train them.
        catalog: Where their names are looked up.
        progress: Told of each training.
        retrain: Train even what is in the cache.
        fresh: Folders of networks that are not to be trained again.

    Raises:
        RobenchError: If a training fails.
    """
    keep_freed_memory()
    bench = Workbench(request, catalog, progress, fresh=fresh)
    classifier = bench.workshop.train_classifier(bench.classifier, retrain=retrain)
    reports = [] if isinstance(classifier, GivenClassifier) else [_report(classifier)]
    done: set[Path] = set()
    for offer in bench.defenses:
        networks = bench.workshop.train_networks(offer, classifier.module, retrain=retrain)
        for network in networks.values():
            if network.folder not in done:
                done.add(network.folder)
                reports.append(_report(network))
    return reports


def _report(trained: TrainedNetwork) -> TrainingReport:
    return TrainingReport(
        network=str(trained.manifest["network"]),
        trained=trained.trained_now,
        folder=trained.folder,
        manifest=trained.manifest,
    )
