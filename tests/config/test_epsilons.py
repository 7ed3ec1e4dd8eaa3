from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robench.config import parse_epsilons
from robench.errors import UsageError

numbers = st.decimals(min_value=Decimal("1e-10"), max_value=1, places=10).filter(lambda number: number > 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.05,0.1,0.3", ("0.05", "0.1", "0.3")),
        (" 0.30 , .1,0.1 ,1.000", ("0.1", "0.3", "1")),
        ("1e-3", ("0.001",)),
        ("0.1:0.3:3", ("0.1", "0.2", "0.3")),
        ("0.1:0.2:4", ("0.1", "0.1333333333", "0.1666666667", "0.2")),
        ("0.2:0.2:1", ("0.2",)),
        ("0.2:0.2:7", ("0.2",)),
        ("0.5, 0.1:0.2:2", ("0.1", "0.2", "0.5")),
        ([0.1, Decimal("0.30"), 1, "0.2"], ("0.1", "0.2", "0.3", "1")),
        (["0.1:0.3:3", 0.5], ("0.1", "0.2", "0.3", "0.5")),
        ("0.0000000001", ("0.0000000001",)),
    ],
)
def test_epsilons_become_normalised_ascending_text(value: object, expected: tuple[str, ...]) -> None:
    assert parse_epsilons(value) == expected


def test_the_paper_s_range_is_exact() -> None:
    assert parse_epsilons("0.01:0.3:30") == tuple(str(Decimal(step) / 100) for step in range(1, 31))
    assert parse_epsilons("0.002:0.06:30") == tuple(str(Decimal(step * 2) / 1000) for step in range(1, 31))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "--epsilons: there is no epsilon; give at least one"),
        ([], "there is no epsilon"),
        ("0.1,,0.2", '"" is not a number'),
        ("0.1,abc", '--epsilons: "abc" is not a number'),
        ("-0.1", '"-0.1" is not above 0'),
        ("0", '"0" is not above 0'),
        ("nan", '"nan" is not a finite number'),
        ("snan", '"snan" is not a finite number'),
        ("inf", '"inf" is not a finite number'),
        ("1000000.1", '"1000000.1" is above 1,000,000'),
        ("8/255", '"8/255" is not a number'),
        ("1e-11", '"1e-11" has more than 10 decimals'),
        ("1e-999999999", "has more than 10 decimals"),
        ("1e999999999", "is above 1,000,000"),
        ("1e99999999999999999999", "is not a number"),
        ("0.10000000000000000000000000000000000000000001", "has more than 10 decimals"),
        ("0.1:0.3", "is no range; write first:last:count"),
        ("0.1:0.3:3:4", "is no range"),
        ("0.1:0.3:0", "count of the range"),
        ("0.1:0.3:-3", 'the count "-3" of the range'),
        ("0.1:0.3:2.5", 'the count "2.5"'),
        ("0.1:0.3:", 'the count ""'),
        ("0.1:0.3:1001", "the most is 1000"),
        ("0.1:0.3:" + "9" * 5000, "the most is 1000"),
        ("0.3:0.1:3", "ends before it starts"),
        ("0.1:0.3:1", "has one value and two ends"),
        ("0:0.3:4", '"0" is not above 0'),
        ("x:0.3:4", '"x" is not a number'),
        ("0.1:0.2:1000,0.3:0.4:1000", "more than 1000 epsilons"),
        ([0.1, "x"], '--epsilons[1]: "x" is not a number'),
        ([0.1, True], "--epsilons[1]: true is not a number"),
        ([[0.1]], "--epsilons[0]: a list is not a number"),
        ([float("nan")], "nan is not a finite number"),
        ([16**5000], "a number with very many digits is above 1,000,000"),
        (0.1, "must be a list of numbers or text, not 0.1"),
        ({"a": 1}, "not a table"),
    ],
)
def test_an_impossible_epsilon_is_named(value: object, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_epsilons(value, "--epsilons")
    assert message in str(error.value)
    assert len(str(error.value)) < 250


def test_the_precision_of_the_caller_does_not_matter() -> None:
    with localcontext() as context:
        context.prec = 3
        assert parse_epsilons("0.123456789") == ("0.123456789",)
        assert parse_epsilons("0.1:0.2:4")[1] == "0.1333333333"


@settings(max_examples=200)
@given(st.text() | st.text("0123456789.,:-+e naif_") | st.lists(st.floats() | st.integers() | st.text() | st.none()))
def test_nothing_but_usage_errors_comes_out(value: object) -> None:
    try:
        epsilons = parse_epsilons(value)
    except UsageError:
        return
    assert epsilons
    assert all(0 < Decimal(text) <= 1_000_000 for text in epsilons)


@settings(max_examples=100)
@given(st.lists(numbers, min_size=1, max_size=20))
def test_epsilons_are_sorted_distinct_and_read_back_the_same(values: list[Decimal]) -> None:
    epsilons = parse_epsilons(",".join(str(value) for value in values))
    assert [Decimal(text) for text in epsilons] == sorted(set(values))
    assert not any("e" in text.lower() or text.endswith((".", ".0")) for text in epsilons)
    assert parse_epsilons(",".join(epsilons)) == parse_epsilons(list(epsilons)) == epsilons


@settings(max_examples=100)
@given(numbers, numbers, st.integers(min_value=2, max_value=1000))
def test_a_range_includes_both_ends(one: Decimal, other: Decimal, count: int) -> None:
    first, last = sorted((one, other))
    epsilons = [Decimal(text) for text in parse_epsilons(f"{first}:{last}:{count}")]
    assert (epsilons[0], epsilons[-1]) == (first, last)
    assert len(epsilons) <= count
