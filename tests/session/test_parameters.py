"""Parameters that a user sets: in the identity of cells, in provenance and on the card."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from robench.errors import UsageError
from robench.report.provenance import provenance_lines
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from robench.api.records import RunSummary
    from tests.conftest import ToyLab


def run(lab: ToyLab, *settings: str, **changes: Any) -> RunSummary:
    few: dict[str, Any] = {"attacks": ("pgd",), "epsilons": "0.1", "images": 30, "defenses": ("none", "toy-noise")}
    return lab.run(settings=settings, **few, **changes)


def test_what_is_set_is_stored_with_the_run_and_told(lab: ToyLab) -> None:
    summary = run(lab, "toy-noise.scale=0.2", "pgd.steps=3", "pgd.restarts=1")
    assert summary.details["parameters_changed"] == {"toy-noise": ["scale=0.2"], "pgd": ["steps=3"]}
    told = "parameters that differ from the defaults: pgd.steps=3, toy-noise.scale=0.2"
    assert told in provenance_lines(summary.details)
    cards = {card.defense: dict(card.lines) for card in summary.cards}
    assert cards["toy-noise"]["THREAT"].endswith("; set pgd.steps=3, toy-noise.scale=0.2")
    assert cards["none"]["THREAT"].endswith("; set pgd.steps=3")
    with ResultStore.open(str(lab.folder / "toys.db"), create=False) as store:
        last = store.counts(summary.run.id)[-1].cell
    settings = json.loads(last.settings)
    assert settings["defense"]["parameters"] == {"scale": 0.2}
    assert settings["attack"]["parameters"]["steps"] == 3
    assert settings["classifier"]["parameters"] == {}


def test_the_command_on_the_card_sets_it_again(lab: ToyLab) -> None:
    summary = run(lab, "toy-noise.scale=0.2")
    words = shlex.split(str(summary.details["replay"]))
    assert words[words.index("--set") + 1] == "toy-noise.scale=0.2"
    assert run(lab, words[words.index("--set") + 1]).run.id == summary.run.id
    assert run(lab).run.id != summary.run.id


def test_nothing_is_said_of_defaults(lab: ToyLab) -> None:
    summary = run(lab, "toy-noise.scale=0.05")
    assert summary.details["parameters_changed"] == {}
    assert not any("differ from the defaults" in line for line in provenance_lines(summary.details))
    assert "; set" not in dict(summary.cards[0].lines)["THREAT"]
    assert run(lab).run.id == summary.run.id


def test_a_suite_may_set_parameters_and_the_command_line_may_overrule_them(lab: ToyLab) -> None:
    suite = "schema = 1\n[suites.loud.parameters.toy-noise]\nscale = 0.3\n[parameters.toy-noise]\nscale = 0.2\n"
    (lab.folder / "benchmarks.toml").write_text(suite)
    changed = [
        run(lab, *settings, suite=name).details["parameters_changed"]
        for name, settings in (("loud", ()), (None, ()), ("loud", ("toy-noise.scale=0.4",)))
    ]
    assert changed == [{"toy-noise": [f"scale={scale}"]} for scale in (0.3, 0.2, 0.4)]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("magnet.x=1", "--set magnet.x: magnet is not used here, so it has no effect; used are toy-linear, none,"),
        ("fgsm.x=1", "--set fgsm.x: fgsm is not used here"),
        ("toy-noise.scael=1", '--set toy-noise.scael: unknown key "scael"; did you mean "scale"?'),
        ("toy-noize.scale=1", '--set toy-noize.scale: unknown plugin "toy-noize"; did you mean "toy-noise"?'),
    ],
)
def test_a_setting_without_effect_is_refused(lab: ToyLab, setting: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        run(lab, setting)
    assert message in str(error.value)
    assert not (lab.folder / "toys.db").exists()


def test_an_attack_cannot_be_set_for_a_training(lab: ToyLab) -> None:
    session = lab.session()
    request = session.resolve(lab.overrides(settings=("pgd.steps=3",)), attacking=False)
    with pytest.raises(UsageError, match=r"--set pgd\.steps: pgd is not used here"):
        session.train(request)
