"""A real LaTeX, for tables that must compile without a complaint."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MISSING = "no LaTeX is installed: `apt-get install texlive-latex-base texlive-latex-recommended`"
SECONDS = 120

_COMPLAINT = re.compile(r"Overfull|Underfull|Warning|undefined|Missing character|^!", re.MULTILINE)


def require_tex() -> str:
    """Return the compiler. Where there is none, skip and say what to install; in CI fail."""
    compiler = shutil.which("pdflatex")
    if compiler is None:
        if os.environ.get("REQUIRE_TEX") == "1":
            raise RuntimeError(MISSING)
        pytest.skip(MISSING)
    return compiler


def complaints(compiler: str, folder: Path, options: str, body: str) -> list[str]:
    """Compile an article until its references are known, and return the lines of the log that complain.

    Args:
        compiler: As ``require_tex`` returns it.
        folder: Where to.
        options: Of the class, such as ``twocolumn,10pt``.
        body: What the document consists of.

    Raises:
        AssertionError: LaTeX stopped, or made no page.
    """
    preamble = f"\\documentclass[{options}]{{article}}\n\\usepackage{{booktabs}}\n"
    (folder / "paper.tex").write_text(f"{preamble}\\begin{{document}}\n{body}\\end{{document}}\n", encoding="ascii")
    for drafting in (["-draftmode"], []):
        done = subprocess.run(
            [compiler, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", *drafting, "paper.tex"],
            cwd=folder,
            env={**os.environ, "max_print_line": "1000"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        log = (folder / "paper.log").read_text(encoding="utf-8", errors="replace")
        assert done.returncode == 0, log[-2000:]
    assert (folder / "paper.pdf").stat().st_size > 0
    return [line for line in log.splitlines() if _COMPLAINT.search(line)]
