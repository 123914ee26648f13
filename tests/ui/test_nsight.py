"""A notebook's kernel restarted under Nsight Systems, its cell profiled, and the profile seen: all real but nsys,
which needs a GPU for that: a stand-in gives a real export as what it recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer
from tests.support.nsys import NsysStandIn, nsys_stand_in
from tests.support.real_traces import TRACES

from .hosts import made_tools

pytestmark = [
    pytest.mark.ui,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not TRACES.is_dir(), reason="the real exports in ../shared/traces are not here"),
]


@pytest.fixture(scope="module", autouse=True)
def nsys(server: LabServer) -> Iterator[NsysStandIn]:
    """A machine with nsys."""
    with made_tools(server.home) as folder:
        made = nsys_stand_in(folder)
        made.export((TRACES / "nsys" / "mfu_2gpu_after.sqlite").read_bytes())
        yield made


def write(server: LabServer, name: str, *cells: str) -> None:
    import nbformat

    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, server.home.work / name)


def in_kernel_menu(page: Page, label: str) -> None:
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=label).click()


def without_nsight(lab: LabPage, path: str) -> None:
    """The notebook's kernel goes back."""
    lab.execute("docmanager:open", {"path": path})
    lab.page.locator(".jp-NotebookPanel:visible .jp-Notebook").wait_for()
    in_kernel_menu(lab.page, "Restart Kernel without Nsight…")
    lab.page.get_by_role("dialog").get_by_role("button", name="Restart").click()
    lab.kernel_idle()


def test_a_kernel_is_restarted_with_nsight_and_its_profile_opens(lab: LabPage, server: LabServer) -> None:
    write(server, "nsys.ipynb", "%load_ext genops_lab", '%%profile --title "under nsight"\nx = 1')
    lab.open_notebook("nsys.ipynb")
    page = lab.page
    in_kernel_menu(page, "Restart Kernel with Nsight Systems…")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("its variables are lost")
    expect(dialog).to_contain_text("Nsight Systems 2024.6.2.225")
    lab.looks("nsight-dialog", ".jp-Dialog", daily=False)
    dialog.get_by_role("button", name="Restart").click()
    page.get_by_text(re.compile(r"\(Nsight Systems\) \| Idle")).first.wait_for()
    lab.run_all()
    lab.wait_for_last_cell(120_000)
    page.get_by_role("link", name="Open", exact=True).last.click()
    panel = page.locator(".gol-Profile:visible")
    expect(panel.get_by_role("definition").first).to_have_text(re.compile(r"^\d+ %$"))
    lab.shot("nsight-profile", width=1920)
    [profile] = [each for each in server.get("genops/profiles") if each["title"] == "under nsight"]
    whole = server.get(f"genops/profiles/{profile['id']}")
    truth = json.loads((TRACES / "truth" / "nsys_mfu_2gpu_after.json").read_text())
    assert {each["device"]: each["busy_us"] for each in whole["summary"]["devices"]} == {
        name: pytest.approx(device["busy_us"], abs=0.001) for name, device in truth["devices"].items()
    }
    panel.get_by_role("tab", name="Operators and GPU kernels").click()
    expect(panel.get_by_text("flash_attn::_flash_attn_forward").first).to_be_visible()

    without_nsight(lab, "nsys.ipynb")
    assert lab.problems == []


def test_where_nsys_is_missing_it_is_said_and_nothing_is_restarted(
    lab: LabPage, server: LabServer, nsys: NsysStandIn
) -> None:
    write(server, "no-nsys.ipynb", "1 + 1")
    lab.open_notebook("no-nsys.ipynb")
    away = nsys.program.rename(nsys.folder / "away")
    try:
        in_kernel_menu(lab.page, "Restart Kernel with Nsight Systems…")
        toast = lab.page.locator(".Toastify__toast")
        expect(toast).to_contain_text("Nsight Systems (nsys) is not installed on this machine. Install it")
        expect(toast).to_contain_text("nsys on PATH.")
        lab.shot("nsight-missing")
    finally:
        away.rename(nsys.program)
    expect(lab.page.get_by_role("dialog")).to_have_count(0)
