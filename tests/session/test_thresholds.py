"""A threshold is fixed once for all commands that share a cache."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from robench.engine.prepare import Workshop

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from robench.api.records import RunSummary
    from robench.engine.deploy import Deployed
    from tests.conftest import ToyLab

DETECTOR: dict[str, Any] = {"defenses": ("toy-detect",), "attacks": ("fgsm",), "epsilons": "0.1", "images": 4}


class Scorer:
    """Counts how often scores of validation images are worked out, and adds to them what another processor might."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls, self.error = 0, 0.0
        scores = Workshop._scores

        def counted(workshop: Workshop, deployed: Deployed) -> Tensor:
            self.calls += 1
            return scores(workshop, deployed) + self.error

        monkeypatch.setattr(Workshop, "_scores", counted)


@pytest.fixture
def fresh(lab: ToyLab, tmp_path: Path) -> ToyLab:
    return dataclasses.replace(lab, cache=tmp_path / "fresh")


def facts(summary: RunSummary) -> dict[str, Any]:
    defenses = summary.details["defenses"]
    assert isinstance(defenses, dict)
    found: dict[str, Any] = defenses["toy-detect"]
    return found


def test_machines_that_share_a_cache_have_the_same_threshold(fresh: ToyLab, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer(monkeypatch)
    first = facts(fresh.run(**DETECTOR, db=str(fresh.folder / "first.db")))
    scorer.error = 1e-6
    assert facts(fresh.run(**DETECTOR)) == first
    assert scorer.calls == 1


@pytest.mark.parametrize("changes", [{"seed": 1}, {"profile": "fast"}])
def test_another_defense_has_a_threshold_of_its_own(
    fresh: ToyLab, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    scorer = Scorer(monkeypatch)
    fresh.run(**DETECTOR)
    fresh.run(**{**DETECTOR, **changes})
    assert scorer.calls == 2


@pytest.mark.parametrize("value", [None, "x", [1.0, 0.0], [float("nan"), 0.0, 9], [0.5, 2.0, 9], [0.5, 0.0, 0]])
def test_what_cannot_have_been_remembered_is_worked_out_again(
    fresh: ToyLab, monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    scorer = Scorer(monkeypatch)
    first = facts(fresh.run(**DETECTOR))
    file = fresh.cache / "thresholds.json"
    (key,) = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({key: value}), encoding="utf-8")
    assert facts(fresh.run(**DETECTOR)) == first
    assert scorer.calls == 2
