"""The traces of a job's ranks, opened as a folder: each rank's views, and all of them on one timeline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.profiling.events import Event
from tests.profiling.rank_traces import rank_events, write_rank
from tests.support.browser import LabPage

#: Ahead of the first rank's, in microseconds; rank 2 is the one that the others wait for.
CLOCKS_US = (1_000.0, 751_000.0, 42_000.0)
LATE = 2


def held(ts: float, size: int) -> Event:
    """A memory event of device 0."""
    args = {"Device Id": 0, "Bytes": size, "Addr": 77}
    return {"ph": "i", "s": "t", "name": "[memory]", "pid": 1, "tid": 1, "ts": ts, "args": args}


@pytest.fixture(scope="module", autouse=True)
def _traces(folder: Path) -> None:
    for rank, clock in enumerate(CLOCKS_US):
        events = rank_events(rank, late=LATE, clock_us=clock, jitter_us=3)
        # With its first kernel each rank takes some memory, and gives it back.
        first = next(each["ts"] for each in events if each["name"] == "gemm")
        (folder / "ranks").mkdir(exist_ok=True)
        taken = [held(first, (rank + 1) << 20), held(first + 5000, -(rank + 1) << 20)]
        write_rank(folder / "ranks", rank, [*events, *taken])
    (folder / "apart").mkdir()
    for rank in (0, 1):
        alone = [each for each in rank_events(rank, clock_us=CLOCKS_US[rank]) if "nccl" not in each["name"]]
        write_rank(folder / "apart", rank, alone)


def together(lab: LabPage, folder: str = "ranks", count: int = len(CLOCKS_US)) -> Locator:
    """The profile of the folder, at its overview."""
    lab.execute("docmanager:open", {"path": f"profile_ranks/{folder}/worker1.pt.trace.json"})
    shown = lab.page.locator(".gol-Profile:visible")
    expect(shown.get_by_role("tabpanel")).to_have_accessible_name("Overview", timeout=60_000)
    shown.get_by_role("button", name=f"All {count} traces of the folder").click()
    expect(shown.get_by_role("heading", level=2)).to_have_text(folder)
    expect(shown.get_by_role("region", name="Comparison of ranks").first).to_be_visible(timeout=60_000)
    return shown


def picker(shown: Locator) -> Locator:
    return shown.get_by_role("tabpanel").get_by_role("combobox", name="Rank")


@pytest.mark.exhaustive
def test_a_rank_leads_to_its_timeline_and_flame_graph(lab: LabPage) -> None:
    shown = together(lab)
    shown.get_by_role("button", name="Rank 1, Device 0").click()
    expect(shown.get_by_role("tabpanel")).to_have_accessible_name("Timeline")
    expect(lab.page.get_by_role("application", name="Timeline")).to_be_visible(timeout=60_000)
    expect(picker(shown)).to_have_value("1")
    expect(shown.get_by_text("stream 20", exact=True)).to_be_visible()
    picker(shown).focus()
    lab.page.keyboard.press("ArrowUp")
    expect(picker(shown)).to_have_value("0")
    # It keeps the focus while another timeline is made.
    expect(shown.get_by_text("stream 20", exact=True)).to_be_visible()
    for _ in range(2):
        lab.page.keyboard.press("ArrowDown")
    expect(picker(shown)).to_have_value("2")
    box = shown.get_by_role("searchbox", name="Find slices by name")
    box.fill("gemm")
    box.press("Enter")
    expect(shown.get_by_role("region", name="Selection")).to_contain_text("2.2 ms")
    shown.get_by_role("tab", name="Flame graph").click()
    expect(picker(shown)).to_have_value("2")
    expect(shown.get_by_role("application", name="Flame graph")).to_be_visible(timeout=60_000)
    lab.looks("ranks-flame", ".gol-Profile:not(.lm-mod-hidden *)", daily=False)
    shown.get_by_role("tab", name="Timeline").click()
    expect(picker(shown)).to_have_value("2")
    lab.looks("ranks-one", ".gol-Timeline", daily=False)


def all_ranks(lab: LabPage, folder: str = "ranks", count: int = len(CLOCKS_US)) -> Locator:
    """The timeline of all ranks, when it is drawn."""
    shown = together(lab, folder, count)
    shown.get_by_role("button", name="Show all ranks on one timeline").click()
    expect(lab.page.get_by_role("application", name="Timeline")).to_be_visible(timeout=60_000)
    expect(picker(shown)).to_have_value("")
    return shown


def head(shown: Locator, name: str) -> Locator:
    return shown.get_by_role("group", name="Lanes").get_by_role("button", name=name, exact=True)


#: Of each stream 20 on the canvas: where slices end, in pixels from the left.
ENDS = """() => {
  const view = document.querySelector('.gol-Profile:not(.lm-mod-hidden) .gol-Timeline-body');
  const canvas = view.querySelector('canvas');
  const scale = canvas.width / canvas.clientWidth;
  const top = view.getBoundingClientRect().top;
  const labels = [...view.querySelectorAll('.gol-Timeline-lane')].filter(each => each.textContent === 'stream 20');
  return labels.map(label => {
    // Above the slices' names.
    const y = Math.round((label.getBoundingClientRect().top - top + 1.5) * scale);
    const { data } = canvas.getContext('2d').getImageData(0, y, canvas.width, 1);
    const pixels = new Uint32Array(data.buffer);
    const background = pixels[0];
    return [...pixels.keys()].filter(x => pixels[x] !== background && pixels[x + 1] === background);
  });
}"""


#: The pixel where the strip of memory rises, and where the chosen rank's first step begins by the model.
RISES = """() => {
  const canvas = document.querySelector('.gol-Timeline-memory canvas');
  const { width, height } = canvas;
  const line = canvas.getContext('2d').getImageData(0, height - 6, width, 1).data;
  for (let x = 0; x < width; x++) {
    if (line[4 * x + 3] > 0) {
      return x;
    }
  }
  return -1;
}"""
BEGINS = """() => {
  const canvas = document.querySelector('.gol-Timeline-canvas canvas');
  const lanes = [...document.querySelectorAll('.gol-Timeline-lane')].filter(lane => lane.textContent === 'stream 7');
  const y = Math.round(22 + parseFloat(lanes[2].style.top) + 8);
  const pixels = new Uint32Array(canvas.getContext('2d').getImageData(0, y, canvas.width, 1).data.buffer);
  return pixels.findIndex(pixel => pixel !== pixels[0]);
}"""


def test_all_ranks_are_on_one_clock_and_a_collective_is_tied_to_itself_on_the_others(lab: LabPage) -> None:
    shown = together(lab)
    shown.get_by_role("button", name="Rank 1, Device 0").click()
    expect(lab.page.get_by_role("application", name="Timeline")).to_be_visible(timeout=60_000)
    expect(picker(shown)).to_have_value("1")
    picker(shown).select_option("")
    note = shown.get_by_role("note")
    expect(note).to_contain_text("Clocks are aligned by 8 shared collectives")
    expect(note).to_contain_text("µs of each other")
    # Perfetto opens one trace: that of the rank that is meant.
    expect(shown.get_by_role("button", name="Perfetto")).to_have_text("Perfetto, rank 0")
    for rank in (0, 1, 2):
        expect(head(shown, f"Rank {rank}")).to_have_attribute("aria-expanded", "true")
        # Of more than two ranks the devices alone are shown at first.
        expect(head(shown, f"Rank {rank}, 1 host lane")).to_have_attribute("aria-expanded", "false")
    expect(shown.get_by_text("stream 20", exact=True)).to_have_count(3)
    expect(shown.get_by_text("thread 1", exact=True)).to_have_count(0)
    # What is drawn of the collectives ends at the same pixels, though their traces' clocks are 750 ms apart.
    lab.page.wait_for_function(f"() => ({ENDS})().every(each => each.length === 8)")
    ends = lab.page.evaluate(ENDS)
    assert len(ends) == 3
    assert all(max(same) - min(same) <= 2 for same in zip(*ends, strict=True))
    lab.looks("ranks-together", ".gol-Timeline", daily=False)

    box = shown.get_by_role("searchbox", name="Find slices by name")
    box.fill("AllReduce")
    box.press("Enter")
    selection = shown.get_by_role("region", name="Selection")
    rows = selection.get_by_role("table").get_by_role("row")
    expect(rows).to_have_count(4, timeout=30_000)
    expect(selection).to_contain_text(re.compile(rf"Rank {LATE} started last, 1\.[23]\d? ms after rank 0"))
    expect(selection.locator("tr[aria-current]")).to_contain_text("Rank 0")
    expect(shown.locator(".gol-Timeline > [role=status]")).to_contain_text(f"Rank {LATE} started last")
    # By key from rank to rank, and round.
    lab.page.get_by_role("application", name="Timeline").focus()
    for rank in (1, 2, 0):
        lab.page.keyboard.press("g")
        expect(selection.locator("tr[aria-current]")).to_contain_text(f"Rank {rank}")
    lab.page.keyboard.press("0")
    lab.looks("ranks-tied", ".gol-Timeline")


@pytest.mark.exhaustive
def test_memory_and_perfetto_are_of_the_rank_that_is_meant(lab: LabPage) -> None:
    shown = all_ranks(lab)
    perfetto = shown.get_by_role("button", name="Perfetto")
    strip = shown.get_by_role("img", name=re.compile("^Memory, device 0"))
    expect(strip).to_have_accessible_name(re.compile(r"^Memory, device 0, rank 0: peak 1\b.* MiB"))
    expect(strip).to_have_count(1)
    # A click on the lanes of another one means that, and so does a selected slice.
    canvas = lab.page.get_by_role("application", name="Timeline").bounding_box()
    lane = shown.get_by_text("stream 20", exact=True).nth(2).bounding_box()
    assert canvas is not None
    assert lane is not None
    lab.page.mouse.click(canvas["x"] + 3, lane["y"] + 8)
    expect(perfetto).to_have_text("Perfetto, rank 2")
    expect(strip).to_have_accessible_name(re.compile(r"^Memory, device 0, rank 2: peak 3\b.* MiB"))
    # Where the strip rises, on the clock of all ranks, is where that rank begins to work.
    lab.page.wait_for_function(f"() => Math.abs(({RISES})() - ({BEGINS})()) < 4")
    box = shown.get_by_role("searchbox", name="Find slices by name")
    box.fill("AllReduce")
    box.press("Enter")
    expect(perfetto).to_have_text("Perfetto, rank 0")
    lab.looks("ranks-memory", ".gol-Timeline", daily=False)


@pytest.mark.exhaustive
def test_groups_of_ranks_close_and_open(lab: LabPage) -> None:
    shown = all_ranks(lab)
    head(shown, "Rank 0").focus()
    lab.page.keyboard.press("Enter")
    expect(head(shown, "Rank 0")).to_have_attribute("aria-expanded", "false")
    expect(shown.get_by_text("stream 20", exact=True)).to_have_count(2)
    head(shown, "Rank 2, 1 host lane").click()
    expect(shown.get_by_text("thread 1", exact=True)).to_have_count(1)
    # A search goes into what is closed.
    box = shown.get_by_role("searchbox", name="Find slices by name")
    box.fill("aten::mm")
    box.press("Enter")
    expect(head(shown, "Rank 0")).to_have_attribute("aria-expanded", "true")
    selection = shown.get_by_role("region", name="Selection")
    expect(selection.get_by_role("heading", level=3)).to_have_text("aten::mm")
    expect(selection.get_by_role("definition").filter(has_text="Process 1")).to_be_visible()
    lab.looks("ranks-selected", ".gol-Timeline", daily=False)


@pytest.mark.exhaustive
def test_a_late_rank_is_seen_beside_the_others(lab: LabPage) -> None:
    shown = together(lab)
    advice = shown.get_by_role("article", name=f"Rank {LATE} is late, and the others wait for it")
    advice.get_by_role("button", name="Show in the timeline").click()
    marks = shown.get_by_role("group", name="Marked moments")
    expect(marks).to_contain_text(f"Rank {LATE} is late", timeout=60_000)
    expect(picker(shown)).to_have_value("")
    selection = shown.get_by_role("region", name="Selection")
    expect(selection.get_by_role("row").filter(has_text="AllReduce")).to_be_visible(timeout=30_000)
    # In the moment the others are in the collective all of the time, and the late rank computes.
    expect(selection.get_by_role("row").filter(has_text="gemm")).to_be_visible()
    lab.looks("ranks-late", ".gol-Timeline", daily=False)


@pytest.mark.exhaustive
def test_ranks_that_cannot_be_aligned_are_named(lab: LabPage) -> None:
    shown = all_ranks(lab, "apart", 2)
    note = shown.get_by_role("note")
    expect(note).to_have_text(
        "Rank 1 is not aligned: it shares fewer than 3 collectives with the others."
        " The position in time has no meaning."
    )
    # Of two ranks the host's threads are shown, too.
    expect(shown.get_by_text("thread 1", exact=True)).to_have_count(2)
    lab.looks("ranks-apart", ".gol-Timeline", daily=False)
