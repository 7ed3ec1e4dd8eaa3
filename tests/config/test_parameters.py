from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench.config import build_parameters, canonical
from robench.errors import PluginError, UsageError

WHERE = "benchmarks.toml: parameters.puvae"


@dataclass(frozen=True, kw_only=True)
class Parameters:
    steps: int = 40
    rate: float = 1
    arch: Literal["compact", "paper"] = "compact"
    mode: Literal[1, 2] = 1
    restart: bool = False
    label: str = ""
    limit: int | None = None
    noise: Optional[float] = None  # noqa: UP045  # plugins may write it so
    derived: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.steps == 13:
            message = "steps is 13"
            raise UsageError(message, "choose another")
        if self.steps == 14:
            message = "no luck"
            raise ValueError(message)


def build(**values: object) -> Parameters:
    return build_parameters(Parameters, values, WHERE)


def test_what_is_not_given_keeps_its_default() -> None:
    assert build() == Parameters()
    assert build(steps=3, arch="paper", mode=2, restart=True, label="x", limit=4, noise=0.5) == Parameters(
        steps=3, arch="paper", mode=2, restart=True, label="x", limit=4, noise=0.5
    )


def test_a_whole_number_is_accepted_for_a_float() -> None:
    rate = build(rate=2).rate
    assert rate == 2.0
    assert type(rate) is float
    assert type(build(noise=2).noise) is float


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stesp": 3}, f'{WHERE}.stesp: unknown key "stesp"; did you mean "steps"?'),
        ({"derived": 3}, f'{WHERE}.derived: unknown key "derived"; known: arch, label'),
        ({"steps": "3"}, f'{WHERE}.steps: must be a whole number, not "3"'),
        ({"steps": 3.0}, f"{WHERE}.steps: must be a whole number, not 3.0"),
        ({"steps": True}, f"{WHERE}.steps: must be a whole number, not true"),
        ({"rate": False}, f"{WHERE}.rate: must be a finite number, not false"),
        ({"rate": float("nan")}, f"{WHERE}.rate: must be a finite number, not nan"),
        ({"rate": 10**400}, f"{WHERE}.rate: must be a finite number, not a number with very many digits"),
        ({"restart": 1}, f"{WHERE}.restart: must be true or false, not 1"),
        ({"label": 1}, f"{WHERE}.label: must be text, not 1"),
        ({"arch": "papper"}, f'{WHERE}.arch: must be one of "compact", "paper", not "papper"'),
        ({"mode": True}, f"{WHERE}.mode: must be one of 1, 2, not true"),
        ({"mode": 1.0}, f"{WHERE}.mode: must be one of 1, 2, not 1.0"),
        ({"limit": "x"}, f'{WHERE}.limit: must be a whole number or nothing, not "x"'),
        ({"steps": 13}, f"{WHERE}: steps is 13; choose another"),
        ({"steps": 14}, f"{WHERE}: Parameters refuses: ValueError('no luck')"),
    ],
)
def test_a_value_that_does_not_fit_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        build_parameters(Parameters, values, WHERE)
    assert str(error.value).startswith(message)


@given(st.dictionaries(st.sampled_from(["steps", "rate", "arch", "limit", "x"]), st.none() | st.floats() | st.text()))
def test_nothing_but_usage_errors_comes_out(values: dict[str, object]) -> None:
    try:
        parameters = build_parameters(Parameters, values, WHERE)
    except UsageError:
        return
    assert canonical(parameters)


@dataclass(frozen=True)
class Unsupported:
    path: Path = Path()


@dataclass(frozen=True)
class Unresolved:
    x: NotDefined = 1  # type: ignore[name-defined]  # noqa: F821  # that is the point


def test_types_that_cannot_be_set_are_said_so() -> None:
    with pytest.raises(UsageError, match=r"which benchmarks\.toml cannot hold"):
        build_parameters(Unsupported, {"path": "x"}, WHERE)
    with pytest.raises(UsageError, match="the types of the fields of Unresolved cannot be resolved"):
        build_parameters(Unresolved, {"x": 1}, WHERE)
    with pytest.raises(PluginError, match="parameter path of Unsupported"):
        canonical(Unsupported())


def test_canonical_parameters_are_sorted_and_of_their_declared_type() -> None:
    values = canonical(Parameters())
    assert values == {
        "arch": "compact",
        "label": "",
        "limit": None,
        "mode": 1,
        "noise": None,
        "rate": 1.0,
        "restart": False,
        "steps": 40,
    }
    assert list(values) == sorted(values)
    assert type(values["rate"]) is float
    assert canonical(Parameters(rate=1)) == canonical(Parameters(rate=1.0))
