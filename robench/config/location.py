"""Which benchmarks.toml counts, and its text."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robench.config.checks import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME = "benchmarks.toml"
CONFIG_VARIABLE = "ROBENCH_CONFIG"

_LARGEST = 64 * 1024  # bytes; the packaged file has about four thousand


@dataclass(frozen=True, kw_only=True)
class ConfigSource:
    """A benchmarks.toml.

    Attributes:
        path: Where it is.
        label: What messages call it.
    """

    path: Path
    label: str


def find_config(explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> ConfigSource:
    """Find the benchmarks.toml that counts.

    Args:
        explicit: Value of ``--config``; it need not exist yet.
        environ: ``ROBENCH_CONFIG`` counts where there is no ``--config``.
        cwd: Absolute; searched upward where there is neither. The packaged file is the last resort.
    """
    given = explicit or Path(environ.get(CONFIG_VARIABLE, ""))
    if given != Path():
        return ConfigSource(path=cwd / given, label=str(given))
    for folder in (cwd, *cwd.parents):
        path = folder / FILE_NAME
        # Not Path.is_file, which raises where a folder may not be searched.
        if os.path.isfile(path):  # noqa: PTH113
            return ConfigSource(path=path, label=os.path.relpath(path, cwd))
    return packaged_source()


def packaged_source() -> ConfigSource:
    """Return the file that comes with robench."""
    # Beside this module in a wheel and in an editable install; importlib.resources would cost every start 20 ms.
    return ConfigSource(path=Path(__file__).with_name(FILE_NAME), label=f"packaged {FILE_NAME}")


def packaged_text() -> str:
    """Return the text of the file that comes with robench, for ``robench init``."""
    return read_text(packaged_source())


def read_text(source: ConfigSource) -> str:
    """Read a file.

    Raises:
        UsageError: If it cannot be read, is too large, or is not UTF-8.
    """
    try:
        with source.path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise invalid(source.label, f"cannot be read: {reason}") from error
    if len(content) > _LARGEST:
        raise invalid(source.label, f"is larger than {_LARGEST // 1024} KiB", f"is it a {FILE_NAME}?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise invalid(source.label, f"is not UTF-8 text (at line {line})") from error
