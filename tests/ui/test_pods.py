"""A kernel in a pod of a real Kubernetes, as a person meets it: waited for, run, preempted, started again."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.browser import LabPage
from tests.support.kubernetes import IMAGE, Cluster, a_cluster
from tests.support.lab_server import LabServer
from tests.support.rooms import eventually

from .clusters import (
    PATIENT_MS,
    cut_out,
    ended,
    fill,
    outputs,
    restart_with_all_cells,
    started,
    write_notebook,
)
from .keyboard import Keyboard
from .test_keyboard_story import button, dialog, section
from .test_targets import card, item, popup_looked_at

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.k8s, pytest.mark.timeout(300)]

NAME, NS, GPUS = "cluster", "team", 4
CELLS = ("import socket\nprint('the pod is', socket.gethostname())", "kept = 42\nprint('kept', kept)")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with a_cluster() as found:
        found.namespace(NS)
        found.gpus(GPUS)
        urgent = {"metadata": {"name": "urgent"}, "value": 1000000, "description": "For a test."}
        found.apply({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", **urgent})
        yield found


@pytest.fixture(scope="module")
def server(
    server: LabServer, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabServer]:
    """The shared Lab; its user's kubeconfig leads to the cluster."""
    write_notebook(server.home.work / "pod.ipynb", CELLS)
    kubeconfig = server.home.path / ".kube" / "config"
    kubeconfig.parent.mkdir()
    shutil.copy(cluster.kubeconfig, kubeconfig)
    try:
        yield server
        for session in server.get("api/sessions"):
            server.request("DELETE", f"api/sessions/{session['id']}")
        server.request("DELETE", f"genops/targets/{NAME}?force=true")
        eventually(lambda: cluster.pods(NS), lambda each: each == [], 60)
    finally:
        shutil.rmtree(kubeconfig.parent)


@pytest.fixture(scope="module")
def lab(module_page: LabPage) -> LabPage:
    """One page for the whole way: each test begins where the one before it ended."""
    started(module_page)
    return module_page


@pytest.fixture
def keys(lab: LabPage) -> Keyboard:
    return Keyboard(lab.page)


def take_all_gpus(cluster: Cluster) -> None:
    """Create a pod of a higher priority that takes all GPUs."""
    container: dict[str, Any] = {
        "name": "all", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "600"],
        "resources": {"limits": {"nvidia.com/gpu": str(GPUS)}},
    }  # fmt: skip
    spec = {
        "containers": [container],
        "priorityClassName": "urgent",
        "terminationGracePeriodSeconds": 0,
    }
    meta = {"name": "all-gpus", "namespace": NS}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})


def free_gpus(cluster: Cluster) -> None:
    cluster.kubectl("-n", NS, "delete", "pod", "all-gpus")


def test_a_namespace_is_added_by_keyboard_and_tested_step_by_step(
    lab: LabPage, keys: Keyboard, cluster: Cluster, tmp_path: Path
) -> None:
    template = cluster.route(NAME, NS, tmp_path / "template", grace_s=10).config.pod_template
    kept = lab.server.home.path / "pod.yaml"
    shutil.copy(template, kept)
    compute = section(lab, keys, "Compute")
    keys.choose(button(compute, "Add a target…").last)
    form = dialog(lab, "Add a target")
    expect(form.get_by_label("Host", exact=True)).to_be_focused()
    keys.option(form.get_by_label("Kind"), "A Kubernetes namespace")
    fill(keys, form, {"Context": "x", "Name": NAME, "Namespace": NS, "Image": IMAGE, "GPUs": "1"})
    fill(keys, form, {"Python on the host": sys.executable})
    keys.choose(form.locator("summary", has_text="More"))
    fill(keys, form, {"Pod template": str(kept)})
    lab.looks("pod-add", ".jp-Dialog")
    keys.press("Enter")
    steps = form.get_by_role("list", name=f"Steps of the test of {NAME}")
    expect(steps).to_contain_text("The pod runs.", timeout=PATIENT_MS)
    expect(button(form, "Done")).to_be_focused(timeout=PATIENT_MS)
    expect(form.get_by_role("status")).to_contain_text(f"“{NAME}” is ready.")
    lab.looks("pod-tested", ".jp-Dialog")
    keys.press("Enter")
    expect(form).to_have_count(0)
    expect(card(lab, NAME)).to_contain_text(NS)


def test_a_kernel_waits_for_gpus_and_starts_when_they_are_free(
    lab: LabPage, keys: Keyboard, cluster: Cluster
) -> None:
    take_all_gpus(cluster)
    lab.open_notebook("pod.ipynb")
    keys.command("Change Kernel…")
    choice = lab.page.get_by_role("dialog").filter(has_text="Select Kernel")
    keys.option(choice.locator("select"), f"Python 3 ({NAME})")
    keys.press("Enter")
    expect(choice).to_have_count(0)
    expect(item(lab)).to_contain_text("waiting to start", timeout=PATIENT_MS)
    why = re.compile(r"too little nvidia\.com/gpu is free \(1 requested\)")
    expect(item(lab)).to_have_attribute("aria-label", why, timeout=PATIENT_MS)
    lab.looks("pod-waits", "#genops-lab-section-compute-body")
    item(lab).press("Enter")
    popup = lab.page.get_by_role("dialog", name="Where this notebook runs")
    expect(popup).to_contain_text(why)
    popup_looked_at(lab, "pod-waits-popup", item(lab))
    lab.page.keyboard.press("Escape")
    free_gpus(cluster)
    expect(item(lab)).to_have_attribute("aria-label", re.compile(f": {NAME}, connected"), timeout=PATIENT_MS)
    lab.run_all()
    expect(outputs(lab).first).to_contain_text("the pod is genops-", timeout=PATIENT_MS)
    expect(outputs(lab).last).to_contain_text("kept 42", timeout=PATIENT_MS)
    lab.looks("pod-runs", "#genops-lab-section-compute-body")


def test_a_preempted_kernel_is_started_again_with_its_cells(
    lab: LabPage, keys: Keyboard, cluster: Cluster
) -> None:
    take_all_gpus(cluster)
    end = ended(lab, keys, "It was preempted")
    lab.looks("pod-preempted", ".jp-Dialog")
    cut_out("preempted", end.locator(".jp-Dialog-content"))
    free_gpus(cluster)
    restart_with_all_cells(lab, keys, end)
    expect(outputs(lab).last).to_contain_text("kept 42", timeout=PATIENT_MS)
