"""What robench does through its plugins is what Foolbox does when called directly on the same composite."""

from __future__ import annotations

import os
import types
from dataclasses import replace
from typing import TYPE_CHECKING

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import foolbox
import pytest
import torch
from torch import Tensor, nn

from robench.api import AttackContext, Budget, Norm, References, SweepContext
from robench.api.records import Outcome
from robench.engine.ascent import GradientAscent
from robench.engine.deploy import BoundTarget, Deployed, freeze
from robench.engine.judge import judge
from robench.engine.search import search_form
from robench.engine.seeding import ImageStreams
from robench_plugins.attacks.gradient import GradientParameters, IterativeParameters, PgdParameters, robench_attacks
from robench_plugins.classifiers._paper_torch import ClassifierA
from robench_plugins.datasets.mnist import load
from robench_plugins.defenses._puvae_networks import compact
from robench_plugins.defenses._puvae_torch import Purifier

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")
COUNT = 24
ATTACKS = {spec.name: spec for spec in robench_attacks()}
PARAMETERS = {"fgsm": GradientParameters(), "bim": IterativeParameters(), "pgd": PgdParameters()}
EPSILONS = [0.1, 0.2, 0.3]
L2_EPSILONS = [0.5, 1.0, 2.0]


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tensor, Tensor]:
    from robench.api import DataContext

    folder: Path = tmp_path_factory.mktemp("none")
    split = load("test", DataContext(data_dir=None, cache_dir=folder, offline=True, report=lambda text: None))
    return torch.from_numpy(split.images[:600]), torch.from_numpy(split.labels[:600])


@pytest.fixture(scope="module")
def classifier(mnist: tuple[Tensor, Tensor]) -> nn.Module:
    """Classifier A after a few steps: enough to be right on most images, so that attacks have something to lose."""
    torch.manual_seed(0)
    module = ClassifierA(10)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    images, labels = mnist
    for step in range(24):
        rows = torch.arange(step * 100, step * 100 + 100) % 600
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(images[rows]), labels[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return freeze(module, CPU)


def defend(classifier: nn.Module, images: Tensor, latent_noise: float) -> Deployed:
    """PuVAE + detector on an untrained network, its threshold in the middle of the clean scores."""
    torch.manual_seed(1)
    module = Purifier(compact((1, 28, 28), 10, 32), classifier, error="pixel", latent_noise=latent_noise, detect=True)
    freeze(module, CPU)
    with torch.no_grad():
        scores = module(images, ImageStreams(range(len(images)), CPU, "calibrate")).score
    return Deployed(
        name="puvae-detect",
        module=module,
        classifier=classifier,
        classes=10,
        threshold=float(scores.median()),
        stochastic=True,
    )


class UndefendedVerdict(nn.Module):
    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> object:
        from robench.api import Verdict

        return Verdict(logits=self.classifier(images))


def undefended(classifier: nn.Module) -> Deployed:
    return Deployed(
        name="none",
        module=UndefendedVerdict(classifier),
        classifier=classifier,
        classes=10,
        threshold=None,
        stochastic=False,
    )


class PlainComposite(nn.Module):
    """The composite as one would write it by hand for Foolbox: no class of robench's engine in it."""

    def __init__(self, deployed: Deployed) -> None:
        super().__init__()
        self.deployed = [deployed]

    def forward(self, images: Tensor) -> Tensor:
        (deployed,) = self.deployed
        if deployed.threshold is None:
            logits: Tensor = deployed.classifier(images)
            return logits
        still = types.SimpleNamespace(normal=lambda *size: torch.zeros(len(images), *size))
        verdict = deployed.module(images, still)
        flagged = (verdict.score > deployed.threshold).float().unsqueeze(1)
        return torch.cat([verdict.logits * (1 - flagged), flagged], dim=1)


def attack(
    deployed: Deployed, name: str, images: Tensor, labels: Tensor, epsilon: float, *, norm: Norm = "linf"
) -> Tensor:
    random = ImageStreams(range(len(images)), CPU, "attack")
    spec = ATTACKS[name]
    context = AttackContext(
        target=BoundTarget(deployed, random),
        images=images,
        labels=labels,
        budget=Budget(epsilon=epsilon, norm=norm),
        random=random,
        parameters=PARAMETERS[name],
        references=References(images=images, labels=labels),
    )
    assert spec.run is not None
    return spec.run(context)  # type: ignore[arg-type]


def sweep(
    deployed: Deployed, name: str, images: Tensor, labels: Tensor, epsilons: list[float], *, norm: Norm = "linf"
) -> Tensor:
    """The native form at several epsilons, shape (N, E, C, H, W)."""
    random = ImageStreams(range(len(images)), CPU, "attack")
    radius = torch.tensor([epsilons] * len(images), dtype=torch.float64)
    spec = ATTACKS[name]
    ascend = GradientAscent(
        deployed, random, images, labels, radius, rows=10, keep="last", confirm=lambda *_: torch.zeros(0), norm=norm
    )
    context = SweepContext(
        target=BoundTarget(deployed, random),
        images=images,
        labels=labels,
        epsilons=radius,
        random=random,
        parameters=PARAMETERS[name],
        norm=norm,
        ascend=ascend,
        trial=ascend.trial,
        references=References(images=images, labels=labels),
    )
    assert spec.sweep is not None
    return spec.sweep(context)  # type: ignore[arg-type]


@pytest.mark.parametrize("epsilon", [0.1, 0.3])
@pytest.mark.parametrize("name", ["fgsm", "bim"])
@pytest.mark.parametrize("kind", ["none", "puvae-detect"])
def test_deterministic_attacks_equal_foolbox_image_by_image(
    kind: str, name: str, epsilon: float, classifier: nn.Module, mnist: tuple[Tensor, Tensor]
) -> None:
    images, labels = mnist[0][:COUNT], mnist[1][:COUNT]
    deployed = undefended(classifier) if kind == "none" else defend(classifier, images, latent_noise=0.0)
    ours = attack(deployed, name, images, labels, epsilon)
    direct = (
        foolbox.attacks.FGSM()
        if name == "fgsm"
        else foolbox.attacks.LinfProjectedGradientDescentAttack(steps=40, rel_stepsize=0.01 / 0.3, random_start=False)
    )
    model = foolbox.PyTorchModel(PlainComposite(deployed).eval(), bounds=(0, 1), device="cpu")
    _, theirs, success = direct(model, images, labels, epsilons=epsilon)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    outcomes = judge(
        deployed,
        ours,
        labels,
        positions=range(COUNT),
        indices=range(COUNT),
        random=ImageStreams(range(COUNT), CPU, "judge"),
    )
    # Foolbox counts a rejection as success of the attacker; otherwise both must say the same of every image.
    for item, fooled in zip(outcomes, success.tolist(), strict=True):
        assert fooled == (item.outcome is not Outcome.CORRECT)


@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd"])
def test_without_the_mask_images_that_are_rejected_move_too(
    name: str, classifier: nn.Module, mnist: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = mnist[0][:6], mnist[1][:6]
    deployed = defend(classifier, images, latent_noise=0.0)
    with torch.no_grad():
        score = deployed.module(images, ImageStreams(range(6), CPU, "any")).score
    rejected = score > deployed.threshold
    assert 0 < int(rejected.sum()) < 6
    moved = {}
    for head in ("masked", "unmasked"):
        monkeypatch.setitem(PARAMETERS, name, replace(PARAMETERS[name], head=head))
        plain, native = attack(deployed, name, images, labels, 0.1), sweep(deployed, name, images, labels, [0.1])[:, 0]
        torch.testing.assert_close(plain, native, atol=1e-6, rtol=0)
        moved[head] = (native != images).flatten(1).any(1)
    if name != "pgd":  # whose random start moves every image
        assert not bool(moved["masked"][rejected].any())
    assert bool(moved["unmasked"].all())


def test_pgd_with_the_same_start_equals_foolbox_and_stays_in_the_ball(
    classifier: nn.Module, mnist: tuple[Tensor, Tensor]
) -> None:
    images, labels = mnist[0][:COUNT], mnist[1][:COUNT]
    epsilon = 0.2
    ours = attack(undefended(classifier), "pgd", images, labels, epsilon)
    start = ImageStreams(range(COUNT), CPU, "attack").uniform(1, 28, 28)

    class Started(foolbox.attacks.LinfProjectedGradientDescentAttack):  # type: ignore[misc]
        def get_random_start(self, x0: object, epsilon: float) -> object:
            return x0 + type(x0)((2 * start - 1) * epsilon)  # type: ignore[operator, call-arg]

    direct = Started(steps=40, rel_stepsize=0.01 / 0.3, random_start=True)
    model = foolbox.PyTorchModel(classifier, bounds=(0, 1), device="cpu")
    _, theirs, _ = direct(model, images, labels, epsilons=epsilon)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    assert float((ours - images).abs().max()) <= epsilon + 1e-6
    assert not torch.equal(ours, images)


def foolbox_l2(name: str, images: Tensor) -> foolbox.attacks.base.FixedEpsilonAttack:
    """Foolbox's L2 attack of that name, for PGD with the start that the streams draw."""
    if name == "fgsm":
        return foolbox.attacks.L2FastGradientAttack()
    if name == "bim":
        return foolbox.attacks.L2BasicIterativeAttack(steps=40, rel_stepsize=0.01 / 0.3)
    draws = ImageStreams(range(len(images)), CPU, "attack").normal(28 * 28 + 2)
    start = (draws / draws.norm(dim=1, keepdim=True))[:, :-2].view(images.shape)

    class Started(foolbox.attacks.L2ProjectedGradientDescentAttack):  # type: ignore[misc]
        def get_random_start(self, x0: object, epsilon: float) -> object:
            return x0 + type(x0)(start * epsilon)  # type: ignore[operator, call-arg]

    return Started(steps=40, rel_stepsize=0.01 / 0.3)


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
@pytest.mark.parametrize(
    ("kind", "name"), [("none", "fgsm"), ("none", "bim"), ("none", "pgd"), ("puvae-detect", "fgsm")]
)
def test_l2_attacks_equal_foolbox_image_by_image(
    kind: str, name: str, epsilon: float, classifier: nn.Module, mnist: tuple[Tensor, Tensor]
) -> None:
    images, labels = mnist[0][:COUNT], mnist[1][:COUNT]
    deployed = undefended(classifier) if kind == "none" else defend(classifier, images, latent_noise=0.0)
    model = foolbox.PyTorchModel(PlainComposite(deployed).eval(), bounds=(0, 1), device="cpu")
    _, theirs, success = foolbox_l2(name, images)(model, images, labels, epsilons=epsilon)
    library = attack(deployed, name, images, labels, epsilon, norm="l2")
    native = sweep(deployed, name, images, labels, [0.1, epsilon], norm="l2")[:, 1]
    torch.testing.assert_close(library, theirs, atol=1e-6, rtol=0)
    # A gradient of length 1 is rounded in another order, and the next forty steps go on from there.
    assert float((native - theirs).flatten(1).norm(dim=1).max()) < 1e-3 * epsilon
    assert int(success.sum()) > 0
    for ours in (library, native):
        assert bool((success == fools(deployed, ours, labels)).all())
        assert bool(((ours - images).flatten(1).norm(dim=1) <= epsilon + 1e-5).all())


def fools(deployed: Deployed, images: Tensor, labels: Tensor) -> Tensor:
    """Say which images are not answered correctly, a rejection being a success as Foolbox counts."""
    places = range(len(images))
    streams = ImageStreams(places, CPU, "judge")
    outcomes = judge(deployed, images, labels, positions=places, indices=places, random=streams)
    return torch.tensor([item.outcome is not Outcome.CORRECT for item in outcomes])


def test_the_native_l2_form_starts_and_steps_like_foolbox_on_a_random_defense(
    classifier: nn.Module, mnist: tuple[Tensor, Tensor]
) -> None:
    images, labels = mnist[0][:4], mnist[1][:4]
    deployed = defend(classifier, images, latent_noise=0.1)
    ours = sweep(deployed, "pgd", images, labels, L2_EPSILONS, norm="l2")
    for place, epsilon in enumerate(L2_EPSILONS):
        theirs = attack(deployed, "pgd", images, labels, epsilon, norm="l2")
        assert float(((ours[:, place] - theirs).abs() <= 1e-4).float().mean()) > 0.999


def test_a_rejected_image_has_exactly_zero_gradient(classifier: nn.Module, mnist: tuple[Tensor, Tensor]) -> None:
    images, labels = mnist[0][:COUNT], mnist[1][:COUNT]
    deployed = defend(classifier, images, latent_noise=0.0)
    target = BoundTarget(deployed, ImageStreams(range(COUNT), CPU, "attack"))
    inputs = images.clone().requires_grad_(True)
    logits = target.head(inputs)
    nn.functional.cross_entropy(logits, labels, reduction="sum").backward()  # type: ignore[no-untyped-call]
    rejected = logits.detach()[:, -1] == 1
    assert 0 < int(rejected.sum()) < COUNT
    assert inputs.grad is not None
    assert float(inputs.grad[rejected].abs().max()) == 0
    assert bool((inputs.grad[~rejected].abs().amax((1, 2, 3)) > 0).all())


def test_the_attack_leaves_the_global_generator_alone(classifier: nn.Module, mnist: tuple[Tensor, Tensor]) -> None:
    deployed = defend(classifier, mnist[0][:4], 0.1)
    torch.manual_seed(5)
    expected = torch.random.get_rng_state()
    attack(deployed, "pgd", mnist[0][:4], mnist[1][:4], 0.1)
    assert torch.equal(torch.random.get_rng_state(), expected)


@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd"])
@pytest.mark.parametrize("kind", ["none", "puvae-detect", "puvae-detect with latent noise"])
def test_the_native_form_takes_the_very_steps_of_foolbox(
    kind: str, name: str, classifier: nn.Module, mnist: tuple[Tensor, Tensor]
) -> None:
    images, labels = mnist[0][:COUNT], mnist[1][:COUNT]
    noise = 0.1 if kind.endswith("noise") else 0.0
    deployed = undefended(classifier) if kind == "none" else defend(classifier, images, latent_noise=noise)
    ours = sweep(deployed, name, images, labels, EPSILONS)
    for place, epsilon in enumerate(EPSILONS):
        theirs = attack(deployed, name, images, labels, epsilon)
        # Rows go through the networks in other company, which may change the last digit of a gradient near zero.
        equal = (ours[:, place] - theirs).abs() <= 1e-6
        assert float(equal.float().mean()) > 0.9999


@pytest.mark.parametrize(("precision", "share"), [("float32", 0.0), ("bfloat16", 0.1)])
@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_searching_on_the_search_form_fools_as_many(
    name: str, precision: str, share: float, classifier: nn.Module, mnist: tuple[Tensor, Tensor]
) -> None:
    images, labels = mnist[0][:COUNT], mnist[1][:COUNT]
    deployed = defend(classifier, images, latent_noise=0.0)
    form = search_form(
        deployed,
        precision,
        images,
        lambda part: ImageStreams(range(part.start, part.stop), CPU, "compare"),
        pytest.fail,
    )
    assert form is not deployed
    found = sweep(form, name, images, labels, [0.1])[:, 0]
    reference = attack(deployed, name, images, labels, 0.1)
    outcomes = [
        judge(
            deployed,
            attacked,
            labels,
            positions=range(COUNT),
            indices=range(COUNT),
            random=ImageStreams(range(COUNT), CPU, "judge"),
        )
        for attacked in (found, reference)
    ]
    different = sum(ours.outcome != theirs.outcome for ours, theirs in zip(*outcomes, strict=True))
    assert different <= share * COUNT
