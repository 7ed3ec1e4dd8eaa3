"""Charts say what the run says, in every format."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from robench.api.records import REJECTION, Card
from robench.errors import UsageError
from robench.report.figures.catalogue import FIGURES
from robench.report.figures.marks import OUTCOME_COLOURS, PAGE, results
from robench.report.figures.outcomes import headline
from robench.report.figures.paper import NAMES, caption_of, draw_figure
from tests.fabricated_exhibit import exhibit_of, specimen

if TYPE_CHECKING:
    from robench.api.exhibit import Exhibit
    from robench.api.records import RunSummary
    from tests.report.conftest import SummaryFactory

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def shown(small: RunSummary) -> Exhibit:
    return exhibit_of(small)


def rows_of(name: str, exhibit: Exhibit) -> list[dict[str, Any]]:
    chart: Any = FIGURES[name].draw(exhibit, PAGE)
    found: list[dict[str, Any]] = chart["datasets"]["rows"]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_drawn_as_svg(name: str, shown: Exhibit) -> None:
    root = ET.fromstring(draw_figure(name, shown, "svg"))
    assert root.tag == f"{SVG}svg"
    assert len(list(root.iter())) > 20


@pytest.mark.parametrize(("form", "magic"), [("pdf", b"%PDF-"), ("png", b"\x89PNG")])
@pytest.mark.parametrize("name", ["roc", "reconstructions"])
def test_figures_come_as_pdf_and_png(name: str, form: str, magic: bytes, shown: Exhibit) -> None:
    assert draw_figure(name, shown, form).startswith(magic)


@pytest.mark.parametrize("name", NAMES)
def test_no_figure_is_wider_than_two_columns(name: str, shown: Exhibit) -> None:
    root = ET.fromstring(draw_figure(name, shown, "svg"))
    assert float(root.attrib["width"]) <= 510


@pytest.mark.parametrize("name", ["curves", "outcomes", "proportion", "critical"])
@pytest.mark.parametrize(("norm", "other"), [("linf", "L2"), ("l2", "Linf")])
def test_axes_name_the_norm_of_the_run(name: str, norm: str, other: str, small: RunSummary) -> None:
    text = draw_figure(name, exhibit_of(small, norm=norm), "svg").decode()
    assert f"epsilon ({'Linf' if norm == 'linf' else 'L2'})" in text
    assert f"({other})" not in text


def test_curves_hold_accuracy_with_its_interval_and_mark_the_worst_epsilon(shown: Exhibit) -> None:
    rows = {(row["defense"], row["text"]): row for row in rows_of("curves", shown)}
    row = rows["magnet", "0.1"]
    assert row["accuracy"] == pytest.approx(100 * (416 + 25) / 500)
    assert row["low"] < row["accuracy"] < row["high"]
    assert [key for key, row in rows.items() if row["worst"]] == [("none", "0.3"), ("magnet", "0.1")]


def test_outcomes_add_up_to_all_images(shown: Exhibit) -> None:
    rows = [row for row in rows_of("outcomes", shown) if (row["defense"], row["epsilon"]) == ("magnet", "0.1")]
    assert [row["outcome"] for row in rows] == list(OUTCOME_COLOURS)
    assert sum(row["share"] for row in rows) == pytest.approx(100)


def test_the_heat_map_shows_the_smallest_the_middle_and_the_largest_epsilon(make_summary: SummaryFactory) -> None:
    summary = make_summary({("none", "pgd", f"0.{number}"): (400, 100, 0) for number in range(1, 8)})
    assert [row["panel"] for row in rows_of("heatmap", exhibit_of(summary))] == [
        "epsilon 0.1",
        "epsilon 0.4",
        "epsilon 0.7",
    ]


def test_only_defenses_that_reject_have_an_adversarial_proportion(shown: Exhibit) -> None:
    assert {row["defense"] for row in rows_of("proportion", shown)} == {"magnet"}


def test_lines_tell_what_the_attack_knows_alike_in_both_charts(shown: Exhibit) -> None:
    def lines(name: str) -> list[object]:
        text = json.dumps(FIGURES[name].draw(shown, PAGE))
        found: list[object] = []

        def collect(node: dict[str, Any]) -> dict[str, Any]:
            if "strokeDash" in node:
                found.append((node["strokeDash"], node["strokeWidth"]))
            return node

        json.loads(text, object_hook=collect)
        return found

    assert lines("curves") == lines("proportion") != []


def test_panels_of_one_defense_reach_from_the_same_score_to_the_same(shown: Exhibit) -> None:
    attacked = replace(shown.histograms[0], sample="pgd, epsilon 0.3", right=(0, 0, 0), wrong=(0, 9, 0))
    rows = rows_of("scores", replace(shown, histograms=(*shown.histograms, attacked)))
    for panel in ("magnet: clean images", "magnet: pgd, epsilon 0.3"):
        own = [row for row in rows if row["panel"] == panel]
        assert (min(row["from"] for row in own), max(row["to"] for row in own)) == (0.0, 0.03)


def test_wrong_predictions_are_counted_downwards(shown: Exhibit) -> None:
    rows = [row for row in rows_of("scores", shown) if row["images"]]
    assert {(row["kind"], row["signed"] > 0) for row in rows} == {("predicted right", True), ("predicted wrong", False)}
    assert sum(row["images"] for row in rows) == 10


def test_the_threshold_is_a_point_of_the_roc(shown: Exhibit) -> None:
    (point,) = (row for row in rows_of("roc", shown) if row["deployed"])
    assert (point["false"], point["true"]) == (5, 40)


def test_the_search_for_rejections_is_no_curve(make_summary: SummaryFactory) -> None:
    summary = make_summary({("m", "pgd", "0.1"): (1, 1, 0), ("m", REJECTION, "0.1"): (0, 0, 2)})
    assert [row["attack"] for row in results(summary)] == ["pgd"]


def test_few_points_of_a_long_sweep_carry_a_shape(make_summary: SummaryFactory) -> None:
    rows = results(make_summary({("m", "pgd", f"{number / 100:g}"): (1, 1, 0) for number in range(1, 31)}))
    assert sum(bool(row["marked"]) for row in rows) <= 8
    assert rows[-1]["marked"]


def test_the_strongest_kind_of_attack_is_shown_first() -> None:
    assert headline(["pgd", "adaptive", "worst-case"]) == "adaptive"
    assert headline(["pgd", "worst-case"]) == "worst-case"
    assert headline(["fgsm", "pgd"]) == "pgd"


def test_what_a_run_lacks_is_refused_with_the_reason(make_summary: SummaryFactory) -> None:
    bare = replace(exhibit_of(make_summary({}, clean={"none": (9, 1, 0)})), histograms=(), rocs=(), critical=())
    for name, figure in FIGURES.items():
        with pytest.raises(UsageError, match=figure.missing):
            draw_figure(name, bare, "svg")
    with pytest.raises(UsageError, match="has no reconstructions to draw: nothing is kept"):
        draw_figure("reconstructions", replace(bare, specimens=(), no_specimens="nothing is kept"), "svg")


def test_the_least_error_is_framed(shown: Exhibit) -> None:
    root = ET.fromstring(draw_figure("reconstructions", shown, "svg"))
    frames = [item for item in root.iter(f"{SVG}rect") if "stroke" in item.attrib]
    images = list(root.iter(f"{SVG}image"))
    assert len(frames) == 4
    assert len(images) == 4 * 13
    wins = {float(frame.attrib["x"]) + 1 for frame in frames}
    assert wins == {float(images[3 + 3].attrib["x"])}  # clean, attacked, difference, then class 3


def test_reconstructions_show_each_outcome_and_escape_names(small: RunSummary) -> None:
    hostile = replace(specimen(), label='<script>&"', outcome="correct")
    picture = draw_figure("reconstructions", replace(exhibit_of(small), specimens=(hostile, specimen(1))), "svg")
    assert b"<script" not in picture
    texts = [item.text or "" for item in ET.fromstring(picture).iter(f"{SVG}text")]
    assert any(text.startswith("correct: <script>") for text in texts)
    assert any(text.startswith("wrong:") for text in texts)


@pytest.mark.parametrize("name", NAMES)
def test_captions_name_images_seed_run_and_digests(name: str, shown: Exhibit) -> None:
    caption = caption_of(name, shown)
    for fact in ("n = 500", "seed 7", "0123456789ab", "data 0123456789ab", "classifier fedcba987654"):
        assert fact in caption


def test_charts_hold_no_number_that_json_lacks(shown: Exhibit) -> None:
    for figure in FIGURES.values():
        assert json.loads(json.dumps(figure.draw(shown, PAGE), allow_nan=False))  # NaN would be refused


def test_a_sweep_that_is_alike_at_all_epsilons_has_no_worst(make_summary: SummaryFactory) -> None:
    flat = {("none", "fgsm", "0.1"): (500, 0, 0), ("none", "fgsm", "0.3"): (500, 0, 0)}
    falling = {("none", "pgd", "0.1"): (500, 0, 0), ("none", "pgd", "0.3"): (0, 500, 0)}
    rows = rows_of("curves", exhibit_of(make_summary({**flat, **falling})))
    assert [(row["attack"], row["text"]) for row in rows if row["worst"]] == [("pgd", "0.3")]


def test_captions_say_what_is_not_to_be_relied_on(small: RunSummary) -> None:
    verdict = "UNRELIABLE: pgd: unbounded; LESS robust than no defense at eps 0.1"
    card = Card(defense="magnet", created="2026", verdict=verdict, lines=(), metrics=())
    assert "UNRELIABLE" not in caption_of("curves", exhibit_of(small))
    told = caption_of("curves", exhibit_of(replace(small, cards=(card,))))
    assert told.endswith("UNRELIABLE, the evaluation failed its diagnostics: magnet: pgd: unbounded.")


def test_captions_say_what_a_run_has_not_stored(small: RunSummary) -> None:
    assert "INCOMPLETE" not in caption_of("curves", exhibit_of(small))
    stopped = replace(small, complete=False, planned=50_000)
    assert " of 50,000 outcomes." in caption_of("curves", exhibit_of(stopped)).split("INCOMPLETE:")[1]


def test_figures_that_the_table_of_results_lacks_have_one_of_their_own(shown: Exhibit) -> None:
    told = {name: figure.numbers(shown) for name, figure in FIGURES.items() if figure.numbers}
    assert told["critical"][1][1] == ("magnet", "0.1", "500", "80.0", "70.0", "90.0")
    assert told["scores"][1] == [("magnet", "clean images", "0.0123", "8", "1", "1", "0")]
    assert told["roc"][1] == [("magnet", "pgd, epsilon 0.3", "500", "300", "0.850", "5.0", "40.0")]


def test_rows_of_reconstructions_name_their_defense(shown: Exhibit) -> None:
    text = draw_figure("reconstructions", shown, "svg").decode()
    assert text.count(f">{shown.specimens[0].defense}</text>") == len(shown.specimens)
