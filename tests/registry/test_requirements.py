"""Attacks without a form, a norm or a module that they need."""

from __future__ import annotations

from typing import Any

import pytest

from robench.api import AttackSpec, NoParameters, PluginError
from robench.registry.requirements import missing_modules
from robench.registry.validation import check_spec


def attack(**given: Any) -> AttackSpec[NoParameters]:
    return AttackSpec(
        **{"name": "mine", "summary": "", "source": "", "knowledge": "naive", "parameters": NoParameters, **given}
    )


def test_only_what_cannot_be_found_is_missing() -> None:
    spec = attack(run=print, requires={"json": "a", "json.decoder": "b", "nobody_has": "c", "nobody.has.this": "d"})
    assert missing_modules(spec) == {"nobody_has": "c", "nobody.has.this": "d"}
    assert missing_modules(attack(run=print)) == {}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, 'attack "mine" has no form; give one of run, sweep, minimal'),
        ({"minimal": print, "sweep": print}, "an attack with `minimal` has no other form"),
        ({"run": print, "norms": ()}, r"norms is \(\); give a tuple of one or more of linf"),
        ({"run": print, "norms": ("l1",)}, "give a tuple of one or more of linf, l2"),
    ],
)
def test_an_attack_that_could_not_run_is_refused(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PluginError, match=complaint):
        check_spec("attack", attack(**given))


@pytest.mark.parametrize("form", ["run", "sweep", "minimal"])
def test_one_form_is_enough(form: str) -> None:
    spec = attack(**{form: print, "norms": ("l2",)})
    assert check_spec("attack", spec) is spec
