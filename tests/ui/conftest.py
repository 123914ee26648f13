"""A browser for the tests of what people see."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import CHROMIUM, WHY_NOT, LabPage, chromium, lab_page
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab

expect.set_options(timeout=30_000)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

if CHROMIUM is None:

    @pytest.fixture(autouse=True)
    def _needs_chromium() -> None:
        pytest.skip(WHY_NOT)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module: while Playwright runs, no other event loop can in this thread."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    """A JupyterLab with the quickstart in its folder."""
    shutil.copy(EXAMPLES / "quickstart.ipynb", module_home.work)
    with running_lab(module_home) as found:
        yield found


@pytest.fixture
def lab(browser: Browser, server: LabServer) -> Iterator[LabPage]:
    """A page with the Lab open."""
    with lab_page(browser, server) as page:
        page.open()
        yield page
