"""The best fit is chosen in the picker, and the notebook's kernel sees that GPU alone."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.agent.test_gpus import output, program
from tests.support.browser import LabPage
from tests.support.lab_server import LabServer
from tests.support.sshd import Sshd

from .hosts import connected, ssh_config
from .test_target_settings import NOTEBOOK
from .test_targets import PATIENT_MS, dialog, item, looked_at, run

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server(server: LabServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """The shared Lab with a host that has eight GPUs, as nvidia-smi told of a real one."""
    there = tmp_path_factory.mktemp("bin")
    program(there, "nvidia-smi", {"-q -x": (output("nvidia-8x-v100s.xml"), 0)})
    with Sshd(environment={"PATH": f"{there}:{Path(sys.executable).parent}:/usr/bin:/bin"}) as host:
        here = {**NOTEBOOK["metadata"]["kernelspec"], "name": "python3"}
        (server.home.work / "fit.ipynb").write_text(
            json.dumps({**NOTEBOOK, "metadata": {"kernelspec": here}})
        )
        with ssh_config(server, f"Include {host.config}\n"):
            connected(server, {"name": "gpu1", "host": host.alias, "python": sys.executable})
            yield server


def test_the_kernel_sees_the_gpu_that_fits_best(lab: LabPage, server: LabServer) -> None:
    lab.open_notebook("fit.ipynb")
    item(lab).click()
    dialog(lab).get_by_role("button", name="Move to another target…").click()
    picker = dialog(lab)
    read = picker.get_by_role("radio", name=re.compile("gpu1 connected 8 × Tesla"))
    expect(read).to_be_visible(timeout=PATIENT_MS)
    picker.get_by_label("Best fit for").fill("2.9")
    picker.get_by_role("button", name="Choose", exact=True).click()
    expect(picker.get_by_role("radio", name=re.compile("gpu1"))).to_be_checked(timeout=PATIENT_MS)
    expect(picker.locator(".gol-BestFit-reason")).to_contain_text("GPU")
    looked_at(lab, "best-fit", ".jp-Dialog", daily=False)
    lab.shot("targets-best-fit-wide", width=1920, height=1080)
    picker.get_by_role("button", name="Restart kernel").click()
    expect(item(lab)).to_have_attribute("aria-label", re.compile("gpu1, connected"), timeout=PATIENT_MS)
    run(lab, "import os; print('it sees', os.environ['CUDA_VISIBLE_DEVICES'], '!')", "it sees")
    printed = lab.page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output", has_text="it sees").last
    seen = int(printed.inner_text().split()[2])
    gpus = server.get("genops/targets/gpu1")["reading"]["gpus"]
    free = {each["index"]: each["memory_total_bytes"] - each["memory_used_bytes"] for each in gpus}
    assert len(free) == 8 and free[seen] >= 2.9 * 1024**3, (seen, free)
    assert lab.problems == []
