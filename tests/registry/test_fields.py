"""A spec that lies about its form is refused when it enters the catalog, by a message that names field and mend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pytest

from robench.api import (
    NORMS,
    AttackSpec,
    ClassifierSpec,
    DatasetSpec,
    DefenseSpec,
    Effort,
    Goal,
    Knowledge,
    NoParameters,
    Norm,
    PluginError,
)
from robench.registry.validation import Kind, check_spec

TEXTS = {"name": "mine", "summary": "one line", "source": "made up"}


def function(*arguments: object) -> None:
    """Stands for whatever a plugin offers."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    steps: int = 3

    def __post_init__(self) -> None:
        if self.steps < 1:
            message = "too few"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class SelfContradictory(Steps):
    steps: int = 0


def dataset(**changes: Any) -> DatasetSpec:
    sizes = {"train": 5, "validation": 5, "test": 5}
    values = {"shape": (1, 2, 2), "classes": ("a", "b"), "sizes": sizes, "load": function}
    return DatasetSpec(**{**TEXTS, **values, **changes})


def classifier(**changes: Any) -> ClassifierSpec[Any]:
    return ClassifierSpec(**{**TEXTS, "parameters": NoParameters, "network": function, **changes})


def defense(**changes: Any) -> DefenseSpec[Any]:
    return DefenseSpec(**{**TEXTS, "parameters": NoParameters, "build": function, **changes})


def attack(**changes: Any) -> AttackSpec[Any]:
    return AttackSpec(**{**TEXTS, "parameters": Steps, "knowledge": "naive", "run": function, **changes})


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("dataset", dataset()),
        ("classifier", classifier()),
        ("defense", defense(networks=function, fit=function, rejecting=True)),
        ("attack", attack(sweep=function, effort="quick", presets={"thorough": {"steps": 9}}, suits=function)),
        ("attack", attack(run=None, minimal=function, norms=NORMS, requires={"torchattacks": "it"})),
        *(("attack", attack(norms=(norm,))) for norm in get_args(Norm)),
        *(("attack", attack(knowledge=knowledge)) for knowledge in get_args(Knowledge)),
        *(("attack", attack(goal=goal)) for goal in get_args(Goal)),
        *(("attack", attack(effort=effort)) for effort in get_args(Effort)),
    ],
)
def test_what_is_in_order_is_accepted(kind: Kind, spec: object) -> None:
    assert check_spec(kind, spec) is spec


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"shape": (28, 28)}, "shape is (28, 28); give channels, height and width"),
        ({"shape": (1, 0, 28)}, "shape is (1, 0, 28)"),
        ({"shape": (1.0, 2, 2)}, "shape is (1.0, 2, 2)"),
        ({"classes": ("a",)}, "classes is ('a',); give a tuple of two or more different names"),
        ({"classes": ("a", "a")}, "classes is ('a', 'a')"),
        ({"classes": 10}, "classes is 10"),
        ({"sizes": {"train": 5, "test": 5}}, "give the number of images of each of train, validation, test"),
        ({"sizes": {"train": 5, "validation": 0, "test": 5}}, "'validation': 0"),
        ({"load": None}, "load is None; give a function"),
        ({"summary": None}, "summary is None; give a line of text"),
    ],
)
def test_a_data_set_that_cannot_be_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(PluginError) as caught:
        check_spec("dataset", dataset(**changes))
    assert 'dataset "mine"' in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("classifier", classifier(network="resnet"), "network is 'resnet'; give a function"),
        ("classifier", classifier(network=None), "has neither of network and module"),
        ("classifier", classifier(module=function), "has both of network and module"),
        ("defense", defense(build=3), "build is 3; give a function"),
        ("defense", defense(fit=0.5), "fit is 0.5; give a function"),
        ("defense", defense(rejecting="yes"), "rejecting is 'yes'; give True or False"),
        ("defense", defense(parameters=SelfContradictory), "are refused by itself: ValueError('too few')"),
        ("defense", defense(source=1), "source is 1; give a line of text"),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(kind: Kind, spec: object, expected: str) -> None:
    with pytest.raises(PluginError) as caught:
        check_spec(kind, spec)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"run": None}, 'attack "mine" has no form; give one of run, sweep, minimal'),
        ({"minimal": function}, "has the forms run, minimal; an attack with `minimal` has no other form"),
        ({"run": "fast"}, "run is 'fast'; give a function"),
        ({"suits": True}, "suits is True; give a function"),
        ({"knowledge": "white-box"}, "knowledge is 'white-box'; give one of oblivious, naive, adaptive"),
        ({"goal": ["wrong"]}, "goal is ['wrong']; give one of wrong, rejected"),
        ({"effort": "extreme"}, "effort is 'extreme'; give one of quick, standard, thorough, None"),
        ({"norms": ()}, "norms is (); give a tuple of one or more of linf, l2"),
        ({"norms": "linf"}, "norms is 'linf'; give a tuple"),
        ({"norms": ("l1",)}, "norms is ('l1',)"),
        ({"norms": ("l2", "l2")}, "norms is ('l2', 'l2')"),
        ({"cost": 0}, "cost is 0; give a positive number of passes"),
        ({"cost": float("nan")}, "cost is nan"),
        ({"cost": "much"}, "cost is 'much'"),
        ({"requires": ["torchattacks"]}, "requires is ['torchattacks']; map names of modules"),
        ({"requires": {"torchattacks": None}}, "requires is {'torchattacks': None}"),
        ({"presets": [1]}, "presets is [1]; map efforts to parameters"),
        ({"presets": {"slow": {}}}, "an effort in presets is 'slow'; give one of quick"),
        ({"presets": {"quick": 3}}, "presets of quick is 3; map names of parameters to values"),
        ({"presets": {"quick": {"stepz": 3}}}, 'set "stepz", which is no parameter; did you mean "steps"?'),
        ({"presets": {"quick": {"steps": 0}}}, "the presets of quick are refused by Steps: ValueError('too few')"),
        ({"knowledge": np.zeros(2)}, "knowledge is array"),
    ],
)
def test_an_attack_that_robench_would_not_understand_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(PluginError) as caught:
        check_spec("attack", attack(**changes))
    assert expected in str(caught.value)
