"""Data sets that break one rule each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from robench.api import DataContext, DatasetSpec, Split, SplitName, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZES: dict[SplitName, int] = {"train": 60, "validation": 40, "test": 40}


def load(split: SplitName, context: DataContext, *, lie: str) -> Split:
    import random
    import socket

    import numpy as np

    seed: int | None = list(SIZES).index(split)
    if lie == "keeps-its-splits-apart" and split == "test":
        seed = 1
    if lie == "loads-the-same-again":
        seed = None
    generator = np.random.default_rng(seed)
    images = generator.uniform(0, 1, (SIZES[split], 1, 8, 8))
    if lie == "minds-offline":
        with socket.socket() as connection:
            connection.connect_ex(("127.0.0.1", 9))
            connection.connect(("127.0.0.1", 9))
    if lie == "writes-to-the-cache-only":
        context.cache_dir.mkdir(parents=True, exist_ok=True)
        (context.cache_dir.parent / "beside-the-cache.txt").write_text("mine", encoding="utf-8")
    if lie == "leaves-global-state-alone":
        random.seed(0)
    if lie == "prints-nothing":
        print("loading")  # noqa: T201
    kind = np.float64 if lie == "loads-as-declared" else np.float32
    return Split(images=images.astype(kind), labels=np.arange(SIZES[split], dtype=np.int64) % 4)


@hookimpl
def robench_datasets() -> Iterable[DatasetSpec]:
    make = partial(DatasetSpec, summary="lies", source="made up", shape=(1, 8, 8), sizes=SIZES)
    return [
        make(
            name=lie,
            classes=("a", "b", "c", "d"),
            load=partial(load, lie=lie),
        )
        for lie in (
            "loads-as-declared",
            "keeps-its-splits-apart",
            "loads-the-same-again",
            "minds-offline",
            "writes-to-the-cache-only",
            "leaves-global-state-alone",
            "prints-nothing",
        )
    ]
