"""A notebook's kernel restarted under Nsight Compute, its cell measured, and the profile seen: all real but ncu and the
driver, for there is no GPU."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer
from tests.support.ncu import NcuStandIn, ncu_stand_in

from .hosts import made_tools
from .test_nsight import in_kernel_menu, without_nsight, write

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(400)]

SETUP = """%load_ext genops_lab
import ctypes, genops
driver = ctypes.CDLL("libcuda.so.1")
run = genops.start("r")"""
CELL = """%%profile --title kernels-measured
for _ in range(3):
    driver.cuLaunchNamed(b"gemm")
driver.cuLaunchNamed(b"softmax")"""


@pytest.fixture(scope="module", autouse=True)
def ncu(server: LabServer) -> Iterator[NcuStandIn]:
    """A machine with ncu."""
    with made_tools(server.home) as folder:
        yield ncu_stand_in(folder)


def test_kernels_are_measured_after_a_restart_with_a_set(lab: LabPage, server: LabServer) -> None:
    write(
        server,
        "ncu.ipynb",
        SETUP,
        CELL,
    )
    lab.open_notebook("ncu.ipynb")
    page = lab.page
    in_kernel_menu(page, "Restart Kernel with Nsight Compute…")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("its variables are lost")
    expect(dialog).to_contain_text("Nsight Compute 2024.3.2.0")
    expect(dialog.get_by_role("radio", name="Basic")).to_be_checked()
    lab.looks("nsight-compute-dialog", ".jp-Dialog", (1280, 800), (1920, 800), (700, 800))
    dialog.get_by_role("radio", name="Basic").press("ArrowUp")
    expect(dialog.get_by_role("radio", name="Full")).to_be_checked()
    dialog.get_by_role("button", name="Restart").click()
    page.get_by_text(re.compile(r"\(Nsight Compute, full\) \| Idle")).first.wait_for()
    lab.run_all()
    lab.wait_for_last_cell(120_000)
    lab.shot("nsight-compute-cell", width=1280)
    page.get_by_role("link", name="Open", exact=True).last.click()
    panel = page.locator(".gol-Profile:visible")
    panel.get_by_role("tab", name="Operators and GPU kernels").click()
    panel.get_by_role("button", name="GPU kernels", exact=True).click()
    expect(panel.get_by_role("grid", name="GPU kernels", exact=True).get_by_text("gemm")).to_be_visible()
    lab.shot("nsight-compute-profile", width=1920)
    [profile] = [each for each in server.get("genops/profiles") if each["title"] == "kernels-measured"]
    measured = server.get(f"genops/profiles/{profile['id']}")["summary"]["measured"]
    assert measured["launches"] == 4
    deadline = time.monotonic() + 60
    while not (artifact := server.get(f"genops/profiles/{profile['id']}")["artifact"]):
        assert time.monotonic() < deadline, "it is the run's"
        time.sleep(0.2)
    assert artifact.endswith("/measured.ncu-rep")
    assert {each["name"]: each["place"]["line"] for each in measured["kernels"]} == {"gemm": 3, "softmax": 4}

    without_nsight(lab, "ncu.ipynb")
    assert lab.problems == []


def test_without_a_driver_it_is_said_and_nothing_is_restarted(
    lab: LabPage, server: LabServer, ncu: NcuStandIn
) -> None:
    write(server, "no-driver.ipynb", "1 + 1")
    lab.open_notebook("no-driver.ipynb")
    ncu.refuse()
    in_kernel_menu(lab.page, "Restart Kernel with Nsight Compute…")
    toast = lab.page.locator(".Toastify__toast")
    expect(toast).to_contain_text("Nsight Compute finds no CUDA driver on this machine")
    expect(toast).to_contain_text("Check that nvidia-smi lists a GPU.")
    expect(lab.page.get_by_role("dialog")).to_have_count(0)
