from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text

from robench.api.records import Cell, CellCounts, ImageOutcome, Outcome, Run, Shard
from robench.storage import connection
from robench.storage.models import METADATA
from robench.storage.seals import sha256_of
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine

    from tests.postgres_server import PostgresServer

NOBODY = 65534
Rows = Callable[..., list[dict[str, Any]]]


class Make:
    """Builds records; what a test does not name is the same everywhere."""

    @staticmethod
    def run(*, id_: str = "0123456789ab", images: int = 20, created: str = "2026-01-02T03:04:05+00:00") -> Run:
        return Run(
            id=id_,
            command="robench run",
            created=created,
            status="running",
            dataset="mnist",
            classifier="A",
            profile="quick",
            images=images,
            seed=2**62,
            details='{"host": "h"}',
        )

    @staticmethod
    def cell(
        number: int = 0,
        *,
        attack: str = "pgd",
        norm: str = "linf",
        epsilon: str = "0.3",
        defense: str = "magnet",
        threshold: float | None = 0.1,
        subject: str = "5" * 64,
        stochastic: bool = False,
        ensemble: str = "",
        member: bool = False,
    ) -> Cell:
        return Cell(
            key=f"{number:064x}",
            dataset="mnist",
            data_digest="d" * 64,
            classifier="A",
            classifier_digest="c" * 64,
            defense=defense,
            defense_digest="e" * 64,
            threshold=threshold,
            attack=attack,
            knowledge="none" if attack == "clean" else "naive",
            norm="none" if attack == "clean" else norm,
            epsilon=epsilon,
            seed=1,
            device="cpu",
            settings='{"steps": 40}',
            subject=subject,
            stochastic=stochastic,
            ensemble=ensemble,
            member=member,
        )

    @classmethod
    def keyed(cls, number: int = 0, **fields: Any) -> Cell:
        """A cell whose key is what a planned cell's is; ``number`` tells it from others."""
        cell = replace(cls.cell(**fields), settings=f'{{"steps": {number}}}')
        return replace(cell, key=sha256_of({name: value for name, value in vars(cell).items() if name != "key"}))

    @staticmethod
    def outcome(position: int, outcome: Outcome = Outcome.CORRECT, score: float | None = 0.5) -> ImageOutcome:
        single = (1, int(outcome is Outcome.WRONG), int(outcome is Outcome.REJECTED))
        return replace(Make.drawn(position, *single), score=score)

    @staticmethod
    def drawn(position: int, draws: int, wrong: int, rejected: int) -> ImageOutcome:
        return ImageOutcome(
            position=position,
            image=1000 + position,
            label=position % 10,
            prediction=3,
            outcome=Outcome.of_draws(draws, wrong, rejected),
            score=0.5,
            draws=draws,
            draws_wrong=wrong,
            draws_rejected=rejected,
        )

    @classmethod
    def shard(cls, positions: Sequence[int], outcome: Outcome = Outcome.CORRECT) -> Shard:
        return cls.shard_of(*(cls.outcome(p, outcome) for p in positions))

    @staticmethod
    def shard_of(*outcomes: ImageOutcome) -> Shard:
        return Shard(outcomes=outcomes, seconds=1.5, queries=400, environment="{}")

    @staticmethod
    def counts(
        cell: Cell, *, correct: int = 0, wrong: int = 0, rejected: int = 0, shards: int = 0, failure: str = ""
    ) -> CellCounts:
        """Counts of images that were judged once, in so many shards."""
        return CellCounts(
            cell=cell,
            n=correct + wrong + rejected,
            correct=correct,
            wrong=wrong,
            rejected=rejected,
            fooled=wrong,
            rejected_share=rejected,
            seconds=1.5 * shards,
            queries=400 * shards,
            failure=failure,
        )


class Child:
    """A process that uses a store as it is told, see ``child.py``."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", Path(__file__).with_name("child.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, *command: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, *command: object) -> str:
        self.tell(*command)
        return self.line()

    def kill(self) -> list[str]:
        """Kill -9; what it had said until then."""
        self.process.kill()
        assert self.process.stdout is not None
        said = [line.strip() for line in self.process.stdout if line.endswith("\n")]
        self.close()
        return said

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "robench.db"


@pytest.fixture(scope="session")
def server_store(postgres: PostgresServer) -> str:
    """URL of a store on a server: emptied before each test, which is faster than making one."""
    url = postgres.new_database()
    ResultStore.open(url, create=True).close()
    return url


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Test a store on both kinds of database; a test that names its file, ``path``, is about SQLite alone."""
    if "location" in metafunc.fixturenames:
        server = [pytest.param("postgresql", marks=pytest.mark.postgres)]
        metafunc.parametrize(
            "location", ["sqlite", *([] if "path" in metafunc.fixturenames else server)], indirect=True
        )


@pytest.fixture
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be."""
    if request.param == "sqlite":
        return str(tmp_path / "robench.db")
    url: str = request.getfixturevalue("server_store")
    names = ", ".join(table.name for table in METADATA.sorted_tables)
    with closing_engine(url) as engine, engine.begin() as opened:
        opened.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    return url


@contextmanager
def closing_engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(location: str) -> Iterator[ResultStore]:
    with ResultStore.open(location, create=True) as opened:
        yield opened


@pytest.fixture
def rows(store: ResultStore) -> Rows:
    """Plain SQL, which is part of the interface."""
    return partial(select_rows, store)


def select_rows(store: ResultStore, query: str, **values: object) -> list[dict[str, Any]]:
    with connection.reading(store._engine) as opened:
        return [dict(row) for row in opened.execute(text(query), values).mappings()]


@pytest.fixture
def change(store: ResultStore) -> Callable[..., None]:
    """Changes rows behind the back of the store, as nobody may."""

    def do(statement: str, **values: object) -> None:
        with connection.writing(store._engine) as opened:
            opened.execute(text(statement), values)

    return do


@pytest.fixture
def child() -> Iterator[Callable[[], Child]]:
    children: list[Child] = []

    def start() -> Child:
        children.append(Child())
        return children[-1]

    yield start
    for process in children:
        if process.process.poll() is None:
            process.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user reaches; pytest's own are closed to others than their owner."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@pytest.fixture
def ordinary_user() -> Callable[[], object]:
    """Permissions do not bind root, so root becomes nobody for the length of a ``with`` block."""

    @contextmanager
    def become() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    return become
