"""``robench plugins new``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from robench.config import Overrides, load_config, resolve_run
from robench.config.location import packaged_source

if TYPE_CHECKING:
    from tests.cli.conftest import Program


def _run_line(text: str) -> list[str]:
    (line,) = [line.strip() for line in text.splitlines() if line.startswith("    robench run ")]
    return shlex.split(line)


def test_the_run_of_a_new_data_set_lacks_nothing(program: Program) -> None:
    done = program("plugins", "new", "dataset", "acme-bars")
    assert done.returncode == 0, done.stderr
    words = _run_line(done.stdout)
    assert _run_line((program.folder / "acme-bars" / "README.md").read_text()) == words
    flags = dict(zip(words[2::2], words[3::2], strict=True))
    overrides = Overrides(
        dataset=flags["--dataset"], classifier=flags["--classifier"], epsilons=flags["--epsilons"], defenses=("none",)
    )
    known = {
        "dataset": ("acme-bars",),
        "classifier": ("paper-a",),
        "defense": ("none",),
        "attack": ("fgsm", "pgd", "adaptive"),
    }
    request = resolve_run(load_config(packaged_source()), overrides, {}, known)
    assert (request.dataset, request.epsilons) == ("acme-bars", ("0.1", "0.2"))
