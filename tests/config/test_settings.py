"""``--set``, the parameters of suites, and what messages call them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench.config import ConfigSource, Overrides, RunRequest, resolve_run
from robench.config.descriptions import describe_parameters
from robench.config.file import parse_config
from robench.config.settings import read_settings, write_value
from robench.errors import UsageError

KNOWN = ("puvae", "puvae-detect", "pgd")
NAMES = {
    "dataset": ("mnist",),
    "classifier": ("paper-a",),
    "defense": ("none", "magnet", "puvae", "puvae-detect"),
    "attack": ("fgsm", "pgd", "adaptive"),
}


def resolve(text: str = "", *, suite: str | None = None, settings: tuple[str, ...] = ()) -> RunRequest:
    source = ConfigSource(path=Path("/somewhere/benchmarks.toml"), label="benchmarks.toml")
    config = parse_config(f"schema = 1\n{text}", source)
    return resolve_run(config, Overrides(suite=suite, settings=settings), {}, NAMES)


def refusal(text: str = "", *, settings: tuple[str, ...] = ()) -> str:
    with pytest.raises(UsageError) as error:
        resolve(text, settings=settings)
    return str(error.value)


def value(text: str) -> object:
    return read_settings([f"pgd.key={text}"], KNOWN)["pgd"]["key"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("3", 3),
        ("-1", -1),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ('"text"', "text"),
        ('"3"', "3"),
        ('""', ""),
        ("paper", "paper"),
        ("paper-a", "paper-a"),
        ("True", "True"),
        ('"a=b.c"', "a=b.c"),
    ],
)
def test_a_value_is_read_as_toml_and_a_bare_word_as_text(text: str, expected: object) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("puvae", '--set: "puvae" is not PLUGIN.KEY=VALUE; write --set puvae.latent_noise=0.2'),
        ("puvae=1", '--set: "puvae=1" is not PLUGIN.KEY=VALUE'),
        ("puvae.=1", '--set: "puvae.=1" is not PLUGIN.KEY=VALUE'),
        (".error=1", '--set: ".error=1" is not PLUGIN.KEY=VALUE'),
        ("puvea.error=pixel", '--set puvea.error: unknown plugin "puvea"; did you mean "puvae"?'),
        ("puvae.error=", '--set puvae.error: "" is neither a TOML value nor a word'),
        ('puvae.error="x', "is neither a TOML value nor a word"),
        ("puvae.error=3\nother = 4", "is neither a TOML value nor a word"),
        ("puvae.error=[1, 2]", "--set puvae.error: must be text, a number, true or false, not a list"),
        ("puvae.error={a = 1}", "not a table"),
        ("puvae.error=inf", "--set puvae.error: Infinity is not a finite number"),
        ("puvae.error=1979-05-27", "--set puvae.error: must be text, a number, true or false"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        read_settings([text], KNOWN)
    assert message in str(error.value)


def test_a_key_may_be_set_once_only() -> None:
    with pytest.raises(UsageError, match=r"--set pgd\.steps: is given twice"):
        read_settings(["pgd.steps=1", "puvae.steps=1", "pgd.steps=2"], KNOWN)


@given(
    st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.text("aé\"'.1")
)
def test_what_is_written_is_read_again(given: float | str) -> None:
    assert value(write_value(given)) == given


PARAMETERS = "[parameters.pgd]\nsteps = 1\nrate = 1\nmode = 1\n[suites.s.parameters.pgd]\nrate = 2\nmode = 2\n"


def test_a_setting_beats_the_suite_and_that_the_file() -> None:
    request = resolve(PARAMETERS, suite="s", settings=("pgd.mode=3",))
    assert request.parameters["pgd"] == {"steps": 1, "rate": 2, "mode": 3}
    assert resolve(PARAMETERS, settings=("pgd.mode=3",)).parameters["pgd"] == {"steps": 1, "rate": 1, "mode": 3}
    assert resolve(PARAMETERS).parameters["pgd"] == {"steps": 1, "rate": 1, "mode": 1}


@dataclass(frozen=True, kw_only=True)
class Few:
    """Two.

    Attributes:
        steps: Number of steps,
            at least 1.
        kind, size: Said of
            both.

    Example:
        steps: not about it
    """

    steps: int = 40
    kind: Literal["a", "b"] = "a"
    size: float | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            message = "too few steps"
            raise UsageError(message)


@dataclass(frozen=True, kw_only=True)
class More(Few):
    """Three.

    Attributes:
        restarts: How ``often``.
    """

    restarts: int = 1
    silent: bool = False


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("pgd.stesp=1", '--set pgd.stesp: unknown key "stesp"; did you mean "steps"?'),
        ("pgd.steps=many", '--set pgd.steps: must be a whole number, not "many"'),
        ("pgd.kind=c", '--set pgd.kind: must be one of "a", "b", not "c"'),
        ("pgd.steps=0", "--set pgd.steps: too few steps"),
    ],
)
def test_a_setting_that_the_plugin_refuses_is_named(setting: str, message: str) -> None:
    request = resolve(settings=(setting,))
    with pytest.raises(UsageError) as error:
        request.parameters_of("pgd", Few)
    assert str(error.value) == message


def test_a_parameter_of_a_suite_is_named_with_the_suite() -> None:
    request = resolve("[suites.s.parameters.pgd]\nsteps = true", suite="s")
    with pytest.raises(UsageError) as error:
        request.parameters_of("pgd", Few)
    assert str(error.value) == "benchmarks.toml: suites.s.parameters.pgd.steps: must be a whole number, not true"
    assert refusal("[suites.s.parameters]\npgd = 1") == (
        "benchmarks.toml: suites.s.parameters.pgd: must be a table, not 1"
    )


def test_the_name_of_a_data_set_is_no_plugin_to_set() -> None:
    assert refusal(settings=("mnist.x=1",)).startswith('--set mnist.x: unknown plugin "mnist"')
    assert refusal(settings=("adaptive.x=1",)).startswith('--set adaptive.x: unknown plugin "adaptive"')


def test_parameters_are_described_by_their_types_defaults_and_docstrings() -> None:
    found = {item.name: (item.type, item.default, item.text) for item in describe_parameters(More)}
    assert found == {
        "steps": ("a whole number", "40", "Number of steps, at least 1."),
        "kind": ('one of "a", "b"', "a", "Said of both."),
        "size": ("a finite number or nothing", "null", "Said of both."),
        "restarts": ("a whole number", "1", "How often."),
        "silent": ("true or false", "false", ""),
    }
