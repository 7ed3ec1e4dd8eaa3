"""Batches: one that does not fit is halved, with the same outcomes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robench.api import AttackSpec, ImageRandom, NoParameters, SweepContext, Verdict
from robench.engine.data import LoadedSplit
from robench.engine.deploy import Deployed
from robench.engine.plan import choose_form
from robench.engine.prepare import Offer, Prepared
from robench.engine.runner import Runner, pick_references

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.records import ImageOutcome
    from robench.engine.plan import Assault

CPU = torch.device("cpu")


class Greedy(nn.Module):
    """A stochastic defense that runs out of memory above a number of images."""

    def __init__(self, limit: int, error: type[RuntimeError], text: str) -> None:
        super().__init__()
        self.limit, self.error, self.text = limit, error, text

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        if len(images) > self.limit:
            raise self.error(self.text)
        return Verdict(logits=random.normal(3) + images.mean((1, 2, 3))[:, None])


def runner() -> Runner:
    generator = np.random.default_rng(0)
    split = LoadedSplit(
        images=generator.random((40, 1, 4, 4), dtype=np.float32),
        labels=generator.integers(0, 3, 40).astype(np.int64),
        digest="",
    )
    return Runner(split, pick_references(split, CPU), seed=0, device=CPU, rows=100)


def clean(prepared: Prepared, positions: Sequence[int]) -> tuple[ImageOutcome, ...]:
    found = runner().attack(prepared, None, positions, [("0",)] * len(positions))
    return tuple(outcome for (outcome,) in found.outcomes)


def prepared(
    limit: int, error: type[RuntimeError] = torch.OutOfMemoryError, text: str = "CUDA out of memory"
) -> Prepared:
    module = Greedy(limit, error, text)
    defense = Deployed(name="greedy", module=module, classifier=module, classes=3, threshold=None, stochastic=True)
    return Prepared(
        deployed=defense, search=defense, digest="", rule=None, false_positive_rate=None, validation_images=0
    )


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_outcomes_do_not_depend_on_how_often_a_batch_was_halved(limit: int) -> None:
    positions = list(range(5, 25))
    whole = clean(prepared(1000), positions)
    halved = clean(prepared(limit), positions)
    assert halved == whole
    assert [item.position for item in halved] == positions


def test_the_cpu_allocator_is_understood_too() -> None:
    text = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 999 bytes"
    assert len(clean(prepared(4, RuntimeError, text), range(10))) == 10


def test_one_image_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        clean(prepared(0), range(4))


def test_other_errors_are_not_retried() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        clean(prepared(2, RuntimeError, "shapes cannot be multiplied"), range(4))


def test_outcomes_name_the_image_behind_each_position() -> None:
    split_order = clean(prepared(1000), range(40))
    assert sorted(item.image for item in split_order) == list(range(40))
    assert [item.image for item in split_order] != list(range(40))


class Drawn(nn.Module):
    """A random defense in which nothing depends on the image."""

    def forward(self, images: Tensor, random: ImageRandom) -> Verdict:
        return Verdict(logits=random.normal(3))


def blind(knowledge: str) -> Assault:
    """An attack that returns each image moved up to the edge of its ball."""

    def sweep(context: SweepContext[NoParameters]) -> Tensor:
        radius = context.epsilons.float()[:, :, None, None, None]
        return (context.images[:, None] + radius).clamp(0, 1)

    spec = AttackSpec(
        name="up",
        summary="",
        source="",
        knowledge=knowledge,  # type: ignore[arg-type]
        parameters=NoParameters,
        sweep=sweep,
    )
    return choose_form(Offer(spec=spec, parameters=NoParameters(), settings={}, origin={}), "native")


def drawn() -> Prepared:
    whole = prepared(1000)
    deployed = replace(whole.deployed, module=Drawn())
    return replace(whole, deployed=deployed, search=deployed)


def test_every_image_may_have_epsilons_of_its_own() -> None:
    epsilons = [("0.1", "0.2"), ("0.2", "0.3"), ("0.1", "0.2")]
    found = runner().attack(drawn(), blind("naive"), [4, 9, 2], epsilons)
    sorted_out = found.by_epsilon(epsilons)
    assert {epsilon: [item.position for item in items] for epsilon, items in sorted_out.items()} == {
        "0.1": [4, 2],
        "0.2": [4, 9, 2],
        "0.3": [9],
    }
    (alone,) = runner().attack(drawn(), blind("naive"), [9], [("0.3",)]).outcomes[0]
    assert sorted_out["0.3"] == (alone,)


@pytest.mark.parametrize(("knowledge", "draws"), [("naive", 1), ("adaptive", 10)])
def test_a_random_defense_is_asked_more_often_about_what_knows_it(knowledge: str, draws: int) -> None:
    found = runner().attack(drawn(), blind(knowledge), range(40), [("0.1",)] * 40)
    assert {item.draws for (item,) in found.outcomes} == {draws}
    assert {item.draws for item in clean(drawn(), range(5))} == {10}
    share = sum(item.fooled for (item,) in found.outcomes) / 40
    assert share == pytest.approx(2 / 3, abs=0.2)  # three classes, drawn


def test_epsilons_of_an_image_are_judged_on_the_same_draws() -> None:
    found = runner().attack(drawn(), blind("adaptive"), range(40), [("0.1", "0.2")] * 40)
    for left, right in found.outcomes:
        assert (left.draws_wrong, left.prediction) == (right.draws_wrong, right.prediction)


def test_examples_judged_again_end_as_they_did() -> None:
    whole, assault = drawn(), blind("adaptive")
    found = runner().attack(whole, assault, range(6), [("0.1", "0.2")] * 6)
    examples = runner().examples(whole, assault, range(6), ["0.1", "0.2"])
    assert torch.equal(examples, found.examples)
    again = runner().judge(whole, "up", range(6), examples, draws=assault.draws)
    assert again == tuple(item for own in found.outcomes for item in own)


def test_references_are_the_first_images_of_every_class() -> None:
    labels = np.array([2, 0, 1, 0, 2] * 30)
    images = np.arange(150, dtype=np.float32).reshape(150, 1, 1, 1)
    found = pick_references(LoadedSplit(images=images, labels=labels, digest=""), CPU)
    assert found.labels.tolist() == [0] * 20 + [1] * 20 + [2] * 20
    for label in range(3):
        expected = np.flatnonzero(labels == label)[:20]
        assert found.images[found.labels == label].flatten().tolist() == expected.tolist()
