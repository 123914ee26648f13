"""A browser, a JupyterLab and pages for the tests of what people see.

Chromium, the Lab and its page are started once for all modules that pytest runs in a row (package scope); a module with
a fixture ``server`` of its own has a Lab and a page of its own. The page is brought back to its start before each test.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import CHROMIUM, NARROW, WHY_NOT, LabPage, SharedPage, chromium, lab_page
from tests.support.homes import temporary_home
from tests.support.lab_server import LabServer, SharedLab

from .hosts import tools

expect.set_options(timeout=30_000)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

if CHROMIUM is None:

    @pytest.fixture(autouse=True)
    def _needs_chromium() -> None:
        pytest.skip(WHY_NOT)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium. It ends with the last of these tests in a row: while Playwright runs, no other event loop can in
    this thread."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="package")
def shared_lab() -> Iterator[SharedLab]:
    """The JupyterLab of the modules that need none of their own, below a base URL of two levels, as behind a hub."""
    with temporary_home(debugger=True) as home:
        shutil.copy(EXAMPLES / "quickstart.ipynb", home.work)
        variables = {"HF_TOKEN": "hf-secret", "OTHER_TOKEN": "other-secret"}
        path = f"{tools(home)}:{os.environ['PATH']}"
        shared = SharedLab(home, base_url="/a/b/", env={**variables, "PATH": path})
        yield shared
        shared.stop()


@pytest.fixture(scope="module")
def server(shared_lab: SharedLab, request: pytest.FixtureRequest) -> Iterator[LabServer]:
    """The shared JupyterLab, with the quickstart in its folder. It must live when the module ends."""
    yield shared_lab.running()
    shared_lab.check(request.node.nodeid)


@pytest.fixture(scope="module")
def folder(server: LabServer, request: pytest.FixtureRequest) -> Path:
    """A folder of the module's own in the Lab's."""
    found = server.home.work / request.path.stem.removeprefix("test_")
    found.mkdir(exist_ok=True)
    return found


@pytest.fixture(scope="package")
def shared_page(browser: Browser) -> Iterator[SharedPage]:
    """The page of the shared Lab."""
    page = SharedPage(browser)
    yield page
    page.close()


@pytest.fixture(scope="module")
def module_page(
    browser: Browser,
    server: LabServer,
    shared_lab: SharedLab,
    shared_page: SharedPage,
    request: pytest.FixtureRequest,
) -> Iterator[LabPage]:
    """The module's page, as large as its ``SIZE`` says: that of the shared Lab, or one of its own Lab."""
    width, height = getattr(request.module, "SIZE", NARROW)
    if shared_lab.is_that(server):
        yield shared_page.of(server)
    else:
        with lab_page(browser, server, width=width, height=height) as page:
            yield page


@pytest.fixture
def lab(module_page: LabPage, request: pytest.FixtureRequest) -> Iterator[LabPage]:
    """A page with the Lab open, and nothing else; a test that leaves an error on it fails."""
    width, height = getattr(request.module, "SIZE", NARROW)
    module_page.start(width=width, height=height)
    yield module_page
    assert module_page.problems == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep a picture of the pages of a test that failed."""
    report = yield
    if report.failed:
        for page in LabPage.opened:
            page.suspect = True
    if report.failed and call.when == "call":
        for page in LabPage.opened:
            place = f"{item.nodeid.removeprefix('tests/')}-{LabPage.opened.index(page)}"
            name = re.sub(r"\W+", "-", f"failed-{place}")
            report.sections.append(("Page", f"{page.page.url}\n{page.shot_of_failure(name)}"))
    return report
