"""PuVAE: the shared form equals the plain one, gradients go through the winner only."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from robench.engine.deploy import freeze
from robench.engine.seeding import ImageStreams
from robench_plugins.classifiers._paper_torch import ClassifierA, ClassifierB
from robench_plugins.defenses._puvae_networks import (
    BUILDS_C,
    architecture_c,
    architecture_d,
    compact,
    paper_divergence,
    standard_divergence,
)
from robench_plugins.defenses._puvae_torch import ConditionalVae, Purifier, reconstruction_error

CPU = torch.device("cpu")


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def purifier(kind: str, error: str, latent_noise: float) -> tuple[Purifier, Tensor]:
    """An untrained purifier with images for it; sharpened, so that the classes' reconstructions differ."""
    torch.manual_seed(0)
    shape = (3, 32, 32) if kind == "d" else (1, 28, 28)
    classifier = ClassifierB(shape, 10) if kind == "d" else ClassifierA(10)
    vae = {"compact": compact, **BUILDS_C, "d": architecture_d}[kind](shape, 10, 16)
    with torch.no_grad():
        for parameter in vae.generator.parameters():
            parameter.mul_(2)
    module = Purifier(vae, classifier, error=error, latent_noise=latent_noise, detect=True)
    freeze(module, CPU)
    return module, torch.rand(3, *shape)


def ten_passes(module: Purifier, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The idiomatic form: every class through the whole network, all kept, the best picked by ``argmin``."""
    vae = module.vae
    reconstructions = []
    for label in range(vae.classes):
        one_hot = functional.one_hot(torch.full((len(images),), label), vae.classes).float()
        features = vae.convolutions(images)
        first = vae.image_layer(features) + vae.class_layer(one_hot)
        hidden = vae.deeper(functional.relu(first))
        mean, spread = vae.mean(hidden), vae.spread(hidden)
        variance = functional.softplus(spread).exp() if vae.softplus else spread.exp()
        latent = mean + variance.sqrt() * noise[:, label]
        reconstructions.append(vae.generator(torch.cat([latent, one_hot], dim=1)).sigmoid())
    stacked = torch.stack(reconstructions, dim=1)
    errors = reconstruction_error(images[:, None], stacked, module.error)
    winner = errors.argmin(dim=1)
    each = torch.arange(len(images))
    logits: Tensor = module.classifier(stacked[each, winner])
    return logits, errors[each, winner]


@pytest.mark.parametrize("error", ["pixel", "rmse"])
@pytest.mark.parametrize("kind", ["compact", *BUILDS_C, "d"])
def test_the_shared_form_equals_ten_passes_in_answers_and_gradients(kind: str, error: str) -> None:
    module, images = purifier(kind, error, latent_noise=0.1)
    noise = 0.1 * ImageStreams(range(3), CPU, "test").normal(10, 16)
    gradients = []
    answers = []
    for plain in (True, False):
        inputs = images.clone().requires_grad_(True)
        if plain:
            logits, score = ten_passes(module, inputs, noise)
        else:
            verdict = module(inputs, ImageStreams(range(3), CPU, "test"))
            logits, score = verdict.logits, verdict.score
        (functional.cross_entropy(logits, torch.tensor([1, 2, 3])) + score.sum()).backward()  # type: ignore[no-untyped-call]
        assert inputs.grad is not None
        answers.append((logits.detach(), score.detach()))
        gradients.append(inputs.grad)
    for plain_part, shared_part in zip(*answers, strict=True):
        torch.testing.assert_close(shared_part, plain_part, atol=1e-5, rtol=0)
    assert float(gradients[0].abs().max()) > 0
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-5, rtol=1e-4)


def test_answers_with_and_without_a_graph_agree() -> None:
    module, images = purifier("compact", "pixel", latent_noise=0.1)
    with torch.inference_mode():
        quick = module(images, ImageStreams(range(3), CPU, "test"))
    slow = module(images.requires_grad_(True), ImageStreams(range(3), CPU, "test"))
    torch.testing.assert_close(quick.logits, slow.logits.detach(), atol=1e-5, rtol=0)
    torch.testing.assert_close(quick.score, slow.score.detach(), atol=1e-5, rtol=0)


def test_without_latent_noise_the_streams_do_not_matter() -> None:
    module, images = purifier("compact", "pixel", latent_noise=0.0)
    first = module(images, ImageStreams(range(3), CPU, "one"))
    second = module(images, ImageStreams(range(3), CPU, "two"))
    assert torch.equal(first.logits, second.logits)


def test_the_architectures_have_the_parameters_of_the_paper() -> None:
    assert parameters(ClassifierA(10)) == 924_746
    assert round(parameters(ClassifierB((3, 32, 32), 10)) / 1e6, 2) == 34.06
    assert round(parameters(ClassifierB((3, 32, 32), 10, notebook=True)) / 1e6) == 135
    assert round(parameters(architecture_c((1, 28, 28), 10, 32)) / 1e6, 2) == 27.84
    assert round(parameters(architecture_c((1, 28, 28), 10, 128)) / 1e6, 2) == 28.09
    fewer = parameters(architecture_c((1, 28, 28), 10, 32)) - parameters(architecture_c((1, 28, 28), 10, 32, start=4))
    assert fewer == (512 - 32) * 32 * 49
    assert parameters(architecture_c((1, 28, 28), 10, 32, late_label=True)) == parameters(
        architecture_c((1, 28, 28), 10, 32)
    )
    assert round(parameters(architecture_d((3, 32, 32), 10, 1024)) / 1e6, 2) == 45.15
    assert round(parameters(compact((1, 28, 28), 10, 32)) / 1e6, 1) == 3.4


@pytest.mark.parametrize(
    ("build", "shape"), [(compact, (1, 28, 28)), (compact, (3, 32, 32)), (architecture_c, (1, 28, 28))]
)
def test_reconstructions_have_the_shape_of_the_images(build: type, shape: tuple[int, int, int]) -> None:
    vae: ConditionalVae = build(shape, 10, 8)
    images = torch.rand(2, *shape)
    one_hot = functional.one_hot(torch.tensor([0, 9]), 10)
    joint = vae.image_part(images) + vae.class_part()[torch.tensor([0, 9])]
    logits, mean, spread = vae.reconstruct(joint, one_hot, torch.zeros(2, 8))
    assert logits.shape == images.shape
    assert mean.shape == spread.shape == (2, 8)


def test_the_pixel_error_is_the_mean_absolute_error_on_grey_images() -> None:
    images, others = torch.rand(4, 1, 5, 5), torch.rand(4, 1, 5, 5)
    torch.testing.assert_close(
        reconstruction_error(images, others, "pixel"), (images - others).abs().mean((1, 2, 3)), atol=1e-6, rtol=0
    )


def test_both_errors_follow_their_formulas_on_colour_images() -> None:
    images, others = torch.rand(4, 3, 5, 5), torch.rand(4, 3, 5, 5)
    squares = (images - others).square()
    pixel = squares.mean(1).sqrt().mean((1, 2))
    rmse = squares.mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(reconstruction_error(images, others, "pixel"), pixel, atol=1e-6, rtol=0)
    torch.testing.assert_close(reconstruction_error(images, others, "rmse"), rmse, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["pixel", "rmse"])
def test_a_perfect_reconstruction_has_a_finite_gradient(kind: str) -> None:
    images = torch.rand(2, 3, 4, 4, requires_grad=True)
    reconstruction_error(images, images.detach().clone(), kind).sum().backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None
    assert bool(images.grad.isfinite().all())


def test_the_standard_divergence_is_that_of_two_normal_distributions() -> None:
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(standard_divergence(mean, log_variance), expected)


def test_the_paper_divergence_survives_very_negative_spreads() -> None:
    spread = torch.full((2, 3), -40.0)
    assert float(paper_divergence(torch.zeros(2, 3), spread)) == pytest.approx(41.0)


@pytest.mark.parametrize("graph", [False, True])
def test_the_candidate_of_least_error_is_the_answer(graph: bool) -> None:
    module, images = purifier("compact", "pixel", latent_noise=0.1)
    verdict = module(images.clone().requires_grad_(graph), ImageStreams(range(3), CPU, "test"))
    found = module.candidates(images.clone().requires_grad_(graph), ImageStreams(range(3), CPU, "test"))
    winner = found.take(found.errors.argmin(1))
    torch.testing.assert_close(winner.logits, verdict.logits, atol=1e-6, rtol=0)
    torch.testing.assert_close(winner.error, verdict.score, atol=1e-6, rtol=0)
    torch.testing.assert_close(winner.logits, module.classifier(winner.images), atol=1e-6, rtol=0)
    assert winner.error.requires_grad is graph
    assert not found.errors.requires_grad


def test_every_candidate_is_what_ten_passes_make_of_its_class() -> None:
    module, images = purifier("compact", "pixel", latent_noise=0.1)
    noise = 0.1 * ImageStreams(range(3), CPU, "test").normal(10, 16)
    found = module.candidates(images.requires_grad_(True), ImageStreams(range(3), CPU, "test"))
    assert found.errors.shape == (3, 10)
    for label in range(10):
        choice = torch.full((3,), label)
        candidate = found.take(choice)
        joint = module.vae.image_part(images) + module.vae.class_part()[choice]
        one_hot = functional.one_hot(choice, 10).float()
        expected = module.vae.reconstruct(joint, one_hot, noise[:, label])[0].sigmoid()
        torch.testing.assert_close(candidate.images, expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(candidate.error.detach(), found.errors[:, label], atol=1e-5, rtol=0)
        (gradient,) = torch.autograd.grad(candidate.error.sum(), images, retain_graph=True)
        assert bool((gradient.abs().amax((1, 2, 3)) > 0).all())  # losers have gradients, too


def test_one_candidate_by_itself_is_that_among_all() -> None:
    module, images = purifier("compact", "pixel", latent_noise=0.1)
    choice = torch.tensor([4, 0, 9])
    among_all = module.candidates(images.requires_grad_(True), ImageStreams(range(3), CPU, "test")).take(choice)
    alone = module.candidate(images, ImageStreams(range(3), CPU, "test"), choice)
    for one, other in (
        (alone.images, among_all.images),
        (alone.logits, among_all.logits),
        (alone.error, among_all.error),
    ):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    gradients = [torch.autograd.grad(found.logits.square().sum(), images)[0] for found in (alone, among_all)]
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)
