"""The benchmark's page: tables of one device are replaced, those of the other stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HERE = "tests/benchmarks"
PAGE = """# Performance
<!-- measured: CPU -->
old
<!-- end of CPU -->
between
<!-- measured: CUDA -->
theirs
<!-- end of CUDA -->
"""


def figures(device: str) -> dict[str, Any]:
    row = {"seconds": 2.0, "memory": 1234.0, "accuracy": {"0.1": 0.85, "0.2": 0.5, "0.3": 0.25}}
    libraries = ["pgd_foolbox", "pgd_torchattacks", "pgd_art"]
    ratios = [*libraries, *(f"{name}_trainable" for name in libraries), "fgsm_sweep", "worst_case_sweep"]
    return {
        **{f"{name}_ratio": 11.36 for name in ratios},
        "pgd_foolbox_ratio_float32": 6.5,
        "train_ratio": 2.9,
        "peak_share": 0.537,
        "device": device,
        "torch": "2.13.0",
        "precision": "bfloat16",
        "images": 100,
        "steps": 40,
        "image_steps_per_second": 330.1,
        "images_trained_per_second": 2515.4,
        "peak": 5.0e11,
        "operations_per_image_step": 8.17e8,
        "contestants": {"robench": row, "Foolbox": row},
        "sweeps": {"FGSM, robench": row},
        "growth": {"images": {"500": row, "10000": row}},
    }


@pytest.fixture
def write_page(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    monkeypatch.syspath_prepend(str(request.config.rootpath / HERE))
    from bench_page import write_page

    return write_page


@pytest.mark.parametrize(
    ("device", "kept", "replaced"), [("AMD EPYC, 2 threads", "theirs", "old"), ("NVIDIA H100", "old", "theirs")]
)
def test_the_tables_of_this_device_are_written_and_the_others_kept(
    tmp_path: Path, write_page: Any, device: str, kept: str, replaced: str
) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PAGE, encoding="utf-8")
    for _ in range(2):
        write_page(page, figures(device))
    text = page.read_text(encoding="utf-8")
    assert kept in text
    assert replaced not in text
    assert "between" in text
    assert text.count("| robench | 2.0 | 85.0 % | 1,234 |") == 1
    assert "against Foolbox on the plain module | 11.4x | 15.0x |" in text
    assert "54 %" in text


def test_the_committed_page_has_the_markers(request: pytest.FixtureRequest) -> None:
    text = (request.config.rootpath / "docs" / "performance.md").read_text(encoding="utf-8")
    for kind in ("CPU", "CUDA"):
        assert f"<!-- measured: {kind} -->" in text
        assert f"<!-- end of {kind} -->" in text
