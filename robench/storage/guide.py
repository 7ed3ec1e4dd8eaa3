"""What the tables and columns of a store mean, and the questions most often asked of them, for whoever opens one.

``docs/store.md`` has the long form. A test holds these texts to the schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_RUN = "run: beginning of an id, or nothing for all"


@dataclass(frozen=True, kw_only=True)
class TableGuide:
    """A table or view.

    Attributes:
        meaning: Of one row.
        columns: What each column says.
    """

    meaning: str
    columns: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A query with a name.

    Attributes:
        title: What it answers.
        sql: One SELECT; parameters are words after a colon, empty by default.
        parameters: What they are.
    """

    title: str
    sql: str
    parameters: Mapping[str, str]


_COUNTED = {
    "run": "id of the run",
    "dataset": "data set",
    "classifier": "classifier that is defended",
    "defense": "defense",
    "attack": "attack; clean for images as they are",
    "norm": "of the balls: linf or l2; none for clean images",
    "accuracy": (
        "robust accuracy, share in [0, 1]: images correct or rejected; for clean images correct only; "
        "the mean share of draws where a defense draws"
    ),
    "rejected": "images rejected; divided by n, the adversarial proportion",
}

TABLES: Mapping[str, TableGuide] = MappingProxyType(
    {
        "results": TableGuide(
            meaning="a defense under an attack at one epsilon, counted from the outcomes of a run",
            columns={
                **_COUNTED,
                "knowledge": "of the attack: oblivious, naive or adaptive; but the last give upper bounds only",
                "epsilon": "radius of the ball, exact decimal text; order by CAST(epsilon AS REAL)",
                "n": "images",
                "wrong": "images that are wrong and accepted",
            },
        ),
        "worst_case": TableGuide(
            meaning="the epsilon at which an attack of a run leaves the least robust accuracy",
            columns={**_COUNTED, "worst_case_epsilon": "that epsilon, exact decimal text"},
        ),
        "runs": TableGuide(
            meaning="a request: cells over the first images of a seeded order of the test split",
            columns={
                "number": "orders runs that were created at the same instant",
                "id": "derived from cells and images: the same request has the same id",
                "command": "command line that asked for it",
                "created": "UTC",
                "status": "running, interrupted, complete or failed",
                "dataset": "data set",
                "classifier": "classifier",
                "profile": "training profile of the weights",
                "images": "number n of test images",
                "seed": "orders the test split and feeds every random draw",
                "details": "provenance as JSON: thresholds, digests, parameters, versions",
            },
        ),
        "cells": TableGuide(
            meaning="everything that determines an outcome; runs that ask for the same share it",
            columns={
                "id": "number of the cell in this store",
                "key": "SHA-256 over all other fields",
                "dataset": "data set",
                "data_digest": "SHA-256 of its test images and labels",
                "classifier": "classifier",
                "classifier_digest": "SHA-256 of its weights",
                "defense": "defense",
                "defense_digest": "SHA-256 of its weights",
                "threshold": "scores above it are rejected; empty for a defense that never rejects",
                "attack": "attack; clean for images as they are",
                "knowledge": "what the attack knows of the defense",
                "epsilon": "radius of the ball, exact decimal text",
                "seed": "of the run",
                "device": "cpu or cuda",
                "settings": "parameters, calibration and code digests as JSON",
                "subject": "SHA-256 over what is evaluated, whatever attacks it",
                "stochastic": "1 if the same image may get another answer",
                "ensemble": "shared by an ensemble and its members",
                "member": "1 for a member, which has outcomes only where it was tried: no sample of images",
                "norm": "of the ball: linf or l2; none for clean images",
            },
        ),
        "run_cells": TableGuide(
            meaning="a cell that a run asks for",
            columns={
                "run_id": "the run",
                "cell_id": "the cell",
                "position": "place in the order of the request",
                "failure": "why it failed in this run; empty if it did not",
                "role": "cell, or member of an ensemble, which is no result",
            },
        ),
        "shards": TableGuide(
            meaning="outcomes of one cell that were stored together",
            columns={
                "id": "number of the shard in this store",
                "cell_id": "the cell",
                "sha256": "over the key of the cell and all outcomes",
                "seconds": "wall time of search and judgement",
                "queries": "images that went through the defense during the search",
                "environment": "versions and hardware as JSON",
                "created": "UTC",
                "details_sha256": "over the other columns",
            },
        ),
        "outcomes": TableGuide(
            meaning="one image of one cell: every figure is counted from here",
            columns={
                "cell_id": "the cell",
                "position": "place in the seeded order of the test split",
                "image": "index in the test split",
                "label": "true class",
                "prediction": "class with the largest logit, also where the image is rejected",
                "outcome": "correct, wrong or rejected",
                "score": "of rejection; empty from a defense that never rejects",
                "draws": "how often it was judged, on fresh draws each time",
                "draws_wrong": "how many of them were wrong and accepted",
                "draws_rejected": "how many of them were rejected",
                "shard_id": "with which it was stored",
                "search_won": "whether an earlier iterate seemed to win; empty where nobody watched",
            },
        ),
        "findings": TableGuide(
            meaning="what one diagnostic found out about the evaluation of a defense",
            columns={
                "run_id": "the run",
                "defense": "the defense",
                "position": "place among its findings",
                "name": "of the diagnostic",
                "status": "PASS, WARN or FAIL",
                "number": "what was measured",
                "meaning": "what follows from it",
                "mend": "what to do about it",
            },
        ),
        "cards": TableGuide(
            meaning="one version of an evaluation card; the newest of a defense in a run is valid",
            columns={
                "number": "orders cards of the same instant",
                "run_id": "the run",
                "defense": "the defense",
                "created": "UTC",
                "verdict": "what sums it up; UNRELIABLE where a diagnostic failed",
                "document": "its lines and figures as JSON",
            },
        ),
        "claims": TableGuide(
            meaning="which process fills a run",
            columns={
                "run_id": "the run",
                "token": "fences off whoever filled it before",
                "process": "its host and number",
            },
        ),
        "seals": TableGuide(
            meaning="SHA-256 of one part of what a run says",
            columns={
                "run_id": "the run",
                "part": "request, status, cells, findings or cards",
                "sha256": "over that part",
            },
        ),
    }
)
"""Every table and view of a store but that of the schema's revision."""

QUESTIONS: Mapping[str, Question] = MappingProxyType(
    {
        "robust_accuracy": Question(
            title="Robust accuracy of each defense under each attack, at each epsilon",
            sql="""
SELECT run, dataset, classifier, defense, attack, knowledge, norm, epsilon, n,
  round(100 * accuracy, 1) AS robust_accuracy_percent, round(100.0 * rejected / n, 1) AS rejected_percent
FROM results WHERE run LIKE :run || '%'
ORDER BY run, attack, CAST(epsilon AS REAL), defense""",
            parameters={"run": _RUN},
        ),
        "claim_and_bound": Question(
            title="What attacks that do not know a defense leave of it, and what those leave that know it",
            sql="""
SELECT run, defense, norm, epsilon,
  round(100 * min(CASE WHEN knowledge IN ('naive', 'oblivious') THEN accuracy END), 1) AS naive_percent,
  round(100 * min(CASE WHEN knowledge = 'adaptive' THEN accuracy END), 1) AS adaptive_percent, max(n) AS n
FROM results WHERE attack NOT IN ('clean', 'rejection') AND run LIKE :run || '%'
GROUP BY run, defense, norm, epsilon
ORDER BY run, defense, CAST(epsilon AS REAL)""",
            parameters={"run": _RUN},
        ),
        "clean_accuracy": Question(
            title="Accuracy and rejections on clean images",
            sql="""
SELECT run, dataset, classifier, defense, n, round(100 * accuracy, 1) AS accuracy_percent,
  round(100.0 * rejected / n, 2) AS false_positive_percent
FROM results WHERE attack = 'clean' AND run LIKE :run || '%' ORDER BY run, defense""",
            parameters={"run": _RUN},
        ),
        "verdicts": Question(
            title="Valid verdict of each defense in each run",
            sql="""
SELECT run_id AS run, defense, created, verdict FROM cards AS card
WHERE number = (SELECT number FROM cards WHERE run_id = card.run_id AND defense = card.defense
  ORDER BY created DESC, number DESC LIMIT 1) AND run_id LIKE :run || '%'
ORDER BY created DESC, run_id, defense""",
            parameters={"run": _RUN},
        ),
        "doubts": Question(
            title="Diagnostics that failed or warn",
            sql="""
SELECT run_id AS run, defense, status, name, number, meaning, mend FROM findings
WHERE status <> 'PASS' AND run_id LIKE :run || '%' ORDER BY run_id, defense, status, position""",
            parameters={"run": _RUN},
        ),
        "critical_epsilons": Question(
            title="Smallest epsilon at which any attack of a run fooled a defense, for each image",
            sql="""
SELECT rc.run_id AS run, c.defense, o.image, o.label, min(CAST(c.epsilon AS REAL)) AS critical_epsilon
FROM run_cells AS rc
JOIN runs AS r ON r.id = rc.run_id
JOIN cells AS c ON c.id = rc.cell_id
JOIN outcomes AS o ON o.cell_id = c.id AND o.position < r.images
WHERE rc.role = 'cell' AND c.attack <> 'rejection' AND o.outcome = 'wrong'
  AND rc.run_id LIKE :run || '%' AND c.defense LIKE :defense || '%'
GROUP BY rc.run_id, c.defense, o.image ORDER BY run, c.defense, critical_epsilon, o.image""",
            parameters={"run": _RUN, "defense": "beginning of its name, or nothing for all"},
        ),
        "confusions": Question(
            title="Which classes images are taken for where a defense is fooled",
            sql="""
SELECT c.defense, c.attack, c.norm, c.epsilon, o.label, o.prediction, count(*) AS images
FROM run_cells AS rc
JOIN runs AS r ON r.id = rc.run_id
JOIN cells AS c ON c.id = rc.cell_id
JOIN outcomes AS o ON o.cell_id = c.id AND o.position < r.images
WHERE rc.role = 'cell' AND o.outcome = 'wrong' AND rc.run_id LIKE :run || '%' AND c.defense LIKE :defense || '%'
GROUP BY c.defense, c.attack, c.norm, c.epsilon, o.label, o.prediction
ORDER BY images DESC, c.defense, c.attack, CAST(c.epsilon AS REAL), o.label, o.prediction""",
            parameters={"run": _RUN, "defense": "beginning of its name, or nothing for all"},
        ),
        "costs": Question(
            title="Seconds and queries of each attack on each defense, members of ensembles included",
            sql="""
SELECT c.defense, c.attack, c.norm, CASE c.member WHEN 1 THEN 'member' ELSE 'cell' END AS role,
  round(sum(s.seconds), 1) AS seconds, sum(s.queries) AS queries
FROM run_cells AS rc JOIN cells AS c ON c.id = rc.cell_id JOIN shards AS s ON s.cell_id = c.id
WHERE rc.run_id LIKE :run || '%'
GROUP BY c.defense, c.attack, c.norm, c.member ORDER BY seconds DESC, c.defense, c.attack""",
            parameters={"run": _RUN},
        ),
        "failures": Question(
            title="Cells that could not be evaluated, and why",
            sql="""
SELECT rc.run_id AS run, c.defense, c.attack, c.norm, c.epsilon, rc.failure
FROM run_cells AS rc JOIN cells AS c ON c.id = rc.cell_id WHERE rc.failure <> '' AND rc.run_id LIKE :run || '%'
ORDER BY rc.run_id, rc.position""",
            parameters={"run": _RUN},
        ),
    }
)
"""By the name that is part of their address."""
