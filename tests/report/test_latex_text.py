from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench.report.latex.text import comment, escape, width


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("puvae-detect", "puvae-detect"),
        ("a_b", r"a\_b"),
        ("5 % & 3 $ # {x}", r"5 \% \& 3 \$ \# \{x\}"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("~^", r"\textasciitilde{}\textasciicircum{}"),
        ("a<b>c|d", r"a\textless{}b\textgreater{}c\textbar{}d"),
        ("a--b---c", "a-{}-b-{}-{}-c"),
        ("[x]", "{[}x]"),
        ("d\u00e9fense", r"d\'{e}fense"),
        ("\u03b1", "{[}U+03B1]"),
        ("a\nb\x1b[2J", "a b {[}2J"),
    ],
)
def test_signs_of_latex_are_printed_as_they_are(text: str, escaped: str) -> None:
    assert escape(text) == escaped


@given(st.text())
def test_what_is_escaped_has_no_sign_left_that_latex_obeys(text: str) -> None:
    escaped = escape(text)

    assert escaped.isascii()
    assert escaped.isprintable()
    left = re.sub(
        r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|allowbreak)\{\}", "", escaped
    )
    left = re.sub(r"\\[`'^~=u.\"rHvc]\{[A-Za-z]?\}|\\[{}#$%&_]|-\{\}|\{[\[*]\}", "", left)
    assert not re.search(r"[\\{}#$%&_~^]", left)


def test_long_words_may_break_and_lose_no_letter() -> None:
    escaped = escape("x" * 60)

    pieces = escaped.split(r"\allowbreak{}")
    assert "".join(pieces) == "x" * 60
    assert max(map(len, pieces)) <= 12
    assert r"\allowbreak" not in escape("a-name-of-23-characters")


def test_a_comment_is_one_line() -> None:
    assert comment("a\nb\u03b1%") == r"% a b\u03b1%"


def test_width_grows_with_every_letter_and_is_on_the_safe_side() -> None:
    assert width("") == 0
    # cmr8 is 8.5 pt to the em of the estimate, and its digits are 4.25 pt wide.
    assert 10 * 0.531 < width("0123456789") < 10 * 0.62
    assert width("mW") > width("il")
