"""A whole run says what Foolbox says when it is called directly on the same defense and images."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import foolbox
import pytest
import torch
from torch import Tensor, nn

from robench.api.records import Outcome
from robench.engine.progress import Silent
from robench.engine.seeding import image_order
from robench.session.workbench import Workbench
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from robench.engine.deploy import Deployed
    from tests.conftest import ToyLab

IMAGES = 60


class Composite(nn.Module):
    """The deployed toy detector, written by hand."""

    def __init__(self, deployed: Deployed) -> None:
        super().__init__()
        self.defense = deployed.module
        self.threshold = deployed.threshold

    def forward(self, images: Tensor) -> Tensor:
        verdict = self.defense(images)
        if self.threshold is None:
            logits: Tensor = verdict.logits
            return logits
        flagged = (verdict.score > self.threshold).float().unsqueeze(1)
        return torch.cat([verdict.logits * (1 - flagged), flagged], dim=1)


@pytest.mark.parametrize("attack", ["fgsm", "bim"])
@pytest.mark.parametrize("defense", ["none", "toy-detect"])
def test_a_run_agrees_with_foolbox_image_by_image(lab: ToyLab, defense: str, attack: str) -> None:
    summary = lab.run(defenses=(defense,), attacks=(attack,), epsilons="0.1,0.2", batch_size=17)
    session = lab.session()
    request = session.resolve(lab.overrides(defenses=(defense,), attacks=(attack,)))
    bench = Workbench(request, session.catalog, Silent())
    classifier = bench.workshop.train_classifier(bench.classifier).module
    composite = Composite(bench.workshop.prepare(bench.defenses[0], classifier).deployed).eval()
    rows = image_order(0, len(bench.splits.test))[:IMAGES]
    images, labels = torch.from_numpy(bench.splits.test.images[rows]), torch.from_numpy(bench.splits.test.labels[rows])
    model = foolbox.PyTorchModel(composite, bounds=(0, 1), device="cpu")
    direct = (
        foolbox.attacks.FGSM()
        if attack == "fgsm"
        else foolbox.attacks.LinfProjectedGradientDescentAttack(steps=40, rel_stepsize=0.01 / 0.3, random_start=False)
    )
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        cells = {
            count.cell.epsilon: count.cell for count in store.counts(summary.run.id) if count.cell.attack == attack
        }
        for row in summary.results:
            _, attacked, _ = direct(model, images, labels, epsilons=float(row.epsilon))
            answers = composite(attacked).detach()
            # A rejection is the last column at 1. That it is the largest is not enough: it is 0 for an accepted image,
            # whose class logits may all be negative.
            rejected = answers[:, 4:].sum(1) == 1
            fooled = (answers[:, :4].argmax(1) != labels) & ~rejected
            assert row.accuracy == pytest.approx(1 - float(fooled.float().mean()))
            outcomes = store.outcomes(summary.run.id, cells[row.epsilon].key)
            assert [item.image for item in outcomes] == rows.tolist()
            assert [item.outcome is Outcome.WRONG for item in outcomes] == fooled.tolist()
