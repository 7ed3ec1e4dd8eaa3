"""Archives: a zip file of JSON lines with the SHA-256 of each member. Reading one runs nothing and unpacks no file."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import zipfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar, cast

from robench import __version__
from robench.api.records import Cell
from robench.errors import DataError, RobenchError
from robench.storage.decoding import decode, encode
from robench.storage.parcels import RunParcel, ShardParcel, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

T = TypeVar("T")

FORMAT, VERSION = "robench-archive", 2
_READ = (1, 2)
"""Versions that are read. Outcomes of version 1 do not say whether the search had won."""
MANIFEST, CELLS, RUNS, SHARDS = "manifest.json", "cells.jsonl", "runs.jsonl", "shards.jsonl"
LARGEST = {MANIFEST: 2**16, CELLS: 2**30, RUNS: 2**30, SHARDS: 2**34}
"""Bytes that a member may unpack to: 16 GiB of shards are some 200,000,000 outcomes."""
LONGEST_LINE = 2**25
"""Bytes; the longest that a run makes are shards, with some 80 bytes an image."""
HIGHEST_RATIO = 200
"""Times that a member may grow; outcomes that are all alike grow 30 times."""
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
_DATE = (1980, 1, 1, 0, 0, 0)  # of every member, so that the same records make the same bytes
_SQLITE = b"SQLite format 3\0"
_HINT = "get it again from where it was exported"


@dataclass(frozen=True, kw_only=True)
class Member:
    """What the manifest says of a member."""

    name: str
    sha256: str
    bytes: int
    lines: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an archive says of itself.

    Attributes:
        format, version: Of the archive.
        robench: Version that wrote it.
        members: All others, in their order.
    """

    format: str
    version: int
    robench: str
    members: tuple[Member, ...]


def write_archive(source: Source, path: Path) -> Manifest:
    """Write an archive; it is there whole or not at all.

    Args:
        source: What to write.
        path: Where to; what is there is replaced.

    Raises:
        RobenchError: It cannot be written.
    """
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                parts = {CELLS: source.cells(), RUNS: source.runs(), SHARDS: source.shards()}
                members = tuple(_write_member(archive, name, records) for name, records in parts.items())
                manifest = Manifest(format=FORMAT, version=VERSION, robench=__version__, members=members)
                archive.writestr(_info(MANIFEST), encode(manifest) + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException as error:
        with suppress(OSError):  # where nothing can be written, nothing was left
            unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError):
            message = f"cannot write {path}: {error.strerror or error}"
            raise RobenchError(message, "name a file on another disk or in another folder") from error
        raise
    return manifest


def _write_member(archive: zipfile.ZipFile, name: str, records: Iterable[object]) -> Member:
    digest, size, lines = hashlib.sha256(), 0, 0
    with archive.open(_info(name), "w", force_zip64=True) as file:
        for record in records:
            line = encode(record).encode() + b"\n"
            file.write(line)
            digest.update(line)
            size, lines = size + len(line), lines + 1
    return Member(name=name, sha256=digest.hexdigest(), bytes=size, lines=lines)


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


class Archive:
    """An archive that strangers may have made. A context manager, and a ``Source``.

    Args:
        path: Of the file.

    Raises:
        DataError: It is no archive, of a newer format, or has members that no archive has.
    """

    def __init__(self, path: Path) -> None:
        self.label = str(path)
        if not path.is_file():
            message = f"{self.label} is no file"
            raise DataError(message, "name an archive that robench db export has written")
        with self._explained(), path.open("rb") as file:
            beginning = file.read(len(_SQLITE))
        if beginning == _SQLITE:
            message = f"{self.label} is a store, not an archive"
            raise DataError(message, "robench db merge takes it in")
        with self._explained():
            self._zip = zipfile.ZipFile(path)
        try:
            self._check_members()
            self.manifest = self._read_manifest()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._zip.close()

    def cells(self) -> Iterator[Cell]:
        """Yield all cells."""
        return self._records(CELLS, Cell)

    def runs(self) -> Iterator[RunParcel]:
        """Yield all runs."""
        return self._records(RUNS, RunParcel)

    def shards(self) -> Iterator[ShardParcel]:
        """Yield all shards."""
        return self._records(SHARDS, ShardParcel)

    def _check_members(self) -> None:
        """Refuse by what the members declare, before a byte of them is read; zipfile holds them to their sizes."""
        infos = self._zip.infolist()
        names = [info.filename for info in infos]
        if sorted(names) != sorted(LARGEST):
            strange = sorted(set(names) - set(LARGEST))
            problem = f"holds {strange[0]!r:.80}" if strange else "lacks members, or has them twice"
            self._refuse(f"{problem}; an archive holds {', '.join(LARGEST)} and nothing else")
        for info in infos:
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir() or kind not in {0, stat.S_IFREG}:
                self._refuse(f"{info.filename} is a link or a folder, not a file")
            if info.flag_bits & 1 or info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                self._refuse(f"{info.filename} is encrypted, or packed as robench does not pack")
            if info.file_size > LARGEST[info.filename]:
                problem = f"{info.filename} would unpack to {info.file_size:,} bytes"
                self._refuse(f"{problem}; at most {LARGEST[info.filename]:,} are read")
            if info.file_size > HIGHEST_RATIO * max(info.compress_size, HIGHEST_RATIO):
                self._refuse(f"{info.filename} would grow {HIGHEST_RATIO} times and more, as results never do")

    def _read_manifest(self) -> Manifest:
        with self._explained(), self._zip.open(MANIFEST) as file:
            text = file.read(LARGEST[MANIFEST]).decode()
            said = json.loads(text)
            if not isinstance(said, dict) or said.get("format") != FORMAT:
                self._refuse("is no archive of robench")
            if said.get("version") not in _READ:
                version = said.get("version")
                message = f"{self.label} is an archive of version {version!r:.20}; this robench reads 1 to {VERSION}"
                raise DataError(message, "upgrade robench")
            manifest = decode(Manifest, text)
        if [member.name for member in manifest.members] != [CELLS, RUNS, SHARDS]:
            self._refuse("its manifest does not name its members")
        return manifest

    def _records(self, name: str, record: type[T]) -> Iterator[T]:
        """Yield the records of a member.

        Raises:
            DataError: A record is not what it must be, or, at the end, the member is not what the manifest says.
        """
        (said,) = [member for member in self.manifest.members if member.name == name]
        digest, size, lines = hashlib.sha256(), 0, 0
        with self._explained(), self._zip.open(name) as packed, io.BufferedReader(cast("io.RawIOBase", packed)) as file:
            while line := file.readline(LONGEST_LINE + 1):
                digest.update(line)
                size, lines = size + len(line), lines + 1
                if len(line) > LONGEST_LINE:
                    self._refuse(f"{name}, line {lines} is longer than {LONGEST_LINE:,} bytes")
                try:
                    found = decode(record, line.decode())
                except ValueError as error:
                    self._refuse(f"{name}, line {lines}: {error}")
                yield found
        if (digest.hexdigest(), size, lines) != (said.sha256, said.bytes, said.lines):
            self._refuse(f"{name} differs from its digest or its counts")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except RecursionError:
            self._refuse("is nested too deeply")
        except _UNREADABLE as error:
            self._refuse(f"cannot be read: {error}")

    def _refuse(self, problem: str) -> NoReturn:
        message = f"{self.label}: {problem}"
        raise DataError(message, _HINT)
