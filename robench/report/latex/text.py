"""Text as LaTeX takes it: escaped, measured and breakable, in ASCII and without a package."""

from __future__ import annotations

import re
import unicodedata

from robench.report.provenance import one_line

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "#": r"\#",
    "$": r"\$",
    "%": r"\%",
    "&": r"\&",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # Other signs in the fonts that LaTeX begins with.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\`{}",
    # At the beginning of a row a bracket would be an argument of the line break before it.
    "[": "{[}",
    "*": "{*}",
}
_ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": "`",
    "\N{COMBINING ACUTE ACCENT}": "'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": "^",
    "\N{COMBINING TILDE}": "~",
    "\N{COMBINING MACRON}": "=",
    "\N{COMBINING BREVE}": "u",
    "\N{COMBINING DOT ABOVE}": ".",
    "\N{COMBINING DIAERESIS}": '"',
    "\N{COMBINING RING ABOVE}": "r",
    "\N{COMBINING DOUBLE ACUTE ACCENT}": "H",
    "\N{COMBINING CARON}": "v",
    "\N{COMBINING CEDILLA}": "c",
}
_LONG = 24
"""Characters from which on a word may be broken anywhere it pauses, or else by force."""

_NARROW = frozenset(" .,:;!|'`()[]ijltfrI-")
_WIDE = frozenset("mwMW%@&")


def escape(text: str) -> str:
    """Escape all that LaTeX would not print as it stands, and let long words break.

    Args:
        text: Anything; control characters become blanks.

    Returns:
        ASCII for running text and table cells. A letter with an accent becomes an accent command; of other characters
        the code point is spelt out, since no font has them all.
    """
    return " ".join(_breakable(word) for word in one_line(text).split(" "))


def comment(text: str) -> str:
    """Return a comment of one line, in ASCII."""
    return "% " + one_line(text).encode("ascii", "backslashreplace").decode()


def width(text: str) -> float:
    """Estimate how wide text is, in em of its font size; rather too wide than too narrow.

    Source: the widths of cmr8 (https://ctan.org/pkg/cm), which is wider for its size than cmr10 and than Times.
    """
    return sum(_width(letter) for letter in text)


def _width(letter: str) -> float:
    if letter in _NARROW:
        return 0.42
    if letter in _WIDE:
        return 0.95
    return 0.8 if letter.isupper() else 0.56


def _breakable(word: str) -> str:
    if len(word) <= _LONG:
        return _escape(word)
    parts = [part for piece in re.findall(r"\w+\W*|\W+", word) for part in re.findall(f".{{1,{_LONG // 2}}}", piece)]
    return r"\allowbreak{}".join(_escape(part) for part in parts)


def _escape(text: str) -> str:
    # Two hyphens would become a dash.
    return "".join(map(_letter, text)).replace("--", "-{}-").replace("--", "-{}-")


def _letter(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isascii():
        return letter
    parts = unicodedata.normalize("NFD", letter)
    base, mark = parts[0], parts[1:]
    if base.isascii() and base.isalpha() and mark in _ACCENTS:
        return f"\\{_ACCENTS[mark]}{{{base}}}"
    return f"{{[}}U+{ord(letter):04X}]"
