"""The cells of a request: defenses made ready, then what is put against them, in order."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from robench import __version__
from robench.engine.digests import module_digest
from robench.engine.plan import Plan
from robench.registry.code import digest_code
from robench.session.ensembles import ensembles_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from robench.engine.plan import Ensemble, Sweep
    from robench.engine.prepare import Fixed, Offer, Prepared
    from robench.session.workbench import Workbench


class Layout:
    """Lays out a request, the same way in every process.

    Args:
        bench: The request with everything it names.
        note: Told of attacks that cannot say whether they suit a defense.
    """

    def __init__(self, bench: Workbench, note: Callable[[str], None]) -> None:
        self._bench, self._note = bench, note

    @cached_property
    def classifier(self) -> nn.Module:
        """The classifier, from the cache or trained now."""
        return self._bench.workshop.train_classifier(self._bench.classifier).module

    @cached_property
    def plan(self) -> Plan:
        """What all cells share."""
        return self.plan_for(module_digest(self.classifier))

    def plan_for(self, classifier_digest: str) -> Plan:
        """Return what all cells with a classifier share."""
        request = self._bench.request
        return Plan(
            dataset=request.dataset,
            data_digest=self._bench.splits.test.digest,
            classifier=request.classifier,
            classifier_digest=classifier_digest,
            classifier_settings=self._bench.classifier.described,
            seed=request.seed,
            device=self._bench.device.type,
            norm=request.norm,
            engine={"robench": __version__, "code": digest_code("robench.engine.runner", "robench.engine")},
        )

    def prepare(self, offer: Offer, known: Fixed | None = None) -> Prepared:
        """Make a defense ready; see ``Workshop.prepare``."""
        return self._bench.workshop.prepare(offer, self.classifier, known)

    def ensembles(self, prepared: Prepared | None) -> list[Ensemble]:
        """Return the ensembles that are put against a defense."""
        return ensembles_for(self._bench, prepared, self._note)

    def sweeps(
        self, offer: Offer, prepared: Prepared | None, ensembles: list[Ensemble], plan: Plan | None = None
    ) -> list[Sweep]:
        """Return all sweeps of a defense; of one that could not be prepared those that are recorded as failed."""
        alone = [] if self._bench.request.worst_case else self._bench.assaults
        return (plan or self.plan).sweeps(offer, prepared, alone, self._bench.request.epsilons, ensembles)
