"""Results: what the engine hands to the store, and what the store hands to analysis and reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

CLEAN = "clean"
"""Name of the attack that leaves every image as it is."""

WORST_CASE = "worst-case"
"""Name under which the worst case per image over several attacks and all smaller epsilons is recorded."""

RunStatus = Literal["running", "interrupted", "complete", "failed"]


class Outcome(StrEnum):
    """How one image under one attack at one epsilon ended."""

    CORRECT = "correct"
    WRONG = "wrong"
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True)
class ImageOutcome:
    """The judged result for one image.

    Attributes:
        position: Place of the image in the run's order of the test split; a run over n images uses 0 to n - 1.
        image: Index of the image in the test split.
        label: True class.
        prediction: Class with the largest logit, also where the image is rejected.
        outcome: Correct, wrong or rejected.
        score: Rejection score; None from a defense that never rejects.
    """

    position: int
    image: int
    label: int
    prediction: int
    outcome: Outcome
    score: float | None


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Images judged together: the unit of work, of commit and of resume.

    Attributes:
        outcomes: Distinct positions, not necessarily adjacent.
        seconds: Wall time of search and judgement.
        environment: Versions and hardware, as JSON text.
    """

    outcomes: tuple[ImageOutcome, ...]
    seconds: float
    environment: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Everything that determines the outcome of an image, and nothing else.

    That is dataset x classifier x defense x attack x epsilon with all digests. Runs that ask for the same cell share
    its outcomes.

    Attributes:
        key: SHA-256 over all other fields, as hexadecimal text.
        dataset, classifier, defense, attack: Names; the attack of clean images is ``clean``.
        data_digest: SHA-256 of the test images and labels.
        classifier_digest, defense_digest: SHA-256 of all weights and buffers.
        threshold: Scores above it are rejected; None for a defense that never rejects.
        knowledge: Of the attack; ``none`` for clean images.
        epsilon: Exact decimal text; ``0`` for clean images.
        seed: Seed of the run.
        device: ``cpu`` or ``cuda``.
        settings: All parameters, calibration and code digests, as canonical JSON text.
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
    epsilon: str
    seed: int
    device: str
    settings: str


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
        correct, wrong, rejected: They sum to ``n``.
        failure: Why the cell failed; empty when it did not.
    """

    cell: Cell
    n: int
    correct: int
    wrong: int
    rejected: int
    failure: str


@dataclass(frozen=True, kw_only=True)
class CleanRow:
    """A defense on clean images. ``accuracy`` is strict: a rejected clean image is an error."""

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

    ``accuracy_low`` and ``accuracy_high`` bound the Wilson interval at 95 %.
    """

    defense: str
    attack: str
    knowledge: str
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
        defenses, attacks: Names, in the order of the request; ``clean`` is not among the attacks.
        clean, results, worst, failures: Rows in the order of the request, epsilons ascending.
        details: ``run.details``, parsed.
    """

    run: Run
    complete: bool
    planned: int
    defenses: tuple[str, ...]
    attacks: tuple[str, ...]
    clean: tuple[CleanRow, ...]
    results: tuple[ResultRow, ...]
    worst: tuple[WorstRow, ...]
    failures: tuple[FailureRow, ...]
    details: Mapping[str, object]
