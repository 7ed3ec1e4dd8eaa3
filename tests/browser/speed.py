"""How large the page of a large run is, how long it takes to make, and to open: ``python -m tests.browser.speed``.

Four defenses, six attacks and thirty epsilons, of made-up outcomes.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

from robench.api.records import ADAPTIVE
from tests.browser.conftest import NAMES
from tests.fabricated_store import Fabrication, fabricate

IMAGES = 1000
ATTEMPTS = 5
LARGE = Fabrication(
    attacks=("fgsm", "bim", "pgd", "apgd", "autoattack", ADAPTIVE),
    epsilons=tuple(f"{number / 100:g}" for number in range(1, 31)),
    images=IMAGES,
)


def _generate(folder: Path) -> tuple[float, float]:
    """Return the seconds that a report takes, and those of a processor."""
    command = [sys.executable, "-m", "robench", "report", "--format", "html", "--output", "report.html"]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _open(page: Path) -> tuple[float, float, float, float]:
    """Return the seconds until something is painted, the page is loaded, its first chart is drawn, and all are."""
    program = next(filter(None, map(shutil.which, NAMES)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1200, "height": 900})
        opened.goto(page.as_uri())
        opened.wait_for_selector("html[data-drawn]", state="attached")
        painted, loaded, *drawn = opened.evaluate(
            """[performance.getEntriesByName("first-contentful-paint")[0].startTime,
            performance.getEntriesByType("navigation")[0].loadEventEnd,
            ...performance.getEntriesByType("mark").map(mark => mark.startTime)]"""
        )
        browser.close()
    return painted / 1000, loaded / 1000, min(drawn) / 1000, max(drawn) / 1000


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fabricate(folder / "robench.db", LARGE)
        generated = [median(times) for times in zip(*(_generate(folder) for _ in range(ATTEMPTS)), strict=True)]
        page = folder / "report.html"
        size = page.stat().st_size
        opened = [median(times) for times in zip(*(_open(page) for _ in range(ATTEMPTS)), strict=True)]
    sys.stdout.write(
        f"4 defenses x 6 attacks x 30 epsilons, {IMAGES:,} images; medians of {ATTEMPTS}\n"
        f"generated from the store  {generated[0]:5.2f} s, {generated[1]:.2f} s of a processor\n"
        f"size                      {size / 1e6:5.2f} MB\n"
        f"painted                   {opened[0]:5.2f} s\n"
        f"loaded                    {opened[1]:5.2f} s\n"
        f"first chart               {opened[2]:5.2f} s\n"
        f"all charts                {opened[3]:5.2f} s\n"
    )


if __name__ == "__main__":
    main()
