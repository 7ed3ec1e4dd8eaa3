"""Exceptions on their way from a worker to the process that raises them."""

from __future__ import annotations

import pickle
import traceback

from robench.errors import RobenchError


def packed_error(error: BaseException) -> bytes:
    """Return the message that tells of an exception.

    A RobenchError goes as it is. Anything else is a defect, which keeps its traceback as text.
    """
    if not isinstance(error, RobenchError):
        trace = "".join(traceback.format_exception(error))
        error = RuntimeError(f"a worker failed:\n{trace}")
    return pickle.dumps(("failed", error))
