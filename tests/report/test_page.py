"""The page of a run: everything is in it, nothing is fetched, and names of strangers stay text."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from robench.api.exhibit import Exhibit
from robench.api.records import REJECTION, Card, FailureRow, Finding
from robench.report.html.gallery import gallery_rows
from robench.report.html.library import bundle_library
from robench.report.html.page import to_html
from tests.fabricated_exhibit import exhibit_of, specimen

if TYPE_CHECKING:
    from robench.api.records import RunSummary
    from tests.report.conftest import SummaryFactory

LIBRARY = 'window.vegaEmbed = "</script>";'


class Reader(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        self.tags.append((tag, own))
        self._open = tag
        if tag == "script" and "type" not in own:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script" and self.scripts and self.tags[-1] == ("script", {}):
            self.scripts[-1] += data
        elif self._open not in {"script", "style"}:
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def page_of(exhibit: Exhibit) -> Reader:
    return Reader(to_html(exhibit, LIBRARY))


@pytest.fixture(scope="module")
def shown(small: RunSummary) -> Exhibit:
    card = Card(defense="magnet", created="2026", verdict="upper bound only", lines=(("THREAT", "Linf"),))
    details = {**small.details, "replay": "robench run --seed 7"}
    return exhibit_of(replace(small, cards=(card,), details=details))


def test_a_page_has_every_picture_card_number_and_image(shown: Exhibit) -> None:
    page = page_of(shown)
    ids = {own["id"] for own in page.all("section") if "id" in own}
    pictures = {"curves", "heatmap", "critical", "outcomes", "proportion", "scores", "roc"}
    assert ids == pictures | {"verdicts", "gallery", "cards", "numbers", "reading", "provenance"}
    assert len(page.all("article")) == 4 + 1
    assert page.words.count("upper bound only") == 2
    for fact in ("n = 500 images, seed 7, Linf", "0123456789ab", "fedcba987654", "robench run --seed 7", "88.2"):
        assert fact in page.words


def test_a_page_refers_to_nothing_outside_itself(shown: Exhibit) -> None:
    page = page_of(shown)
    addresses = [own[name] for _, own in page.tags for name in ("src", "href") if name in own]
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    targets = {own["id"] for _, own in page.tags if "id" in own}
    assert {address[1:] for address in addresses if address.startswith("#")} <= targets
    assert "url(" not in to_html(shown, LIBRARY)


def test_browsers_are_told_to_run_the_programs_of_the_page_only(shown: Exhibit) -> None:
    page = page_of(shown)
    (policy,) = (own["content"] for own in page.all("meta") if own.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert len(page.scripts) == 2
    for script in page.scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_the_library_cannot_end_its_script_element(shown: Exhibit) -> None:
    assert page_of(shown).scripts[0] == 'window.vegaEmbed = "<\\/script>";'


def test_names_of_strangers_stay_text(make_summary: SummaryFactory) -> None:
    evil = '</script><img src=x onerror="alert(1)">'
    summary = make_summary(
        {(evil, evil, "0.1"): (1, 1, 0)},
        failures=[FailureRow(defense=evil, attack=evil, epsilon="0.2", reason=evil)],
    )
    pictures = replace(exhibit_of(summary), specimens=(replace(specimen(), defense=evil, attack=evil, label=evil),))
    page = page_of(pictures)
    assert all(own["src"].startswith("data:image/png") for own in page.all("img"))
    assert evil in page.words


@pytest.mark.parametrize("norm", ["linf", "l2", "none"])
def test_a_run_without_anything_has_a_page_that_says_so(norm: str, make_summary: SummaryFactory) -> None:
    summary = replace(make_summary({}, complete=False), norm=norm)
    page = page_of(Exhibit(summary=summary, no_specimens="No attacked images of this run are kept."))
    assert "INCOMPLETE" in page.words
    assert "the run has no evaluation card" in page.words
    assert "the run has no outcomes yet" in page.words
    assert "no attack of the run has outcomes" in page.words
    assert "No attacked images of this run are kept." in page.words
    assert page.all("div") == []  # no chart


def test_what_failed_and_what_is_missing_is_told(make_summary: SummaryFactory) -> None:
    failure = FailureRow(defense="none", attack="bim", epsilon="0.1", reason="no memory")
    summary = make_summary({("none", "pgd", "0.1"): (9, 1, 0)}, failures=[failure], complete=False, images=20)
    page = page_of(Exhibit(summary=summary, notes=("scores of none: not yet",)))
    for told in ("failed cells: 1", "no memory", "scores of none: not yet", "no defense of the run has a threshold"):
        assert told in page.words


def test_a_run_of_an_older_robench_has_a_page(make_summary: SummaryFactory) -> None:
    summary = make_summary({("none", "pgd", "0.1"): (9, 1, 0)}, details={"defenses": "what was this"})
    page = page_of(Exhibit(summary=summary))
    assert "To repeat it" not in page.words
    assert "robench run" in page.words


def test_readers_who_do_not_see_are_told_what_is_where(shown: Exhibit) -> None:
    page = page_of(shown)
    assert page.all("html") == [{"lang": "en"}]
    ids = {own["id"] for _, own in page.tags if "id" in own}
    charts = [own for own in page.all("div") if own.get("class") == "chart"]
    assert len(charts) == 7
    for chart in charts:
        assert chart["role"] == "img"
        assert {chart["aria-labelledby"], chart["aria-describedby"]} <= ids
    assert all(own["alt"] for own in page.all("img"))
    assert len(page.all("label")) == len(page.all("select"))


def test_the_gallery_marks_the_least_error_in_words(small: RunSummary) -> None:
    (row,) = gallery_rows([specimen()])
    assert [picture.caption for picture in row.pictures] == ["clean", "attacked", "difference"]
    assert [picture.winner for picture in row.reconstructions] == [number == 3 for number in range(10)]
    assert row.reconstructions[3].text == "reconstruction as class 3, the least error"
    assert row.reconstructions[3].error == "0.050"


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_the_images_and_grey_is_no_change(channels: int) -> None:
    own = specimen(channels=channels)
    same = replace(own, attacked=own.clean)
    clean, _, difference = (decoded(picture.source) for picture in gallery_rows([same])[0].pictures)
    assert (clean == (own.clean[0] if channels == 1 else own.clean.transpose(1, 2, 0))).all()
    assert (difference == 127).all()


def test_a_defense_without_reconstructions_shows_none() -> None:
    (row,) = gallery_rows([specimen(selecting=False)])
    assert row.reconstructions == ()


def decoded(source: str) -> np.ndarray:
    content = base64.b64decode(re.sub("^data:image/png;base64,", "", source))
    return np.asarray(Image.open(io.BytesIO(content)))


def test_the_library_is_whole() -> None:
    library = bundle_library()
    assert len(library) > 500_000
    assert "http://" not in re.sub(r"http://www\.w3\.org/[\w/]+", "", library)


def test_what_did_not_pass_is_told_with_its_mend(shown: Exhibit) -> None:
    failed = Finding(name="pgd: order", status="FAIL", number="3 of 10", meaning="it is masked", mend="look there")
    warned, passed = (
        replace(failed, name="pgd: redraw", status="WARN"),
        replace(failed, name="pgd: chance", status="PASS"),
    )
    words = page_of(replace(shown, findings={"magnet": (warned, passed, failed)})).words
    assert words.index("pgd: order") < words.index("pgd: redraw")
    assert "FAIL 3 of 10 it is masked look there" in words
    assert "pgd: chance" not in words
    assert "did not pass" not in page_of(shown).words


def test_the_search_for_rejections_is_in_no_table(shown: Exhibit) -> None:
    row = replace(shown.summary.results[0], attack=REJECTION, knowledge="adaptive", epsilon="0.0777")
    page = page_of(replace(shown, summary=replace(shown.summary, results=(*shown.summary.results, row))))
    assert "0.0777" not in page.words
