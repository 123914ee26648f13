"""The flame graph of a small trace: zoom, search, keys, themes, and what is taken along."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.profiling.events import slice_of
from tests.support.browser import LabPage
from tests.support.lab_server import LabServer

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]


#: On the device 3 ms of a kernel below linear and mm, and 1 ms below add; on the host 0.6 and 0.3 of 1 ms.
EVENTS = [
    slice_of("user_annotation", "ProfilerStep#1", 0, 1000),
    slice_of("cpu_op", "aten::linear", 0, 600),
    slice_of("cpu_op", "aten::mm", 100, 400),
    slice_of("cuda_runtime", "cudaLaunchKernel", 150, 10, correlation=1),
    slice_of("cpu_op", "aten::add", 600, 300),
    slice_of("cuda_runtime", "cudaLaunchKernel", 650, 10, correlation=2),
    slice_of("kernel", "sgemm_128x64", 1000, 3000, 7, correlation=1, device=0, stream=7),
    slice_of("kernel", "add_kernel", 4000, 1000, 7, correlation=2, device=0, stream=7),
]


@pytest.fixture(scope="module")
def profile_id(server: LabServer) -> str:
    trace = server.home.data / "profiles" / "small" / "small.json"
    trace.parent.mkdir(parents=True)
    trace.write_text(json.dumps({"traceEvents": EVENTS}))
    asked = {"trace_path": str(trace), "title": "small", "run_id": "", "notebook": ""}
    status, answer = server.request("POST", "genops/profiles", asked, timeout=200)
    assert status == 200, answer
    assert answer["state"] == "ready", answer["message"]
    return str(answer["id"])


@pytest.fixture
def panel(lab: LabPage, profile_id: str) -> Locator:
    """The flame graph, opened anew."""
    lab.alone()
    lab.execute("genops:open-profile", {"id": profile_id, "tab": "flame"})
    found = lab.page.locator(f"#genops-profile-{profile_id}").get_by_role("tabpanel")
    expect(frame(found, "All")).to_be_visible(timeout=60_000)
    return found


def frame(panel: Locator, name: str) -> Locator:
    return panel.locator(f'.gol-Flame-host .frame[name="{name}"]')


def graph(panel: Locator) -> Locator:
    return panel.get_by_role("application", name=re.compile("^Flame graph"))


def comes_to(panel: Locator, name: str, wanted: float) -> None:
    """Wait until a frame has moved to this share of the picture's width."""
    panel.page.wait_for_function(
        """([panel, name, wanted]) => {
          const rect = panel.querySelector(`.gol-Flame-host .frame[name="${name}"] rect`);
          const whole = panel.querySelector('.gol-Flame-host svg')?.clientWidth;
          return rect && whole && Math.abs(rect.getBoundingClientRect().width / whole - wanted) <= 0.02;
        }""",
        arg=[panel.element_handle(), name, wanted],
        timeout=60_000,
    )


def pixels(lab: LabPage, png: bytes) -> dict[str, int]:
    """The size of a picture, and how many colours fill more than a hundred pixels of it."""
    found: dict[str, int] = lab.page.evaluate(
        """async data => {
          const blob = await (await fetch('data:image/png;base64,' + data)).blob();
          const {width, height} = await createImageBitmap(blob);
          const canvas = new OffscreenCanvas(width, height);
          const context = canvas.getContext('2d');
          context.drawImage(await createImageBitmap(blob), 0, 0);
          const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
          const counts = new Map();
          pixels.forEach(each => counts.set(each, (counts.get(each) ?? 0) + 1));
          // Letters are dark on the light theme, and nothing else is.
          const dark = pixels.filter(each => (each & 255) + (each >> 8 & 255) + (each >> 16 & 255) < 200).length;
          return {width, height, dark, colors: [...counts.values()].filter(each => each > 100).length};
        }""",
        base64.b64encode(png).decode(),
    )
    return found


def test_it_is_walked_fits_where_it_is_shown_and_is_saved(lab: LabPage, panel: Locator) -> None:
    comes_to(panel, "linear", 0.75)
    comes_to(panel, "add", 0.25)
    expect(panel.get_by_role("button", name="Reset zoom")).to_be_disabled()
    frame(panel, "add").click()
    comes_to(panel, "add", 1)
    expect(panel.locator(".gol-Flame-selected")).to_have_text(
        "add: 1 ms, 25 % of the total, 1 call. Operator. Zoomed in"
    )
    # What is around it is as wide, what is beside it is gone.
    comes_to(panel, "ProfilerStep", 1)
    expect(frame(panel, "linear")).to_have_count(0)
    frame(panel, "All").click()
    comes_to(panel, "add", 0.25)
    frame(panel, "linear").dblclick()
    comes_to(panel, "sgemm_128x64", 1)
    panel.get_by_role("button", name="Reset zoom").click()
    comes_to(panel, "linear", 0.75)
    panel.get_by_role("button", name="Host time").click()
    comes_to(panel, "linear", 0.6)
    expect(frame(panel, "sgemm_128x64")).to_have_count(0)
    panel.get_by_role("button", name="Device time").click()
    comes_to(panel, "linear", 0.75)

    # By keys.
    said = panel.locator(".gol-Flame-selected")
    graph(panel).press("Escape")
    for key, words in [
        ("ArrowDown", "^thread 1"),
        ("ArrowDown", "^ProfilerStep: 4 ms"),
        ("ArrowDown", "^linear: 3 ms"),
        ("ArrowRight", "^add: 1 ms"),
        ("ArrowRight", "^add: 1 ms"),
    ]:
        graph(panel).press(key)
        expect(said).to_have_text(re.compile(words))
    marked = panel.locator(".gol-mod-selected")
    expect(marked).to_have_attribute("name", "add")
    graph(panel).press("Enter")
    comes_to(panel, "add", 1)
    # From what is beside it, which is not seen now, it can be widened as well.
    graph(panel).press("ArrowLeft")
    expect(said).to_have_text(re.compile("^linear"))
    graph(panel).press("Enter")
    comes_to(panel, "linear", 1)
    graph(panel).press("Escape")
    comes_to(panel, "add", 0.25)
    expect(marked).to_have_attribute("name", "All")
    expect(graph(panel)).to_be_focused()

    # In another size.
    svg = panel.locator(".gol-Flame-host svg")
    tabs = lab.page.locator(".gol-Profile:visible")
    tabs.get_by_role("tab", name="Overview").click()
    lab.page.set_viewport_size({"width": 900, "height": 700})
    tabs.get_by_role("tab", name="Flame graph").click()
    # The panel gets its new width after the window: until then the picture fits the old one.
    fits = """([least, most]) => {
      const svg = document.querySelector('.gol-Flame-host svg');
      const width = svg?.closest('.gol-Flame').clientWidth;
      return width > least && width < most && Math.abs(svg.clientWidth - width) < 2;
    }"""
    lab.page.wait_for_function(fits, arg=[0, 900], timeout=60_000)
    lab.page.set_viewport_size({"width": 1280, "height": 800})
    lab.page.wait_for_function(fits, arg=[900, 1280], timeout=60_000)
    comes_to(panel, "linear", 0.75)

    # As a picture.
    def saved() -> dict[str, int]:
        with lab.page.expect_download() as download:
            panel.get_by_role("button", name="PNG").click()
        return pixels(lab, Path(download.value.path()).read_bytes())

    whole = saved()
    size = svg.evaluate("svg => [svg.clientWidth, svg.clientHeight]")
    assert [whole["width"], whole["height"]] == [2 * each for each in size]
    # Kinds, the background, the accent of what is selected, and names in letters.
    assert whole["colors"] >= 6
    assert whole["dark"] > 500
    frame(panel, "add").click()
    comes_to(panel, "add", 1)
    zoomed = saved()
    # Less is seen of a smaller part: mm below linear is gone.
    assert zoomed["height"] == whole["height"] - 2 * 20

    panel.get_by_role("button", name="Reset zoom").click()
    panel.get_by_role("searchbox", name="Find").fill("mm")
    frame(panel, "linear").click()
    comes_to(panel, "linear", 1)
    fill = frame(panel, "linear").locator("rect")
    light = fill.evaluate("rect => getComputedStyle(rect).fill")
    lab.theme("dark")
    assert fill.evaluate("rect => getComputedStyle(rect).fill") != light
    lab.looks("flame-zoomed", ".gol-Profile:not(.lm-mod-hidden *)")


@pytest.mark.exhaustive
def test_its_library_is_loaded_with_the_first_one(lab: LabPage, profile_id: str) -> None:
    sheets = """() => [...document.styleSheets].filter(
      sheet => [...sheet.cssRules].some(rule => rule.selectorText === '.d3-flame-graph-label')).length"""
    if lab.page.evaluate(sheets):  # another test was here first
        lab.open()
    lab.execute("genops:open-profile", {"id": profile_id})
    found = lab.page.locator(f"#genops-profile-{profile_id}")
    expect(found.get_by_role("tabpanel")).to_be_visible()
    assert lab.page.evaluate(sheets) == 0
    found.get_by_role("tab", name="Flame graph").click()
    expect(frame(found, "sgemm_128x64")).to_be_visible(timeout=60_000)
    assert lab.page.evaluate(sheets) == 1


@pytest.mark.exhaustive
def test_what_is_pointed_at_is_told(panel: Locator) -> None:
    picture = panel.locator(".gol-Flame-host > div")
    frame(panel, "linear").hover()
    expect(picture).to_have_attribute("title", "linear: 3 ms, 75 % of the total, 1 call")
    panel.locator(".gol-Flame-selected").hover()
    expect(picture).to_have_attribute("title", "")


@pytest.mark.exhaustive
def test_what_is_found_stands_out(panel: Locator) -> None:
    panel.get_by_role("searchbox", name="Find").fill("ADD")
    expect(panel.get_by_role("status")).to_have_text("1 ms in 2 frames (25 %)")
    faint = panel.locator(".frame.gol-mod-faint")
    expect(faint).to_have_count(6)
    expect(panel.locator(".frame:not(.gol-mod-faint)")).to_have_count(2)
    frame(panel, "linear").click()
    comes_to(panel, "linear", 1)
    expect(panel.get_by_role("status")).to_have_text("1 ms in 2 frames (25 %)")
    panel.get_by_role("searchbox", name="Find").fill("")
    expect(panel.get_by_role("status")).to_have_text("")
    expect(faint).to_have_count(0)


@pytest.mark.exhaustive
def test_nothing_moves_for_who_wants_no_motion(lab: LabPage, panel: Locator) -> None:
    lab.page.emulate_media(reduced_motion="reduce")
    # The next zoom is asked of what is drawn with it.
    panel.get_by_role("button", name="Host time").click()
    panel.get_by_role("button", name="Device time").click()
    try:
        widths = frame(panel, "add").evaluate(
            """frame => {
              const rect = frame.querySelector('rect');
              const before = rect.getBoundingClientRect().width;
              frame.dispatchEvent(new MouseEvent('click', {bubbles: true}));
              return [before, rect.getBoundingClientRect().width];
            }"""
        )
    finally:
        lab.page.emulate_media(reduced_motion="no-preference")
    assert widths[1] == pytest.approx(4 * widths[0], rel=0.02)
