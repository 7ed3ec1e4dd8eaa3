from __future__ import annotations

import dataclasses
import io
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from robench.api.records import Card
from robench.report import print_listing, print_summary, render

if TYPE_CHECKING:
    from robench.api.records import RunSummary
    from tests.report.conftest import ConsoleFactory, SummaryFactory


@pytest.fixture(scope="module")
def wide(make_summary: SummaryFactory) -> RunSummary:
    """Seven defenses that reject, under an attack at three epsilons."""
    names = [f"defense-{index}" for index in range(7)]
    results = {
        (name, "pgd", epsilon): (300 + index, 100, 100 - index)
        for index, name in enumerate(names)
        for epsilon in ("0.05", "0.1", "0.3")
    }
    return make_summary(results, clean=dict.fromkeys(names, (480, 11, 9)))


def test_table_of_a_pipe_is_plain_text_on_long_lines(small: RunSummary) -> None:
    assert [line.rstrip() for line in render(small, "table").splitlines()[:8]] == [
        "mnist, classifier a, profile quick: 500 images of the test split, seed 7, norm Linf, run 0123456789ab",
        "",
        "attack                           none                     magnet",
        "─" * 92,
        "clean                            99.0 [98.0, 100.0]       96.4 [95.4, 97.4] rej 3.2",
        "pgd (naive) eps 0.1              80.0 [78.0, 82.0]        88.2 [86.2, 90.2] rej 5.0",
        "pgd (naive) eps 0.3              1.0 [0.0, 3.0]           100.0 [98.0, 100.0] rej 100.0",
        "pgd (naive) worst of 2 epsilons  eps 0.3: 1.0 [0.0, 3.0]  eps 0.1: 88.2 [86.2, 90.2] rej 5.0",
    ]


def test_pipe_ignores_the_width_of_the_environment(wide: RunSummary, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = render(wide, "table")
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert render(wide, "table") == expected
    assert "\x1b" not in expected


@pytest.mark.parametrize("width", [20, 40, 80, 120, 400])
def test_terminal_of_any_width_loses_no_digit(wide: RunSummary, make_console: ConsoleFactory, width: int) -> None:
    console, text = make_console(width)

    print_summary(wide, console)

    assert max(map(len, text.getvalue().splitlines())) <= width
    assert "…" not in text.getvalue()
    # Layouts move the pieces of a cell, but each of its numbers is there, whole, as often as in a pipe.
    number = re.compile(r"(?<![\w.-])\d+\.\d(?![\d.])")
    assert Counter(number.findall(text.getvalue())) >= Counter(number.findall(render(wide, "table")))


@pytest.mark.parametrize(("width", "tables"), [(400, 1), (120, 1), (80, 2), (40, 4)])
def test_defenses_that_do_not_fit_go_into_further_tables(
    wide: RunSummary, make_console: ConsoleFactory, width: int, tables: int
) -> None:
    console, text = make_console(width)

    print_summary(wide, console)

    headers = [line.split() for line in text.getvalue().splitlines() if line.startswith("attack ")]
    assert len(headers) == tables
    assert [name for header in headers for name in header[1:]] == list(wide.defenses)


@pytest.fixture(scope="module")
def thirty(make_summary: SummaryFactory) -> RunSummary:
    """Two defenses under an attack at thirty epsilons; the second has a dip."""
    epsilons = [f"{index / 100}" for index in range(1, 31)]
    results = {
        ("none", "pgd", epsilon): (480 - 16 * place, 20 + 16 * place, 0) for place, epsilon in enumerate(epsilons)
    }
    results |= {("magnet", "pgd", epsilon): (0, 0, 500) for epsilon in epsilons}
    results["magnet", "pgd", "0.02"] = (0, 500, 0)
    return make_summary(results, clean={"none": (495, 5, 0), "magnet": (480, 11, 9)})


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_terminal_draws_thirty_epsilons_as_a_curve_and_hides_no_dip(
    thirty: RunSummary, make_console: ConsoleFactory, width: int
) -> None:
    console, text = make_console(width)

    print_summary(thirty, console)

    curves = [re.findall(r"[▁▂▃▄▅▆▇█]{6,}", line) for line in text.getvalue().splitlines()]
    ((falling, dipping),) = [line for line in curves if line]
    assert len(falling) == len(dipping) <= 30
    assert list(falling) == sorted(falling, reverse=True)
    assert (falling[0], falling[-1]) == ("█", "▁")
    assert set(dipping) == {"█", "▁"}
    assert max(map(len, text.getvalue().splitlines())) <= width
    assert "curves: robust accuracy" in text.getvalue()
    assert "…" not in text.getvalue()
    assert len(text.getvalue().splitlines()) <= 60


@pytest.mark.parametrize(("kind", "width"), [("dumb", 120), ("xterm", 30)])
def test_terminal_that_cannot_draw_gets_numbers_only(
    thirty: RunSummary, make_console: ConsoleFactory, monkeypatch: pytest.MonkeyPatch, kind: str, width: int
) -> None:
    console, text = make_console(width)
    monkeypatch.setenv("TERM", kind)

    print_summary(thirty, console)

    assert not set("▁▂▃▄▅▆▇█") & set(text.getvalue())
    assert "curves:" not in text.getvalue()


def test_terminal_whose_encoding_has_no_blocks_gets_numbers_only(thirty: RunSummary) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1")

    print_summary(thirty, Console(file=stream, width=120, force_terminal=True))
    stream.flush()

    assert b"curves:" not in raw.getvalue()
    assert rb"\u2588" not in raw.getvalue()


def test_pipe_gets_no_curves(thirty: RunSummary) -> None:
    assert not set("▁▂▃▄▅▆▇█") & set(render(thirty, "table"))


def test_no_color_leaves_no_colour_and_all_curves(thirty: RunSummary, monkeypatch: pytest.MonkeyPatch) -> None:
    incomplete = dataclasses.replace(thirty, complete=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    text = io.StringIO()

    print_summary(incomplete, Console(file=text, width=120, force_terminal=True, color_system="truecolor"))

    assert not re.search(r"\x1b\[[\d;]*\b(3\d|4\d|9\d)m", text.getvalue())
    assert "█" in text.getvalue()


def test_narrow_terminal_keeps_the_pieces_of_a_cell_whole(small: RunSummary, make_console: ConsoleFactory) -> None:
    console, text = make_console(45)

    print_summary(small, console)

    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    start = lines.index("clean        99.0           96.4")
    assert lines[start : start + 7] == [
        "clean        99.0           96.4",
        "             [98.0, 100.0]  [95.4, 97.4]",
        "                            rej 3.2",
        "",
        "pgd (naive)  80.0           88.2",
        "eps 0.1      [78.0, 82.0]   [86.2, 90.2]",
        "                            rej 5.0",
    ]


def test_output_fits_an_ascii_stream(make_summary: SummaryFactory) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")

    print_summary(make_summary({("défense", "pgd", "0.1"): (400, 100, 0)}), Console(file=stream))
    stream.flush()

    text = raw.getvalue().decode("ascii")
    assert r"d\xe9fense" in text
    assert "80.0 [78.0, 82.0]" in text


def test_listing_shows_markup_and_control_characters_as_text(
    make_console: ConsoleFactory,
) -> None:
    console, text = make_console()

    print_listing(console, ["name", "state"], [["pgd", "[red]ready[/red]"], ["bim", "a\x1b[2Jb"]])

    assert [line.rstrip() for line in text.getvalue().splitlines()] == [
        "name  state",
        "─" * 22,
        "pgd   [red]ready[/red]",
        "bim   a [2Jb",
    ]


def test_listing_wraps_on_a_terminal_and_not_in_a_pipe(
    make_console: ConsoleFactory,
) -> None:
    words = " ".join(f"word{index}" for index in range(60))
    terminal, wrapped = make_console(40)
    pipe, whole = make_console()

    print_listing(terminal, ["name", "summary"], [["x" * 50, words]])
    print_listing(pipe, ["name", "summary"], [["x" * 50, words]])

    assert max(map(len, wrapped.getvalue().splitlines())) <= 40
    assert wrapped.getvalue().count("x") == 50
    assert all(word in wrapped.getvalue() for word in words.split())
    assert words in whole.getvalue()


def test_narrow_listing_wraps_between_words_and_breaks_none(make_console: ConsoleFactory) -> None:
    console, text = make_console(60)
    headers = ("eps", "n", "A", "B", "b: only A", "c: only B", "p", "")
    cells = ("0.0125", "10,000", "100.0 %", "99.0 %", "1000", "2000", "0.00012", "first is more robust")

    print_listing(console, headers, [cells])

    assert max(map(len, text.getvalue().splitlines())) <= 60
    words = text.getvalue().split()
    assert all(word in words for cell in (*headers, *cells) for word in cell.split())


def test_narrow_listing_breaks_the_longest_word_only_where_one_must_break(make_console: ConsoleFactory) -> None:
    console, text = make_console(60)
    path = "/home/somebody/.cache/robench/weights/fashion-mnist/puvae-c-cc8211026e55"

    print_listing(console, ("network", "digest", "folder", "state"), [("puvae-c", "cc8211026e55", path, "UNRELIABLE")])

    assert max(map(len, text.getvalue().splitlines())) <= 60
    pieces = text.getvalue().split()
    assert {"network", "digest", "folder", "state", "puvae-c", "cc8211026e55", "UNRELIABLE"} < set(pieces)
    assert "".join(piece for piece in pieces if piece in path and piece != "puvae-c") == "cc8211026e55" + path


@pytest.mark.parametrize("width", [30, 60])
def test_card_lines_go_on_below_their_text(small: RunSummary, make_console: ConsoleFactory, width: int) -> None:
    words = " ".join(f"word{number}" for number in range(30))
    card = Card(defense="none", created="", verdict="upper bound only", lines=(("THREAT", words),))
    console, text = make_console(width)

    print_summary(dataclasses.replace(small, cards=(card,)), console)

    lines = text.getvalue().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(" 1 THREAT "))
    rest = [line for line in lines[first + 1 :] if line]
    assert rest
    assert all(line.startswith(" " * 11 + "word") for line in rest)
    assert " ".join(" ".join(lines[first:]).split()[2:]) == words


def test_listing_without_rows_shows_its_headers(make_console: ConsoleFactory) -> None:
    console, text = make_console()

    print_listing(console, ["name", "summary"], [])

    assert text.getvalue().split()[:2] == ["name", "summary"]


def test_listing_refuses_a_ragged_row(make_console: ConsoleFactory) -> None:
    console, _ = make_console()

    with pytest.raises(ValueError, match="1 cells under 2 headers"):
        print_listing(console, ["name", "summary"], [["pgd"]])
