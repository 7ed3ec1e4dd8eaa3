"""The search form answers like the defense, or is not used."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

from robench.api import ImageRandom, Verdict
from robench.engine.deploy import Deployed, freeze
from robench.engine.search import search_form
from robench.engine.seeding import ImageStreams

CPU = torch.device("cpu")
IMAGES = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Defense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        logits = self.network(images + 0.01 * random.normal(1, 8, 8))
        return Verdict(logits=logits, score=logits.square().mean(1))


def deploy(module: nn.Module) -> Deployed:
    freeze(module, CPU)
    return Deployed(name="mine", module=module, classifier=module, classes=3, threshold=1.0, stochastic=True)


def streams(part: slice) -> ImageStreams:
    return ImageStreams(range(len(IMAGES))[part], CPU, "compare")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_search_form_answers_like_the_defense_and_leaves_it_alone(precision: str) -> None:
    deployed = deploy(Defense())
    notes: list[str] = []
    form = search_form(deployed, precision, IMAGES, streams, notes.append)
    assert notes == []
    assert form.precision == precision
    answer, expected = form.verdict(IMAGES, streams(slice(None))), deployed.verdict(IMAGES, streams(slice(None)))
    assert answer.logits.dtype == torch.float32
    torch.testing.assert_close(answer.logits, expected.logits, atol=0.02 if precision == "bfloat16" else 1e-5, rtol=0)
    weights = torch.bfloat16 if precision == "bfloat16" else torch.float32
    assert all(parameter.dtype == weights for parameter in form.module.parameters())
    assert all(parameter.dtype == torch.float32 for parameter in deployed.module.parameters())
    assert not any("forward" in vars(layer) for layer in deployed.module.modules())


def test_classifier_and_defense_go_on_sharing_layers() -> None:
    module = Defense()
    deployed = deploy(module)
    form = search_form(deployed, "bfloat16", IMAGES, streams, lambda text: None)
    assert form.classifier is form.module


class Fussy(Defense):
    """Works in float32 only."""

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        if self.network[3].weight.dtype != torch.float32:
            message = "no rounding, please"
            raise TypeError(message)
        return super().forward(images, random)


class Brittle(Defense):
    """Makes much of the last digits."""

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        logits = 1e4 * self.network(images) % 1.0
        return Verdict(logits=logits, score=logits.square().mean(1))


class Locked(Defense):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("module", "reason"),
    [(Fussy, "TypeError: no rounding, please"), (Brittle, "its logits differ by up to"), (Locked, "cannot be copied")],
)
def test_a_defense_that_does_not_bear_it_is_searched_itself_and_the_user_is_told(
    module: type[nn.Module], reason: str
) -> None:
    deployed = deploy(module())
    notes: list[str] = []
    assert search_form(deployed, "bfloat16", IMAGES, streams, notes.append) is deployed
    assert len(notes) == 1
    assert reason in notes[0]
    assert "float32" in notes[0]
