"""What float32 loses is no trace of the batch; statistics over the batch are, however small."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import pytest

from robench.registry import load_catalog
from robench.registry.scaffold import write_plugin
from robench.testing.checks import CHECKS
from robench.testing.examination import open_bench, run_check
from robench.testing.setting import Setting

if TYPE_CHECKING:
    from pathlib import Path

    from robench.api import DataContext

LARGE = Setting(shape=(3, 32, 32), classes=100)
"""On these images the linear classifier has logits of some hundred, and the template a small difference as score."""


@pytest.mark.parametrize(("sees", "status"), [("", "PASS"), (" - 0.01 * score.mean()", "FAIL")])
def test_a_score_may_round_but_not_see_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: DataContext, sees: str, status: str
) -> None:
    name = "rounds-blind" if status == "PASS" else "rounds-seeing"
    folder = write_plugin("defense", name, tmp_path, load_catalog(os.environ))
    module = name.replace("-", "_")
    network = folder / module / "_torch.py"
    text = network.read_text()
    assert "score=score)" in text
    network.write_text(text.replace("score=score)", f"score=score{sees})"))
    information = folder / f"{module}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[robench]\n{name} = {module}\n")
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    (check,) = [check for check in CHECKS["defense"] if check.name == "answers-alike-in-any-batch"]
    try:
        with open_bench("defense", name, load_catalog(os.environ), LARGE, data) as bench:
            result = run_check(check, bench)
    finally:
        for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == module]:
            del sys.modules[loaded]
    assert result.status == status, result.reason
