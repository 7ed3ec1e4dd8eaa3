"""Results: what the engine hands to the store, and what the store hands to analysis and reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

CLEAN = "clean"
"""Name of the attack that leaves every image as it is."""

WORST_CASE = "worst-case"
"""Name under which the worst case per image over several attacks and all smaller epsilons is recorded."""

ADAPTIVE = "adaptive"
"""Name under which an ensemble of adaptive attacks is recorded, each on the images that still stand."""

REJECTION = "rejection"
"""Name under which the smallest epsilon at which an image can be made to be rejected is searched for."""

UNRELIABLE = "UNRELIABLE"
"""First word of the verdict on an evaluation that failed its own diagnostics."""

COMPOSITES = (WORST_CASE, ADAPTIVE, REJECTION)
"""Names under which several attacks, the members of an ensemble, are recorded as one."""

NORM_LABELS: Mapping[str, str] = MappingProxyType({"linf": "Linf", "l2": "L2"})
"""What norms are called where people read them."""

FAILED_PLUGINS = "failed_plugins"
"""Key in the details of a run: the plugins that could not be loaded then, each with the reason."""

RunStatus = Literal["running", "interrupted", "complete", "failed"]
FindingStatus = Literal["PASS", "WARN", "FAIL"]


class Outcome(StrEnum):
    """How one image under one attack at one epsilon ended."""

    CORRECT = "correct"
    WRONG = "wrong"
    REJECTED = "rejected"

    @classmethod
    def of_draws(cls, draws: int, wrong: int, rejected: int) -> Outcome:
        """Decide by majority what several judgements of one image come to.

        Args:
            draws: Number of judgements, at least 1.
            wrong: How many of them were wrong and accepted.
            rejected: How many were rejected.

        Returns:
            Wrong if more than half are. Else rejected or correct, whichever there is more of; correct where they tie.
        """
        if 2 * wrong > draws:
            return cls.WRONG
        return cls.REJECTED if rejected > draws - wrong - rejected else cls.CORRECT


@dataclass(frozen=True, kw_only=True)
class ImageOutcome:
    """The judged result for one image.

    Attributes:
        position: Place of the image in the run's order of the test split; a run over n images uses 0 to n - 1.
        image: Index of the image in the test split.
        label: True class.
        prediction: Class with the largest logit, also where the image is rejected.
        outcome: Correct, wrong or rejected, as ``Outcome.of_draws`` decides.
        score: Rejection score; None from a defense that never rejects.
        draws: How often the image was judged, each time on fresh draws; 1 where the defense draws nothing, or was
            asked only once.
        draws_wrong: How many of them were wrong and accepted, 0 to ``draws``.
        draws_rejected: How many of them were rejected, 0 to ``draws - draws_wrong``.
        search_won: Whether the search took the image for won at some iterate of an attack of which the last one counts;
            None where nothing watched it.
    """

    position: int
    image: int
    label: int
    prediction: int
    outcome: Outcome
    score: float | None
    draws: int
    draws_wrong: int
    draws_rejected: int
    search_won: bool | None = None

    @property
    def fooled(self) -> float:
        """Share of the draws that were wrong and accepted, in [0, 1]."""
        return self.draws_wrong / self.draws


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Images judged together: the unit of work, of commit and of resume.

    Attributes:
        outcomes: Distinct positions, not necessarily adjacent.
        seconds: Wall time of search and judgement.
        queries: Images that went through the defense during the search, counted in forward passes.
        environment: Versions and hardware, as JSON text.
    """

    outcomes: tuple[ImageOutcome, ...]
    seconds: float
    queries: int
    environment: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Everything that determines the outcome of an image, and nothing else.

    That is dataset x classifier x defense x attack x epsilon with all digests. Runs that ask for the same cell share
    its outcomes. The cells of an ensemble are complete; those of its members hold only what they were really tried on.

    Attributes:
        key: SHA-256 over all other fields, as hexadecimal text.
        dataset, classifier, defense, attack: Names; the attack of clean images is ``clean``.
        data_digest: SHA-256 of the test images and labels.
        classifier_digest, defense_digest: SHA-256 of all weights and buffers.
        threshold: Scores above it are rejected; None for a defense that never rejects.
        knowledge: Of the attack; ``none`` for clean images.
        norm: ``linf`` or ``l2``: of the ball; ``none`` for clean images.
        epsilon: Radius of the ball, exact decimal text; ``0`` for clean images.
        seed: Seed of the run.
        device: ``cpu`` or ``cuda``.
        settings: All parameters, calibration and code digests, as canonical JSON text.
        subject: SHA-256 over what is evaluated, whatever attacks it: data, classifier and defense with their digests,
            parameters, code and threshold. Wins of different runs, seeds and attacks are wins over one subject. Empty
            where it is unknown.
        stochastic: Whether the defense may answer the same image differently.
        ensemble: Shared by the cells of an ensemble and of its members; empty for an attack on its own.
        member: Whether the attack is a member of that ensemble.
    """

    key: str
    dataset: str
    data_digest: str
    classifier: str
    classifier_digest: str
    defense: str
    defense_digest: str
    threshold: float | None
    attack: str
    knowledge: str
    norm: str
    epsilon: str
    seed: int
    device: str
    settings: str
    subject: str
    stochastic: bool
    ensemble: str
    member: bool


@dataclass(frozen=True, kw_only=True)
class Run:
    """One request: a list of cells over the first ``images`` positions.

    Attributes:
        id: Twelve hexadecimal digits, derived from the cells and the number of images: the same request has the same
            id, which is what makes it resume.
        command: The command line that asked for it.
        created: UTC, ISO 8601.
        status: ``running``, ``interrupted``, ``complete`` or ``failed`` (complete but for cells that failed).
        dataset, classifier: Names.
        profile: Training profile of the weights.
        images: Number n of test images.
        seed: Orders the test split and feeds every random stream.
        details: Provenance for people and reports, as JSON text: defenses with thresholds, false-positive rates and
            digests, versions, hardware.
    """

    id: str
    command: str
    created: str
    status: RunStatus
    dataset: str
    classifier: str
    profile: str
    images: int
    seed: int
    details: str


@dataclass(frozen=True, kw_only=True)
class CellCounts:
    """One cell of a run with its outcomes counted over the positions of that run.

    Attributes:
        cell: Which cell.
        n: Images judged so far; the run is complete for this cell when it equals the run's ``images``.
        correct, wrong, rejected: Images by outcome; they sum to ``n``.
        fooled, rejected_share: Sums over the images of the share of their draws that were wrong, or rejected; equal to
            ``wrong`` and ``rejected`` where every image was judged once.
        seconds, queries: Sums over all shards of the cell; where other runs have asked for more images, the share of
            them that falls to the positions of this one.
        failure: Why the cell failed; empty when it did not.
    """

    cell: Cell
    n: int
    correct: int
    wrong: int
    rejected: int
    fooled: float
    rejected_share: float
    seconds: float
    queries: int
    failure: str


@dataclass(frozen=True, kw_only=True)
class Win:
    """The smallest epsilon at which an image of a subject was judged wrong.

    Attributes:
        image: Index of the image in the test split.
        epsilon: Exact decimal text; ``0`` where the image is wrong as it is.
        attack: Name of the attack that won; ``clean`` where none was needed.
    """

    image: int
    epsilon: str
    attack: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one diagnostic found out about the evaluation of a defense.

    Attributes:
        name: Of the diagnostic.
        status: ``PASS``, ``WARN`` or ``FAIL``.
        number: What was measured, for people.
        meaning: What follows from it.
        mend: What to do about it; empty where there is nothing to do.
    """

    name: str
    status: FindingStatus
    number: str
    meaning: str
    mend: str


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One figure of an evaluation with its 95 % interval.

    Attributes:
        epsilon: Decimal text; empty for what is not about one epsilon.
        name: Of the metric, such as ``strict robust accuracy``.
        value, low, high: Shares in [0, 1], or epsilons; None for infinity, more than the largest epsilon tried, and for
            what so few images cannot tell.
        n: Number of images that it rests on; of a detector's AUC and true-positive rates the misclassified ones.
    """

    epsilon: str
    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class Card:
    """An evaluation card: what can be said of a defense on one page.

    Attributes:
        defense: Name.
        created: UTC, ISO 8601.
        verdict: The one word or sentence that sums it up.
        lines: Ten lines, each with its name and its text.
        metrics: The figures behind them.
    """

    defense: str
    created: str
    verdict: str
    lines: tuple[tuple[str, str], ...]
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CleanRow:
    """A defense on clean images. ``accuracy`` is strict: a rejected clean image is an error.

    It is the mean over the images of the share of draws that are correct.
    """

    defense: str
    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    correct: int
    wrong: int
    rejected: int


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """A defense under one attack at one epsilon. ``accuracy`` is robust accuracy: correct or rejected.

    It is the mean over the images of the share of draws that are not wrong.
    ``accuracy_low`` and ``accuracy_high`` bound the Wilson interval at 95 %.
    """

    defense: str
    attack: str
    knowledge: str
    norm: str
    epsilon: str
    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    correct: int
    wrong: int
    rejected: int


@dataclass(frozen=True, kw_only=True)
class WorstRow:
    """The epsilon of a sweep with the least robust accuracy, the smallest such epsilon where several tie."""

    defense: str
    attack: str
    knowledge: str
    norm: str
    worst_case_epsilon: str
    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    rejected: int


@dataclass(frozen=True, kw_only=True)
class FailureRow:
    """A cell that could not be evaluated, and why."""

    defense: str
    attack: str
    epsilon: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """Everything a report says about one run.

    Attributes:
        run: The request and its provenance.
        complete: Whether every cell has all its images.
        planned: Number of outcomes of the complete run: its cells times its images.
        norm: ``linf`` or ``l2``, of all balls.
        defenses, attacks: Names, in the order of the request; ``clean`` is not among the attacks.
        clean, results, worst, failures: Rows in the order of the request, epsilons ascending.
        details: ``run.details``, parsed.
        cards: The newest evaluation card of each defense that has one, in the order of the request.
    """

    run: Run
    complete: bool
    planned: int
    norm: str
    defenses: tuple[str, ...]
    attacks: tuple[str, ...]
    clean: tuple[CleanRow, ...]
    results: tuple[ResultRow, ...]
    worst: tuple[WorstRow, ...]
    failures: tuple[FailureRow, ...]
    details: Mapping[str, object]
    cards: tuple[Card, ...] = ()
