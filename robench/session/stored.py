"""One stored run: what it asked for, and which of its cells hold outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.analysis.summary import parse_details, summarise
from robench.api import UsageError
from robench.api.records import ADAPTIVE, CLEAN, WORST_CASE, Cell, Run
from robench.errors import suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from robench.storage.store import ResultStore


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A run with its provenance.

    Attributes:
        run: The request.
        defenses, attacks: Names, in the order of the request; ``clean`` is not among the attacks.
        details: ``run.details``, parsed.
        cells: Those that hold outcomes, in the order of the request.
    """

    run: Run
    defenses: tuple[str, ...]
    attacks: tuple[str, ...]
    details: Mapping[str, object]
    cells: tuple[Cell, ...]

    @classmethod
    def load(cls, store: ResultStore, prefix: str | None) -> Self:
        """Find a run by the beginning of its id; the newest without one."""
        return cls._of(store, store.find_run(prefix))

    @classmethod
    def newest_with(cls, store: ResultStore, *defenses: str) -> Self:
        """Find the newest run that has all of these defenses.

        Raises:
            UsageError: If no run has them all.
        """
        store.find_run(None)  # which says what to do about a store without runs
        for run in store.runs():
            if set(defenses) <= set(_entry(parse_details(run), "defenses")):  # without counting any outcomes
                return cls._of(store, run)
        message = f"no run in the store has both {' and '.join(defenses)}"
        raise UsageError(message, f"evaluate them together: robench run --defense {' --defense '.join(defenses)}")

    @classmethod
    def _of(cls, store: ResultStore, run: Run) -> Self:
        counts = store.counts(run.id)
        summary = summarise(run, counts)
        return cls(
            run=run,
            defenses=summary.defenses,
            attacks=summary.attacks,
            details=summary.details,
            cells=tuple(count.cell for count in counts if count.n),
        )

    def attack_named(self, wanted: str | None) -> str:
        """Return an attack of the run: the one wanted, else the strongest kind, else the first.

        Raises:
            UsageError: If the run has no such attack.
        """
        if wanted is None:
            wanted = next((name for name in (ADAPTIVE, WORST_CASE, *self.attacks) if name in self.attacks), "")
        if wanted not in self.attacks:
            message = f"run {self.run.id} has no attack {wanted!r}"
            raise UsageError(message, suggestion(wanted, self.attacks))
        return wanted

    def require_defense(self, name: str) -> None:
        """Refuse a defense that the run does not have.

        Raises:
            UsageError: If it has no such defense.
        """
        if name not in self.defenses:
            message = f"run {self.run.id} has no defense {name!r}"
            raise UsageError(message, suggestion(name, self.defenses))

    def cells_of(self, defense: str, attack: str = CLEAN) -> dict[str, Cell]:
        """Return the cells of a defense and an attack that hold outcomes, by epsilon.

        Raises:
            UsageError: If none does.
        """
        found = {cell.epsilon: cell for cell in self.cells if (cell.defense, cell.attack) == (defense, attack)}
        if not found:
            message = f"run {self.run.id} holds no outcomes of {attack} on {defense}"
            raise UsageError(message, f"robench runs show {self.run.id} says why, and has the command that goes on")
        return found

    def facts(self, defense: str) -> Mapping[str, object]:
        """Return what the provenance says of a defense; nothing where it is not known."""
        return _entry(_entry(self.details, "defenses"), defense)


def _entry(mapping: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = mapping.get(key)
    return value if isinstance(value, dict) else {}
