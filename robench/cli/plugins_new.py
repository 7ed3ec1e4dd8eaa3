"""``robench plugins new``."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from robench.cli.context import open_session


class NewKind(StrEnum):
    """What a new plugin can offer."""

    DEFENSE = "defense"
    ATTACK = "attack"
    DATASET = "dataset"
    CLASSIFIER = "classifier"


_SETTINGS = {NewKind.DATASET: ("--classifier", "paper-a", "--epsilons", "0.1,0.2")}
"""What a run has to be told beside the name; benchmarks.toml knows it of the built-in data sets."""


def new_plugin(
    kind: Annotated[NewKind, typer.Argument(help="What it offers.", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, kebab-case.", show_default=False)],
    into: Annotated[Path, typer.Option("--into", metavar="FOLDER", help="Where the folder NAME is made.")] = Path(),
) -> None:
    """Write a plugin with a short working example, to be changed into yours; nothing is overwritten."""
    from robench.registry.scaffold import write_plugin

    folder = write_plugin(kind.value, name, into, open_session().catalog)
    commands = (
        ["pip", "install", "-e", str(folder) if folder.is_absolute() else f"./{folder}"],
        ["robench", "plugins", "check", name],
        ["robench", "run", f"--{kind.value}", name, *_SETTINGS.get(kind, ())],
    )
    lines = "".join(f"    {shlex.join(command)}\n" for command in commands)
    sys.stdout.write(f"wrote {folder}; now:\n\n{lines}\nand then change {folder / name.replace('-', '_')}\n")
