"""Memory over time in a browser: a notebook's snapshot that ends out of memory, a real one, and a real trace."""

from __future__ import annotations

import csv
import io
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.profiling.snapshots import CELL, TORCH, at, entry, frame, segment, snapshot
from tests.profiling.snapshots import block as held_block
from tests.profiling.test_truth import TRACES
from tests.support.browser import SHOTS, LabPage
from tests.support.lab_server import LabServer

from .timeline_page import PATH, put_trace

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

needs_traces = pytest.mark.skipif(
    not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here"
)
MiB = 1 << 20
OOM = "oom.pickle"
SIZE = (1400, 850)
LINES = {
    2: "model = Model().cuda()",
    5: "hidden = model.encoder(batch)",
    6: "scores = model.head(hidden)",
    8: "loss.backward()",
    9: "optimizer.step()",
    10: "losses.append(loss)",
}


def out_of_memory() -> dict[str, Any]:
    """Twelve steps of a training that keeps each step's graph: what line 10 holds grows until memory is out."""
    entries: list[dict[str, Any]] = []
    address = 1000
    clock = 0.0
    call = frame(f"{TORCH}/nn/modules/module.py", 1750, "_call_impl")
    engine = frame("??", 0, "torch::autograd::Engine::evaluate_function")

    def alloc(size: int, frames: list[dict[str, Any]]) -> int:
        nonlocal address, clock
        address, clock = address + 1, clock + 137
        entries.append(entry("alloc", address, size * MiB, frames, time_us=clock))
        return address

    def free(where: int) -> None:
        nonlocal clock
        clock += 53
        size = next(each["size"] for each in reversed(entries) if each["addr"] == where)
        entries.append(entry("free_requested", where, size, time_us=clock))
        entries.append(entry("free_completed", where, size, time_us=clock))

    for _ in range(10):
        alloc(40, at(2, frame(f"{TORCH}/nn/modules/linear.py", 110, "__init__")))
    for step in range(12):
        forward = [alloc(24, at(5, call)) for _ in range(16)] + [alloc(60, at(6, call)) for _ in range(4)]
        gradients = []
        while forward:
            gradients.append(alloc(20, [engine]))
            free(forward.pop())
        if step == 0:
            for _ in range(20):
                alloc(20, at(9, frame(f"{TORCH}/optim/adam.py", 150, "_init_group")))
        for each in gradients:
            free(each)
        alloc(70 + 5 * step, at(10))
    entries.append(entry("oom", 0, 300 * MiB, at(6, call), device_free=77 * MiB, time_us=clock + 9))
    found = snapshot(
        [segment(held_block(1, 200 * MiB), held_block(2**40, 3000 * MiB, state="inactive"))], entries
    )
    cell = {"count": 4, "id": "the-cell", "lines": {str(line): text for line, text in LINES.items()}}
    found["genops"] = {"cells": {CELL: cell}}
    return found


@pytest.fixture(scope="module", autouse=True)
def _snapshots(server: LabServer, folder: Path) -> None:
    (folder / OOM).write_bytes(pickle.dumps(out_of_memory()))
    if TRACES.is_dir():
        shutil.copy(TRACES / "memory" / "forward.pickle", folder)
        put_trace(server)


def opened(lab: LabPage, name: str, device: str) -> Locator:
    lab.double_click(f"profile_memory/{name}")
    part = lab.page.locator(".gol-Profile:visible").get_by_role("region", name=device, exact=True)
    expect(part.get_by_role("slider")).to_be_visible(timeout=60_000)
    return part


def rows(part: Locator) -> Locator:
    return part.get_by_role("region", name=re.compile("^Memory by owner, ")).get_by_role("row")


def looked_at(lab: LabPage, name: str, *, daily: bool = False) -> None:
    lab.alone()
    lab.looks(f"memory-{name}", ".gol-Profile:not(.lm-mod-hidden *)", daily=daily)


COLORS = """canvas => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const counts = new Map();
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] === 255 || data[at + 3] > 200) {
      const color = data.slice(at, at + 3).join();
      counts.set(color, (counts.get(color) || 0) + 1);
    }
  }
  return [...counts].filter(([, count]) => count > 200).length;
}"""


def test_a_cell_that_was_out_of_memory(lab: LabPage) -> None:
    part = opened(lab, OOM, "Device 0")
    slider = part.get_by_role("slider", name="Moment, Device 0")
    expect(rows(part).nth(1)).to_contain_text(re.compile(r"\[4\] line 10.*1\.\d GiB"))
    assert part.locator("canvas").evaluate(COLORS) >= 5, "each line has its colour"
    peak = slider.get_attribute("aria-valuenow")
    with lab.page.expect_download() as download:
        part.get_by_role("button", name="CSV").click()
    found = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert found[0]["name"] == "[4] line 10" and int(found[0]["bytes"]) > 1000 * MiB
    with lab.page.expect_download() as download:
        part.get_by_role("button", name="PNG").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    download.value.save_as(SHOTS / "memory-saved.png")
    expect(
        part.get_by_role("heading", name=re.compile(r"^Event [\d,]+, [\d.]+ ms: [\d.]+ GiB$"))
    ).to_be_visible()
    looked_at(lab, "oom", daily=True)
    lab.page.set_viewport_size({"width": 1400, "height": 850})
    # A click chooses a moment, the list follows.
    box = slider.bounding_box()
    assert box is not None
    lab.page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + 100)
    expect(slider).not_to_have_attribute("aria-valuenow", str(peak))
    early = part.get_by_role("heading", name=re.compile("^Event"))
    expect(rows(part).nth(1)).not_to_contain_text("line 10")
    # So does a drag.
    lab.page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 100)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + 0.97 * box["width"], box["y"] + 100, steps=12)
    lab.page.mouse.up()
    expect(rows(part).nth(1)).to_contain_text("line 10")
    # Keys go from event to event, and to the ends.
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuenow", "0")
    expect(early).to_have_text(re.compile("^Event 0, "))
    expect(part.get_by_text("allocates 40.0 MiB, [4] line 2")).to_be_visible()
    expect(rows(part)).to_have_count(1 + 2)
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", "1")
    slider.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuenow", "0")
    slider.press("End")
    last = slider.get_attribute("aria-valuemax")
    expect(slider).to_have_attribute("aria-valuenow", str(last))
    part.get_by_role("button", name="Peak").click()
    expect(slider).to_have_attribute("aria-valuenow", str(peak))
    part.get_by_role("button", name="Out of memory").click()
    expect(slider).to_have_attribute("aria-valuenow", str(last))


@pytest.mark.exhaustive
def test_a_line_that_is_chosen_stands_out(lab: LabPage) -> None:
    part = opened(lab, OOM, "Device 0")
    canvas = part.locator("canvas")
    row = rows(part).filter(has_text="line 10")
    expect(row).to_be_visible()
    plain = canvas.evaluate("canvas => canvas.toDataURL()")
    row.hover()
    lab.page.wait_for_function(
        "([canvas, plain]) => canvas.toDataURL() !== plain", arg=[canvas.element_handle(), plain]
    )
    lab.page.mouse.move(0, 0)
    lab.page.wait_for_function(
        "([canvas, plain]) => canvas.toDataURL() === plain", arg=[canvas.element_handle(), plain]
    )
    row.get_by_role("button").click()
    expect(row.get_by_role("button")).to_have_attribute("aria-pressed", "true")
    expect(part.get_by_text(LINES[10])).to_be_visible()
    expect(part.get_by_role("list").get_by_text("[4] line 10")).to_be_visible()
    looked_at(lab, "line")


@needs_traces
@pytest.mark.exhaustive
def test_a_real_snapshot_is_zoomed(lab: LabPage) -> None:
    part = opened(lab, "forward.pickle", "Device 0")
    slider = part.get_by_role("slider")
    expect(part.get_by_role("definition").filter(has_text="10.9 GiB")).to_be_visible()
    expect(part.get_by_role("heading", name="Event 8,943, 83 ms: 41.4 GiB")).to_be_visible()
    expect(rows(part).nth(2)).to_contain_text(re.compile(r"adapters\.py:888 in step7\.6 GiB18 %435Optimizer"))
    looked_at(lab, "real")
    lab.page.set_viewport_size({"width": 1400, "height": 850})
    whole = part.locator("canvas").evaluate("canvas => canvas.toDataURL()")
    slider.focus()
    for _ in range(4):
        lab.page.keyboard.press("+")
        lab.page.wait_for_timeout(150)
    expect(part.get_by_role("button", name="Whole recording")).to_be_enabled()
    assert part.locator("canvas").evaluate("canvas => canvas.toDataURL()") != whole
    before = int(str(slider.get_attribute("aria-valuenow")))
    lab.page.keyboard.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuenow", str(before - 1))
    lab.page.keyboard.press("0")
    expect(part.get_by_role("button", name="Whole recording")).to_be_disabled()
    # A line without a band of its own gets one when it is chosen.
    other = rows(part).filter(has_text="adapters.py:36 in forward").first
    other.get_by_role("button").click()
    expect(other.locator(".gol-Memory-swatch")).to_have_attribute("style", re.compile("--gol-memory-10"))


@needs_traces
@pytest.mark.exhaustive
def test_a_trace_has_its_memory_by_time(lab: LabPage) -> None:
    lab.double_click(PATH)
    lab.page.get_by_role("tab", name="Memory").click(timeout=60_000)
    part = lab.page.get_by_role("region", name="Rank 1, Device 1", exact=True)
    expect(rows(part).nth(1)).to_contain_text(re.compile(r"allocated before the recording\)3\.8 GiB"))
    expect(rows(part).nth(2)).to_contain_text("aten::mm")
    slider = part.get_by_role("slider")
    box = slider.bounding_box()
    assert box is not None
    lab.page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + 200)
    expect(part.get_by_role("heading", name=re.compile("^Event"))).to_be_visible()
    looked_at(lab, "trace")


@needs_traces
def test_a_click_below_the_lanes_shows_the_owners_of_that_moment(lab: LabPage) -> None:
    lab.double_click(PATH)
    lab.page.get_by_role("tab", name="Timeline").click(timeout=60_000)
    strip = lab.page.get_by_role("img", name=re.compile("^Memory, device 1"))
    expect(strip).to_be_visible(timeout=60_000)
    box = strip.bounding_box()
    assert box is not None
    lab.page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 20)
    region = lab.page.get_by_role("region", name="Memory by owner: Memory, device 1")
    expect(region.get_by_role("status")).to_have_text(re.compile(r"^\d+ ms: [45]\.\d GiB$"))
    expect(region.get_by_role("listitem").first).to_contain_text("(allocated before the recording) 3.8 GiB")
    expect(region.get_by_role("listitem").last).to_have_text(re.compile(r"^\d+ more lines$"))
    looked_at(lab, "strip")
    # Where there is little room they stand below the moment, as wide as the timeline.
    size = lab.page.viewport_size
    assert size is not None
    lab.page.set_viewport_size({"width": 720, "height": size["height"]})
    lab.page.wait_for_function("() => document.querySelector('.gol-Timeline').clientWidth < 630")
    moment, listed, whole = (
        each.bounding_box() for each in (region.get_by_role("status"), region.get_by_role("list"), region)
    )
    assert moment and listed and whole
    assert listed["y"] >= moment["y"] + moment["height"]
    assert listed["width"] > whole["width"] - 20
    lab.shot("memory-strip-narrow", width=720)
    lab.page.set_viewport_size(size)
    region.get_by_role("button", name="Close").click()
    expect(region).to_have_count(0)
    lab.page.get_by_role("button", name="Memory, device 1").press("Enter")
    expect(region.get_by_role("status")).to_have_text(re.compile(r"6\.2 GiB$"))
