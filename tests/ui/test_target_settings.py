"""How kernels of a target are kept, as a person sees it: settings, what stands ready, an end for want of work."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.support import exhaustive
from tests.support.browser import LabPage
from tests.support.lab_server import LabServer
from tests.support.rooms import eventually
from tests.support.sshd import Sshd

from .hosts import connected, ssh_config
from .test_targets import PATIENT_MS, card, dialog, item, looked_at, popup_looked_at, run

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(600)]

NOTEBOOK = {
    "cells": [
        {"cell_type": "code", "id": "a", "source": "", "metadata": {}, "outputs": [], "execution_count": None}
    ],
    "metadata": {
        "kernelspec": {"name": "genops-gpu1", "display_name": "Python 3 (gpu1)", "language": "python"}
    },
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture(scope="module")
def server(server: LabServer) -> Iterator[LabServer]:
    """The shared Lab with a target that is connected."""
    with Sshd() as host, ssh_config(server, f"Include {host.config}\n"):
        for name in ("ended.ipynb", "busy.ipynb"):
            (server.home.work / name).write_text(json.dumps(NOTEBOOK))
        connected(server, {"name": "gpu1", "host": host.alias, "python": sys.executable})
        yield server
        server.request("PUT", "genops/targets/gpu1", {})
        eventually(lambda: server.get("genops/targets/gpu1"), lambda each: each["warm_ready"] is None, 90)


def test_settings_are_changed_in_a_dialog_that_shows_no_value(lab: LabPage, server: LabServer) -> None:
    lab.section("Compute")
    card(lab, "gpu1").get_by_role("button", name="Settings of gpu1").click()
    form = dialog(lab)
    form.get_by_label("HF_TOKEN").check(
        timeout=PATIENT_MS
    )  # the last thing that comes into the form by itself
    form.get_by_label("Kernels kept ready").fill("1")
    expect(form.get_by_label("Kernels kept ready")).to_have_value("1")
    form.get_by_label("Stop idle kernels").select_option("30")
    form.get_by_label("Price in USD an hour").fill("2.49")
    expect(form.get_by_label("Price in USD an hour")).to_have_value("2.49")
    looked_at(lab, "settings", ".jp-Dialog")
    assert "hf-secret" not in lab.page.content()
    form.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)
    found = eventually(lambda: server.get("genops/targets/gpu1"), lambda each: each["warm_ready"] == 1, 90)
    assert (found["secrets"], found["price_per_hour"]) == (["HF_TOKEN"], 2.49)
    assert found["policy"]["idle_minutes"] == 30
    there = card(lab, "gpu1")
    there.get_by_role("button", name="Details").click(timeout=PATIENT_MS)
    expect(there).to_contain_text("1 ready", timeout=PATIENT_MS)
    expect(there).to_contain_text("30 minutes idle")
    looked_at(lab, "kept", "#genops-lab-section-compute-body", daily=False)
    assert lab.problems == []


def test_the_yaml_of_a_target_is_edited_and_kept_and_a_mistake_names_its_line(
    lab: LabPage, server: LabServer
) -> None:
    config = {"context": "none", "namespace": "team", "image": "team/train:1.4", "gpus": 1}
    status, answer = server.request(
        "POST", "genops/targets", {"name": "pods", "kind": "kubernetes", "config": config}
    )
    assert status == 200, answer
    opener = card(lab, "pods").get_by_role("button", name="Show the YAML of pods")
    opener.click()
    form = dialog(lab)
    text = form.get_by_role("textbox", name="Text of the request")
    expect(text).to_be_focused()
    expect(text).to_contain_text("image: team/train:1.4")
    keep = form.get_by_role("button", name="Keep for this target")
    expect(keep).to_be_disabled()
    lab.page.keyboard.press("Control+End")
    lab.page.keyboard.insert_text("\n  nodeSelector: {pool: [gpu}")
    keep.click()
    expect(form.get_by_role("alert")).to_contain_text(re.compile(r"Line \d+ of the pod template is not YAML"))
    expect(text).to_be_focused()
    lab.looks("targets-request", ".jp-Dialog")
    lab.page.keyboard.press("Control+End")
    for _ in range(len("[gpu}")):
        lab.page.keyboard.press("Backspace")
    lab.page.keyboard.insert_text("gpu}")
    lab.page.keyboard.press("Escape")  # leaves the editor, and not the dialog
    expect(form.get_by_role("button", name="Cancel")).to_be_focused()
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Enter")
    expect(form).to_have_count(0)
    kept = server.get("genops/targets/pods/request")
    assert "pool: gpu" in kept["text"] and kept["template"].endswith("templates/pods.yaml")
    opener.click()
    expect(form).to_contain_text("Built on ")
    form.get_by_role("button", name="Cancel").click()


def open_notebook(lab: LabPage, name: str) -> None:
    lab.execute("docmanager:open", {"path": name})
    lab.page.locator(".jp-NotebookPanel:visible .jp-Notebook").wait_for(timeout=PATIENT_MS)
    lab.page.locator(".jp-NotebookPanel:visible .jp-Cell").first.wait_for(timeout=PATIENT_MS)
    is_shown_as(lab, "Idle")


def is_shown_as(lab: LabPage, state: str) -> None:
    """What JupyterLab's status bar says of the kernel."""
    # expect shows what stands there instead
    expect(lab.page.get_by_text(f"Python 3 (gpu1) | {state}").first).to_be_visible(timeout=2 * PATIENT_MS)


def popup(lab: LabPage) -> Locator:
    """Where the notebook runs, opened."""
    item(lab).click(timeout=PATIENT_MS)
    return lab.page.get_by_role("dialog", name="Where this notebook runs")


@pytest.mark.exhaustive  # tests/kernels/test_kernels.py: clients that come later; test_recovery: a reload
def test_a_cell_that_runs_is_busy_whatever_is_answered_and_after_a_reload(
    lab: LabPage, server: LabServer
) -> None:
    notebook, go_on = server.home.work / "busy.ipynb", server.home.path / "go-on"
    open_notebook(lab, notebook.name)
    lab.page.locator(".jp-NotebookPanel:visible .jp-Cell").last.locator(".cm-content").click()
    code = f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.05)\nprint('went', 'on')"
    lab.page.keyboard.insert_text(code)
    lab.page.keyboard.press("Shift+Enter")
    is_shown_as(lab, "Busy")
    lab.page.evaluate(
        """() => {
          const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
          return kernel.requestDebug({ type: 'request', seq: 1, command: 'debugInfo' }).done.then(() => true);
        }"""
    )
    is_shown_as(lab, "Busy")
    expect(popup(lab)).to_contain_text("Kernelbusy")
    lab.page.keyboard.press("Escape")
    lab.execute("docmanager:save")
    eventually(notebook.read_text, lambda text: "go-on" in text, 60)
    lab.page.reload()
    lab.ready()
    lab.execute(
        "docmanager:open", {"path": notebook.name}
    )  # it is the kernel's state that is meant, not the layout's
    is_shown_as(lab, "Busy")
    expect(popup(lab)).to_contain_text("Kernelbusy")
    go_on.touch()
    is_shown_as(lab, "Idle")
    expect(lab.page.locator(".jp-OutputArea-output", has_text="went on").first).to_be_visible(
        timeout=PATIENT_MS
    )
    assert lab.problems == []


def test_an_end_for_want_of_work_is_told_and_a_restart_goes_on(lab: LabPage, server: LabServer) -> None:
    open_notebook(lab, "ended.ipynb")
    run(lab, "held = 1; print('held', held)", "held 1")
    here = lab.section("This notebook")
    expect(here).to_contain_text("ended.ipynb")
    expect(here).to_contain_text(
        re.compile(r"Runs ongpu1.* ms.*Kernelidle.*Cost[\d.]+ USD at 2\.49 USD/h"), timeout=PATIENT_MS
    )
    lab.execute("docmanager:save")
    eventually((server.home.work / "ended.ipynb").read_text, lambda text: "held = 1" in text, 60)
    policy = {"warm_kernels": 1, "idle_minutes": 1}
    assert server.request("PUT", "genops/targets/gpu1", {"policy": policy, "price_per_hour": 2.49})[0] == 200
    # The kernel of the test before ends too.
    toast = lab.page.locator(
        ".Toastify__toast", has_text="ended.ipynb (kernel on gpu1): Ended after 1 min without work; freed "
    )
    expect(toast.first).to_be_visible(timeout=3 * PATIENT_MS)
    looked_at(lab, "ended", ".Toastify", daily=False)
    expect(lab.panel().get_by_role("region", name="Needs attention")).to_contain_text(
        "ended.ipynb (kernel on gpu1)"
    )
    expect(here).to_contain_text("kernel has ended")
    expect(item(lab)).to_contain_text("kernel has ended")
    is_shown_as(lab, "Unknown")
    assert server.request("PUT", "genops/targets/gpu1", {})[0] == 200
    run(lab, "print('asked', 'again'); 1 / 0", "This cell was not run")
    offer = lab.page.get_by_role("dialog").filter(has_text="has ended")
    expect(offer).to_contain_text(
        re.compile(r"Ended after 1 min without work; freed .* of memory at 2\.49 USD/h\.")
    )
    expect(offer).to_contain_text("Where: gpu1, as before", timeout=PATIENT_MS)
    expect(offer.get_by_role("checkbox")).to_have_count(2)
    expect(offer.get_by_role("button", name="Restart and run 2 cells")).to_be_focused()
    looked_at(lab, "run-in-ended", ".jp-Dialog")
    offer.locator("summary").click()
    expect(offer.get_by_role("radio", name="gpu1")).to_be_checked()
    looked_at(lab, "restart-where", ".jp-Dialog", daily=False)
    offer.get_by_role("button", name="Cancel").click()
    expect(offer).to_have_count(0)
    is_shown_as(lab, "Unknown")
    lab.execute("docmanager:save")

    if exhaustive.ALL:
        lab.page.reload()
        lab.ready()
    expect(item(lab)).to_contain_text("kernel has ended", timeout=PATIENT_MS)
    is_shown_as(lab, "Unknown")
    details = popup(lab)
    expect(details).to_contain_text("Ended after 1 min without work; freed ")
    popup_looked_at(lab, "targets-ended", item(lab), daily=False)
    details.get_by_role("button", name="Restart…").click()
    expect(offer.get_by_role("checkbox")).to_have_count(1, timeout=PATIENT_MS)
    lab.page.keyboard.press("Escape")
    expect(offer).to_have_count(0)
    run(lab, "print('behind', 'the error')", "This cell was not run")
    expect(offer.get_by_role("checkbox")).to_have_count(2, timeout=PATIENT_MS)
    lab.page.keyboard.press("Escape")
    outputs = lab.page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output")
    expect(outputs.filter(has_text="asked again")).to_have_count(0)
    lab.execute("notebook:run-all-cells")
    expect(offer.get_by_role("checkbox")).to_have_count(3, timeout=PATIENT_MS)
    expect(offer.get_by_role("button", name="Restart and run 3 cells")).to_be_focused()
    lab.page.keyboard.press("Enter")
    expect(outputs.filter(has_text="ZeroDivisionError")).to_be_visible(timeout=2 * PATIENT_MS)
    is_shown_as(lab, "Idle")
    expect(item(lab)).not_to_contain_text("kernel has ended", timeout=PATIENT_MS)
    expect(outputs.filter(has_text="held 1")).to_have_count(1)
    expect(outputs.filter(has_text="asked again")).to_have_count(1)
    expect(outputs.filter(has_text="behind the error")).to_have_count(0)
    # JupyterLab drops what it asked of the ended kernel when it restarts it.
    lab.problems[:] = [each for each in lab.problems if "Canceled future for kernel_info_request" not in each]
