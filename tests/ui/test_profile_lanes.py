"""What a timeline shows beside threads and streams: counters, async slices, ties from forward to backward."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.profiling.events import Event, call, kernel, operator
from tests.support.browser import LabPage

TRACE = "counted.trace.json"
SIZE = (1400, 850)


def events() -> list[Event]:
    """A tenth of a second of steps, with counters that are sampled every 20 µs, and one that hardly changes."""
    found: list[Event] = []
    for at in range(100):
        begin = 1000.0 * at
        found += [
            operator("aten::mm", begin + 10, 300, **{"Sequence number": at, "Fwd thread id": 0}),
            operator("MmBackward0", begin + 500, 200, 2, **{"Sequence number": at, "Fwd thread id": 1}),
            *(
                {
                    "ph": phase,
                    "cat": "io",
                    "name": "read batch",
                    "id": at,
                    "pid": 1,
                    "tid": 3,
                    "ts": begin + ts,
                }
                for phase, ts in (("b", 0), ("e", 1600))
            ),
            call("cudaLaunchKernel", begin + 20, 10, at + 1),
            kernel("gemm", begin + 100, 700, at + 1),
        ]
    for at in range(5000):
        begin = 20.0 * at
        watts = 200 + 120 * math.sin(at / 300) + 40 * math.sin(at / 7)
        found.append({"ph": "C", "name": "GPU 0 power (W)", "pid": 0, "ts": begin, "args": {"value": watts}})
    for at, (waiting, done) in enumerate([(0, 0), (3, 0), (5, 2), (1, 7), (0, 9)]):
        args = {"waiting": waiting, "done": done}
        found.append({"ph": "C", "name": "requests", "pid": 1, "ts": 20_000.0 * at, "args": args})
    return found


@pytest.fixture(scope="module", autouse=True)
def _trace(folder: Path) -> None:
    (folder / TRACE).write_text(json.dumps({"traceEvents": events()}))


def opened(lab: LabPage) -> Locator:
    """The timeline of the trace, which has the focus."""
    lab.double_click(f"profile_lanes/{TRACE}")
    lab.page.get_by_role("tab", name="Timeline").click(timeout=60_000)
    canvas = lab.page.get_by_role("application", name="Timeline")
    expect(canvas).to_be_visible(timeout=60_000)
    canvas.focus()
    return lab.page.locator(".gol-Timeline:visible")


def test_counters_are_drawn_and_tell_their_values(lab: LabPage) -> None:
    timeline = opened(lab)
    power = timeline.get_by_role("button", name=re.compile("^GPU 0 power"))
    expect(power).to_have_text(re.compile(r"GPU 0 power \(W\)4\d(\.\d+)? to 3[56]\d(\.\d+)? W"))
    expect(timeline.get_by_role("button", name=re.compile("^requests: waiting"))).to_contain_text("0 to 5")
    # The pointer tells the values under it: of many samples in a pixel the least and the most.
    head, canvas = power.bounding_box(), timeline.get_by_role("application", name="Timeline").bounding_box()
    assert head is not None
    assert canvas is not None
    tip = timeline.locator(".gol-Timeline-tip")
    for step in range(100):  # there is nothing under the pointer before the samples have come
        lab.page.mouse.move(canvas["x"] + 300 + step % 2, head["y"] + 20)
        if tip.count():
            break
        lab.page.wait_for_timeout(200)
    expect(tip).to_have_text(re.compile(r"^GPU 0 power \(W\): [\d.]+ to [\d.]+ W in \d+ samples$"))
    # By keyboard: the value in the middle, and from sample to sample.
    timeline.get_by_role("button", name=re.compile("^requests: waiting")).press("Enter")
    selection = timeline.get_by_role("region", name="Selection")
    fact = selection.locator("dl > div")
    expect(fact.filter(has_text="Value")).to_have_text("Value5")
    expect(fact.filter(has_text="Before")).to_have_text("Before3")
    expect(fact.filter(has_text="Samples")).to_have_text("Samples5")
    expect(timeline.get_by_role("application", name="Timeline")).to_be_focused()
    lab.page.keyboard.press("Shift+ArrowRight")
    expect(fact.filter(has_text="Value")).to_have_text("Value1")
    expect(lab.page.locator(".gol-Timeline > [role=status]")).to_have_text(
        "requests: waiting: 1 from 60 ms, for 20 ms"
    )
    lab.alone()
    lab.looks("lanes-counters", ".gol-Timeline", daily=False)


@pytest.mark.exhaustive
def test_async_slices_have_lanes_of_their_own(lab: LabPage) -> None:
    timeline = opened(lab)
    lane = timeline.get_by_role("button", name=re.compile("^io async"))
    expect(lane).to_have_attribute("title", "io async: 100 slices")
    # They overlap, so there are two rows.
    expect(lane).to_have_attribute("aria-expanded", "true")
    box = timeline.get_by_role("searchbox", name="Find slices by name")
    box.fill("read batch")
    box.press("Enter")
    selection = timeline.get_by_role("region", name="Selection")
    expect(selection.locator("dl > div").filter(has_text="Duration")).to_have_text("Duration1.6 ms")
    lab.looks("lanes-async", ".gol-Timeline", daily=False)


@pytest.mark.exhaustive
def test_an_operator_leads_to_its_backward_pass_and_back(lab: LabPage) -> None:
    timeline = opened(lab)
    box = timeline.get_by_role("searchbox", name="Find slices by name")
    box.fill("aten::mm")
    box.press("Enter")
    selection = timeline.get_by_role("region", name="Selection")
    expect(selection.get_by_role("heading", level=4)).to_have_text("1 slice in the backward pass")
    status = lab.page.locator(".gol-Timeline > [role=status]")
    expect(status).to_have_text(re.compile("; 1 slice in the backward pass$"))
    timeline.get_by_role("application", name="Timeline").focus()
    lab.page.keyboard.press("s")
    lab.looks("lanes-backward", ".gol-Timeline", daily=False)
    timeline.get_by_role("application", name="Timeline").focus()
    lab.page.keyboard.press("g")
    expect(selection.get_by_role("heading", level=3)).to_have_text("MmBackward0")
    expect(selection.get_by_role("heading", level=4)).to_have_text("Backward pass of")
    lab.page.keyboard.press("Shift+G")
    expect(selection.get_by_role("heading", level=3)).to_have_text("aten::mm")
