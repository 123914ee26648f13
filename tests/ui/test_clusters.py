"""A kernel in a job of a real Slurm, as a person meets it: waited for, given back, run, preempted."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer
from tests.support.rooms import eventually
from tests.support.slurm import Cluster
from tests.support.sshd import Sshd

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
from .hosts import ssh_config
from .keyboard import Keyboard
from .test_keyboard_story import button, dialog, section
from .test_targets import card, item, popup_looked_at

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

NAME, PRESET = "cluster", "1 x H100"
CELLS = (
    "import os\nprint('the job is', os.environ['SLURM_JOB_ID'])",
    "kept = 42\nprint('GPUs:', os.environ['CUDA_VISIBLE_DEVICES'])",
)


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster.running()


@pytest.fixture(scope="module")
def server(server: LabServer, cluster: Cluster) -> Iterator[LabServer]:
    """The shared Lab; its user's ssh_config has a login node."""
    write_notebook(server.home.work / "train.ipynb", CELLS)
    with Sshd(alias="login1", environment=cluster.environment) as login:
        with ssh_config(server, login.write_config(IdentityAgent=None).read_text()):
            yield server
        eventually(lambda: jobs(cluster), lambda each: each == [], 60)


@pytest.fixture(scope="module")
def lab(module_page: LabPage) -> LabPage:
    """One page for the whole way: each test begins where the one before it ended."""
    started(module_page)
    return module_page


@pytest.fixture
def keys(lab: LabPage) -> Keyboard:
    return Keyboard(lab.page)


def jobs(cluster: Cluster) -> list[str]:
    """The jobs of GenOps Lab that wait or run."""
    return [each for each in cluster.run("squeue", "--me", "-h", "-o", "%j").split() if "genops" in each]


def take_all_gpus(cluster: Cluster) -> list[str]:
    """Submit jobs of a higher priority that take all GPUs; return their ids."""
    command = (
        "sbatch",
        "--parsable",
        "-p",
        "gpu",
        "-t",
        "10",
        "--gres=gpu:4",
        "--mem=100M",
        "-o",
        "/dev/null",
    )
    taken = [cluster.run(*command, "--wrap", "exec sleep 600").strip() for _ in range(2)]
    return taken


def looks(lab: LabPage, name: str, selector: str, *, daily: bool = True) -> None:
    lab.looks(f"cluster-{name}", selector, daily=daily)


def test_a_partition_is_added_by_keyboard_and_tested_step_by_step(
    lab: LabPage, keys: Keyboard, server: LabServer
) -> None:
    compute = section(lab, keys, "Compute")
    keys.choose(button(compute, "Add a target…").last)
    form = dialog(lab, "Add a target")
    expect(form.get_by_label("Host", exact=True)).to_be_focused()
    keys.option(form.get_by_label("Kind"), "A partition of Slurm")
    typed = {
        "Host": "login1",
        "Name": NAME,
        "Partition": "spot",
        "Memory": "500M",
        "Python on the host": sys.executable,
    }
    fill(keys, form, typed)
    looks(lab, "add", ".jp-Dialog")
    keys.press("Enter")
    steps = form.get_by_role("list", name=f"Steps of the test of {NAME}")
    expect(steps).to_contain_text("Slurm took a job and ran it.", timeout=PATIENT_MS)
    expect(button(form, "Done")).to_be_focused(timeout=PATIENT_MS)
    expect(form.get_by_role("status")).to_contain_text(f"“{NAME}” is ready.")
    looks(lab, "tested", ".jp-Dialog")
    keys.press("Enter")
    expect(form).to_have_count(0)
    expect(card(lab, NAME)).to_contain_text("spot on login1, a job for each kernel")


def test_a_kernel_waits_in_a_full_partition_and_is_given_back(
    lab: LabPage, keys: Keyboard, cluster: Cluster
) -> None:
    taken = take_all_gpus(cluster)
    lab.open_notebook("train.ipynb")
    keys.command("Choose Where to Run This Notebook…")
    picker = lab.page.get_by_role("dialog")
    radio = picker.get_by_role("radio", name=re.compile(NAME))
    keys.to(radio, "ArrowDown", most=3)
    expect(radio).to_be_checked()
    keys.choose(picker.get_by_role("button", name=re.compile("Start with")))
    keys.to(picker.get_by_label("GPUs", exact=True))
    keys.write("1")
    keys.to(picker.get_by_label("Kind of GPU", exact=True))
    keys.write("h100")
    keys.to(picker.get_by_label("Keep as a preset, with a kernel of its own"))
    keys.press("Space")
    keys.to(picker.get_by_label("Name of the preset"))
    keys.write(PRESET)
    keys.choose(picker.get_by_role("button", name="Batch script of this start"))
    expect(picker.get_by_label("Request of this start")).to_contain_text("--gres=gpu:h100:1")
    looks(lab, "picker", ".jp-Dialog")
    keys.choose(picker.get_by_role("button", name=re.compile("tart kernel")))
    expect(picker).to_have_count(0)
    expect(item(lab)).to_contain_text("waiting to start", timeout=PATIENT_MS)
    expect(item(lab)).to_have_attribute(
        "aria-label", re.compile("No node has the requested resources free"), timeout=PATIENT_MS
    )
    looks(lab, "waits", "#genops-lab-section-compute-body")
    item(lab).press("Enter")
    popup = lab.page.get_by_role("dialog", name="Where this notebook runs")
    expect(popup).to_contain_text("Expected start:")
    popup_looked_at(lab, "cluster-waits-popup", item(lab))
    cut_out("queue", popup)
    assert len(jobs(cluster)) == 1
    keys.choose(button(popup, "Cancel start"))
    eventually(lambda: jobs(cluster), lambda each: each == [], 60)
    expect(card(lab, NAME).get_by_role("button", name="Cancel start")).to_have_count(0, timeout=PATIENT_MS)
    cluster.run("scancel", *taken)


def test_a_kernel_of_the_preset_runs_in_a_job(lab: LabPage, keys: Keyboard) -> None:
    keys.command("Change Kernel…")
    choice = lab.page.get_by_role("dialog").filter(has_text="Select Kernel")
    select = choice.locator("select")
    keys.option(select, f"Python 3 ({NAME}: {PRESET})")
    keys.press("Enter")
    expect(choice).to_have_count(0)
    expect(item(lab)).to_have_attribute("aria-label", re.compile(f": {NAME}, connected"), timeout=PATIENT_MS)
    lab.run_all()
    expect(outputs(lab).first).to_contain_text(re.compile(r"the job is \d+"), timeout=PATIENT_MS)
    expect(outputs(lab).last).to_contain_text(re.compile(r"GPUs: \d"), timeout=PATIENT_MS)
    expect(card(lab, NAME)).to_contain_text("train.ipynb")
    looks(lab, "runs", "#genops-lab-section-compute-body")
    item(lab).press("Enter")
    popup_looked_at(lab, "cluster-runs-popup", item(lab))
    lab.page.keyboard.press("Escape")


def test_a_preempted_kernel_says_why_and_keeps_its_outputs(
    lab: LabPage, keys: Keyboard, cluster: Cluster
) -> None:
    taken = take_all_gpus(cluster)
    end = ended(lab, keys, "Slurm gave the job's resources to one with a higher priority.")
    looks(lab, "preempted", ".jp-Dialog")
    cluster.run("scancel", *taken)
    restart_with_all_cells(lab, keys, end)
    expect(outputs(lab).last).to_contain_text(re.compile(r"GPUs: \d"), timeout=PATIENT_MS)
