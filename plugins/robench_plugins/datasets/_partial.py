"""What has come of a download so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO

    from robench_plugins.datasets._published import RemoteFile

BODIES = (requests.codes.ok, requests.codes.partial)
"""Status codes of responses that carry the file or the rest of it."""

MEGABYTE = 1_000_000


class MirrorError(Exception):
    """One mirror is of no use; the next may be."""


class PartialFile:
    """The partial file as pooch's downloader sees it: something to write to.

    Attributes:
        done: Bytes in the file.
        resumed: Whether some of them are of an earlier try.
        resumable: Whether the server can send the rest of a file.
    """

    def __init__(self, file: FileIO, remote: RemoteFile, host: str, report: Callable[[str], None]) -> None:
        self._file = file
        self._size = remote.size
        self._title = f"downloading {remote.name} ({_readable(remote.size)}) from {host}"
        self._report = report
        self._tenths = -1
        self.done = file.tell()
        self.resumed = False
        self.resumable = False
        if self.done > self._size:
            self._restart()

    def begin(self, response: requests.Response) -> None:
        """Prepare for the body of this response, which is the whole file or the rest of it."""
        partial = response.status_code == requests.codes.partial
        length = response.headers.get("Content-Length")
        due = self._size - self.done if partial else self._size
        # Noticed before the first byte: an error page, say, that comes with status 200.
        if length is not None and length != str(due):
            message = f"offers {length} bytes where {due} are due"
            raise MirrorError(message)
        self.resumable = partial or response.headers.get("Accept-Ranges") == "bytes"
        self.resumed = partial and self.done > 0
        if self.done and not partial:
            # The server knows nothing of ranges and sends all of it again.
            self._restart()
        self._progress()

    def write(self, chunk: bytes) -> None:
        """Append to the file."""
        if self.done + len(chunk) > self._size:
            message = f"sends more than {self._size:,} bytes"
            raise MirrorError(message)
        rest = memoryview(chunk)
        while rest:
            written = self._file.write(rest)
            self.done += written
            rest = rest[written:]
        self._progress()

    def flush(self) -> None:
        """Do nothing: the file has no buffer."""

    def _restart(self) -> None:
        self._file.truncate(0)
        self.done = 0

    def _progress(self) -> None:
        tenths = 10 * self.done // self._size
        if tenths > self._tenths:
            self._tenths = tenths
            self._report(f"{self._title}: {10 * tenths} %")


def _readable(size: int) -> str:
    return f"{size / MEGABYTE:,.0f} MB" if size >= MEGABYTE else f"{size / 1000:,.0f} kB"
