"""Published figures beside those of a run: what agrees, what does not, and what the run did differently."""

from __future__ import annotations

import csv
import io
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, get_args

from robench.analysis.intervals import wilson
from robench.analysis.traits import paper_traits
from robench.api.published import ComparedFigure, Measured, Published, PublishedComparison, Quantity
from robench.api.records import CLEAN
from robench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from robench.analysis.traits import Key
    from robench.api.published import Verdict
    from robench.api.records import RunSummary


QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
_SHARES = ("accuracy", "worst accuracy", "adversarial proportion")
_KEPT = ("value", "low", "high")
PAPER = "paper"
"""Name of the packaged reference: Wester & Thisted (2020)."""
COLUMNS = ("dataset", "defense", "attack", "epsilon", "quantity", "value", "low", "high", "source")


def read_published(text: str, where: str) -> tuple[Published, ...]:
    """Read published figures from CSV with the columns ``COLUMNS``.

    Args:
        text: Its content.
        where: What messages call the file.

    Raises:
        UsageError: A column is missing, or a value is not what its column holds.
    """
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            message = f"{where}: the column {missing[0]} is missing"
            raise UsageError(message, f"give the columns {', '.join(COLUMNS)}")
        return tuple(_published(row, f"{where}, line {reader.line_num}") for row in reader)
    except csv.Error as error:
        message = f"{where}, line {reader.line_num}: {error}"
        raise UsageError(message, "write it as CSV") from error


def compare_published(
    reference: str, published: Iterable[Published], summary: RunSummary, settings: Mapping[str, object]
) -> PublishedComparison:
    """Put the figures of a run beside published ones.

    Args:
        reference: What the figures are called.
        published: Of any data sets.
        summary: The run.
        settings: What the published figures were made with, by key of the run's provenance, ``images`` and
            ``profile`` among them; only what differs is told.
    """
    dataset = summary.run.dataset
    wanted = [figure for figure in published if figure.dataset == dataset]
    measured = _measure(summary)
    figures = tuple(
        ComparedFigure(published=figure, measured=found, verdict=_verdict(figure, found))
        for figure in wanted
        if (found := measured.get((figure.defense, figure.attack, figure.epsilon, figure.quantity))) is not None
    )
    return PublishedComparison(
        reference=reference,
        run=summary.run.id,
        dataset=dataset,
        classifier=summary.run.classifier,
        profile=summary.run.profile,
        images=summary.run.images,
        seed=summary.run.seed,
        complete=summary.complete,
        knowledge={row.attack: row.knowledge for row in summary.results},
        cards={card.defense: card.verdict for card in summary.cards},
        figures=figures,
        unmatched=len(wanted) - len(figures),
        deviations=_deviations(summary, wanted, settings),
        traits=paper_traits(measured) if reference == PAPER else (),
    )


def _published(row: Mapping[str, str | None], where: str) -> Published:
    quantity = next((known for known in QUANTITIES if known == row["quantity"]), None)
    if quantity is None:
        message = f"{where}: {row['quantity']!r} is no quantity"
        raise UsageError(message, f"choose one of {', '.join(QUANTITIES)}")
    values = {key: _number(row[key], f"{where}, {key}") for key in ("value", "low", "high", "epsilon")}
    value, epsilon = values["value"], values["epsilon"]
    if value is None or row["value"] is None:
        message = f"{where}: the value is missing"
        raise UsageError(message, "give a decimal number")
    if quantity in _SHARES and not all(0 <= number <= 1 for key in _KEPT if (number := values[key]) is not None):
        message = f"{where}: a share lies outside [0, 1]"
        raise UsageError(message, "87 % is 0.87")
    return Published(
        dataset=row["dataset"] or "",
        defense=row["defense"] or "",
        attack=row["attack"] or "",
        epsilon="" if epsilon is None else format(epsilon.normalize(), "f"),
        quantity=quantity,
        value=float(value),
        low=None if values["low"] is None else float(values["low"]),
        high=None if values["high"] is None else float(values["high"]),
        source=row["source"] or "",
    )


def _number(text: str | None, where: str) -> Decimal | None:
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        message = f"{where}: {text!r} is no decimal number"
        raise UsageError(message)
    return number


def _measure(summary: RunSummary) -> dict[Key, Measured]:
    found: dict[Key, Measured] = {}
    for clean in summary.clean:
        found[clean.defense, CLEAN, "", "accuracy"] = Measured(
            value=clean.accuracy, low=clean.accuracy_low, high=clean.accuracy_high, n=clean.n
        )
    for row in summary.results:
        found[row.defense, row.attack, row.epsilon, "accuracy"] = Measured(
            value=row.accuracy, low=row.accuracy_low, high=row.accuracy_high, n=row.n
        )
        low, high = wilson(row.rejected, row.n)
        found[row.defense, row.attack, row.epsilon, "adversarial proportion"] = Measured(
            value=row.rejected / row.n, low=low, high=high, n=row.n
        )
    for worst in summary.worst:
        found[worst.defense, worst.attack, "", "worst accuracy"] = Measured(
            value=worst.accuracy, low=worst.accuracy_low, high=worst.accuracy_high, n=worst.n
        )
        sweep = {row.accuracy for row in summary.results if (row.defense, row.attack) == (worst.defense, worst.attack)}
        if len(sweep) > 1:  # else no epsilon does more harm than another
            epsilon = float(worst.worst_case_epsilon)
            found[worst.defense, worst.attack, "", "worst epsilon"] = Measured(
                value=epsilon, low=epsilon, high=epsilon, n=worst.n
            )
    defenses = summary.details.get("defenses")
    for name, facts in defenses.items() if isinstance(defenses, dict) else ():
        threshold = facts.get("threshold") if isinstance(facts, dict) else None
        if isinstance(threshold, float) and isinstance(facts, dict):
            images = int(facts.get("validation_images") or 0)
            found[name, CLEAN, "", "threshold"] = Measured(value=threshold, low=threshold, high=threshold, n=images)
    return found


def _verdict(figure: Published, found: Measured) -> Verdict:
    if figure.low is None or figure.high is None:
        return "not judged"
    if figure.low <= found.value <= figure.high:
        return "within"
    return "within error" if found.low <= figure.high and figure.low <= found.high else "outside"


def _deviations(summary: RunSummary, published: Sequence[Published], settings: Mapping[str, object]) -> tuple[str, ...]:
    ours = {**summary.details, "images": summary.run.images, "profile": summary.run.profile}
    told = [
        f"{key.replace('_', ' ')} {_told(ours.get(key))}, published with {_told(value)}"
        for key, value in settings.items()
        if ours.get(key) != value
    ]
    attacks = {figure.attack for figure in published} & set(summary.attacks)
    theirs = {figure.epsilon for figure in published if figure.attack in attacks and figure.epsilon}
    epsilons = {row.epsilon for row in summary.results if row.attack in attacks}
    if theirs and len(epsilons) < len(theirs):
        count = f"{len(epsilons)} epsilons" if len(epsilons) > 1 else "1 epsilon"
        told.append(f"{count}, published with {len(theirs)} or more: the worst may lie between ours")
    return tuple(told)


def _told(value: object) -> str:
    """Write a setting for people."""
    if isinstance(value, dict):
        return "; ".join(f"{key} {_told(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value)) or "none"
    return str(value)
