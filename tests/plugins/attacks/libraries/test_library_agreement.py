"""What an attack returns is what its library returns, called directly on the plain classifier, image by image."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import foolbox
import pytest
import torch
import torchattacks
from torch import nn

from robench.engine.seeding import ImageStreams
from robench_plugins.attacks._draws_torch import image_generators

if TYPE_CHECKING:
    from torch import Tensor

    from robench.api import Norm
    from tests.plugins.attacks.libraries.conftest import Laboratory

FULL = {"linf": "Linf", "l2": "L2"}
EPSILON = {"linf": 0.08, "l2": 0.5}


class Marked(nn.Module):
    """The bare classifier with a parameter, without which torchattacks complains."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier, self.mark = classifier, nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(images)
        return logits


def by_foolbox(module: nn.Module, attack: Any, images: Tensor, labels: Tensor, **more: Any) -> Tensor:
    model = foolbox.PyTorchModel(module.eval(), bounds=(0, 1), device="cpu")
    return attack(model, images, labels, **more)[1]  # type: ignore[no-any-return]


def where_it_wins(module: nn.Module, found: Tensor, images: Tensor, labels: Tensor) -> Tensor:
    """Put back the originals of images that a search for the closest one has lost, as the table of results does."""
    return torch.where((module(found).argmax(1) != labels)[:, None, None, None], found, images)


def seeds(count: int) -> list[int]:
    """Return what the images' own draws begin with; a library takes one seed for a whole batch."""
    streams = ImageStreams(range(count), torch.device("cpu"), "attack", 0)
    return [generator.initial_seed() for generator in image_generators(streams)]


CARLINI = {"binary_search_steps": 4, "steps": 40, "stepsize": 0.05, "initial_const": 1.0}
DETERMINISTIC = {
    ("cw", "l2"): lambda: foolbox.attacks.L2CarliniWagnerAttack(abort_early=False, **CARLINI),
    ("deepfool", "l2"): lambda: foolbox.attacks.L2DeepFoolAttack(steps=20),
    ("deepfool", "linf"): lambda: foolbox.attacks.LinfDeepFoolAttack(steps=20),
}


@pytest.mark.parametrize("classifier", ["elementwise", "convolution"])
@pytest.mark.parametrize(("name", "norm"), DETERMINISTIC)
def test_the_closest_images_of_foolbox(laboratory: Laboratory, name: str, norm: Norm, classifier: str) -> None:
    deployed = laboratory.defend("plain", classifier)
    module, images, labels = deployed.classifier, laboratory.images, laboratory.labels(deployed)
    theirs = by_foolbox(module, DETERMINISTIC[name, norm](), images, labels, epsilons=None)
    ours = laboratory.try_out(name, deployed, norm=norm)
    torch.testing.assert_close(ours, where_it_wins(module, theirs, images, labels), atol=1e-6, rtol=0)
    assert not torch.equal(ours, images)


@pytest.mark.parametrize(("name", "norm"), [("hopskipjump", "linf"), ("hopskipjump", "l2"), ("boundary", "l2")])
def test_the_walks_of_foolbox(laboratory: Laboratory, name: str, norm: Norm) -> None:
    deployed = laboratory.defend()
    module, images, labels = deployed.classifier, laboratory.images, laboratory.labels(deployed)
    attacks = {
        "hopskipjump": foolbox.attacks.HopSkipJumpAttack(
            steps=3, initial_gradient_eval_steps=10, max_gradient_eval_steps=20, constraint=norm
        ),
        "boundary": foolbox.attacks.BoundaryAttack(steps=120),
    }
    ours = laboratory.try_out(name, deployed, norm=norm)
    for row, seed in enumerate(seeds(len(images))):
        change = (images - images[row]).flatten(1)
        distance = change.abs().amax(1) if norm == "linf" else change.square().sum(1).sqrt()
        start = images[torch.where(labels == labels[row], torch.inf, distance).argmin()][None]

        one = slice(row, row + 1)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            theirs = by_foolbox(module, attacks[name], images[one], labels[one], epsilons=None, starting_points=start)
        assert torch.equal(theirs[0], ours[row])


NOISE = {
    ("uniform-noise", "l2"): foolbox.attacks.L2ClippingAwareRepeatedAdditiveUniformNoiseAttack,
    ("gaussian-noise", "l2"): foolbox.attacks.L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack,
}


@pytest.mark.parametrize(("name", "norm"), NOISE)
def test_the_noise_of_foolbox(laboratory: Laboratory, name: str, norm: Norm) -> None:
    deployed = laboratory.defend()
    module, images, labels = deployed.classifier, laboratory.images, laboratory.labels(deployed)
    ours = laboratory.try_out(name, deployed, norm=norm, epsilon=6.0)
    for row, seed in enumerate(seeds(len(images))):
        one = slice(row, row + 1)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            theirs = by_foolbox(module, NOISE[name, norm](repeats=8), images[one], labels[one], epsilons=6.0)
        torch.testing.assert_close(ours[one], theirs, atol=1e-6, rtol=0)
    assert not torch.equal(ours, images)


class OwnSigns(torchattacks.Square):  # type: ignore[misc]
    """Square for one image whose own signs come from a generator, all else from the library's seed."""

    def random_choice(self, shape: list[int]) -> Tensor:
        if len(shape) < 4:
            return super().random_choice(shape)  # type: ignore[no-any-return]
        return (2 * torch.rand(shape, generator=self.own) - 1).sign()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("classifier", ["elementwise", "convolution"])
def test_square_of_torchattacks(laboratory: Laboratory, norm: Norm, classifier: str) -> None:
    deployed = laboratory.defend("plain", classifier)
    module, images, labels = Marked(deployed.classifier).eval(), laboratory.images, laboratory.labels(deployed)
    ours = laboratory.try_out("square", deployed, norm=norm, epsilon=EPSILON[norm])
    library = OwnSigns(module, norm=FULL[norm], eps=EPSILON[norm], n_queries=30, resc_schedule=False, seed=0)
    for row, seed in enumerate(seeds(len(images))):
        one = slice(row, row + 1)
        library.own = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng():
            theirs = library(images[one], labels[one])
        torch.testing.assert_close(ours[one], theirs, atol=1e-6, rtol=0)
    assert not torch.equal(ours, images)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("classifier", ["elementwise", "convolution"])
@pytest.mark.parametrize("name", ["apgd", "apgd-t"])
def test_the_ascents_of_torchattacks(laboratory: Laboratory, name: str, norm: Norm, classifier: str) -> None:
    deployed = laboratory.defend("plain", classifier)
    images, labels, common = laboratory.images, laboratory.labels(deployed), {"norm": FULL[norm], "eps": EPSILON[norm]}
    module = Marked(deployed.classifier).eval()
    library = {
        "apgd": lambda: torchattacks.APGD(module, steps=10, **common),
        "apgd-t": lambda: torchattacks.APGDT(module, steps=8, n_classes=deployed.classes, **common),
    }[name]()
    more = {"restarts": 1} if name == "apgd" else {}
    ours = laboratory.try_out(name, deployed, norm=norm, epsilon=EPSILON[norm], **more)
    for row, seed in enumerate(seeds(len(images))):
        one = slice(row, row + 1)
        library.seed = seed
        with torch.random.fork_rng():
            theirs = library(images[one], labels[one]).detach()
        torch.testing.assert_close(ours[one], theirs, atol=1e-6, rtol=0)
    assert not torch.equal(ours, images)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fab_of_torchattacks_at_every_epsilon_from_one_run(laboratory: Laboratory, norm: Norm) -> None:
    deployed = laboratory.defend("plain", "convolution")
    images, labels, module = laboratory.images, laboratory.labels(deployed), Marked(deployed.classifier).eval()
    ours = laboratory.try_out("fab", deployed, norm=norm, steps=20)
    change = (ours - images).flatten(1)
    distance = change.abs().amax(1) if norm == "linf" else change.square().sum(1).sqrt()
    won_at = []
    for epsilon in distance.quantile(torch.tensor([0.2, 0.5, 0.8])).tolist():
        library = torchattacks.FAB(
            module, norm=FULL[norm], eps=epsilon, steps=20, multi_targeted=True, n_classes=deployed.classes
        )
        with torch.random.fork_rng():
            theirs = library(images, labels)
        won = module(theirs).argmax(1) != labels
        assert torch.equal(won, (distance > 0) & (distance <= epsilon))
        won_at.append(int(won.sum()))
    assert won_at[0] < won_at[-1]


def test_foolbox_returns_black_images_where_carlini_and_wagner_fail(laboratory: Laboratory) -> None:
    deployed = laboratory.defend("plain", "constant")
    images, labels = laboratory.images, laboratory.labels(deployed)
    attack = foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=2, steps=5)
    assert float(by_foolbox(deployed.classifier, attack, images, labels, epsilons=None).max()) == 0
    assert torch.equal(laboratory.try_out("cw", deployed, norm="l2", searches=2, steps=5), images)


def test_torchattacks_cannot_move_black_and_white_pixels_by_carlini_and_wagner(laboratory: Laboratory) -> None:
    deployed = laboratory.defend()
    module, labels = Marked(deployed.classifier).eval(), laboratory.labels(deployed)
    images = laboratory.images.round()  # which is why cw is that of Foolbox
    with torch.random.fork_rng():
        theirs = torchattacks.CW(module, c=100, steps=30)(images, labels)
    assert torch.equal(theirs, images)


def test_autoattack_of_torchattacks_takes_a_tenth_of_the_steps(laboratory: Laboratory) -> None:
    library = torchattacks.AutoAttack(Marked(laboratory.defend().classifier), n_classes=4)
    parts = {part.attack: part for part in library._autoattack.attacks}
    assert [parts[name].steps for name in ("APGD", "APGDT", "FAB")] == [10, 10, 10]
    assert parts["Square"].rescale_schedule
