"""Nonsense in benchmarks.toml and on the command line: only our error comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robench.config.epsilons import parse_epsilons
from robench.config.file import load_config
from robench.config.location import ConfigSource, packaged_text
from robench.config.request import Overrides, resolve_run
from robench.errors import UsageError
from tests.stress.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy

VALID = packaged_text().encode()
KNOWN = {"dataset": ("mnist",), "classifier": ("a",), "defense": ("none",), "attack": ("pgd",)}

_scalars = st.one_of(
    st.text(max_size=20).map(lambda text: repr(text).replace("\\", "\\\\")),
    st.integers(-(10**30), 10**30).map(str),
    st.integers(300, 6000).map(lambda count: "9" * count),
    st.floats().map(str),
    st.sampled_from(
        ["true", "nan", "inf", "-0.0", "1e999999999999", "0x7f", "1979-05-27T07:32:00Z", '"\\u0000"', "{}"]
    ),
    st.integers(1, 3000).map(lambda depth: "[" * depth + "]" * depth),
    st.integers(1, 600).map(lambda depth: "{a=" * depth + "1" + "}" * depth),
)
_keys = st.sampled_from(
    [
        "schema",
        "defaults",
        "datasets",
        "suites",
        "parameters",
        "images",
        "epsilons",
        "seed",
        "dataset",
        "attacks",
        "defenses",
        "classifier",
        "profile",
        "budget",
        "device",
        "norm",
        "false_positive_rate",
        "calibration",
        "mnist",
    ]
)
_names = st.one_of(_keys, st.text(max_size=8).map(repr))
_lines = st.one_of(
    st.builds("{} = {}".format, _names, _scalars),
    st.builds("[{}]".format, _names),
    st.builds("[{}.{}]".format, _names, _names),
    st.builds("[[{}]]".format, _names),
    st.integers(1, 400).map(lambda depth: "[" + ".".join(["a"] * depth) + "]"),
)
_documents = st.lists(_lines, max_size=12).map(
    lambda lines: ("schema = 1\n" + "\n".join(lines)).encode("utf-8", "surrogatepass")
)
_spliced = st.builds(
    lambda at, cut, junk: VALID[: at % len(VALID)] + junk + VALID[at % len(VALID) + cut :],
    st.integers(0, 10**6),
    st.integers(0, 40),
    st.one_of(st.binary(max_size=12), st.sampled_from([b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"[[", b"\r", b'"""'])),
)
FILES: SearchStrategy[bytes] = st.one_of(
    st.binary(max_size=200), _documents, _spliced, _documents.map(lambda text: b"\xef\xbb\xbf" + text)
)
_number_texts = st.one_of(
    st.floats().map(str),
    st.decimals(allow_nan=True).map(str),
    st.integers(0, 5000).map(lambda count: "0." + "1" * count),
    st.sampled_from(["", " ", "1e-999999999", "1e9999999999999999999", "٣", "0.1\0", "\ud800", "1_0", "+.1", "sNaN5"]),
    st.text(max_size=6),
)
_ranges = st.builds("{}:{}:{}".format, _number_texts, _number_texts, st.one_of(st.integers().map(str), _number_texts))
EPSILONS: SearchStrategy[str] = st.lists(st.one_of(_number_texts, _ranges), max_size=5).map(",".join) | st.text()


def fuzz_settings(folder: Path, count: int) -> Trial:
    """Put nonsense into files and epsilons, ``count`` examples in all."""
    trial = Trial(name=f"hypothesis on benchmarks.toml and --epsilons, {count:,} examples", demand="only our error")
    source = ConfigSource(path=folder / "benchmarks.toml", label="benchmarks.toml")
    tried = {"accepted": 0, "refused": 0}
    profile = settings(
        max_examples=count // 2,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    @profile
    @given(FILES)
    def read(content: bytes) -> None:
        source.path.write_bytes(content)
        _try(lambda: resolve_run(load_config(source), Overrides(), {}, KNOWN, ""), tried)

    @profile
    @given(EPSILONS)
    def parse(text: str) -> None:
        _try(lambda: parse_epsilons(text, "--epsilons"), tried)

    for attempt in (read, parse):
        try:
            attempt()
        except Exception as error:  # noqa: BLE001 (whatever comes out is what we look for)
            trial.complaints.append(f"{type(error).__name__}: {error}")
    trial.found = f"{sum(tried.values()):,} tried: {tried['refused']:,} refused, {tried['accepted']:,} accepted"
    trial.facts = tried
    trial.expect(sum(tried.values()) >= count * 0.99, "fewer examples than asked for")
    return trial


def _try(attempt: Callable[[], object], tried: dict[str, int]) -> None:
    try:
        attempt()
    except UsageError as error:
        complaint = str(error)
    else:
        tried["accepted"] += 1
        return
    assert complaint
    assert "\n" not in complaint
    tried["refused"] += 1
