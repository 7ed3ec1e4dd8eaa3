"""Pages in a real browser: offline, without a complaint, by mouse, keyboard and screen reader, on paper and phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.conftest import Opener

PICTURES = ("curves", "heatmap", "critical", "outcomes", "proportion", "scores", "roc")


def overflow(page: Page) -> int:
    """By how many pixels a page is wider than its window."""
    width: int = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return width


def colour(page: Page, place: str, name: str) -> str:
    found: str = page.evaluate("([p, n]) => getComputedStyle(document.querySelector(p))[n]", [place, name])
    return found


def violations(page: Page) -> list[str]:
    """What axe-core calls serious or critical."""
    found = Axe().run(page).response["violations"]
    return [
        f"{item['id']}: {item['nodes'][0]['html'][:200]}" for item in found if item["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("width", [1200, 390])
def test_every_picture_is_drawn_without_network_and_complaint(open_page: Opener, report_page: Path, width: int) -> None:
    with open_page(report_page, width=width) as opened:
        for name in PICTURES:
            opened.drawn().page.wait_for_selector(f"#{name} svg.marks")
        assert overflow(opened.page) == 0
    assert opened.said == []
    assert opened.asked == []


def test_pointing_at_a_line_tells_its_figures(open_page: Opener, report_page: Path) -> None:
    with open_page(report_page) as opened:
        page = opened.drawn().page
        page.locator("#curves svg.marks").scroll_into_view_if_needed()
        page.locator(
            "#curves svg .mark-symbol.role-mark path[aria-label], #curves svg .mark-symbol.role-mark path"
        ).last.hover(force=True)
        tooltip = page.wait_for_selector("#vg-tooltip-element.visible")
        assert tooltip is not None
        text = tooltip.inner_text()
        assert "robust accuracy, %" in text
        assert "95 % from" in text


def test_one_attack_can_be_singled_out(open_page: Opener, report_page: Path) -> None:
    faint = "() => document.querySelectorAll('#curves svg path[opacity=\"0.08\"]').length"
    with open_page(report_page) as opened:
        page = opened.drawn().page
        assert page.evaluate(faint) == 0
        page.locator("[data-signal=curves]").select_option("adaptive")
        page.wait_for_function(f"({faint})() > 0")
    assert opened.said == []


def test_the_outcomes_of_each_attack_can_be_seen(open_page: Opener, report_page: Path) -> None:
    with open_page(report_page) as opened:
        page = opened.drawn().page
        menu, chart = page.locator("[data-signal=outcomes]"), page.locator("#outcomes svg")
        assert menu.input_value() == "adaptive"
        before = chart.inner_html()
        menu.focus()
        page.keyboard.press("ArrowDown")  # by keyboard
        assert menu.input_value() != "adaptive"
        page.wait_for_function(
            "([before]) => document.querySelector('#outcomes svg').innerHTML !== before", arg=[before]
        )


def test_every_line_of_a_card_is_explained(open_page: Opener, report_page: Path) -> None:
    with open_page(report_page) as opened:
        lines = opened.page.locator("#card-1 dt").all_inner_texts()
        assert len(lines) == 10
        assert set(lines) <= set(opened.page.locator("#reading dt").all_inner_texts())


def test_images_are_filtered_by_outcome(open_page: Opener, report_page: Path) -> None:
    with open_page(report_page) as opened:
        page = opened.page
        assert page.locator("#gallery-count").inner_text() == "4 of 4 shown"
        page.locator("[data-filter=outcome]").select_option("wrong")
        assert page.locator("#gallery-count").inner_text() == "2 of 4 shown"
        assert page.locator(".gallery article:visible").count() == 2
        page.locator("[data-filter=outcome]").select_option("")
        assert page.locator(".gallery article:visible").count() == 4


def test_the_first_stop_of_the_keyboard_skips_to_the_results(open_page: Opener, report_page: Path) -> None:
    with open_page(report_page) as opened:
        opened.page.keyboard.press("Tab")
        assert opened.page.evaluate("document.activeElement.textContent") == "Skip to the results"
        opened.page.keyboard.press("Enter")
        assert opened.page.evaluate("document.activeElement.id") == "main"


def test_what_must_be_scrolled_is_reached_by_keyboard(open_page: Opener, report_page: Path) -> None:
    unreached = (
        "[...document.querySelectorAll('.scroller')].filter(b => b.scrollWidth > b.clientWidth && b.tabIndex !== 0)"
    )
    for width in (1200, 390, 260):
        with open_page(report_page, width=width) as opened:
            assert opened.drawn().page.evaluate(f"{unreached}.length") == 0


def test_charts_have_the_colour_of_the_text_in_light_dark_and_print(open_page: Opener, report_page: Path) -> None:
    label = "#curves svg .role-axis-label text"
    with open_page(report_page, dark=True) as opened:
        page = opened.drawn().page
        assert colour(page, label, "fill") == colour(page, "body", "color") == "rgb(232, 235, 238)"
        page.emulate_media(media="print")
        assert colour(page, label, "fill") == colour(page, "body", "color") == "rgb(0, 0, 0)"
        assert colour(page, "body", "backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("nav").is_visible()
        assert page.pdf().startswith(b"%PDF")


def test_who_prints_before_all_charts_are_drawn_gets_them_all(open_page: Opener, report_page: Path) -> None:
    # While a page is printed no frames come; what a listener leaves to promises is done before, what it leaves to
    # timers is not.
    print_at_once = """() => new Promise((done) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => done(document.querySelectorAll("main svg.marks").length);
      window.dispatchEvent(new Event("beforeprint"));
      port2.postMessage(0);
    })"""
    with open_page(report_page, script="window.requestAnimationFrame = () => 0;") as opened:
        assert opened.page.locator("main svg.marks").count() == 0
        assert opened.page.evaluate(print_at_once) == len(PICTURES)
    assert opened.said == []


def test_charts_fit_the_paper(open_page: Opener, report_page: Path) -> None:
    widest = "Math.max(...[...document.querySelectorAll('main svg.marks')].map((chart) => chart.clientWidth))"
    with open_page(report_page) as opened:
        page = opened.drawn().page
        assert page.evaluate(widest) > 800
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        page.wait_for_function(f"{widest} <= 720")
        page.evaluate("window.dispatchEvent(new Event('afterprint'))")
        page.wait_for_function(f"{widest} > 800")
    assert opened.said == []


def test_charts_follow_the_width_of_the_window(open_page: Opener, report_page: Path) -> None:
    with open_page(report_page) as opened:
        page = opened.drawn().page
        page.set_viewport_size({"width": 420, "height": 900})
        page.wait_for_function("document.querySelector('#curves svg').clientWidth < 420")
        assert overflow(page) == 0
    assert opened.said == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1200, 390])
def test_axe_finds_nothing_serious(open_page: Opener, report_page: Path, dark: bool, width: int) -> None:
    with open_page(report_page, dark=dark, width=width, bypass_csp=True) as opened:
        assert violations(opened.drawn().page) == []


def test_a_run_that_was_stopped_has_a_page_too(open_page: Opener, partial_page: Path) -> None:
    with open_page(partial_page, bypass_csp=True) as opened:
        page = opened.drawn().page
        assert "INCOMPLETE" in page.locator("header").inner_text()
        assert "epsilon (L2)" in page.locator("#curves svg").inner_html()
        assert page.locator("[data-chart]").count() == 3
        assert violations(page) == []
    assert (opened.said, opened.asked) == ([], [])


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1200, 390])
def test_the_leaderboard_asks_nothing_and_shuts_nobody_out(
    open_page: Opener, leaderboard_page: Path, dark: bool, width: int
) -> None:
    with open_page(leaderboard_page, dark=dark, width=width, bypass_csp=True) as opened:
        page = opened.page
        assert page.locator("table.ranking tbody tr").count() > 8
        assert overflow(page) == 0
        page.locator("table.ranking a").first.click()
        assert page.evaluate("document.querySelector(location.hash).className") == "card"
        assert violations(page) == []
    assert (opened.said, opened.asked) == ([], [])
