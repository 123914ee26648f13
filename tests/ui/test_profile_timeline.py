"""The timeline of a real trace of 216,092 events, opened from the file browser."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.support.browser import SHOTS, LabPage
from tests.support.lab_server import LabServer
from tests.support.real_traces import TRACES

from .timeline_page import PATH, canvas, model, opened, overview, painted, put_trace, settled, status

SIZE = (1400, 850)

pytestmark = pytest.mark.skipif(
    not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here"
)


@pytest.fixture(scope="module", autouse=True)
def _traces(server: LabServer, folder: Path) -> None:
    put_trace(server)
    shutil.copytree(TRACES / "kineto" / "dlrm_8ranks", folder / "ranks")
    (folder / "no trace.json").write_text("{}")


def test_a_trace_is_zoomed_searched_and_selected_by_mouse_and_keys(lab: LabPage, server: LabServer) -> None:
    timeline = opened(lab, server)
    expect(timeline.get_by_role("button", name=re.compile("thread 785244"))).to_be_visible()
    expect(timeline.get_by_text("stream 7", exact=True)).to_be_visible()
    assert painted(lab) > 0.1
    before = model(lab, "model.view")
    canvas(lab).focus()
    for _ in range(12):
        lab.page.keyboard.press("w")
    after = model(lab, "model.view")
    assert after["nsPerPx"] == pytest.approx(before["nsPerPx"] * 0.75**12)
    settled(lab)
    assert painted(lab) > 0.02
    lab.page.keyboard.press("d")
    assert model(lab, "model.view.start") > after["start"]
    lab.page.keyboard.press("0")
    assert model(lab, "model.view.nsPerPx") == pytest.approx(before["nsPerPx"])

    # The wheel zooms at the pointer, and a drag pans.
    box = canvas(lab).bounding_box()
    assert box is not None
    at = 400
    time = "model.view.start + 400 * model.view.nsPerPx"
    before = model(lab, time)
    lab.page.mouse.move(box["x"] + at, box["y"] + 100)
    lab.page.mouse.wheel(0, -500)
    lab.page.wait_for_function(
        "before => window.jupyterapp.shell.currentWidget.content.model.view.nsPerPx < before",
        arg=model(lab, "model.span / model.view.width"),
    )
    scale = model(lab, "model.view.nsPerPx")
    assert model(lab, time) == pytest.approx(before, abs=scale)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + at - 150, box["y"] + 100, steps=5)
    lab.page.mouse.up()
    assert model(lab, time) == pytest.approx(before + 150 * scale, abs=2 * scale)
    lab.page.keyboard.press("0")
    settled(lab)

    # A stretch that is dragged out is summed.
    lab.page.keyboard.down("Shift")
    lab.page.mouse.move(box["x"] + 300, box["y"] + 30)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + 600, box["y"] + 130, steps=4)
    lab.page.mouse.up()
    lab.page.keyboard.up("Shift")
    selection = timeline.get_by_role("region", name="Selection")
    expect(selection.get_by_role("columnheader", name="Time")).to_be_visible()
    expect(selection.get_by_role("row")).not_to_have_count(1)
    expect(status(lab)).to_contain_text(re.compile(r"selected: [\d,]+ slices, busy for"))
    canvas(lab).press("Escape")

    # What is found is selected, and a kernel is tied to its launch.
    find = timeline.get_by_role("searchbox")
    find.fill("ncclKernel")
    find.press("Enter")
    found = timeline.locator(".gol-Timeline-found")
    expect(found).to_have_text(re.compile(r"^1 of [\d,]+$"))
    expect(status(lab)).to_contain_text(
        re.compile("^ncclKernel.*communication.*launched by cudaLaunchKernel")
    )
    find.press("Enter")
    expect(found).to_have_text(re.compile("^2 of "))
    find.press("Shift+Enter")
    expect(found).to_have_text(re.compile("^1 of "))

    selection = timeline.get_by_role("region", name="Selection")
    expect(selection.get_by_role("heading", level=3)).to_have_text(re.compile("^ncclKernel"))
    kernel = model(lab, "model.details.slice.slice")
    selection.get_by_role("button", name="cudaLaunchKernel").click()
    expect(status(lab)).to_contain_text("runtime call")
    assert kernel in model(lab, "model.details.launched.map(each => each.slice)")
    selection.get_by_role("button", name=re.compile("^ncclKernel")).click()
    expect(status(lab)).to_contain_text("communication")
    lab.looks("timeline-flow", ".gol-Timeline", SIZE)
    find.fill("(")
    timeline.get_by_role("checkbox", name="Regular expression").check()
    find.press("Enter")
    expect(timeline.locator(".gol-Timeline-fault")).to_contain_text("is not a regular expression")
    timeline.get_by_role("checkbox", name="Regular expression").uncheck()

    # A click selects, and keys go from slice to slice.
    find.fill("volta_sgemm")
    find.press("Enter")
    expect(timeline.get_by_role("region", name="Selection")).to_contain_text("volta_sgemm")
    settled(lab)
    place = model(
        lab,
        """({
          x: (model.details.slice.start_us + model.details.slice.dur_us / 2) * 1000 / model.view.nsPerPx
            - model.view.start / model.view.nsPerPx,
          y: 22 + model.topOf(model.details.slice) - model.scroll + 8,
          name: model.details.slice.name
        })""",
    )
    canvas(lab).press("Escape")
    expect(timeline.get_by_role("region", name="Selection")).to_have_count(0)
    canvas(lab).click(position={"x": place["x"], "y": place["y"]})
    expect(status(lab)).to_contain_text(place["name"])
    first = model(lab, "model.details.slice")
    lab.page.keyboard.press("Shift+ArrowRight")
    lab.page.wait_for_function(
        "first => window.jupyterapp.shell.currentWidget.content.model.details?.slice.slice !== first",
        arg=first["slice"],
    )
    second = model(lab, "model.details.slice")
    assert (second["lane"], second["row"]) == (first["lane"], first["row"])
    assert second["start_us"] >= first["start_us"] + first["dur_us"]

    # Lanes collapse.
    head = timeline.get_by_role("button", name=re.compile("thread 785244"))
    expect(head).to_have_attribute("aria-expanded", "true")
    height = model(lab, "model.placed.height")
    head.click()
    expect(head).to_have_attribute("aria-expanded", "false")
    assert model(lab, "model.placed.height") == height - 5 * 17


@pytest.fixture
def failed(lab: LabPage) -> Locator:
    """What a timeline says that the server does not answer."""
    lab.double_click(PATH)
    tab = lab.page.locator(".gol-Profile:visible").get_by_role("tab", name="Timeline")
    tab.wait_for(timeout=60_000)
    # A server that fails just here cannot be had otherwise.
    lab.page.route(re.compile(r"/timeline(\?.*)?$"), lambda route: route.abort())
    tab.click()
    callout = lab.page.locator(".gol-Timeline .gol-Callout")
    expect(callout).to_contain_text("The timeline could not be prepared.", timeout=30_000)
    return callout


def test_a_timeline_that_fails_is_tried_again(lab: LabPage, failed: Locator) -> None:
    lab.looks("timeline-failed", ".gol-Timeline", daily=False)
    lab.page.unroute_all()
    failed.get_by_role("button", name="Try again").click()
    expect(lab.page.get_by_role("application", name="Timeline")).to_be_visible(timeout=60_000)


@pytest.mark.exhaustive
def test_a_timeline_that_fails_leads_to_perfetto(lab: LabPage, failed: Locator) -> None:
    failed.get_by_role("button", name="Perfetto").click()
    expect(lab.page.locator(".lm-TabBar-tabLabel", has_text="Perfetto").first).to_be_visible(timeout=30_000)


def test_what_is_no_trace_says_so(lab: LabPage) -> None:
    lab.double_click("profile_timeline/no trace.json")
    expect(lab.page.locator(".gol-Callout")).to_contain_text("could not be analyzed", timeout=60_000)
    expect(lab.page.locator(".gol-Callout")).to_contain_text("Open With")


@pytest.mark.exhaustive
def test_a_profile_of_the_lab_has_its_timeline_by_command(lab: LabPage, server: LabServer) -> None:
    opened(lab, server)
    # The profile of the file lies behind it and asks for nothing.
    hidden = lab.page.evaluate(
        """() => [...window.jupyterapp.shell.widgets('main')]
          .map(each => each.content && each.content._shown && each.content._shown.value)
          .filter(each => each).map(each => each.model.visible)"""
    )
    assert hidden == [False]


def test_a_double_click_opens_all_views_of_a_trace(lab: LabPage) -> None:
    panel = overview(lab)
    expect(panel.get_by_role("region", name="Where the time was spent")).to_be_visible()
    expect(panel.get_by_role("article").first).to_be_visible()
    lab.page.get_by_role("tab", name="Timeline").click()
    expect(canvas(lab)).to_be_visible(timeout=60_000)
    memory = lab.page.get_by_role("img", name="Memory, device 1: peak 2.4 GiB")
    expect(memory).to_be_visible()
    drawn = """canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      .data.filter((each, at) => at % 4 === 3 && each > 0).length / (canvas.width * canvas.height)"""
    lab.page.wait_for_function(f"canvas => ({drawn})(canvas) > 0.05", arg=memory.element_handle())
    whole = memory.evaluate(drawn)
    canvas(lab).focus()
    for _ in range(16):
        lab.page.keyboard.press("w")
    lab.page.wait_for_function(
        f"([canvas, whole]) => ({drawn})(canvas) !== whole", arg=[memory.element_handle(), whole]
    )
    lab.page.keyboard.press("0")
    with lab.page.expect_download() as download:
        lab.page.get_by_role("button", name="PNG").click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    download.value.save_as(SHOTS / "timeline-saved.png")
    lab.looks("timeline-memory", ".gol-Timeline", (1280, 800), daily=False)


def test_advice_leads_to_its_moments(lab: LabPage) -> None:
    panel = overview(lab)
    advice = panel.get_by_role("article", name="Communication does not overlap with computation")
    advice.get_by_role("button", name="Show in the timeline").click()
    marks = lab.page.get_by_role("group", name="Marked moments")
    expect(marks).to_contain_text("Communication does not overlap with computation")
    expect(marks.get_by_role("status")).to_have_text("Moment 1 of 5")
    selection = lab.page.get_by_role("region", name="Selection")
    first = selection.get_by_role("heading", level=3)
    expect(first).to_have_text("4.93 ms, starting at 228 ms")
    expect(selection.get_by_role("row").filter(has_text="ncclKernel").first).to_be_visible()
    lab.looks("timeline-moment", ".gol-Timeline", daily=False)
    marks.get_by_role("button", name="Next moment").click()
    expect(marks.get_by_role("status")).to_have_text("Moment 2 of 5")
    expect(first).to_have_text(re.compile("starting at 588 ms$"))
    marks.get_by_role("button", name="Clear the marks").click()
    expect(marks).to_have_count(0)
    expect(selection).to_have_count(0)


@pytest.mark.exhaustive
def test_the_ranks_of_a_folder_are_shown_together(lab: LabPage) -> None:
    # As a double click does.
    lab.execute("docmanager:open", {"path": "profile_timeline/ranks/worker1.json.gz"})
    shown = lab.page.locator(".gol-Profile:visible")
    expect(shown.get_by_role("tabpanel")).to_have_accessible_name("Overview", timeout=60_000)
    shown.get_by_role("button", name="All 8 traces of the folder").click()
    expect(shown.get_by_role("heading", level=2)).to_have_text("ranks")
    ranks = shown.get_by_role("region", name="Comparison of ranks").first
    expect(ranks.get_by_role("row")).to_have_count(1 + 8, timeout=60_000)
    expect(ranks).to_contain_text("Rank 7 is late, and the others wait for it")
    expect(ranks.get_by_role("row").filter(has_text="late")).to_have_count(1)
    expect(shown.get_by_role("tab", name="Timeline")).to_have_count(1)
    shown.get_by_role("button", name="Show all ranks on one timeline").click()
    expect(shown.get_by_role("note")).to_contain_text(
        re.compile(r"Clocks are aligned by 8 shared collectives: 90 % of them end within ±[\d.]+ µs"),
        timeout=60_000,
    )
    expect(canvas(lab)).to_be_visible()
    lanes = shown.get_by_role("group", name="Lanes")
    for rank in range(8):
        expect(lanes.get_by_role("button", name=f"Rank {rank}", exact=True)).to_be_attached()
    lab.looks("timeline-ranks", ".gol-Timeline", daily=False)
    shown.get_by_role("tab", name="Overview").click()
    lab.looks("profile-ranks", ".gol-Profile:not(.lm-mod-hidden *)", daily=False)


REDDISH = """() => {
  const canvas = document.querySelector('.lm-Widget:not(.lm-mod-hidden) .gol-Timeline-canvas canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 22, canvas.width, canvas.height - 22);
  let found = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue] = data.slice(at, at + 3);
    const most = Math.max(red, green, blue);
    const range = most - Math.min(red, green, blue);
    const hue = red === most ? (60 * (green - blue)) / range : 180;
    found += range > 40 && hue > -20 && hue < 18 ? 1 : 0;
  }
  return found;
}"""


@pytest.mark.exhaustive
def test_nothing_that_is_no_error_is_red(lab: LabPage, server: LabServer) -> None:
    opened(lab, server)
    for theme in ("light", "dark"):
        lab.theme(theme)
        settled(lab)
        assert lab.page.evaluate(REDDISH) == 0, theme
