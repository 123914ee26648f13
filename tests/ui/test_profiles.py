"""A profile's views: a real trace of 216,092 events, and a summary that has every part."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Locator, expect
from sqlalchemy import delete, insert

from genops_lab.core.store import LocalStore
from genops_lab.core.store.tables import profiles
from genops_lab.profiling.ledger import KeptProfiles
from genops_lab.profiling.models import NewProfile
from tests.support.browser import LabPage
from tests.support.lab_server import LabServer
from tests.support.profile_summaries import CELL, NOTEBOOK, notebook, whole_summary
from tests.support.real_traces import real_trace

from .timeline_page import PATH, SOURCE, put_trace

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

WORKERS = [real_trace(f"resnet50_num_workers_{number}.json.gz") for number in (0, 4)]
needs_trace = pytest.mark.skipif(not SOURCE.is_file(), reason=f"the real trace {SOURCE.name} is not here")
WHOLE = "0123456789ab"


@pytest.fixture(scope="module", autouse=True)
def _whole(server: LabServer, folder: Path) -> None:
    """A profile whose summary has every part, and its notebook."""
    (folder / NOTEBOOK).write_text(json.dumps(notebook()))
    profiles = KeptProfiles(LocalStore(server.home.data / "store.db"))
    given = NewProfile(trace_path="none", title="two ranks", notebook=f"{folder.name}/{NOTEBOOK}")
    profiles.begin(WHOLE, given, str(server.home.data / "none"), 1)
    profiles.change(WHOLE, state="ready", summary=msgspec.json.encode(whole_summary()).decode())


def added(server: LabServer, trace: Path, title: str) -> str:
    """The id of a profile of a trace."""
    inbox = server.home.data / "profiles" / title
    inbox.mkdir(parents=True)
    copied = shutil.copy(trace, inbox)
    asked = {"trace_path": str(copied), "title": title, "run_id": "", "notebook": ""}
    status, answer = server.request("POST", "genops/profiles", asked, timeout=200)
    assert status == 200, answer
    assert answer["state"] == "ready", answer["message"]
    return str(answer["id"])


@pytest.fixture(scope="module")
def real(server: LabServer) -> str:
    """The id of the real trace's profile."""
    put_trace(server)
    status, answer = server.request("POST", "genops/profiles/open", {"path": PATH}, timeout=200)
    assert status == 200, answer
    return str(answer["id"])


def view(lab: LabPage) -> Locator:
    return lab.page.locator(".gol-Profile:visible")


def opened(lab: LabPage, profile_id: str, tab: str = "overview") -> Locator:
    lab.alone()
    lab.execute("genops:open-profile", {"id": profile_id, "tab": tab})
    panel = lab.page.locator(f"#genops-profile-{profile_id}").get_by_role("tabpanel")
    expect(panel).to_be_visible()
    return panel


def looked_at(lab: LabPage, name: str, *, daily: bool = True) -> None:
    lab.looks(f"profile-{name}", ".gol-Profile:not(.lm-mod-hidden *)", daily=daily)


def saved(lab: LabPage, button: Locator) -> bytes:
    with lab.page.expect_download() as download:
        button.click()
    return Path(download.value.path()).read_bytes()


@needs_trace
def test_the_real_trace_says_where_its_time_went(lab: LabPage, real: str) -> None:
    panel = opened(lab, real)
    expect(panel.get_by_text("216,092 events")).to_be_visible()
    picture = panel.get_by_role("img", name=re.compile("^Time of the devices: Device 1: Compute 36 %"))
    expect(picture).to_be_visible()
    drawn = picture.evaluate(
        """canvas => {
          const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          const colors = new Set();
          for (let at = 0; at < data.length; at += 4) {
            if (data[at + 3] === 255) colors.add(data.slice(at, at + 3).join());
          }
          return colors.size;
        }"""
    )
    assert drawn >= 3
    expect(panel.get_by_role("img", name=re.compile("^Device time of the steps: Step 2"))).to_be_visible()
    looked_at(lab, "overview-real", daily=False)


@needs_trace
def test_its_operators_are_sorted_filtered_and_saved(lab: LabPage, real: str) -> None:
    panel = opened(lab, real, "tables")
    grid = panel.get_by_role("grid", name="Operators")
    expect(panel.get_by_role("status")).to_have_text("51 rows")
    first = grid.locator("[role=row][aria-rowindex='2'] [role=gridcell]").first
    expect(first).to_have_text("record_param_comms")
    grid.get_by_role("columnheader", name="Calls").click()
    expect(grid.get_by_role("columnheader", name="Calls")).to_have_attribute("aria-sort", "descending")
    expect(first).to_have_text("aten::as_strided")
    panel.get_by_role("searchbox", name="Filter").fill("c10d")
    expect(panel.get_by_role("status")).to_contain_text("of 51 rows")
    rows = list(csv.DictReader(io.StringIO(saved(lab, panel.get_by_role("button", name="CSV")).decode())))
    assert rows
    assert all("c10d" in row["name"] for row in rows)
    looked_at(lab, "operators-real")


@needs_trace
@pytest.mark.exhaustive
def test_its_steps_are_sorted(lab: LabPage, real: str) -> None:
    panel = opened(lab, real, "tables")
    panel.get_by_role("button", name="Steps").click()
    grid = panel.get_by_role("grid", name="Steps")
    first = grid.locator("[role=row][aria-rowindex='2'] [role=gridcell]").first
    expect(first).to_have_text("ProfilerStep#3")
    for _ in range(2):
        grid.get_by_role("columnheader", name="Length").click()
        order = grid.get_by_role("columnheader", name="Length").get_attribute("aria-sort")
        if order == "ascending":
            break
    expect(first).to_have_text("ProfilerStep#6")
    rows = list(csv.DictReader(io.StringIO(saved(lab, panel.get_by_role("button", name="CSV")).decode())))
    lengths = [float(row["span_us"]) for row in rows]
    assert len(lengths) == 5
    assert lengths == sorted(lengths)
    looked_at(lab, "steps-real", daily=False)
    panel.get_by_role("button", name="Operators").click()


@needs_trace
@pytest.mark.exhaustive
def test_its_call_tree_is_walked_by_keys(lab: LabPage, real: str) -> None:
    panel = opened(lab, real, "flame")
    graph = panel.get_by_role("application", name=re.compile("^Flame graph"))
    expect(graph).to_be_visible(timeout=60_000)
    selected = panel.locator(".gol-Flame-selected")
    expect(selected).to_have_text(re.compile(r"^All: 1 s, 100 % of the total$"))
    graph.press("ArrowDown")
    expect(selected).to_have_text(re.compile(r"^thread 785244.*77 % of the total$"))
    graph.press("ArrowDown")
    expect(selected).to_have_text(re.compile("CompiledFunctionBackward.*5 calls\\. Operator$"))
    looked_at(lab, "flame-real", daily=False)
    graph.press("Enter")
    expect(panel.get_by_role("button", name="Reset zoom")).to_be_enabled()
    panel.get_by_role("searchbox", name="Find").fill("nccl")
    expect(panel.get_by_role("status")).to_have_text(re.compile(r"^\d+ ms in \d+ frames \(\d+ %\)$"))
    assert saved(lab, panel.get_by_role("button", name="PNG")).startswith(b"\x89PNG")


@pytest.mark.skipif(
    not all(each.is_file() for each in WORKERS), reason="the real traces of resnet50 are not here"
)
@pytest.mark.exhaustive
def test_two_profiles_are_compared(lab: LabPage, server: LabServer) -> None:
    before, after = (added(server, trace, trace.name.partition(".")[0]) for trace in WORKERS)
    lab.execute("genops:compare-profiles", {"before": before, "after": after})
    expect(view(lab).get_by_text("All times are per step: 6 steps before, 6 after.")).to_be_visible()
    idle = view(lab).get_by_role("row", name=re.compile("^Idle [0-9]"))
    expect(idle.get_by_role("cell")).to_have_text(["65.5 ms", "31.2 ms", "−34.3 ms", "−52 %"])
    expect(view(lab).get_by_text(re.compile("^Problems solved: .*[dD]ata"))).to_be_visible()
    looked_at(lab, "difference")
    view(lab).get_by_role("tab", name="Operators").click()
    grid = view(lab).get_by_role("grid", name="Operators")
    change = grid.get_by_role("columnheader", name="Change")
    expect(change).to_have_attribute("aria-sort", "descending")
    change.click()
    expect(grid.locator("[role=row][aria-rowindex='2']")).to_contain_text("_SingleProcessDataLoaderIter")
    looked_at(lab, "difference-operators", daily=False)


def test_all_parts_of_an_overview(lab: LabPage) -> None:
    panel = opened(lab, WHOLE)
    roofline = panel.get_by_role("region", name="Roofline")
    chart = roofline.get_by_role("img", name=re.compile("^Roofline of the operators: aten::mm"))
    expect(chart).to_be_visible()
    assert saved(lab, roofline.get_by_role("button", name="PNG")).startswith(b"\x89PNG")
    titles = panel.get_by_role("region", name="Advice").get_by_role("article")
    expect(titles).to_have_count(2)
    expect(titles.first).to_have_accessible_name("The device waits for data")
    expect(panel.get_by_text("The trace could not be read completely.")).to_be_visible()
    ranks = panel.get_by_role("region", name="Comparison of ranks").first
    expect(ranks).to_contain_text("Rank 1 computes 11 % longer than the median of the ranks.")
    expect(
        panel.get_by_role("img", name=re.compile("^Device time of the steps: Rank 0, Step 0"))
    ).to_be_visible()
    assert saved(lab, panel.get_by_role("button", name="PNG").first).startswith(b"\x89PNG")
    looked_at(lab, "overview")


@pytest.mark.exhaustive
def test_tabs_by_keyboard(lab: LabPage) -> None:
    opened(lab, WHOLE)
    tabs = view(lab).get_by_role("tab")
    tabs.first.focus()
    lab.page.keyboard.press("ArrowRight")
    expect(view(lab).get_by_role("tab", name="Cells and lines")).to_be_focused()
    expect(view(lab).get_by_role("tabpanel")).to_have_accessible_name("Cells and lines")
    lab.page.keyboard.press("End")
    expect(tabs.last).to_be_focused()
    lab.page.keyboard.press("Home")
    expect(tabs.first).to_have_attribute("aria-selected", "true")


def test_lines_lead_to_the_notebook_and_stand_in_it(lab: LabPage) -> None:
    panel = opened(lab, WHOLE, "lines")
    expect(panel.get_by_role("row")).to_have_count(1 + 4)
    panel.get_by_role("button", name="Open the notebook").click()
    lab.page.locator(".jp-NotebookPanel:visible .jp-Cell").wait_for()
    panel = opened(lab, WHOLE, "lines")
    expect(panel.get_by_role("row")).to_have_count(1 + len(CELL.split("\n")))
    looked_at(lab, "lines")
    panel.get_by_role("button", name="Show line 3").click()
    expect(lab.page.locator(".jp-NotebookPanel:visible")).to_be_visible()
    lab.page.wait_for_function(
        "line => window.getSelection().toString().trim() === line", arg=CELL.splitlines()[2].strip()
    )
    lab.execute("genops:toggle-line-times")
    times = lab.page.locator(".jp-NotebookPanel:visible .gol-LineTime")
    expect(times).to_have_text(["80 ms", "700 ms", "200 ms", "30 ms"])
    lab.looks("profile-gutter", ".jp-NotebookPanel:not(.lm-mod-hidden) .gol-LineTimes", (1280, 800))
    # A line that is written anew has no time; the others keep theirs.
    lab.page.keyboard.press("End")
    lab.page.keyboard.type("  # anew")
    expect(times).to_have_text(["80 ms", "200 ms", "30 ms"])
    lab.execute("genops:toggle-line-times")
    expect(times).to_have_count(0)
    expect(lab.page.locator(".gol-LineTimes")).to_have_count(0)


def test_kernels_below_their_operators(lab: LabPage) -> None:
    panel = opened(lab, WHOLE, "tables")
    panel.get_by_role("button", name="GPU kernels").click()
    panel.get_by_label("By operator").check()
    grid = panel.get_by_role("treegrid", name="GPU kernels")
    head = grid.get_by_role("button", name=re.compile("aten::mm"))
    expect(head).to_have_attribute("aria-expanded", "false")
    grid.locator("[role=row][aria-rowindex='2'] [role=gridcell]").nth(1).click()
    lab.page.keyboard.press("Home")
    lab.page.keyboard.press("ArrowRight")
    expect(head).to_have_attribute("aria-expanded", "true")
    expect(grid.get_by_text("sgemm_64x64_tn")).to_be_visible()
    looked_at(lab, "kernels", daily=False)
    panel.get_by_role("button", name="By shapes").click()
    expect(panel.get_by_text("H100 SXM: 67 TFLOP/s in fp32, 3,350 GB/s.")).to_be_visible()
    looked_at(lab, "shapes", daily=False)


def test_the_page_of_profiles_is_sorted_filtered_and_kept_over_a_reload(
    lab: LabPage, server: LabServer
) -> None:
    row = {"trace_path": "", "state": "ready", "message": "", "artifact": "", "notebook": "long.ipynb"}
    rows = [
        {**row, "id": f"p{at}", "title": f"profile {at}", "created_at": 1.0 + at, "size_bytes": 7 + at}
        for at in range(1100)  # more than a page of the server has
    ]
    store = LocalStore(server.home.data / "store.db")
    try:
        with store.transaction() as connection:
            connection.execute(insert(profiles), rows)
        page = lab.main_page("genops:open-profiles", "genops-profiles")
        filter_box = page.get_by_role("searchbox", name="Filter")
        filter_box.fill("long.ipynb")
        expect(page.get_by_role("status")).to_have_text(re.compile("^1100( of .*)? profiles$"))
        names = page.get_by_role("rowheader")
        expect(names).to_have_count(100)
        expect(names.first).to_have_text("profile 1099")
        page.get_by_role("button", name="Recorded").click()
        expect(names.first).to_have_text("profile 0")
        more = page.get_by_role("button", name="Show more")
        more.press("Enter")
        expect(names).to_have_count(200)
        filter_box.fill("profile 1042 long")
        expect(names).to_have_text(["profile 1042"])
        filter_box.fill("two ranks")
        expect(names).to_have_text(["two ranks"])
        filter_box.fill("profile 10 long")
        looked = names.filter(has_text=re.compile("^profile 10$"))
        # By keys alone: from the filter over the titles of the columns to the rows, and into the row's buttons.
        filter_box.focus()
        for _ in range(page.locator("thead button:visible").count() + 1):
            lab.page.keyboard.press("Tab")
        expect(looked.locator("..")).to_be_focused()
        lab.page.keyboard.press("ArrowDown")
        expect(page.get_by_role("row").nth(2)).to_be_focused()
        lab.page.keyboard.press("Tab")
        expect(page.get_by_role("row").nth(2).get_by_role("button", name="Compare…")).to_be_focused()
        lab.looks("profiles", "#genops-profiles")
    finally:
        with store.transaction() as connection:
            connection.execute(delete(profiles).where(profiles.c.id.in_([each["id"] for each in rows])))
        store.touch("profile")
        store.close()
    filter_box.fill("two ranks")
    expect(names).to_have_text(["two ranks"])
    names.first.locator("..").press("Enter")
    expect(view(lab).get_by_role("heading", name="two ranks")).to_be_visible()
    lab.kept_open("genops-profiles:genops-profiles", f"genops-profile:genops-profile-{WHOLE}")
    lab.page.reload()
    lab.ready()
    lab.page.get_by_role("tab", name="Profiles", exact=True).click()
    expect(page.get_by_role("rowheader", name="two ranks")).to_be_visible()
    assert lab.page.locator("#genops-profiles").count() == 1
