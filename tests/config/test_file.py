from __future__ import annotations

import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robench.config import Config, ConfigSource, load_config, packaged_text
from robench.config.choices import DEFAULTS_KEYS, SUITE_KEYS
from robench.config.file import SECTIONS, parse_config
from robench.config.location import packaged_source
from robench.errors import UsageError

SOURCE = ConfigSource(path=Path("benchmarks.toml"), label="benchmarks.toml")


def parse(text: str) -> Config:
    return parse_config(f"schema = 1\n{text}", SOURCE)


def test_the_packaged_file_is_valid_and_sets_every_default() -> None:
    config = load_config(packaged_source())
    assert all(getattr(config.defaults, key) is not None for key in DEFAULTS_KEYS)
    assert set(config.datasets) == {"mnist", "fashion-mnist", "cifar10"}
    papers = {f"paper-{name}" for name in config.datasets}
    assert set(config.suites) == {"quick", *papers, "ablations-mnist", "ablations-cifar10"}
    assert config.datasets["mnist"].epsilons == ("0.1", "0.2", "0.3")
    assert config.datasets["cifar10"].false_positive_rate == 0.03
    assert len(config.suites["paper-cifar10"].epsilons or ()) == 30
    assert config.parameters == {}


def test_the_example_of_parameters_in_the_packaged_file_is_valid() -> None:
    text = packaged_text().replace("# [parameters.pgd]", "[parameters.pgd]").replace("# steps", "steps")
    assert parse_config(text, SOURCE).parameters == {"pgd": {"steps": 100}}


def test_the_file_of_the_repository_is_the_packaged_one() -> None:
    root = Path(__file__).parents[2] / "benchmarks.toml"
    assert root.is_symlink()
    assert root.resolve() == packaged_source().path.resolve()


def test_tables_become_checked_dataclasses() -> None:
    config = parse(
        """
        [defaults]
        images = 7
        attacks = ["a", "b"]
        [datasets.d]
        epsilons = [0.30, "0.1:0.2:2"]
        false_positive_rate = 0.5
        [suites."odd name"]
        seed = 9223372036854775807
        epsilons = "0.1"
        [parameters.p]
        rate = 0.1
        steps = 3
        name = "x"
        on = true
        """
    )
    assert config.defaults.images == 7
    assert config.defaults.attacks == ("a", "b")
    assert config.defaults.seed is None
    assert config.datasets["d"].epsilons == ("0.1", "0.2", "0.3")
    assert config.datasets["d"].false_positive_rate == 0.5
    assert config.suites["odd name"].seed == 2**63 - 1
    assert config.parameters["p"] == {"rate": 0.1, "steps": 3, "name": "x", "on": True}
    assert type(config.parameters["p"]["rate"]) is float


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[default]", 'default: unknown key "default"; did you mean "defaults"?'),
        ("defaults = 3", "defaults: must be a table, not 3"),
        ("[defaults]\nimges = 3", 'defaults.imges: unknown key "imges"; did you mean "images"?'),
        ("[defaults]\nepsilons = [0.1]", 'defaults.epsilons: unknown key "epsilons"; known: attacks,'),
        ("[defaults]\ndevice = 'cpu'", 'defaults.device: unknown key "device"'),
        ("[defaults]\nimages = 0", "defaults.images: 0 is too small; the least is 1"),
        ("[defaults]\nimages = true", "defaults.images: must be a whole number, not true"),
        ("[defaults]\nimages = 1.0", "defaults.images: must be a whole number, not 1.0"),
        ("[defaults]\nimages = '5'", 'defaults.images: must be a whole number, not "5"'),
        ("[defaults]\nimages = 0x" + "f" * 1900, "defaults.images: a number with very many digits is too large"),
        ("[defaults]\nseed = -1", "defaults.seed: -1 is too small; the least is 0"),
        ("[defaults]\nseed = 9223372036854775808", "defaults.seed: 9223372036854775808 is too large"),
        ("[defaults]\nprofile = 'swift'", 'defaults.profile: "swift" is not one of quick, fast, paper'),
        ("[defaults]\nprofile = ['quick']", "defaults.profile: a list is not one of quick, fast, paper"),
        ("[defaults]\ncalibration = 1", "defaults.calibration: 1 is not one of finite-sample, paper-grid"),
        ("[defaults]\ndataset = ['mnist']", "defaults.dataset: must be text, not a list"),
        ("[defaults]\ndataset = ''", 'defaults.dataset: "" names nothing'),
        ("[defaults]\nattacks = 'pgd'", 'defaults.attacks: must be a list of names, not "pgd"; write ["first"'),
        ("[defaults]\nattacks = []", "defaults.attacks: must not be empty; leave it out"),
        ("[suites.quick]\nattacks = ['a', 3]", "suites.quick.attacks[1]: must be text, not 3"),
        ("[suites.quick]\nepsilons = [0.1, -2]", "suites.quick.epsilons[1]: -2 is not above 0"),
        ("[suites.quick]\nl2_epsilons = [0.5]", 'suites.quick.l2_epsilons: unknown key "l2_epsilons"'),
        ("[defaults]\nnorm = 'l1'", 'defaults.norm: "l1" is not one of linf, l2'),
        ("[suites.quick]\ndataset = 1979-05-27", "suites.quick.dataset: must be text, not 1979-05-27"),
        ("[suites]\nquick = 1", "suites.quick: must be a table, not 1"),
        ('[suites."a b"]\nx = 1', 'suites."a b".x: unknown key "x"'),
        ("[datasets.d]\nfalse_positive_rate = 1", "datasets.d.false_positive_rate: 1 is not between 0 and 1"),
        ("[datasets.d]\nfalse_positive_rate = nan", "datasets.d.false_positive_rate: NaN is not between 0 and 1"),
        ("[datasets.d]\nfalse_positive_rate = 1e-999", "1E-999 is not between 0 and 1"),
        ("[datasets.d]\nfalse_positive_rate = '1%'", "must be a number, not"),
        ("[datasets.d]\nimages = 3", 'datasets.d.images: unknown key "images"'),
        ("[parameters]\np = 1", "parameters.p: must be a table, not 1"),
        ("[parameters.p]\nx = [1]", "parameters.p.x: must be text, a number, true or false, not a list"),
        ("[parameters.p]\nx = inf", "parameters.p.x: Infinity is not a finite number"),
        ("[parameters.p]\nx = 1e999", "parameters.p.x: 1E+999 is not a finite number"),
        ("[defaults", "is not valid TOML: Expected ']' at the end of a table declaration (at line 2"),
        ("x = 1e99999999999999999999", "is not valid TOML"),
        ("x = [" + "\n[" * 5000, "nested"),
        ("a." * 1000 + "a = 1", "line 2 has more than 2000 characters; break it"),
        ("x = 1\nx = 2", "is not valid TOML: Cannot overwrite a value (at line 3"),
    ],
)
def test_an_invalid_file_gets_one_line_that_names_the_key(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(text)
    assert str(error.value).startswith("benchmarks.toml: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "benchmarks.toml: schema: is missing; write schema = 1"),
        ("schema = 2", "benchmarks.toml: schema: this robench reads benchmarks.toml of schema 1, not 2"),
        ("schema = true", "not true"),
        ("schema = '1'", 'not "1"'),
    ],
)
def test_the_schema_is_required(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_config(text, SOURCE)
    assert message in str(error.value)


keys = st.sampled_from([*SECTIONS, *SUITE_KEYS, "x", ""])
scalars = st.sampled_from(
    [0, 1, -1, 2**70, True, "mnist", "", "0.1:0.3:3", Decimal("0.1"), Decimal("nan"), Decimal("inf"), "\x00", "é"]
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4))


def as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(key)} = {as_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_toml(item) for item in value) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\u{ord(letter):04x}" for letter in value) + '"'
    return {"Infinity": "inf", "NaN": "nan"}.get(str(value), str(value).lower())


@settings(max_examples=150)
@given(st.dictionaries(keys, values))
def test_any_document_is_read_or_refused_as_usage(document: dict[str, object]) -> None:
    text = "".join(f"{as_toml(key)} = {as_toml(value)}\n" for key, value in ({"schema": 1} | document).items())
    tomllib.loads(text)
    try:
        config = parse_config(text, SOURCE)
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017  # not every document is refused
    else:
        assert isinstance(config, Config)


@settings(max_examples=150)
@given(st.binary() | st.binary().map(lambda rest: b"schema = 1\n" + rest))
def test_any_bytes_are_read_or_refused_as_usage(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    try:
        load_config(ConfigSource(path=path, label="any.toml"))
    except UsageError as error:
        assert str(error).startswith("any.toml: ")  # noqa: PT017  # not all bytes are refused


def test_the_configuration_imports_nothing_heavy() -> None:
    code = "import sys, robench.config; print(*{'torch', 'numpy', 'sqlalchemy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "\n"
