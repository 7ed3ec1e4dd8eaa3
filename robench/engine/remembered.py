"""What is worked out once and kept in the cache."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from robench.engine.files import replacing
from robench.errors import RobenchError

if TYPE_CHECKING:
    from pathlib import Path


class Remembered:
    """JSON values by key, in a file of the cache.

    Nothing is lost with it: what it does not know is worked out again. Of two processes that write at the same time one
    may overwrite what the other added.

    Args:
        file: May not exist yet, be damaged, or not be writable; then nothing is known, or kept.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def get(self, key: str) -> Any:  # noqa: ANN401 (any JSON value; who asks checks it)
        """Return the value of a key; None if there is none."""
        return self._read().get(key)

    def put(self, key: str, value: object) -> None:
        """Keep the value of a key, if the file can be written."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._file) as path:
                path.write_text(json.dumps({**self._read(), key: value}, indent=2) + "\n", encoding="utf-8")
        except (OSError, RobenchError):
            return

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return known if isinstance(known, dict) else {}
