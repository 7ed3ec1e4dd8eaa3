"""What a plugin returns from its hooks: one frozen description per data set, classifier, defense or attack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from robench.api.contexts import AttackContext, DataContext, FitContext, ModelContext, SweepContext
    from robench.api.data import Split, SplitName
    from robench.api.target import Norm, Target
    from robench.api.training import Network

P = TypeVar("P")

Knowledge = Literal["oblivious", "naive", "adaptive"]
"""What an attack knows: the classifier only; the deployed composite as one function; the defense's parts as well."""

Effort = Literal["quick", "standard", "thorough"]
"""How much an ensemble of attacks may cost: seconds, minutes or hours for some hundred images on two cores."""

Goal = Literal["wrong", "rejected"]
"""What an attack is after: an accepted wrong class, or a rejection."""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A data set.

    Attributes:
        name: Kebab-case.
        summary: One line for listings.
        source: Where it was published, with its licence.
        shape: Channels, height and width of an image.
        classes: Names of the K classes in the order of their labels.
        sizes: Number of images of each split.
        load: ``load(split, context)`` returns that split with shape (N, C, H, W). It raises
            ``MissingDataError`` when the files are not here, ``DataError`` when they differ from the published ones.
    """

    name: str
    summary: str
    source: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    sizes: Mapping[SplitName, int]
    load: Callable[[SplitName, DataContext], Split]


@dataclass(frozen=True, kw_only=True)
class ClassifierSpec(Generic[P]):
    """A classifier: a module from images, shape (N, C, H, W), in [0, 1], to logits, shape (N, K).

    It is trained by robench, as ``network`` describes, or comes trained from ``module``. A spec has one of the two.

    Attributes:
        name: Kebab-case.
        summary: One line for listings.
        source: Paper and section.
        parameters: Frozen dataclass of what a user may set; every field has a default.
        network: Describes the network to train. It raises ``UsageError`` for a shape it does not fit.
        module: Returns a classifier that is trained already. It raises ``UsageError`` for a shape it does not fit.
    """

    name: str
    summary: str
    source: str
    parameters: type[P]
    network: Callable[[ModelContext[P]], Network] | None = None
    module: Callable[[ModelContext[P]], nn.Module] | None = None


@dataclass(frozen=True, kw_only=True)
class DefenseSpec(Generic[P]):
    """A defense: a module around a classifier that answers images with a ``Verdict``.

    Attributes:
        name: Kebab-case.
        summary: One line for listings.
        source: Paper and section.
        parameters: Frozen dataclass of what a user may set; every field has a default.
        build: ``build(context, networks)`` returns the module, given the trained networks by name. Its ``forward``
            takes images, shape (N, C, H, W), float32, in [0, 1], and, if ``stochastic``, an ``ImageRandom`` as the
            second argument; it returns a ``Verdict``.
        networks: The networks to train before; none by default.
        fit: Called once before deployment with clean validation images. Returns the rejection threshold, or None to
            have the engine calibrate it on the scores.
        rejecting: Whether verdicts carry a score.
        stochastic: Whether the same image may get another answer.
        selecting: Whether it takes the best of one candidate per class and shows them to attacks. The module then has a
            method ``candidates`` with the arguments of ``forward``, which returns ``Candidates``; its verdict is the
            candidate of least error, which is the score if it rejects. If it can work out one candidate for less than
            all, it may have a method ``candidate`` as well, with the classes wanted, shape (N,), int64, as a further
            argument: it returns what ``take`` of its ``candidates`` would, and makes the same draws.
        differentiable: Whether gradients pass from its answers to the images, at most of them. An attack that takes
            gradients says little of a defense through which none pass.
    """

    name: str
    summary: str
    source: str
    parameters: type[P]
    build: Callable[[ModelContext[P], Mapping[str, nn.Module]], nn.Module]
    networks: Callable[[ModelContext[P]], Sequence[Network]] | None = None
    fit: Callable[[FitContext], float | None] | None = None
    rejecting: bool = False
    stochastic: bool = False
    selecting: bool = False
    differentiable: bool = True


@dataclass(frozen=True, kw_only=True)
class AttackSpec(Generic[P]):
    """An attack: searches inside the epsilon ball of each image. The engine, never the attack, judges the result.

    There are three forms, and one of them is enough. ``run`` is the plain form, through whatever library does it.
    ``sweep`` is the fast form: it sees all epsilons of a batch at once and has the engine's gradient ascent at hand.
    With both, ``sweep`` is used and ``run`` is the reference: ``--engine foolbox`` takes it, and ``robench
    verify-engine`` compares the two. ``minimal`` stands alone: it is for attacks that look for the closest adversarial
    image, and one run of it answers for every epsilon.

    Attributes:
        name: Kebab-case.
        summary: One line for listings.
        source: Paper and section.
        knowledge: What the attack knows of the defense.
        parameters: Frozen dataclass of what a user may set; every field has a default.
        run: Returns the attacked images, shape (N, C, H, W), float32, within ``budget.epsilon`` of the originals in
            every pixel and in [0, 1].
        sweep: The same for every epsilon of every image, shape (N, E, C, H, W).
        minimal: Returns the closest image to each original that it found to fool the defense, at whatever distance,
            shape (N, C, H, W), in [0, 1]; the original itself where it found none. Where that is further away than
            epsilon, the attack has failed at epsilon, and the original is what counts.
        norms: The norms that it can search in.
        requires: Modules that must be importable, beyond what the plugin's distribution depends on, each with what to
            install for it, such as ``{"torchattacks": "robench[torchattacks]"}``.
        goal: What it is after. The engine records every outcome, whatever the goal.
        effort: The least effort at which ``--attack adaptive`` includes it; None if never. Only attacks that keep their
            first win belong there: see ``Keep``.
        cost: Roughly how many passes, forward and backward, one image takes. Ensembles run the cheapest first.
        presets: What an effort makes of the parameters; what a user sets wins over it.
        suits: Whether an ensemble runs it against this defense, as seen before any image; against all if None.
    """

    name: str
    summary: str
    source: str
    knowledge: Knowledge
    parameters: type[P]
    run: Callable[[AttackContext[P]], Tensor] | None = None
    sweep: Callable[[SweepContext[P]], Tensor] | None = None
    minimal: Callable[[AttackContext[P]], Tensor] | None = None
    norms: tuple[Norm, ...] = ("linf",)
    requires: Mapping[str, str] = field(default_factory=dict)
    goal: Goal = "wrong"
    effort: Effort | None = None
    cost: float = 1.0
    presets: Mapping[Effort, Mapping[str, object]] = field(default_factory=dict)
    suits: Callable[[Target], bool] | None = None
