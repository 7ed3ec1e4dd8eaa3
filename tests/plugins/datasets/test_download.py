from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from robench.api import DataError
from robench_plugins.datasets._download import TRIES, fetch
from robench_plugins.datasets._published import RemoteFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = hashlib.shake_256(b"robench").digest(1_000_000)
HALF = len(CONTENT) // 2
WRONG = bytes(len(CONTENT))


@dataclass
class Page:
    """How one address answers.

    Attributes:
        content: The file.
        status: Of the answer, unless it becomes 206.
        ranges: Whether ranges are honoured.
        cuts: Bytes after which the connection is cut, for one request after the other.
        tells_length: Whether the length is told in advance.
        stall: Seconds before the body.
        moved_to: Address to redirect to.
    """

    content: bytes = CONTENT
    status: int = 200
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    tells_length: bool = True
    stall: float = 0.0
    moved_to: str = ""


class Mirror:
    """A web server on this machine."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.host = f"127.0.0.1:{server.server_port}"
        self.pages: dict[str, Page] = {}
        self.requests: list[tuple[str, str | None]] = []

    def put(self, path: str, page: Page) -> str:
        self.pages[path] = page
        return f"http://{self.host}{path}"

    def ranges(self, path: str) -> list[str | None]:
        return [asked for requested, asked in self.requests if requested == path]


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.requests.append((self.path, asked))
            page = state.pages.get(self.path, Page(b"not here", status=404))
            first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and page.ranges else 0
            body = page.content[first:]
            self.send_response(206 if first else page.status)
            if page.moved_to:
                self.send_header("Location", page.moved_to)
            if page.ranges:
                self.send_header("Accept-Ranges", "bytes")
            if page.tells_length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            time.sleep(page.stall)
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body[: page.cuts.pop(0)] if page.cuts else body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Mirror(server)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "some-data"


def remote(*urls: str, content: bytes = CONTENT) -> RemoteFile:
    sha256 = hashlib.sha256(content).hexdigest()
    return RemoteFile(name="file.gz", sha256=sha256, size=len(content), urls=urls)


def ignore(_line: str) -> None:
    pass


def get(file: RemoteFile, folder: Path, lines: list[str] | None = None, *, timeout: float = 10.0) -> Path:
    report = ignore if lines is None else lines.append
    return fetch(file, folder, offline=False, report=report, pause=0.0, timeout=timeout)


def put_part(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True)
    part = folder / "file.gz.part"
    part.write_bytes(content)
    return part


def test_download_is_stored_whole_and_leaves_no_partial_file(mirror: Mirror, folder: Path) -> None:
    path = get(remote(mirror.put("/file", Page())), folder)
    assert path == folder / "file.gz"
    assert path.read_bytes() == CONTENT
    assert not (folder / "file.gz.part").exists()


def test_progress_names_file_size_and_host_once_per_tenth(mirror: Mirror, folder: Path, lines: list[str]) -> None:
    get(remote(mirror.put("/file", Page())), folder, lines)
    assert lines[0] == f"downloading file.gz (1 MB) from {mirror.host}: 0 %"
    assert lines[-1].endswith(": 100 %")
    assert len(lines) == len(set(lines)) <= 11


def test_stored_file_is_not_downloaded_again(mirror: Mirror, folder: Path) -> None:
    file = remote(mirror.put("/file", Page()))
    get(file, folder)
    get(file, folder)
    assert len(mirror.requests) == 1


def test_redirect_is_followed(mirror: Mirror, folder: Path) -> None:
    target = mirror.put("/file", Page())
    old = mirror.put("/old", Page(b"", status=302, moved_to=target))
    assert get(remote(old), folder).read_bytes() == CONTENT


def test_cut_download_continues_where_it_stopped(mirror: Mirror, folder: Path, lines: list[str]) -> None:
    path = get(remote(mirror.put("/file", Page(cuts=[HALF]))), folder, lines)
    assert path.read_bytes() == CONTENT
    first, second = mirror.ranges("/file")
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= HALF
    assert any("trying again" in line for line in lines)


def test_cut_is_noticed_where_the_length_was_not_told(mirror: Mirror, folder: Path) -> None:
    path = get(remote(mirror.put("/file", Page(cuts=[HALF], tells_length=False))), folder)
    assert path.read_bytes() == CONTENT
    assert mirror.ranges("/file") == [None, f"bytes={HALF}-"]


def test_later_call_continues_the_partial_file(mirror: Mirror, folder: Path) -> None:
    file = remote(mirror.put("/file", Page(cuts=[HALF] * TRIES)))
    put_part(folder, CONTENT[:1000])
    mirror.pages["/file"].cuts = [200_000, 200_000, 200_000]
    with pytest.raises(DataError, match="cannot be downloaded"):
        get(file, folder)
    kept = (folder / "file.gz.part").stat().st_size
    assert kept > 1000
    assert get(file, folder).read_bytes() == CONTENT
    assert mirror.ranges("/file")[0] == "bytes=1000-"
    assert mirror.ranges("/file")[-1] == f"bytes={kept}-"


def test_next_mirror_continues_the_partial_file(mirror: Mirror, folder: Path) -> None:
    bad = mirror.put("/bad", Page(cuts=[HALF, 0, 0]))
    path = get(remote(bad, mirror.put("/good", Page())), folder)
    assert path.read_bytes() == CONTENT
    assert mirror.ranges("/good")[0] is not None


def test_server_that_ignores_ranges_starts_the_file_anew(mirror: Mirror, folder: Path) -> None:
    path = get(remote(mirror.put("/file", Page(cuts=[HALF], ranges=False))), folder)
    assert path.read_bytes() == CONTENT
    assert mirror.ranges("/file")[1] is not None


def test_complete_partial_file_needs_no_request(mirror: Mirror, folder: Path) -> None:
    put_part(folder, CONTENT)
    assert get(remote(mirror.put("/file", Page())), folder).read_bytes() == CONTENT
    assert mirror.requests == []


@pytest.mark.parametrize("size", [1000, len(CONTENT), len(CONTENT) + 1])
def test_wrong_partial_file_costs_no_mirror(mirror: Mirror, folder: Path, size: int) -> None:
    put_part(folder, bytes(size))
    assert get(remote(mirror.put("/file", Page())), folder).read_bytes() == CONTENT
    assert mirror.ranges("/file")[-1] is None


@pytest.mark.parametrize(
    "page",
    [
        Page(WRONG),
        Page(b"<html>Please log in</html>"),
        Page(b"<html>Please log in</html>", tells_length=False),
        Page(CONTENT + b"more", tells_length=False),
        Page(status=404),
        Page(status=503),
        Page(cuts=[0, 0, 0]),
    ],
    ids=["wrong bytes", "error page", "error page without length", "too long", "404", "503", "always cut"],
)
def test_useless_mirror_is_left_for_the_next(mirror: Mirror, folder: Path, lines: list[str], page: Page) -> None:
    path = get(remote(mirror.put("/bad", page), mirror.put("/good", Page())), folder, lines)
    assert path.read_bytes() == CONTENT
    assert any(line.startswith(f"file.gz: {mirror.host} ") for line in lines)


def test_missing_page_is_asked_for_once(mirror: Mirror, folder: Path) -> None:
    get(remote(f"http://{mirror.host}/nothing", mirror.put("/good", Page())), folder)
    assert len(mirror.ranges("/nothing")) == 1


def test_overloaded_server_is_asked_again(mirror: Mirror, folder: Path) -> None:
    with pytest.raises(DataError, match="503"):
        get(remote(mirror.put("/file", Page(status=503))), folder)
    assert len(mirror.requests) == TRIES


def test_error_page_does_not_cost_the_partial_file(mirror: Mirror, folder: Path) -> None:
    part = put_part(folder, CONTENT[:HALF])
    with pytest.raises(DataError, match="offers 5 bytes"):
        get(remote(mirror.put("/file", Page(b"sorry", ranges=False))), folder)
    assert part.read_bytes() == CONTENT[:HALF]


def test_failure_of_all_mirrors_names_file_hosts_reasons_and_mend(mirror: Mirror, folder: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{unused.getsockname()[1]}"
        urls = (mirror.put("/wrong", Page(WRONG)), f"http://{mirror.host}/nothing", f"http://{closed}/file")
        with pytest.raises(DataError) as caught:
            get(remote(*urls), folder)
    message = caught.value.message
    assert message.startswith(f"{folder / 'file.gz'} cannot be downloaded: {mirror.host} served wrong bytes; ")
    assert f"{mirror.host} failed: 404" in message
    assert f"{closed} failed: [Errno 111] Connection refused" in message
    assert "--data-dir or ROBENCH_DATA" in caught.value.hint
    assert urls[0] in caught.value.hint
    assert not (folder / "file.gz").exists()
    assert not (folder / "file.gz.part").exists()


def test_silent_server_is_given_up(mirror: Mirror, folder: Path) -> None:
    with pytest.raises(DataError, match="timed out"):
        get(remote(mirror.put("/file", Page(stall=0.5))), folder, timeout=0.05)


def test_offline_names_file_address_and_mend(folder: Path) -> None:
    file = remote("https://example.org/file.gz")
    with pytest.raises(DataError) as caught:
        fetch(file, folder, offline=True, report=ignore)
    assert caught.value.message == f"{folder / 'file.gz'} is missing, and downloads are off"
    assert "https://example.org/file.gz" in caught.value.hint
    assert "--data-dir or ROBENCH_DATA" in caught.value.hint
    assert not folder.exists()


def test_offline_uses_the_stored_file(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "file.gz").write_bytes(CONTENT)
    assert fetch(remote(), folder, offline=True, report=ignore) == folder / "file.gz"


def test_offline_rejects_a_damaged_file(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "file.gz").write_bytes(WRONG)
    with pytest.raises(DataError, match="is damaged"):
        fetch(remote("https://example.org/file.gz"), folder, offline=True, report=ignore)


def test_damaged_file_is_downloaded_again(mirror: Mirror, folder: Path, lines: list[str]) -> None:
    folder.mkdir(parents=True)
    (folder / "file.gz").write_bytes(WRONG)
    assert get(remote(mirror.put("/file", Page())), folder, lines).read_bytes() == CONTENT
    assert lines[0] == f"{folder / 'file.gz'} is damaged; downloading it again"


def test_folder_that_cannot_be_made_is_named(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"{tmp_path}/file/cache cannot keep downloads"):
        get(remote(mirror.put("/file", Page())), tmp_path / "file" / "cache")


def test_partial_file_that_cannot_be_written_is_named(mirror: Mirror, folder: Path) -> None:
    (folder / "file.gz.part").mkdir(parents=True)
    with pytest.raises(DataError, match=r"file\.gz\.part cannot be written: Is a directory"):
        get(remote(mirror.put("/file", Page())), folder)


@pytest.mark.parametrize("ranges", [True, False])
def test_full_disk_is_named_and_only_a_resumable_part_kept(mirror: Mirror, folder: Path, ranges: bool) -> None:
    folder.mkdir(parents=True)
    part = folder / "file.gz.part"
    part.symlink_to("/dev/full")
    with pytest.raises(DataError, match=f"no space left in {folder}: .* needs 1,000,000 more bytes"):
        get(remote(mirror.put("/file", Page(ranges=ranges))), folder)
    assert part.is_symlink() == ranges


PROCESS = """
import json, resource, sys
from pathlib import Path
from robench.api import DataError
from robench_plugins.datasets._download import fetch
from robench_plugins.datasets._published import RemoteFile

url, sha256, size, folder, limit = json.loads(sys.argv[1])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
remote = RemoteFile(name="file.gz", sha256=sha256, size=size, urls=(url,))
try:
    fetch(remote, Path(folder), offline=False, report=lambda line: print(line, flush=True))
except DataError as error:
    sys.exit(error.message)
"""


def start(file: RemoteFile, folder: Path, *, limit: int = 0) -> subprocess.Popen[str]:
    arguments = json.dumps([file.urls[0], file.sha256, file.size, str(folder), limit])
    command = [sys.executable, "-W", "error", "-c", PROCESS, arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_download_continues_after_space_was_made(mirror: Mirror, folder: Path) -> None:
    file = remote(mirror.put("/file", Page()))
    with start(file, folder, limit=300_000) as process:
        _, errors = process.communicate(timeout=60)
    assert f"no space left in {folder}: file.gz.part needs 700,000 more bytes" in errors
    assert get(file, folder).read_bytes() == CONTENT
    assert mirror.ranges("/file") == [None, "bytes=300000-"]


def test_two_processes_download_once(mirror: Mirror, folder: Path, lines: list[str]) -> None:
    file = remote(mirror.put("/file", Page(stall=1.0)))
    with start(file, folder) as other:
        while not mirror.requests and other.poll() is None:
            time.sleep(0.01)
        path = get(file, folder, lines)
        output, errors = other.communicate(timeout=60)
    assert (other.returncode, errors) == (0, "")
    assert "100 %" in output
    assert lines == [f"waiting for another process that downloads {path}"]
    assert path.read_bytes() == CONTENT
    assert len(mirror.requests) == 1
