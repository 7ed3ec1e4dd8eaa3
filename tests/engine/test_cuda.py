"""What only a CUDA device can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from robench.api import ImageRandom, Target, Verdict
from robench.engine.ascent import GradientAscent
from robench.engine.deploy import Deployed
from robench.engine.precision import judging_precision, training_precision
from robench.engine.seeding import ImageStreams

if TYPE_CHECKING:
    from tests.conftest import ToyLab

pytestmark = pytest.mark.gpu


def test_outcomes_on_cuda_are_those_on_the_cpu(lab: ToyLab) -> None:
    on_cpu = lab.run(device="cpu")
    on_cuda = lab.run(device="cuda")
    assert on_cuda.run.id != on_cpu.run.id
    for one, other in zip(on_cuda.results, on_cpu.results, strict=True):
        assert abs(one.accuracy - other.accuracy) <= 1 / 60


def test_judgement_computes_in_true_float32() -> None:
    torch.manual_seed(0)
    left, right = torch.randn(2, 512, 512, dtype=torch.float64)
    with judging_precision(torch.device("cuda")):
        product = left.float().cuda() @ right.float().cuda()
    assert float((product.cpu().double() - left @ right).abs().max()) < 1e-3


def test_precision_is_put_back() -> None:
    before = torch.backends.cuda.matmul.fp32_precision
    with training_precision(torch.device("cuda")):
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    assert torch.backends.cuda.matmul.fp32_precision == before


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_every_search_precision_fools_about_as_many(lab: ToyLab, precision: str) -> None:
    reference = lab.run(device="cuda", engine="foolbox", attacks=("pgd",))
    found = lab.run(device="cuda", search_precision=precision, attacks=("pgd",))
    for one, other in zip(found.results, reference.results, strict=True):
        assert abs(one.accuracy - other.accuracy) <= 2 / 60


def test_the_worst_case_on_cuda_is_that_on_the_cpu(lab: ToyLab) -> None:
    on_cpu = lab.run(device="cpu", worst_case=True, search_precision="float32")
    on_cuda = lab.run(device="cuda", worst_case=True, search_precision="float32")
    for one, other in zip(on_cuda.results, on_cpu.results, strict=True):
        assert abs(one.accuracy - other.accuracy) <= 1 / 60


@pytest.mark.parametrize("random_start", [False, True])
def test_the_ascent_does_not_wait_for_the_device(random_start: bool) -> None:
    device = torch.device("cuda")
    module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 3)).to(device)
    deployed = Deployed(
        name="mine", module=Answering(module), classifier=module, classes=3, threshold=None, stochastic=True
    )
    images = torch.rand(6, 1, 8, 8, device=device)
    labels = torch.zeros(6, dtype=torch.int64, device=device)
    radius = torch.full((6, 2), 0.1, dtype=torch.float64, device=device)
    streams = ImageStreams(range(6), device, "attack")
    ascend = GradientAscent(
        deployed, streams, images, labels, radius, rows=100, keep="last", confirm=lambda *_: labels.float()
    )
    ascend(cross_entropy, steps=3, relative_step=0.2, random_start=random_start)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = ascend(cross_entropy, steps=10, relative_step=0.2, random_start=random_start)  # raises where it waits
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert found.shape == (6, 2, 1, 8, 8)


class Answering(nn.Module):
    """A stochastic defense around a network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        return Verdict(logits=self.network(images + 0.01 * random.normal(1, 8, 8)))


def cross_entropy(target: Target, images: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(target.head(images), labels, reduction="none")
