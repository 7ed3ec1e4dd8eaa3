"""Files that commands are asked to write."""

import sys
from pathlib import Path

from robench.engine.files import replacing
from robench.errors import UsageError


def write_output(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, and say so on stderr; what is there is replaced.

    Raises:
        UsageError: If the path is a folder, or its folder does not exist.
        RobenchError: If it cannot be written.
    """
    if path.is_dir():
        message = f"--output: {path} is a folder"
        raise UsageError(message, "name a file")
    if not path.parent.is_dir():
        message = f"--output: there is no folder {path.parent}"
        raise UsageError(message, "create the folder, or name another file")
    with replacing(path, elsewhere="name with --output") as temporary:
        temporary.write_bytes(content)
    sys.stderr.write(f"wrote {path} ({len(content):,} bytes)\n")
