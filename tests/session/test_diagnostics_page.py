"""The table of diagnostics in docs/methodology.md says what the code does."""

from __future__ import annotations

from pathlib import Path

from robench.analysis import flags
from robench.analysis.flags import Tally
from robench.analysis.judged import Judged
from robench.api.records import Finding, ImageOutcome, Outcome
from robench.session.diagnosing import _trying
from robench.session.diagnosing_attacks import AttackDiagnosis
from robench.session.diagnosing_ensembles import EnsembleDiagnosis, Found
from tests.session.test_diagnosing import DeclaredShifting, assault, ensemble, probe

PAGE = Path(__file__).parents[2] / "docs" / "methodology.md"
MANY = Tally(count=10, of=10)


def rows() -> dict[str, tuple[str, str]]:
    """Return status and mend of each diagnostic of the page."""
    table = PAGE.read_text(encoding="utf-8").split("## Diagnostics")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| `")]
    return {name.strip("`"): (status, mend) for name, _, status, mend in cells}


def judged(outcome: Outcome) -> Judged:
    def one(position: int) -> ImageOutcome:
        return ImageOutcome(
            position=position,
            image=position,
            label=0,
            prediction=0,
            outcome=outcome,
            score=None,
            draws=1,
            draws_wrong=int(outcome is Outcome.WRONG),
            draws_rejected=0,
        )

    return Judged.of([one(position) for position in range(20)])


def worst() -> list[Finding]:
    """Let every rule find the worst it can."""
    return [
        flags.probabilities("a", True),
        flags.unstable_loss("a", 1.0),
        flags.randomised("a", MANY, declared=False, averaging=False),
        flags.zero_gradient("a", MANY, MANY),
        flags.monotone("a", {"0.1": judged(Outcome.WRONG), "0.2": judged(Outcome.CORRECT)}),
        flags.order("a", MANY),
        flags.silent_success("a", MANY),
        flags.doubling("a", "steps", MANY),
        flags.doubling("a", "steps", MANY, name="restarts"),
        flags.incomplete("a", 1.0, MANY),
        flags.rounding("a", MANY),
        flags.redraw("a", 1.0, 0.5, 10),
        flags.unbounded("a", MANY),
        flags.chance("a", MANY, 1),
        flags.ablation("a", MANY),
        flags.beaten("a", "transfer", MANY, ["transfer"]),
        flags.beaten("a", "black-box", MANY, ["noise"]),
    ]


def test_the_page_names_every_diagnostic() -> None:
    place = probe(DeclaredShifting(), threshold=1.0)
    naive = AttackDiagnosis(place, assault("pgd"), ("0.1",), rivals=_trying(place, []))
    together = EnsembleDiagnosis(place, ensemble("joint"), Found(together={}, members={}))
    assert set(rows()) == set(naive.checks()) | set(together.checks())


def test_the_page_has_the_status_and_the_mend_of_every_rule() -> None:
    assert rows() == {finding.name.removeprefix("a: "): (finding.status, finding.mend) for finding in worst()}
