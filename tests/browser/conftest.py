"""A real browser without a window, and pages to open in it."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from robench.api.records import ADAPTIVE
from robench.report.html.leaderboard import leaderboard_html
from robench.report.html.library import bundle_library
from robench.report.html.page import to_html
from robench.session import Session
from tests.conftest import clean_environment
from tests.fabricated_exhibit import specimen
from tests.fabricated_store import Fabrication, fabricate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "no Chromium is installed: `apt-get install chromium`"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here."""
    for item in items:
        if "/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.chromium)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Where none is installed, what needs it skips and says what to install; in CI it fails."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        if "REQUIRE_CHROMIUM" in os.environ:
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    arguments = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=arguments)
        yield opened
        opened.close()


@dataclass(kw_only=True)
class Opened:
    """A page in the browser.

    Attributes:
        page: To be driven.
        said: What it said on its console, errors included.
        asked: What it asked of the network, itself left out.
    """

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def drawn(self) -> Opened:
        """Wait until all charts are there."""
        self.page.wait_for_selector("html[data-drawn]", state="attached")
        return self


class Opener:
    """Opens pages."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    @contextmanager
    def __call__(
        self, path: Path, *, width: int = 1200, dark: bool = False, bypass_csp: bool = False, script: str = ""
    ) -> Iterator[Opened]:
        context = self._browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            bypass_csp=bypass_csp,
            offline=True,
        )
        context.add_init_script(script)
        opened = Opened(page=context.new_page())
        opened.page.on("console", lambda message: opened.said.append(message.text))
        opened.page.on("pageerror", lambda error: opened.said.append(str(error)))
        opened.page.on("request", lambda request: opened.asked.append(request.url))
        address = path.as_uri()
        opened.page.goto(address)
        yield opened
        opened.asked = [url for url in opened.asked if url != address and not url.startswith("data:")]
        context.close()


@pytest.fixture(scope="session")
def open_page(browser: Browser) -> Opener:
    return Opener(browser)


def report(folder: Path, made: Fabrication, *, pictures: bool) -> Path:
    """Write the page of a made-up run."""
    fabricate(folder / "r.db", made)
    session = Session(environ={**clean_environment(), "ROBENCH_CACHE": str(folder)}, cwd=folder)
    shown = session.exhibit(str(folder / "r.db"))
    if pictures:
        ends = ("correct", "wrong", "rejected", "wrong")
        specimens = tuple(specimen(number, outcome=end) for number, end in enumerate(ends))
        shown = replace(shown, specimens=specimens, no_specimens="")
    path = folder / "report.html"
    path.write_text(to_html(shown, bundle_library()), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def report_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with everything."""
    return report(tmp_path_factory.mktemp("report"), Fabrication(images=60), pictures=True)


@pytest.fixture(scope="session")
def partial_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run that was stopped, in L2, without a detector."""
    made = Fabrication(
        images=20, judged=0.5, norm="l2", epsilons=("0.5", "1"), rejecting=(), defenses=("none",), diagnosed=None
    )
    return report(tmp_path_factory.mktemp("partial"), made, pictures=False)


@pytest.fixture(scope="session")
def leaderboard_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two stores, one of which has a defense that nobody attacked in earnest."""
    folder = tmp_path_factory.mktemp("leaderboard")
    fabricate(folder / "a.db", Fabrication(images=60))
    naive = Fabrication(images=40, defenses=("blind",), rejecting=("blind",), attacks=("fgsm", "pgd"))
    fabricate(folder / "b.db", naive)
    fabricate(folder / "c.db", Fabrication(images=20, dataset="cifar10", norm="l2", attacks=("pgd", ADAPTIVE)))
    session = Session(environ={**clean_environment(), "ROBENCH_CACHE": str(folder)}, cwd=folder)
    path = folder / "leaderboard.html"
    boards = session.leaderboard([str(folder / f"{name}.db") for name in "abc"])
    path.write_text(leaderboard_html(boards), encoding="utf-8")
    return path
