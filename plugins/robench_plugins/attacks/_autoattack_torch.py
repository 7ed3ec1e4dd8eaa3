"""AutoAttack and its parts through torchattacks, with the budgets of the official version.

The parts are driven turn by turn, since the library's own loop does not tell which images it is at: each turn, a
restart or a class to aim at, goes to the images that still stand, and each image keeps its own random draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torchattacks

from robench.api import UsageError
from robench_plugins.attacks._accepted_torch import AcceptedAnswer
from robench_plugins.attacks._draws_torch import image_draws, image_generators

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Generator, Tensor

    from robench.api import AttackContext, NoParameters, Norm
    from robench_plugins.attacks.autoattack import ApgdParameters, SquareParameters, TargetedParameters

_NORMS: dict[Norm, str] = {"linf": "Linf", "l2": "L2"}
_STEPS, _TARGETS, _QUERIES = 100, 9, 5000
"""Of the standard version: gradient steps of APGD and FAB, classes that APGD-T and FAB-T aim at, queries of Square."""
_DLR_CLASSES = 4
"""The targeted loss of APGD-T divides by a difference of the first, third and fourth logit."""
_SMALLEST_SIDE = 5
"""Square under L2 begins with windows of a fifth of the image."""
_BATCHED = 4
"""Dimensions of what is drawn for each image of a batch."""
_ROUNDING = 1e-6
"""What a distance may be beyond epsilon, and as a share of one above 1: the library projects in float32."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Images that are attacked together.

    Attributes:
        answer: The defense for these images.
        images: Shape (M, C, H, W), float32, in [0, 1].
        labels: Shape (M,), int64: the true classes.
        generators: Of their draws.
    """

    answer: AcceptedAnswer
    images: Tensor
    labels: Tensor
    generators: list[Generator]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One attack of the library.

    Attributes:
        search: ``search(group, turn)`` attacks and returns what it finds, shape (M, C, H, W).
        turns: How often it is called, each time for the images that still stand.
        alone: Whether it must be given one image at a time, because it mixes what images do.
    """

    search: Callable[[Group, int], Tensor]
    turns: int = 1
    alone: bool = False


class CommonWindows(torchattacks.Square):  # type: ignore[misc]
    """Square whose windows are the same for every image, in whatever batch it is.

    The library moves one window for a whole batch, drawn from the global generator. Here that generator begins the same
    for every batch, and what is drawn for each image, stripes at the start and under L2 signs, is the image's own.
    """

    def search(self, group: Group) -> Tensor:
        """Search, and return images of shape (M, C, H, W)."""
        self._group, self._rows = group, torch.arange(len(group.images), device=group.images.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.attack_single_run(group.images, self._rows)[1]  # type: ignore[no-any-return]

    def margin_and_loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Ask about some images of the group, whose numbers are handed around instead of their labels."""
        self.set_model(self._group.answer.select(y))
        margin, loss = super().margin_and_loss(x, self._group.labels[y])
        self._rows = y[margin > 0]  # whom the library goes on with
        return margin, loss

    def random_choice(self, shape: Sequence[int]) -> Tensor:
        """Draw signs: of images from their own generators, of a window from the common one."""
        if len(shape) < _BATCHED:
            return super().random_choice(shape)  # type: ignore[no-any-return]
        generators = [self._group.generators[row] for row in self._rows.tolist()]
        draws = torch.stack([torch.rand(tuple(shape[1:]), generator=generator) for generator in generators])
        return (2 * draws - 1).sign().to(self._rows.device)


def apgd(context: AttackContext[ApgdParameters]) -> Tensor:
    """Ascend the cross-entropy with steps that halve themselves."""
    parameters = context.parameters
    return _attack(context, [_apgd(context, parameters.steps, parameters.restarts)])


def apgd_targeted(context: AttackContext[TargetedParameters]) -> Tensor:
    """Ascend the ratio of logit differences towards the likeliest wrong classes, one after the other."""
    parameters = context.parameters
    return _attack(context, [_apgd_targeted(context, parameters.steps, parameters.target_classes)])


def square(context: AttackContext[SquareParameters]) -> Tensor:
    """Search at random with square windows."""
    return _attack(context, [_square(context, context.parameters.queries)])


def standard(context: AttackContext[NoParameters]) -> Tensor:
    """Run the standard version: four parts, each on the images that the earlier ones left standing."""
    parts = [
        _apgd(context, _STEPS, 1),
        _apgd_targeted(context, _STEPS, _TARGETS),
        _fab_targeted(context, _STEPS, _TARGETS),
        _square(context, _QUERIES),
    ]
    return _attack(context, parts)


@torch.no_grad()
def fab_targeted(context: AttackContext[TargetedParameters]) -> Tensor:
    """Return the closest image that a walk to the borders of the likeliest wrong classes finds, else the original."""
    parameters = context.parameters
    part = _fab_targeted(context, parameters.steps, parameters.target_classes)
    arena = _Arena(context)
    found = context.images.clone()
    closest = torch.full((len(found),), torch.inf, device=found.device)
    for turn in range(part.turns):
        for rows in arena.groups(torch.arange(len(found), device=found.device), part):
            tried, fooled, distance = arena.put(part, rows, turn)
            better = fooled & (distance < closest[rows])
            found[rows[better]], closest[rows[better]] = tried[better], distance[better]
    return found


def _apgd(context: AttackContext[Any], steps: int, restarts: int) -> Part:
    library = torchattacks.APGD(**_common(context), steps=steps, loss="ce")

    def search(group: Group, _turn: int) -> Tensor:
        return _ascend(library, group)

    return Part(search=search, turns=restarts)


def _apgd_targeted(context: AttackContext[Any], steps: int, target_classes: int) -> Part:
    """Describe APGD-T. Under L2 the library takes the first image's step size for all: one image at a time, then."""
    if context.target.classes < _DLR_CLASSES:
        message = f"the loss of apgd-t needs {_DLR_CLASSES} classes, and there are {context.target.classes}"
        raise UsageError(message, "use apgd, fab and square")
    library = torchattacks.APGDT(**_common(context), steps=steps)

    def search(group: Group, turn: int) -> Tensor:
        library.target_class = turn + 2
        return _ascend(library, group)

    turns = min(target_classes, context.target.classes - 1)
    return Part(search=search, turns=turns, alone=context.budget.norm == "l2")


def _ascend(library: Any, group: Group) -> Tensor:  # noqa: ANN401
    """Run APGD or APGD-T from a random start and return the last iterates that won."""
    library.set_model(group.answer)
    with image_draws(group.generators, group.images.device):
        return library.attack_single_run(group.images, group.labels)[3]  # type: ignore[no-any-return]


def _fab_targeted(context: AttackContext[Any], steps: int, target_classes: int) -> Part:
    library = torchattacks.FAB(**_common(context), steps=steps, multi_targeted=True)

    def search(group: Group, turn: int) -> Tensor:
        library.set_model(group.answer)
        library.target_class = turn + 2
        return library.attack_single_run_targeted(group.images, group.labels)  # type: ignore[no-any-return]

    return Part(search=search, turns=min(target_classes, context.target.classes - 1))


def _square(context: AttackContext[Any], queries: int) -> Part:
    """Describe Square. Windows follow the paper's schedule, made for 10,000 queries, as AutoAttack has it."""
    height, width = context.images.shape[2:]
    if height != width or (context.budget.norm == "l2" and height < _SMALLEST_SIDE):
        message = f"square: images have {height} x {width} pixels"
        raise UsageError(message, f"it needs square ones, under l2 of {_SMALLEST_SIDE} x {_SMALLEST_SIDE} at least")
    library = CommonWindows(**_common(context), n_queries=queries, resc_schedule=False)
    library.init_hyperparam(context.images)

    def search(group: Group, _turn: int) -> Tensor:
        return library.search(group)

    return Part(search=search)


def _common(context: AttackContext[Any]) -> dict[str, Any]:
    model = AcceptedAnswer(context.target, context.labels).eval()
    return {"model": model, "norm": _NORMS[context.budget.norm], "eps": context.budget.epsilon}


@torch.no_grad()
def _attack(context: AttackContext[Any], parts: Sequence[Part]) -> Tensor:
    """Return what wins inside the ball, and the original where nothing does, shape (N, C, H, W)."""
    arena, found = _Arena(context), context.images.clone()
    rows = torch.arange(len(found), device=found.device)
    epsilon = context.budget.epsilon
    limit = epsilon + _ROUNDING * max(1.0, epsilon)
    for part in parts:
        for turn in range(part.turns):
            standing = []
            for group in arena.groups(rows, part):
                tried, fooled, distance = arena.put(part, group, turn)
                won = fooled & (distance <= limit)
                found[group[won]] = tried[won]
                standing.append(group[~won])
            rows = torch.cat([rows[:0], *standing])
    return found


class _Arena:
    """A batch under attack by parts, on the defense without its randomness: AutoAttack's standard is made for none."""

    def __init__(self, context: AttackContext[Any]) -> None:
        self._answer, self._labels = AcceptedAnswer(context.target.calm(), context.labels), context.labels
        self._images, self._norm = context.images.clamp(0, 1).contiguous(), context.budget.norm
        self._generators = image_generators(context.random)

    def groups(self, rows: Tensor, part: Part) -> list[Tensor]:
        """Split these rows into what the part attacks together, without those that are answered wrongly as they are."""
        groups = torch.split(rows, 1) if part.alone else (rows,)
        return [group for group in map(self._standing, groups) if len(group)]

    def put(self, part: Part, rows: Tensor, turn: int) -> tuple[Tensor, Tensor, Tensor]:
        """Attack these rows; return images, who is fooled and how far each was moved, all of length len(rows)."""
        answer, originals = self._answer.select(rows), self._images[rows]
        generators = [self._generators[row] for row in rows.tolist()]
        group = Group(answer=answer, images=originals, labels=self._labels[rows], generators=generators)
        tried = part.search(group, turn).detach()
        change = (tried - originals).flatten(1)
        distance = change.abs().amax(1) if self._norm == "linf" else change.square().sum(1).sqrt()
        return tried, answer.fooled(tried), distance

    def _standing(self, rows: Tensor) -> Tensor:
        """Return the rows that are answered rightly in each other's company, which may change a last digit.

        FAB leaves out the others by itself, and who they were would be lost.
        """
        while len(rows):
            fooled = self._answer.select(rows).fooled(self._images[rows])
            if not bool(fooled.any()):
                break
            rows = rows[~fooled]
        return rows
