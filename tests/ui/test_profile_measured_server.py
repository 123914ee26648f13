"""An open report of Nsight Compute while the server is away, in a browser."""

from __future__ import annotations

import os
import signal

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import start_lab

from .test_bad_days import BACK_MS
from .test_profile_measured_report import REPORT, written

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

SECOND = "triton_poi_fused_relu_0"


@pytest.mark.exhaustive
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1920)])
def test_what_is_shown_stays_and_goes_on(browser: Browser, home: Home, theme: str, width: int) -> None:
    (home.work / REPORT).write_bytes(written())
    first = start_lab(home)
    try:
        with lab_page(browser, first) as lab:
            lab.page.set_viewport_size({"width": width, "height": 800})
            lab.open()
            lab.theme("dark" if theme == "dark" else "light")
            lab.page.locator(".jp-DirListing-item", has_text=REPORT).dblclick()
            panel = lab.page.locator(".gol-Profile:visible")
            kernels = panel.get_by_role("grid", name="Measured GPU kernels")
            filters = panel.get_by_role("searchbox", name="Filter")
            expect(kernels).to_be_visible(timeout=60_000)
            kernels.get_by_role("gridcell", name=SECOND).click()
            filters.first.fill("e")
            panel.get_by_role("button", name="All metrics of the longest launch").click()
            expect(panel.get_by_role("grid", name="Metrics of launch 1")).to_be_visible(timeout=30_000)
            filters.last.fill("dram")

            os.killpg(first.process.pid, signal.SIGKILL)
            first.process.wait()
            close_jupyters_message(lab)
            down = panel.locator(".gol-DownState", has_text="This profile cannot be read.")
            expect(down).to_contain_text("The Jupyter server does not answer.")
            # The metrics are far below the message, which stays in sight.
            filters.last.scroll_into_view_if_needed()
            panel.evaluate("panel => panel.scrollTo(0, panel.scrollHeight)")
            assert panel.evaluate("panel => panel.scrollTop") > 0
            expect(down).to_be_in_viewport(ratio=0.9)
            expect(panel.get_by_role("grid", name="Metrics of launch 1")).to_be_visible()
            lab.shot(f"measured-server-gone-{theme}", width=width, height=800)
            # What was read can be read on; what was not is said to be missing.
            filters.first.fill("")
            kernels.get_by_role("gridcell", name="gemm_nt").click()
            expect(panel.get_by_role("heading", level=3)).to_have_text("gemm_nt")
            missing = panel.get_by_text("The metrics of this launch cannot be read.")
            expect(missing).to_be_visible()
            lab.shot(f"measured-server-gone-other-{theme}", width=width, height=800)

            second = start_lab(home, after=first)
            try:
                expect(panel.locator(".gol-DownState")).to_have_count(0, timeout=BACK_MS)
                expect(panel.get_by_role("grid", name="Metrics of launch 0")).to_be_visible()
                expect(filters.last).to_have_value("dram")
                expect(panel.get_by_role("heading", level=3)).to_have_text("gemm_nt")
                kernels.get_by_role("gridcell", name=SECOND).click()
                expect(panel.get_by_role("grid", name="Metrics of launch 1")).to_be_visible(timeout=30_000)
                assert lab.problems == []
            finally:
                second.stop()
    finally:
        first.stop()


def close_jupyters_message(lab: LabPage) -> None:
    """JupyterLab's own, that there is no connection, and all after it."""
    message = lab.page.get_by_role("dialog", name="Server Connection Error")
    expect(message).to_be_visible(timeout=60_000)
    message.get_by_role("checkbox").check()
    message.get_by_role("button", name="Close").click()
