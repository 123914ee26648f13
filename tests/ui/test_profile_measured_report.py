"""A report of Nsight Compute, from the file browser to its metrics, in a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.support import ncu_reports
from tests.support.browser import LabPage
from tests.support.lab_server import LabServer
from tests.support.profile_summaries import CELL_ID, NOTEBOOK, notebook

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

REPORT = "cell.ncu-rep"
SCRIPT = "train_measured.py"
STALLED = "smsp__average_warps_issue_stalled_{}_per_issue_active.ratio"
LATENT = {
    "sm__throughput.avg.pct_of_peak_sustained_elapsed": 6.4,
    "gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed": 21.7,
    "sm__maximum_warps_per_active_cycle_pct": 50.0,
    "launch__occupancy_limit_shared_mem": 2.0,
    "launch__waves_per_multiprocessor": 0.36,
    "launch__shared_mem_per_block": 49152.0,
    STALLED.format("long_scoreboard"): 31.2,
    STALLED.format("wait"): 2.1,
}


def written() -> bytes:
    """Two kernels of the notebook's cell, the second short and started twice, and a shorter one of a script."""
    rule = ncu_reports.Rule("SOLBottleneck", "High Memory Throughput", "Read less.", "optimization", 31.5)
    small = ncu_reports.kernel("triton_poi_fused_relu_0", 20.0, LATENT, ranges=[_line(5)])
    scripted = ncu_reports.kernel("fill", 1.0, frames=[(SCRIPT, "main", 2)])
    return bytes(
        ncu_reports.report(
            [ncu_reports.kernel("gemm_nt", 300.0, ranges=[_line(3)], rules=[rule]), small, small, scripted]
        )
    )


def _line(number: int) -> str:
    return f"genops:line:{quote(CELL_ID, safe='')}:{number}"


@pytest.fixture(scope="module", autouse=True)
def _reports(server: LabServer, folder: Path) -> None:
    (folder / NOTEBOOK).write_text(json.dumps(notebook()))
    (server.home.work / SCRIPT).write_text("import torch\nx = torch.zeros(8)\n")
    (folder / REPORT).write_bytes(written())
    (folder / "cut.ncu-rep").write_bytes(written()[:200])
    (folder / "noise.ncu-rep").write_bytes(b"\x17noise" * 99)


def test_a_double_click_leads_to_its_kernels_and_their_metrics(lab: LabPage) -> None:
    lab.double_click(f"profile_measured_report/{REPORT}")
    panel = lab.page.locator(".gol-Profile:visible")
    grid = panel.get_by_role("grid", name="Measured GPU kernels")
    expect(grid).to_be_visible(timeout=60_000)
    first = grid.locator("[role=row][aria-rowindex='2']")
    expect(first).to_contain_text("gemm_nt")
    expect(first).to_contain_text("memory")
    expect(panel.get_by_role("region", name="Suggested changes")).to_contain_text(
        "up to 32 % of the kernel’s time (94.5 µs)"
    )
    first.get_by_role("gridcell").first.click()
    lab.page.keyboard.press("ArrowDown")
    expect(panel.get_by_role("heading", level=3)).to_have_text("triton_poi_fused_relu_0")
    expect(panel.get_by_text("40 µs, 12 % of all GPU kernels, in 2 launches")).to_be_visible()
    expect(panel.get_by_role("region", name="Occupancy", exact=True)).to_contain_text(
        "Shared memory limits the occupancy (48.0 KiB per block)"
    )
    expect(panel.get_by_role("list", name=re.compile("^Cycles between"))).to_contain_text(
        "Global or local memory94 %"
    )
    panel.get_by_role("button", name="All metrics of the longest launch").click()
    metrics = panel.get_by_role("grid", name="Metrics of launch 1")
    expect(metrics).to_be_visible(timeout=30_000)
    panel.get_by_role("searchbox", name="Filter").last.fill("time_duration")
    row = metrics.locator("[role=row][aria-rowindex='2']")
    expect(row.get_by_role("gridcell").nth(1)).to_have_text("20 µs")
    expect(row.get_by_role("gridcell").nth(2)).to_have_text("nsecond")
    metrics.scroll_into_view_if_needed()
    lab.alone()
    lab.looks("measured-metrics", ".gol-Profile:not(.lm-mod-hidden *)", (1280, 900))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param(
            "cut.ncu-rep",
            "cut.ncu-rep is cut off or damaged before its first result",
            marks=pytest.mark.exhaustive,
        ),
        ("noise.ncu-rep", "noise.ncu-rep is not a report of Nsight Compute"),
    ],
)
def test_what_is_no_whole_report_says_so(name: str, said: str, lab: LabPage) -> None:
    lab.double_click(f"profile_measured_report/{name}")
    callout = lab.page.locator(".gol-Callout:visible")
    expect(callout).to_contain_text(said, timeout=60_000)
    expect(callout).to_contain_text("opy it")
    lab.looks(f"measured-{name}", ".gol-Profile:not(.lm-mod-hidden *)", daily=False)


def test_keys_alone_lead_from_a_row_to_its_line_and_its_metrics(lab: LabPage) -> None:
    lab.double_click(f"profile_measured_report/{REPORT}")
    panel = lab.page.locator(".gol-Profile:visible")
    grid = panel.get_by_role("grid", name="Measured GPU kernels")
    expect(grid).to_be_visible(timeout=60_000)
    keyboard = lab.page.keyboard
    panel.get_by_role("button", name="CSV").first.focus()
    # Into the table, to its second row; from there on in one step, back and forth.
    keyboard.press("Tab")
    expect(grid.get_by_role("columnheader", name="GPU kernel")).to_be_focused()
    keyboard.press("ArrowDown")
    keyboard.press("ArrowDown")
    heading = panel.get_by_role("heading", level=3)
    expect(heading).to_have_text("triton_poi_fused_relu_0")
    cell = grid.get_by_role("gridcell", name="triton_poi_fused_relu_0")
    expect(cell).to_be_focused()
    keyboard.press("Shift+Tab")
    expect(panel.get_by_role("button", name="CSV").first).to_be_focused()
    keyboard.press("Tab")
    expect(cell).to_be_focused()
    details = panel.get_by_role("region", name="triton_poi_fused_relu_0")
    metrics = details.get_by_role("button", name="All metrics of the longest launch")
    inside = details.locator("button, a")
    for _ in range(inside.count()):
        keyboard.press("Tab")
        expect(details.locator(":focus")).to_have_count(1)
        if metrics.evaluate("node => node === document.activeElement"):
            break
    expect(metrics).to_be_focused()
    expect(heading).to_have_text("triton_poi_fused_relu_0")
    keyboard.press("Enter")
    expect(panel.get_by_role("grid", name="Metrics of launch 1")).to_be_visible(timeout=30_000)
    # A link within a row has the focus where its cell is selected.
    cell.focus()
    keyboard.press("ArrowDown")
    expect(heading).to_have_text("fill")
    keyboard.press("ArrowRight")
    expect(grid.get_by_role("button", name=f"{SCRIPT}:2")).to_be_focused()
    keyboard.press("Enter")
    expect(lab.page.locator(".lm-TabBar-tab.lm-mod-current", has_text=SCRIPT)).to_be_visible(timeout=60_000)
