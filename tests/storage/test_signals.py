"""A signal never leaves a transaction half done, nor a lock behind."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from robench.storage.signals import signals_held
from robench.storage.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

    from tests.storage.conftest import Make


class Stop(BaseException):
    """What the program's own handler raises."""


@pytest.fixture
def _stopping() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Stop

    before = signal.signal(signal.SIGINT, stop)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_after(seconds: float) -> threading.Thread:
    def send() -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.usefixtures("_stopping")
def test_a_signal_is_held_to_the_end_of_the_block_and_then_raised() -> None:
    steps: list[str] = []

    def work() -> None:
        with signals_held():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            steps.append("inside")
        steps.append("behind")

    with pytest.raises(Stop):
        work()
    assert steps == ["inside"]


@pytest.mark.usefixtures("_stopping")
def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with signals_held():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_another_thread_holds_nothing_and_works() -> None:
    seen: list[object] = []

    def work() -> None:
        with signals_held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


@pytest.mark.usefixtures("_stopping")
def test_interrupted_writers_leave_no_lock_and_no_partial_shard(tmp_path: Path, make: Make) -> None:
    generator = random.Random(0)
    location = str(tmp_path / "results.db")
    run, cell = make.run(images=100_000), make.cell()
    with ResultStore.open(location, create=True) as store:
        store.add_run(run, [cell])
        position = 0
        for _ in range(25):
            try:
                thread = interrupt_after(generator.uniform(0.02, 0.08))
                while True:
                    store.add_shard(cell.key, make.shard(range(position, position + 10)))
                    position += 10
            except Stop:
                begun = time.monotonic()
                store.set_status(run.id, "interrupted")
                assert time.monotonic() - begun < 2
            thread.join()
            stored = 100_000 - len(store.missing(cell.key, 100_000))
            assert stored % 10 == 0
            # The shard in hand may have been committed just before the signal was let through.
            assert stored in {position, position + 10}
            position = stored
