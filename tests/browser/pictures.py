"""Retakes docs/images: ``python -m tests.browser.pictures report.html reconstructions.png leaderboard.html``."""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import NAMES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LARGEST = 1200
"""Pixels that a picture is wide, at most."""


def keep(picture: bytes, name: str) -> None:
    """Write a picture as docs/images has it."""
    opened = Image.open(io.BytesIO(picture)).convert("RGB")
    opened.thumbnail((LARGEST, 10 * LARGEST))
    opened.save(IMAGES / f"{name}.webp", quality=80, method=6)


def photograph(
    browser: Browser, page: Path, *, wide: int, high: int, gallery: bool = False, phone: bool = False, scale: float = 1
) -> bytes:
    """Return a part of a page as PNG once its charts are drawn: from its top on, or the images of its last defense."""
    context = browser.new_context(
        viewport={"width": wide, "height": 900},
        color_scheme="dark" if phone else "light",
        device_scale_factor=scale,
        offline=True,
    )
    opened = context.new_page()
    opened.goto(page.resolve().as_uri())
    if opened.locator("[data-chart]").count():
        opened.wait_for_selector("html[data-drawn]", state="attached")
    begin: float = 0
    if gallery:
        defenses = opened.locator("[data-filter=defense]")
        defenses.select_option(index=defenses.locator("option").count() - 1)
        box = opened.locator("#gallery").bounding_box()
        begin = box["y"] if box else 0
    picture = opened.screenshot(full_page=True, clip={"x": 0, "y": begin, "width": wide, "height": high})
    context.close()
    return picture


def main() -> None:
    """Take all five."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="page of a run with --keep-examples")
    parser.add_argument("reconstructions", type=Path, help="from robench figure reconstructions -o FILE.png")
    parser.add_argument("leaderboard", type=Path, help="page of several stores")
    asked = parser.parse_args()
    program = next(filter(None, map(shutil.which, NAMES)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        keep(photograph(browser, asked.report, wide=1200, high=1720), "report-wide")
        keep(photograph(browser, asked.report, wide=390, high=1900, phone=True, scale=1.5), "report-phone")
        keep(photograph(browser, asked.report, wide=1200, high=1150, gallery=True), "report-images")
        keep(photograph(browser, asked.leaderboard, wide=1200, high=1200), "leaderboard")
        browser.close()
    keep(asked.reconstructions.read_bytes(), "figure-reconstructions")


if __name__ == "__main__":
    main()
