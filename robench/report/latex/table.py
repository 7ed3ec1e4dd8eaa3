r"""A run as LaTeX tables for a paper, in the style of booktabs.

Rows are defenses, in a block for each attack; columns are epsilons, as many as fit the text of an article in one column
of 10 to 12 pt, which is narrower than what two columns leave a ``table*``. Nothing is scaled. More rows than a page
holds go on in further tables.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from robench.report.latex.caption import norm_sign, write_caption, write_comments, write_notes
from robench.report.latex.figure import Figure
from robench.report.latex.pages import fill_pages
from robench.report.latex.rows import LABEL_WIDTH, Rows, block_title, label_width
from robench.report.latex.text import escape, width
from robench.report.sweeps import MOST_EPSILONS, list_sweeps, pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robench.api.records import RunSummary
    from robench.report.latex.pages import Block

_TEXT_WIDTH = 38.0
r"""em of \footnotesize in the text of an article: 43 at 10 pt, 40 at 11 pt, 39 at 12 pt."""
_COLUMN_WIDTH = 27.0
"""The same of one of two columns: 28 at 10 pt, the narrowest."""
_GAP = 1.0
"""em between columns, as they are set below."""
_CAPTION = {"table": 1.25 / 47, "table*": 1.25 / 70}
"""Lines of the table that a letter of a caption takes, whose font is larger."""
_NOTE = {"table": 0.85 / 64, "table*": 0.85 / 96}
"""The same of a note, whose font is smaller."""


def to_latex(summary: RunSummary, *, proportion: bool = False) -> str:
    """Render a run as floating tables that need ``booktabs`` and nothing else.

    Bold is the best robust accuracy of a column with all that intervals do not tell from it, without attack and under
    attacks that know the defense: under others the largest number shows but the weakest attack.

    Args:
        summary: What to render.
        proportion: Whether defenses that reject get a row with the share rejected, the adversarial proportion.

    Returns:
        LaTeX in ASCII, ending with a line feed.
    """
    tried = tuple(sorted({epsilon for sweep in list_sweeps(summary) for epsilon in sweep.epsilons}, key=Decimal))
    names = max(map(label_width, summary.defenses), default=0.0)
    shown, total = _fit(summary, tried, min(names, LABEL_WIDTH))
    environment = "table" if total <= _COLUMN_WIDTH else "table*"
    head = _head(shown, norm_sign(summary.norm), "l" if names <= LABEL_WIDTH else f"p{{{LABEL_WIDTH:g}em}}")
    caption = write_caption(summary)
    notes = write_notes(summary, shown, tried, proportion=proportion)
    label = f"tab:robench-{summary.run.id}"
    blocks = tuple(Rows(summary, shown, proportion=proportion).blocks())
    pages = fill_pages(blocks, len(caption) * _CAPTION[environment], len(notes) * _NOTE[environment])
    first, *more = ([*_tabular(head, page), _small(notes)] for page in pages)
    tables = [_float(environment, caption, label, first)]
    for number, lines in enumerate(more, start=2):
        tables.append(_float(environment, f"Table~\\ref{{{label}}} continued.", f"{label}-{number}", lines))
    return "\n".join([*write_comments(summary), *tables])


def _fit(summary: RunSummary, tried: Sequence[str], label: float) -> tuple[tuple[str, ...], float]:
    """Return the epsilons that fit, the largest at least, and the em that all columns take."""
    cells = [Figure.of(row, summary.run.images).width for row in summary.clean]
    cells += [Figure.of(row, summary.run.images).width for row in summary.results]
    cell = _GAP + max(cells, default=0.0)
    shown = pick(tried, max(1, min(MOST_EPSILONS, int((_TEXT_WIDTH - label) / cell))))
    titles = max((width(block_title(sweep)) for sweep in list_sweeps(summary)), default=0.0)
    return shown, max(titles, label + max(1, len(shown)) * cell)


def _head(epsilons: Sequence[str], norm: str, label: str) -> list[str]:
    pairs = max(1, len(epsilons))
    lines = [f"\\begin{{tabular}}{{@{{}}{label}{'r@{ }l' * pairs}@{{}}}}", "\\toprule"]
    if epsilons:
        values = " & ".join(f"\\multicolumn{{2}}{{c}}{{{escape(epsilon)}}}" for epsilon in epsilons)
        lines += [
            f"& \\multicolumn{{{2 * pairs}}}{{c}}{{$\\varepsilon$ ({norm})}} \\\\",
            f"\\cmidrule(l){{2-{1 + 2 * pairs}}}",
            f"defense & {values} \\\\",
        ]
    return lines


def _tabular(head: Sequence[str], blocks: Sequence[Block]) -> list[str]:
    lines = list(head)
    span = 1 + head[0].count("@{ }") * 2
    for block in blocks:
        lines += ["\\midrule", f"\\multicolumn{{{span}}}{{@{{}}l@{{}}}}{{\\emph{{{escape(block.title)}}}}} \\\\"]
        lines += [line for row in block.rows for line in row.lines]
    return [*lines, "\\bottomrule", "\\end{tabular}"]


def _small(notes: str) -> str:
    return f"\\par\\vspace{{0.5em}}\\parbox{{\\linewidth}}{{\\scriptsize\\raggedright {notes}}}"


def _float(environment: str, caption: str, label: str, content: Sequence[str]) -> str:
    return "\n".join(
        [
            f"\\begin{{{environment}}}",
            # Above a table the space belongs below its caption.
            "\\setlength{\\belowcaptionskip}{\\abovecaptionskip}\\setlength{\\abovecaptionskip}{0pt}",
            f"\\caption{{\\raggedright {caption}}}",
            f"\\label{{{label}}}",
            "\\centering\\footnotesize\\setlength{\\tabcolsep}{0.5em}",
            *content,
            f"\\end{{{environment}}}",
            "",
        ]
    )
