"""``robench init``."""

import sys
from pathlib import Path

from robench.errors import UsageError


def init() -> None:
    """Write benchmarks.toml with all defaults into the current folder, to be edited."""
    from robench.config.location import FILE_NAME, packaged_text

    path = Path(FILE_NAME)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(packaged_text())
    except FileExistsError as error:
        message = f"{path.resolve()} exists already"
        raise UsageError(message, "edit it, or move it away first") from error
    except OSError as error:
        message = f"cannot write {path.resolve()}: {error.strerror or error}"
        raise UsageError(message, "change to a folder that you can write to") from error
    sys.stdout.write(f"wrote {path}\n")
