"""MagNet: marks, limits and the combined score."""

from __future__ import annotations

import math

import pytest
import torch

from robench.api import FitContext, Verdict
from robench.engine.calibration import rank_threshold
from robench.engine.deploy import freeze
from robench_plugins.classifiers._paper_torch import ClassifierA, ClassifierB
from robench_plugins.defenses._magnet_torch import MagNet, build_autoencoder, divergence, fit_detectors

CPU = torch.device("cpu")


def grey_magnet() -> MagNet:
    torch.manual_seed(0)
    module = MagNet(ClassifierA(10), [build_autoencoder("pooling", 1), build_autoencoder("flat", 1)])
    freeze(module, CPU)
    return module


def fit(module: MagNet, images: torch.Tensor, rate: float) -> float:
    context = FitContext(
        defense=module, batches=torch.split(images, 100), false_positive_rate=rate, rank_threshold=rank_threshold
    )
    with torch.inference_mode():
        return fit_detectors(context)


@pytest.mark.parametrize(("kind", "channels"), [("pooling", 1), ("flat", 1), ("flat", 3)])
def test_autoencoders_keep_the_shape(kind: str, channels: int) -> None:
    images = torch.rand(2, channels, 28, 28)
    restored = build_autoencoder(kind, channels)(images).detach()
    assert restored.shape == images.shape
    assert 0 <= float(restored.min()) <= float(restored.max()) <= 1


def test_each_detector_alone_keeps_its_rate_and_the_score_combines_them() -> None:
    module, images = grey_magnet(), torch.rand(400, 1, 28, 28)
    assert fit(module, images, 0.05) == 1.0
    with torch.inference_mode():
        marks, _ = module.marks(images)
        verdict = module(images)
    single = (marks > module.limits).float().mean(0)
    assert bool((single <= 0.05).all())
    assert torch.equal(verdict.score > 1, (marks > module.limits).any(1))


def test_colour_images_get_one_autoencoder_and_three_detectors_with_the_published_rates() -> None:
    torch.manual_seed(0)
    module = MagNet(ClassifierB((3, 8, 8), 10), [build_autoencoder("flat", 3)])
    freeze(module, CPU)
    images = torch.rand(1000, 3, 8, 8)
    fit(module, images, 0.5)
    with torch.inference_mode():
        marks, _ = module.marks(images)
    rejected = (marks > module.limits).float().mean(0).tolist()
    assert len(rejected) == 3
    for share, rate in zip(rejected, (0.005, 0.01, 0.01), strict=True):
        assert share <= rate


def test_the_divergence_is_symmetric_and_bounded() -> None:
    left, right = torch.tensor([[50.0, 0.0], [1.0, 2.0]]), torch.tensor([[0.0, 50.0], [1.0, 2.0]])
    value = divergence(left, right, temperature=1.0)
    torch.testing.assert_close(value, torch.tensor([math.log(2), 0.0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(divergence(right, left, temperature=1.0), value)


def test_gradients_reach_the_images_through_the_reformer() -> None:
    module, images = grey_magnet(), torch.rand(2, 1, 28, 28, requires_grad=True)
    verdict: Verdict = module(images)
    verdict.logits.sum().backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None
    assert float(images.grad.abs().max()) > 0
