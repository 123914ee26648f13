"""What Nsight Compute measured, in a browser: the table, the kernel that is selected, the overview."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Locator, expect

from genops_lab.core.store import LocalStore
from genops_lab.profiling.ledger import KeptProfiles
from genops_lab.profiling.models import NewProfile
from tests.support.browser import LabPage
from tests.support.lab_server import LabServer
from tests.support.measured_summary import measured_summary
from tests.support.profile_summaries import NOTEBOOK, notebook

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

MEASURED = "0123456789cd"
KERNEL = "transposeCoalesced(float *, float *, int, int)"


@pytest.fixture(scope="module", autouse=True)
def _measurement(server: LabServer, folder: Path) -> None:
    """A measurement, and its notebook."""
    (folder / NOTEBOOK).write_text(json.dumps(notebook()))
    profiles = KeptProfiles(LocalStore(server.home.data / "store.db"))
    given = NewProfile(trace_path="none", title="measured", notebook=f"{folder.name}/{NOTEBOOK}")
    profiles.begin(MEASURED, given, str(server.home.data / "none"), 1)
    profiles.change(MEASURED, state="ready", summary=msgspec.json.encode(measured_summary()).decode())


def opened(lab: LabPage) -> Locator:
    lab.alone()
    lab.execute("genops:open-profile", {"id": MEASURED})
    panel = lab.page.locator(f"#genops-profile-{MEASURED}")
    expect(panel.get_by_role("tabpanel")).to_be_visible()
    return panel


def looked_at(lab: LabPage, name: str, *, daily: bool = True) -> None:
    sizes = ((1280, 800), (700, 900), (1920, 1000))
    lab.looks(f"measured-{name}", ".gol-Profile:not(.lm-mod-hidden *)", *sizes, daily=daily)


def test_it_is_seen_first_and_leads_to_a_kernels_cell(lab: LabPage) -> None:
    panel = opened(lab)
    expect(panel.get_by_role("tab")).to_have_text(
        ["Measured GPU kernels", "Overview", "Cells and lines", "Operators and GPU kernels"]
    )
    expect(panel.get_by_role("tab", name="Measured GPU kernels")).to_have_attribute("aria-selected", "true")
    expect(panel.get_by_role("heading", level=3)).to_have_text(KERNEL)
    looked_at(lab, "first", daily=False)
    panel.get_by_role("grid", name="Measured GPU kernels").get_by_role(
        "button", name=re.compile("line 3")
    ).click()
    expect(lab.page.locator(".jp-NotebookPanel:visible .cm-content").first).to_contain_text("loss_of")


@pytest.mark.exhaustive
def test_a_kernel_is_chosen_by_keys(lab: LabPage) -> None:
    panel = opened(lab)
    grid = panel.get_by_role("grid", name="Measured GPU kernels")
    grid.locator("[role=row][aria-rowindex='2'] [role=gridcell]").first.click()
    lab.page.keyboard.press("ArrowDown")
    expect(panel.get_by_role("heading", level=3)).to_have_text(re.compile("^void Sobel<double>"))
    lab.page.keyboard.press("ArrowDown")
    occupancy = panel.get_by_role("region", name="Occupancy", exact=True)
    expect(occupancy).to_contain_text("Shared memory limits the occupancy (48.0 KiB per block)")
    expect(occupancy).to_contain_text("the grid fills only 36 % of the device")
    looked_at(lab, "latency", daily=False)
    box = panel.get_by_role("searchbox", name="Filter")
    box.fill("balanced")
    expect(panel.get_by_text("No rows match.")).to_be_visible()
    box.fill("elementwise")
    expect(panel.get_by_role("heading", level=3)).to_have_text("vectorized_elementwise_kernel")
    expect(panel.get_by_text("The report has no section “Occupancy”")).to_be_visible()
    looked_at(lab, "bare", daily=False)


@pytest.mark.exhaustive
def test_rules_are_text(lab: LabPage) -> None:
    panel = opened(lab)
    rules = panel.get_by_role("region", name="Suggested changes")
    expect(rules.get_by_role("article")).to_have_count(3)
    expect(rules.get_by_role("article").first).to_contain_text("up to 94 % of the kernel’s time (2.66 ms)")
    expect(rules.get_by_text("<b>Not bold</b>")).to_be_visible()
    link = rules.get_by_role("link")
    expect(link).to_have_count(1)
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    rules.get_by_role("button", name="1 note").click()
    expect(rules.get_by_role("article")).to_have_count(4)
    rules.scroll_into_view_if_needed()
    looked_at(lab, "rules")


@pytest.mark.exhaustive
def test_the_table_is_saved(lab: LabPage) -> None:
    panel = opened(lab)
    with lab.page.expect_download() as download:
        panel.get_by_role("button", name="CSV").first.click()
    found = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert [row["bound"] for row in found] == ["memory", "compute", "latency", "both"]
    assert float(found[0]["memory_pct"]) == 90.23


@pytest.mark.exhaustive
def test_the_overview_claims_no_time_between_kernels(lab: LabPage) -> None:
    panel = opened(lab)
    panel.get_by_role("tab", name="Overview").click()
    expect(panel.get_by_role("img", name=re.compile("^GPU kernel time by limit"))).to_be_visible()
    expect(panel.get_by_role("img", name=re.compile("^Roofline"))).to_be_visible()
    expect(panel.get_by_text(re.compile("[Ii]dle|busy"))).to_have_count(0)
    looked_at(lab, "overview")
