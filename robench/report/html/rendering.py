"""What all pages share: a template that escapes everything, and a policy that lets nothing in and nothing out."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDER = resources.files("robench.report.html")


def render_page(template: str, *, scripts: Sequence[str] = (), **values: object) -> str:
    """Render a self-contained page. Names and texts in it may be a stranger's.

    Browsers are told to load nothing, to send nothing, and to run the scripts that are given here and no other.

    Args:
        template: Name of a file beside this one.
        scripts: Programs in JavaScript, in the order in which they run.
        values: For the template; it has ``policy``, ``style`` and ``scripts`` besides.

    Returns:
        HTML that ends with a line feed.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(read_part),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # What would end a script element early must not stand in one; in strings of JavaScript the backslash says nothing.
    programs = [program.replace("</script", "<\\/script") for program in scripts]
    page = environment.get_template(template).render(
        policy=_policy(programs),
        style=Markup(read_part("page.css")),  # noqa: S704 (the page's own)
        scripts=[Markup(program) for program in programs],  # noqa: S704 (as above)
        **values,
    )
    return page.rstrip("\n") + "\n"


def read_part(name: str) -> str:
    """Return the text of a file beside this one."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def _policy(programs: Sequence[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(program.encode()).digest()).decode() for program in programs]
    # Vega compiles the expressions of its charts.
    allowed = " ".join([*(f"'sha256-{digest}'" for digest in digests), "'unsafe-eval'"]) if digests else "'none'"
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        f"script-src {allowed}"
    )
