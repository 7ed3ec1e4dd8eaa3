"""Downloads of published files: resumed when cut, checked, and never by two processes at once."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pooch
import requests
from filelock import FileLock, Timeout

from robench.api import DataError, MissingDataError
from robench_plugins.datasets._partial import BODIES, MirrorError, PartialFile
from robench_plugins.datasets._published import OWN_COPY
from robench_plugins.datasets._verify import has_digest, present

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from robench_plugins.datasets._published import RemoteFile

TRIES = 3
CHUNK = 1 << 16
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CLIENT_ERRORS = range(400, 500)


def fetch(
    remote: RemoteFile,
    folder: Path,
    *,
    offline: bool,
    report: Callable[[str], None],
    pause: float = 1.0,
    timeout: float = 30.0,
) -> Path:
    """Return the verified local copy of a file and download it first where there is none.

    A cut download continues where it stopped, in this call or in a later one.

    Args:
        remote: The file.
        folder: Where to keep it; made if need be. One process at a time downloads a file to a folder.
        offline: Forbids the download.
        report: Takes lines of progress, one for every tenth of the file at most.
        pause: Seconds before another try.
        timeout: Seconds to wait for a connection, and for the next bytes.

    Returns:
        Path of the file in ``folder``; its SHA-256 is the published one.

    Raises:
        MissingDataError: If the file is not there and ``offline`` is set.
        DataError: If it is damaged and ``offline`` is set, no mirror serves it, or it cannot be stored.
    """
    path = folder / remote.name
    if has_digest(path, remote.sha256):
        return path
    state = "damaged" if present(path) else "missing"
    if offline:
        message = f"{path} is {state}, and downloads are off"
        hint = f"get {remote.urls[0]} by other means and give its folder with {OWN_COPY}"
        raise (DataError if present(path) else MissingDataError)(message, hint)
    with _alone(path, report):
        # Another process may have brought it in the meantime.
        if not has_digest(path, remote.sha256):
            if present(path):
                report(f"{path} is damaged; downloading it again")
            part = path.with_name(f"{path.name}.part")
            _Download(remote=remote, part=part, report=report, pause=pause, timeout=timeout).run()
            part.replace(path)
    return path


@contextlib.contextmanager
def _alone(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    lock = FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            report(f"waiting for another process that downloads {path}")
            lock.acquire()
    except OSError as error:
        message = f"{path.parent} cannot keep downloads: {error.strerror or error}"
        raise DataError(message, f"make it writable, or give a folder that has {path.name} with {OWN_COPY}") from error
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True, kw_only=True)
class _Download:
    """One download under way; ``part`` holds what has come so far."""

    remote: RemoteFile
    part: Path
    report: Callable[[str], None]
    pause: float
    timeout: float

    def run(self) -> None:
        """Complete the partial file from the first mirror that can."""
        failures = []
        for url in self.remote.urls:
            try:
                self._from_mirror(url)
            except MirrorError as error:
                failures.append(f"{urlsplit(url).netloc} {error}")
                self.report(f"{self.remote.name}: {failures[-1]}")
            else:
                return
        if present(self.part) and not self.part.stat().st_size:
            self.part.unlink()
        message = f"{self.part.with_suffix('')} cannot be downloaded: {'; '.join(failures)}"
        hint = (
            f"check the connection and try again, or get {self.remote.urls[0]} by other means "
            f"and give its folder with {OWN_COPY}"
        )
        raise DataError(message, hint)

    def _from_mirror(self, url: str) -> None:
        for attempt in range(1, TRIES + 1):
            try:
                resumed = self._append(url)
            except requests.RequestException as error:
                reason = f"failed: {_innermost(error)}"
                if attempt == TRIES or _is_final(error):
                    raise MirrorError(reason) from error
                self.report(f"{self.remote.name}: {urlsplit(url).netloc} {reason}; trying again")
                time.sleep(self.pause)
                continue
            if has_digest(self.part, self.remote.sha256):
                return
            self.part.unlink()
            if not resumed:
                break
            # The wrong bytes may be those of an earlier download, from another mirror even: start afresh.
        message = "served wrong bytes"
        raise MirrorError(message)

    def _append(self, url: str) -> bool:
        """Download what the partial file lacks and tell whether bytes of an earlier try are in it."""
        with contextlib.ExitStack() as closing:
            try:
                file = closing.enter_context(self.part.open("ab", buffering=0))
            except OSError as error:
                raise self._unwritable(error, self.remote.size) from error
            sink = PartialFile(file, self.remote, urlsplit(url).netloc, self.report)
            if sink.done == self.remote.size:
                return True

            def begin(response: requests.Response, **_: object) -> None:
                closing.callback(response.close)
                if response.status_code in BODIES:
                    sink.begin(response)

            headers = {"Accept-Encoding": "identity"}
            if sink.done:
                headers["Range"] = f"bytes={sink.done}-"
            download = pooch.HTTPDownloader(
                chunk_size=CHUNK, headers=headers, timeout=self.timeout, hooks={"response": begin}
            )
            try:
                download(url, sink, None)
                os.fsync(file.fileno())
            except requests.RequestException:
                raise
            except OSError as error:
                if not sink.resumable:
                    self.part.unlink()
                raise self._unwritable(error, self.remote.size - sink.done) from error
            if sink.done < self.remote.size:
                message = f"connection cut after {sink.done:,} of {self.remote.size:,} bytes"
                raise requests.ConnectionError(message)
            return sink.resumed

    def _unwritable(self, error: OSError, missing: int) -> DataError:
        if error.errno in NO_SPACE:
            message = f"no space left in {self.part.parent}: {self.part.name} needs {missing:,} more bytes"
            return DataError(message, "free that much there and try again, or choose another cache folder")
        message = f"{self.part} cannot be written: {error.strerror or error}"
        return DataError(message, "make it writable, or choose another cache folder")


def _is_final(error: requests.RequestException) -> bool:
    """Tell whether another try would end the same way: nobody is there, or the file is not."""
    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code in CLIENT_ERRORS
    return isinstance(error, requests.ConnectTimeout)


def _innermost(error: BaseException) -> BaseException:
    """Find the cause that says what happened; those around it tell of the HTTP library."""
    while error.__context__ is not None:
        error = error.__context__
    return error
