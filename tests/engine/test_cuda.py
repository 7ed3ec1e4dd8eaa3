"""What only a CUDA device can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from robench.engine.precision import judging_precision, training_precision

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
