"""The traces of a job's ranks, opened as a folder: each rank's timeline, flame graph and memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.profiler.rank_traces import write_ranks
from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab

#: Ahead of the first rank's, in microseconds; rank 2 is the one that the others wait for.
CLOCKS_US = (1_000.0, 751_000.0, 42_000.0)
LATE = 2


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    write_ranks(module_home.work / "ranks", CLOCKS_US, late=LATE, jitter_us=3)
    with running_lab(module_home) as found:
        yield found


@pytest.fixture
def lab(browser: Browser, server: LabServer) -> Iterator[LabPage]:
    with lab_page(browser, server, width=1280, height=800) as page:
        page.open()
        yield page
        assert page.problems == []


def together(lab: LabPage) -> Locator:
    """The profile of the folder, at its overview."""
    lab.execute("docmanager:open", {"path": "ranks/worker1.pt.trace.json"})
    shown = lab.page.locator(".gol-Profile:visible")
    expect(shown.get_by_role("tabpanel")).to_have_accessible_name("Overview", timeout=60_000)
    shown.get_by_role("button", name=f"All {len(CLOCKS_US)} traces of the folder").click()
    expect(shown.get_by_role("heading", level=2)).to_have_text("ranks")
    expect(shown.get_by_role("region", name="Ranks side by side").first).to_be_visible(timeout=60_000)
    return shown


def picker(shown: Locator) -> Locator:
    return shown.get_by_role("tabpanel").get_by_role("combobox", name="Rank")


def test_a_rank_leads_to_its_timeline_and_flame_graph(lab: LabPage) -> None:
    shown = together(lab)
    shown.get_by_role("button", name="Rank 1, Device 0").click()
    expect(shown.get_by_role("tabpanel")).to_have_accessible_name("Timeline")
    expect(lab.page.get_by_role("application", name="Timeline")).to_be_visible(timeout=60_000)
    expect(picker(shown)).to_have_value("1")
    expect(shown.get_by_text("stream 20", exact=True)).to_be_visible()
    picker(shown).focus()
    lab.page.keyboard.press("ArrowDown")
    expect(picker(shown)).to_have_value("2")
    box = shown.get_by_role("searchbox", name="Find slices by name")
    box.fill("gemm")
    box.press("Enter")
    expect(shown.get_by_role("region", name="Selection")).to_contain_text("2.2 ms")
    shown.get_by_role("tab", name="Flame graph").click()
    expect(picker(shown)).to_have_value("2")
    expect(shown.get_by_role("application", name="Flame graph")).to_be_visible(timeout=60_000)
    for theme in ("light", "dark"):
        lab.theme(theme)
        lab.shot(f"ranks-flame-1280-{theme}")
        shown.get_by_role("tab", name="Timeline").click()
        lab.shot(f"ranks-one-1280-{theme}")
        assert lab.serious_findings(".gol-Timeline") == []
        shown.get_by_role("tab", name="Flame graph").click()
