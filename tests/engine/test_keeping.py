"""Between looks at all candidates a search keeps to the chosen one, where no library could be compared with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from robench.api import Candidate, Candidates, ImageRandom, Keep, PluginError, Target, Verdict
from robench.engine.ascent import GradientAscent
from robench.engine.deploy import BoundTarget, Choices, Deployed
from robench.engine.seeding import ImageStreams

if TYPE_CHECKING:
    from robench.engine.ascent import Observe

CPU = torch.device("cpu")
COUNT, CLASSES = 6, 3
IMAGES = torch.rand(COUNT, 1, 4, 4, generator=torch.Generator().manual_seed(1))
LEVELS = torch.tensor([0.35, 0.5, 0.65])


class Levels(nn.Module):
    """Classifies an image by the closest of three levels of grey and writes down what it is asked.

    Args:
        noise: Of the errors, if the module is given random streams.
    """

    def __init__(self, noise: float = 0.05) -> None:
        super().__init__()
        self.weight = torch.randn(CLASSES, 16, generator=torch.Generator().manual_seed(3))
        self.noise = noise
        self.looks: list[Tensor] = []
        self.kept: list[Tensor] = []

    def forward(self, images: Tensor, random: ImageRandom | None = None) -> Verdict:
        found = self.candidates(images, random)
        winner = found.take(found.errors.argmin(1))
        return Verdict(logits=winner.logits, score=winner.error)

    def candidates(self, images: Tensor, random: ImageRandom | None = None) -> Candidates:
        errors = self._errors(images, random)
        self.looks.append(errors.detach().argmin(1))
        return Candidates(errors=errors.detach(), take=lambda choice: self._decode(images, errors, choice))

    def _errors(self, images: Tensor, random: ImageRandom | None) -> Tensor:
        noise = 0.0 if random is None else self.noise * random.normal(CLASSES)
        return (images.mean((1, 2, 3))[:, None] - LEVELS + noise).abs()

    def _decode(self, images: Tensor, errors: Tensor, choice: Tensor) -> Candidate:
        purified = 0.8 * images + 0.2 * LEVELS[choice].view(-1, 1, 1, 1)
        logits = (purified.flatten(1) - 0.5) @ self.weight.T
        return Candidate(images=purified, logits=logits, error=errors.gather(1, choice[:, None])[:, 0])


class Keepable(Levels):
    """The same, which can work out one candidate by itself; without noise it takes no streams."""

    def candidate(self, images: Tensor, *rest: ImageRandom | Tensor) -> Candidate:
        random, choice = rest if self.noise else (None, *rest)
        assert isinstance(choice, Tensor)
        assert not isinstance(random, Tensor)
        self.kept.append(choice)
        return self._decode(images, self._errors(images, random), choice)


def deployed(module: Levels) -> Deployed:
    return Deployed(
        name="levels",
        module=module,
        classifier=module,
        classes=CLASSES,
        threshold=0.3,
        stochastic=module.noise > 0,
        selecting=True,
    )


def cross_entropy(target: Target, images: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(target.verdict(images).logits, labels, reduction="none")


def climb(
    form: Deployed,
    steps: int,
    *,
    epsilons: tuple[float, ...] = (0.3,),
    rows: int = 100,
    samples: int = 1,
    keep: Keep = "last",
    random_start: bool = True,
    observe: Observe | None = None,
) -> Tensor:
    labels = torch.zeros(COUNT, dtype=torch.int64)

    def confirm(found: Tensor, owners: Tensor, stage: int, step: int) -> Tensor:
        return (found.mean((1, 2, 3)) > IMAGES[owners].mean((1, 2, 3)) + 0.02).float()

    ascend = GradientAscent(
        form,
        ImageStreams(range(COUNT), CPU, "attack"),
        IMAGES,
        labels,
        torch.tensor([epsilons] * COUNT, dtype=torch.float64),
        rows=rows,
        keep=keep,
        confirm=confirm,
        observe=observe,
    )
    return ascend(cross_entropy, steps=steps, relative_step=0.2, samples=samples, random_start=random_start)


def test_every_third_step_looks_at_all_and_the_others_keep_to_what_was_chosen() -> None:
    module = Keepable()
    climb(deployed(module), 7)
    assert len(module.looks) == 3
    assert len(module.kept) == 4
    for number, kept in enumerate(module.kept):
        assert torch.equal(kept, module.looks[number // 2])
    assert not torch.equal(module.looks[0], module.looks[2])  # or there would be nothing to keep


def test_all_epsilons_keep_to_the_choice_of_the_gradient_that_they_share() -> None:
    module = Keepable()
    climb(deployed(module), 2, epsilons=(0.1, 0.3), random_start=False)
    (look,), (kept,) = module.looks, module.kept
    assert torch.equal(kept, look.repeat_interleave(2))


def test_choices_stay_with_their_rows_in_parts_of_a_batch() -> None:
    whole, parts = (climb(deployed(Keepable()), 8, epsilons=(0.05, 0.3), rows=rows) for rows in (100, 5))
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("form", "samples", "keep"),
    [
        (deployed(Levels()), 1, "last"),
        (deployed(Keepable(noise=0)), 1, "last"),
        (deployed(Keepable()), 2, "last"),
        (deployed(Keepable()), 1, "first-win"),
    ],
    ids=["cannot work out one", "comparable with a library", "averages over draws", "notices wins"],
)
def test_all_candidates_are_looked_at_in_every_step_where_a_choice_must_not_be_kept(
    form: Deployed, samples: int, keep: Keep
) -> None:
    climb(form, 4, samples=samples, keep=keep)
    assert isinstance(form.module, Levels)
    assert len(form.module.looks) == 4 * samples
    assert form.module.kept == []


def test_rounded_searches_keep_choices_of_deterministic_defenses_too() -> None:
    assert not deployed(Keepable(noise=0)).keeps
    assert replace(deployed(Keepable(noise=0)), precision="bfloat16").keeps


def test_the_error_of_what_is_kept_is_its_score() -> None:
    form, streams = deployed(Keepable(noise=0)), ImageStreams(range(COUNT), CPU, "attack")
    choices = Choices(rows=COUNT, kept=torch.tensor([2, 0, 1, 2, 0, 1]))
    verdict = BoundTarget(form, streams).keeping(choices).verdict(IMAGES)
    candidate = form.candidates(IMAGES, streams).take(choices.kept)  # type: ignore[arg-type]
    assert verdict.score is not None
    assert torch.equal(verdict.score, candidate.error)
    assert torch.equal(verdict.logits, candidate.logits)
    assert choices.made is choices.kept


def test_a_candidate_of_another_form_is_refused_by_name() -> None:
    class Wrong(Keepable):
        def candidate(self, images: Tensor, *rest: ImageRandom | Tensor) -> Tensor:  # type: ignore[override]
            return images

    with pytest.raises(PluginError, match="defense levels: its candidate is Tensor"):
        climb(deployed(Wrong()), 2)


def test_only_the_first_answer_about_all_rows_is_kept_to() -> None:
    form, streams = deployed(Keepable(noise=0)), ImageStreams(range(COUNT), CPU, "attack")
    kept = torch.tensor([2, 0, 1, 2, 0, 1])
    choices = Choices(rows=COUNT, kept=kept)
    target = BoundTarget(form, streams).keeping(choices)
    target.verdict(IMAGES[:2])
    assert choices.made is None
    target.verdict(IMAGES)
    target.verdict(1 - IMAGES)
    module = form.module
    assert isinstance(module, Keepable)
    assert [len(looked) for looked in module.looks] == [2, COUNT]
    assert len(module.kept) == 1
    assert choices.made is kept


def test_who_watches_is_told_of_the_defense_itself() -> None:
    values: list[Tensor] = []
    hits: list[Tensor] = []

    def observe(step: int, slots: Tensor, value: Tensor, hit: Tensor) -> None:
        values.append(value)
        hits.append(hit)

    climb(deployed(Keepable()), 7, observe=observe)
    assert len(values) == 7
    for step in range(7):
        assert torch.equal(values[step], values[step - step % 3])
        assert step % 3 == 0 or not hits[step].any()
    assert not torch.equal(values[0], values[3])
    assert any(hit.any() for hit in hits)
