"""``robench report --format html``, ``robench figure`` and ``robench leaderboard``."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.fabricated_store import Fabrication, fabricate

if TYPE_CHECKING:
    from tests.cli.conftest import Program


@pytest.fixture
def stored(program: Program) -> str:
    """A store with a run; returns the run's id."""
    return fabricate(program.folder / "robench.db", Fabrication(images=20))


def test_a_report_is_written_to_a_file(program: Program, stored: str) -> None:
    done = program("report", "--format", "html", "-o", "r.html")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    page = (program.folder / "r.html").read_bytes()
    assert done.stderr == f"wrote r.html ({len(page):,} bytes)\n"
    assert page.startswith(b"<!DOCTYPE html>")
    assert stored.encode() in page
    assert [path.name for path in program.folder.iterdir() if path.suffix not in {".db", ".lock"}] == ["r.html"]


def test_a_report_may_go_into_a_pipe(program: Program, stored: str) -> None:
    done = program("report", "--format", "html")
    assert done.returncode == 0
    assert done.stdout.startswith("<!DOCTYPE html>")
    assert stored in done.stdout


def test_a_page_is_not_poured_over_a_terminal(program: Program, stored: str) -> None:
    reading, writing = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "robench", "report", "--format", "html"],
        cwd=program.folder,
        env=program.environ,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    os.close(reading)
    assert done.returncode == 2
    assert b"--output report.html" in done.stderr


def test_other_formats_can_be_written_to_files_too(program: Program, stored: str) -> None:
    assert program("report", "--format", "csv", "-o", "r.csv").returncode == 0
    assert (program.folder / "r.csv").read_text().startswith("run,dataset")


def test_an_ending_without_a_format_is_refused_and_writes_nothing(program: Program, stored: str) -> None:
    refused = program("report", "--run", stored, "--output", "r.pdf")
    assert refused.returncode == 2
    assert "--output r.pdf: a report has no format for the ending .pdf" in refused.stderr
    assert not (program.folder / "r.pdf").exists()
    assert program("report", "--run", stored, "--output", "r.txt").returncode == 0


def test_the_ending_of_a_file_says_the_format_unless_format_does(program: Program, stored: str) -> None:
    beginnings = {"r.csv": "run,dataset", "r.html": "<!DOCTYPE html>", "r.tex": "%", "r.json": "{", "r.md": "**"}
    for name, beginning in beginnings.items():
        assert program("report", "-o", name).returncode == 0
        assert (program.folder / name).read_text().startswith(beginning), name
    assert program("report", "--format", "csv", "-o", "r.html").returncode == 0
    assert (program.folder / "r.html").read_text().startswith("run,dataset")


@pytest.mark.parametrize(
    ("output", "complaint"), [("gone/r.html", "there is no folder gone"), (".", "is a folder"), ("", "is empty")]
)
def test_places_that_cannot_be_written_are_refused(program: Program, stored: str, output: str, complaint: str) -> None:
    done = program("report", "--format", "csv", "-o", output)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_a_figure_is_a_pdf_unless_its_name_says_otherwise_and_has_a_caption(program: Program, stored: str) -> None:
    done = program("figure", "critical")
    assert done.returncode == 0, done.stderr
    assert (program.folder / "critical.pdf").read_bytes().startswith(b"%PDF")
    assert "n = 20 images, seed 0" in done.stdout
    assert program("figure", "roc", stored[:4], "-o", "r.svg").returncode == 0
    by_position = (program.folder / "r.svg").read_text()
    assert by_position.startswith("<svg")
    assert program("figure", "roc", "--run", stored[:4], "-o", "r.svg").returncode == 0
    assert (program.folder / "r.svg").read_text() == by_position


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["curve"], "choose one of curves"),
        (["curves", "-o", "c.eps"], "c.eps is no name that ends with .pdf, .svg, .png"),
        (["curves", "ffff"], "ffff"),
        (["curves", "ffff", "--run", "eeee"], "two are named: ffff and eeee"),
        (["reconstructions"], "--keep-examples"),
    ],
)
def test_figures_that_cannot_be_drawn_are_refused(
    program: Program, stored: str, arguments: list[str], complaint: str
) -> None:
    done = program("figure", *arguments)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_leaderboard_is_made_of_stores_and_archives(program: Program, stored: str) -> None:
    fabricate(program.folder / "other.db", Fabrication(images=10, defenses=("theirs",), rejecting=()))
    assert program("db", "export", "other.zip", "--db", "other.db").returncode == 0
    done = program("leaderboard", "robench.db", "other.zip", "-o", "board.html")
    assert done.returncode == 0, done.stderr
    page = (program.folder / "board.html").read_text()
    assert "theirs" in page
    assert "puvae-detect" in page


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "there is nothing to rank"),
        (["robench.db"], "--output leaderboard.html"),
        (["gone.db", "-o", "b.html"], "gone.db"),
        (["robench.db", "-o", "b.html", "--epsilons", "x"], "--epsilons"),
    ],
)
def test_leaderboards_of_nothing_are_refused(
    program: Program, stored: str, arguments: list[str], complaint: str
) -> None:
    done = program("leaderboard", *arguments)
    assert done.returncode in {1, 2}
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
