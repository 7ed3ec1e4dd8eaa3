"""What pictures show of a stored run, whatever state it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from robench.api.records import ADAPTIVE
from robench.report.html.library import bundle_library
from robench.report.html.page import to_html
from robench.session import Session
from tests.conftest import clean_environment
from tests.fabricated_store import THRESHOLD, Fabrication, fabricate

if TYPE_CHECKING:
    from pathlib import Path

    from robench.api.exhibit import Exhibit
    from tests.conftest import ToyLab


def exhibit_of(folder: Path, made: Fabrication) -> Exhibit:
    fabricate(folder / "r.db", made)
    session = Session(environ={**clean_environment(), "ROBENCH_CACHE": str(folder)}, cwd=folder)
    return session.exhibit(str(folder / "r.db"))


def test_defenses_that_reject_have_scores_of_clean_and_attacked_images(tmp_path: Path) -> None:
    shown = exhibit_of(tmp_path, Fabrication(images=80))
    assert {one.defense for one in shown.histograms} == {"magnet", "puvae-detect"}
    samples = [one.sample for one in shown.histograms if one.defense == "magnet"]
    assert samples[:3] == ["clean images", "adaptive, epsilon 0.2", "adaptive, epsilon 0.3"]
    assert samples[3].startswith(("fgsm", "pgd"))
    assert all(sum(one.right) + sum(one.wrong) == 80 for one in shown.histograms)
    assert all(one.threshold == THRESHOLD for one in shown.histograms)
    assert {one.defense for one in shown.rocs} == {"magnet", "puvae-detect"}


def test_critical_curves_never_rise_and_end_where_the_card_does(tmp_path: Path) -> None:
    shown = exhibit_of(tmp_path, Fabrication(images=80))
    assert [one.defense for one in shown.critical] == ["none", "magnet", "puvae", "puvae-detect"]
    for one, card in zip(shown.critical, shown.summary.cards, strict=True):
        assert list(one.standing) == sorted(one.standing, reverse=True)
        known = {metric.epsilon: metric.value for metric in card.metrics if metric.name == "strict robust accuracy"}
        assert one.standing[-1] == pytest.approx(known["0.3"])


def test_where_nothing_is_kept_the_page_says_how_to_keep_it(tmp_path: Path) -> None:
    shown = exhibit_of(tmp_path, Fabrication(images=20))
    assert shown.specimens == ()
    assert "--keep-examples" in to_html(shown, "")


def test_the_page_says_what_its_defenses_and_attacks_are_as_far_as_they_are_installed(lab: ToyLab) -> None:
    lab.run(defenses=("none", "toy-detect"), attacks=("fgsm",), epsilons="0.1", images=4)
    shown = lab.session().exhibit(str(lab.folder / "toys.db"))
    assert list(shown.glossary) == ["none", "toy-detect", "fgsm"]
    assert f"<dd>{shown.glossary['toy-detect']}</dd>" in to_html(shown, "")
    bare = Session(environ={**lab.environ(), "ROBENCH_DISABLE_PLUGINS": "1"}, cwd=lab.folder)
    assert "toy-detect" not in bare.exhibit(str(lab.folder / "toys.db")).glossary


@pytest.mark.parametrize(
    "made",
    [
        Fabrication(images=20, judged=0.5),
        Fabrication(images=20, judged=0.0),
        Fabrication(images=20, failed=("pgd",)),
        Fabrication(images=20, failed=("fgsm", "pgd", ADAPTIVE)),
        Fabrication(images=20, attacks=("fgsm", "pgd"), diagnosed=None),
        Fabrication(images=20, attacks=()),
        Fabrication(images=20, defenses=("none",), rejecting=()),
        Fabrication(images=20, norm="l2", epsilons=("0.5", "1", "2")),
        Fabrication(images=1, epsilons=("0.1",)),
        Fabrication(images=20, details={"attacks": None, "defenses": None, "replay": None, "environment": 3}),
    ],
    ids=["half", "nothing", "failed", "all-failed", "naive", "clean", "no-detector", "l2", "one-image", "old"],
)
def test_a_run_in_any_state_has_a_page(tmp_path: Path, made: Fabrication) -> None:
    shown = exhibit_of(tmp_path, made)
    assert f"seed {made.seed}" in to_html(shown, "")
    if made.judged < 1:
        assert shown.critical == ()
        assert "not all clean images are judged" in shown.notes[0]


def test_a_data_set_that_is_gone_costs_the_images_only(lab: ToyLab) -> None:
    lab.run(keep_examples=True, defenses=("none",), attacks=("fgsm",), epsilons="0.1", images=20)
    bare = Session(environ={**lab.environ(), "ROBENCH_DISABLE_PLUGINS": "1"}, cwd=lab.folder)
    shown = bare.exhibit(str(lab.folder / "toys.db"))
    assert shown.specimens == ()
    assert "no plugin has the data set 'toy-bars'" in shown.no_specimens
    assert shown.critical


def test_kept_images_are_shown_with_what_became_of_them(lab: ToyLab) -> None:
    lab.run(keep_examples=True, defenses=("none", "toy-detect"), attacks=("fgsm",), images=40)
    shown = lab.session().exhibit(str(lab.folder / "toys.db"))
    assert shown.no_specimens == ""
    cells = {(one.defense, one.epsilon) for one in shown.specimens}
    assert cells == {(defense, epsilon) for defense in ("none", "toy-detect") for epsilon in ("0.1", "0.3")}
    for one in shown.specimens:
        moved = np.abs(one.attacked.astype(int) - one.clean).max()
        assert 0 < moved <= 255 * float(one.epsilon) + 1
        assert (one.label, one.prediction) in {(a, b) for a in "abcd" for b in "abcd"}
        assert (one.outcome == "rejected") == (one.score is not None and one.score > (one.threshold or 0))
        assert one.reconstructions is None


def test_selecting_defenses_show_their_reconstructions(lab: ToyLab) -> None:
    lab.run(keep_examples=True, defenses=("toy-choose",), attacks=("fgsm",), epsilons="0.1", images=20)
    shown = lab.session().exhibit(str(lab.folder / "toys.db"))
    assert shown.specimens
    for one in shown.specimens:
        assert one.reconstructions is not None
        assert one.errors is not None
        assert one.reconstructions.shape == (4, 1, 8, 8)
        assert one.errors[0] == 0  # class 0 is the image itself
        assert np.abs(one.reconstructions[0].astype(int) - one.attacked).max() <= 1
        assert (one.reconstructions[1][0, 1:] == one.reconstructions[0][0, :-1]).all()


def test_a_damaged_file_of_examples_costs_the_images_only(lab: ToyLab) -> None:
    lab.run(keep_examples=True, defenses=("none",), attacks=("fgsm",), epsilons="0.1", images=20)
    for path in (lab.folder / "toys.examples").glob("*/*/*.safetensors"):
        path.write_bytes(b"nothing")
    shown = lab.session().exhibit(str(lab.folder / "toys.db"))
    assert shown.specimens == ()
    assert "cannot be shown" in shown.no_specimens


def test_the_page_of_a_large_run_is_small(tmp_path: Path) -> None:
    attacks = ("fgsm", "bim", "pgd", "apgd", "autoattack", ADAPTIVE)
    epsilons = tuple(f"{number / 100:g}" for number in range(1, 31))
    shown = exhibit_of(tmp_path, Fabrication(images=10, attacks=attacks, epsilons=epsilons))
    assert len(shown.summary.results) == 4 * 6 * 30
    assert len(to_html(shown, bundle_library()).encode()) < 3_000_000
