from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.results.pages import figures, newest_runs, robench

if TYPE_CHECKING:
    import pytest

ARCHIVE = Path(__file__).parents[2] / "docs" / "results" / "mnist.zip"


def test_a_store_from_an_archive_has_a_page_that_says_which_picture_is_missing_and_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    db = tmp_path / "imported.db"
    robench("db", "import", str(ARCHIVE), "--db", str(db))
    naive, adaptive = newest_runs(db, "mnist")
    assert adaptive is not None
    stale = tmp_path / "mnist-reconstructions.svg"
    stale.write_text("of another store")
    curves, proportion, reconstructions = figures(tmp_path, "mnist", naive["run"], adaptive["run"], db)
    for name, paragraph in (("curves", curves), ("proportion", proportion)):
        assert paragraph.startswith("![Figure ")
        assert naive["run"] in paragraph
        assert (tmp_path / f"mnist-{name}.svg").stat().st_size
    assert reconstructions.startswith(
        f"Figure 6 of the paper is not drawn: run {adaptive['run']} has no reconstructions"
    )
    assert "--keep-examples" in reconstructions
    assert not stale.exists()
    assert "the page of mnist goes without Figure 6" in capfd.readouterr().err
