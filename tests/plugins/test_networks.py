"""Every network that the built-ins offer can take a training step, under every profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from robench.api import ModelContext, NoParameters, UsageError
from robench.engine.deploy import freeze
from robench.registry.catalog import load_catalog
from robench_plugins.classifiers._paper_torch import ClassifierA, ClassifierB
from robench_plugins.defenses.puvae import PuvaeParameters

if TYPE_CHECKING:
    from robench.api import Network

CATALOG = load_catalog({"ROBENCH_DISABLE_PLUGINS": "1"})
GREY, COLOUR = ("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))


def context(data: tuple[str, tuple[int, int, int]], profile: str, parameters: Any, *, defended: bool) -> Any:
    dataset, shape = data
    classifier = None
    if defended:
        classifier = freeze(ClassifierA(10) if shape[0] == 1 else ClassifierB(shape, 10), torch.device("cpu"))
    return ModelContext(
        dataset=dataset, shape=shape, classes=10, profile=profile, parameters=parameters, classifier=classifier
    )


def networks(kind: str, data: tuple[str, tuple[int, int, int]], profile: str) -> list[Network]:
    if kind in CATALOG.classifiers:
        describe_one = CATALOG.classifier(kind).spec.network
        assert describe_one is not None
        return [describe_one(context(data, profile, CATALOG.classifier(kind).spec.parameters(), defended=False))]
    parameters = PuvaeParameters() if kind == "puvae" else NoParameters()
    describe = CATALOG.defense(kind).spec.networks
    assert describe is not None
    return list(describe(context(data, profile, parameters, defended=True)))


@pytest.mark.parametrize("profile", ["quick", "fast", "paper"])
@pytest.mark.parametrize(
    ("kind", "data", "names"),
    [
        ("paper-a", GREY, {"quick": ["paper-a"], "paper": ["paper-a"]}),
        ("paper-b", COLOUR, {"quick": ["paper-b"], "paper": ["paper-b"]}),
        ("magnet", GREY, {"quick": ["magnet-pooling", "magnet-flat"], "paper": ["magnet-pooling", "magnet-flat"]}),
        ("magnet", COLOUR, {"quick": ["magnet-flat"], "paper": ["magnet-flat"]}),
        ("puvae", GREY, {"quick": ["puvae-compact"], "paper": ["puvae-c"]}),
        ("puvae", COLOUR, {"quick": ["puvae-compact"], "paper": ["puvae-d"]}),
    ],
)
def test_every_network_takes_a_training_step(
    kind: str, data: tuple[str, tuple[int, int, int]], names: dict[str, list[str]], profile: str
) -> None:
    torch.manual_seed(0)
    found = networks(kind, data, profile)
    assert [network.name for network in found] == names["quick" if profile == "quick" else "paper"]
    for network in found:
        module = network.build()
        optimizer = torch.optim.Adam(module.parameters(), lr=network.recipe.learning_rate)
        images, labels = torch.rand(4, *data[1]), torch.arange(4)
        losses = network.loss(module, images, labels)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        assert all(bool(value.isfinite()) for value in losses.values())
        assert all(parameter.grad is not None for parameter in module.parameters())


def test_the_paper_profile_has_the_epochs_and_batches_of_tables_1_and_2() -> None:
    recipes = {
        (network.name, data[0]): (network.recipe.epochs, network.recipe.batch_size, network.recipe.schedule)
        for kind, data in (
            ("paper-a", GREY),
            ("paper-a", ("fashion-mnist", (1, 28, 28))),
            ("paper-b", COLOUR),
            ("puvae", GREY),
            ("puvae", ("fashion-mnist", (1, 28, 28))),
            ("puvae", COLOUR),
        )
        for network in networks(kind, data, "paper")
    }
    assert recipes == {
        ("paper-a", "mnist"): (64, 128, "constant"),
        ("paper-a", "fashion-mnist"): (256, 128, "constant"),
        ("paper-b", "cifar10"): (350, 64, "constant"),
        ("puvae-c", "mnist"): (350, 512, "constant"),
        ("puvae-c", "fashion-mnist"): (350, 512, "constant"),
        ("puvae-d", "cifar10"): (1024, 256, "constant"),
    }


def test_latents_follow_table_2() -> None:
    sizes = {
        data[0]: networks("puvae", data, "paper")[0].architecture["latents"]
        for data in (GREY, ("fashion-mnist", (1, 28, 28)), COLOUR)
    }
    assert sizes == {"mnist": 32, "fashion-mnist": 128, "cifar10": 1024}


def test_classifier_a_refuses_colour_images_and_names_the_other() -> None:
    with pytest.raises(UsageError, match="use --classifier paper-b"):
        networks("paper-a", COLOUR, "quick")


@pytest.mark.parametrize("profile", ["quick", "fast", "paper"])
@pytest.mark.parametrize(("data", "name"), [(GREY, "puvae-c"), (COLOUR, "puvae-d")])
def test_the_architecture_of_the_paper_is_that_for_the_channels(
    data: tuple[str, tuple[int, int, int]], name: str, profile: str
) -> None:
    describe = CATALOG.defense("puvae").spec.networks
    assert describe is not None
    parameters = PuvaeParameters(architecture="paper")
    (network,) = describe(context(data, profile, parameters, defended=True))
    assert network.name == name
