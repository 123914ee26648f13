"""From a host whose Python lacks ipykernel to a running notebook: an environment is built there from the dialog."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.support.browser import LabPage
from tests.support.environments import index_variables, uv_folder
from tests.support.lab_server import LabServer
from tests.support.packages import package_folder
from tests.support.sshd import Sshd

from .hosts import ssh_config
from .test_targets import PATIENT_MS, card, dialog, item, looked_at, run

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package_folder(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def host(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A host with uv and an index, whose ``python3`` has nothing. Skips where no index can be reached."""
    uv = uv_folder()
    if uv is None:
        pytest.skip("no package index can be reached")
    bare = tmp_path_factory.mktemp("host") / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True, timeout=120)
    links = {name: str(packages) for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS")}
    path = f"{bare / 'bin'}:{uv}:/usr/bin:/bin"
    with Sshd(
        environment={**index_variables(), **links, "GOL_GATE": str(packages / "gate"), "PATH": path}
    ) as found:
        yield found


@pytest.fixture(scope="module")
def server(server: LabServer, host: Sshd) -> Iterator[LabServer]:
    """The shared Lab, of someone with a project in its folder."""
    files = {"requirements.txt": "goltiny==1.0\ngolslow\n", "environment.yml": "name: digits\n"}
    for name, text in files.items():
        (server.home.work / name).write_text(text)
    with ssh_config(server, host.config.read_text()):
        yield server
    for name in files:
        (server.home.work / name).unlink()


def step(found: Locator, name: str) -> Locator:
    return found.get_by_role("listitem").filter(has_text=re.compile(rf"^{name}"))


def test_from_a_python_without_ipykernel_to_a_running_notebook(
    lab: LabPage, server: LabServer, host: Sshd, packages: Path
) -> None:
    lab.execute("genops:add-target", {"host": host.alias})
    found = dialog(lab)
    expect(step(found, "ipykernel")).to_contain_text("failed", timeout=PATIENT_MS)
    build = found.get_by_role("button", name="Build an environment…")
    expect(build).to_be_visible(timeout=PATIENT_MS)
    expect(build).to_be_focused()
    # JupyterLab does so at times, late.
    lab.page.evaluate("document.querySelector('.jp-LauncherCard').focus()")
    expect(build).to_be_focused()
    looked_at(lab, "lacks-ipykernel", ".jp-Dialog", daily=False)
    build.click()

    expect(found.get_by_role("radio", name=re.compile("^requirements"))).to_be_checked()
    expect(found.get_by_role("radio", name=re.compile("environment.yml"))).to_be_disabled()
    looked_at(lab, "build-choice", ".jp-Dialog")
    found.get_by_role("button", name="Build", exact=True).click()
    log = found.get_by_role("log")
    expect(log).to_contain_text("golslow", timeout=2 * PATIENT_MS)  # the index is asked first
    expect(found.get_by_role("status")).to_contain_text("requirements.txt and ipykernel")
    looked_at(lab, "building", ".jp-Dialog", daily=False)

    found.get_by_role("button", name="Cancel").click()
    expect(found.get_by_role("radio", name=re.compile("^requirements"))).to_be_checked(timeout=PATIENT_MS)
    assert not list((host.home / ".local/share/genops-lab/envs").iterdir()), "nothing of it is left"
    (packages / "gate").touch()
    found.get_by_role("button", name="Build", exact=True).click()
    expect(found.get_by_text("is ready.")).to_be_visible(timeout=2 * PATIENT_MS)
    expect(step(found, "ipykernel")).to_contain_text("passed")
    expect(found.get_by_role("button", name="Install mlflow")).to_be_visible()
    looked_at(lab, "built", ".jp-Dialog", daily=False)
    found.get_by_role("button", name="Done").click()

    (there,) = server.get("genops/targets")
    assert there["python"].startswith(str(host.home / ".local/share/genops-lab/envs/work-"))
    card(lab, host.alias).get_by_role("button", name="New notebook").click()
    expect(item(lab)).to_have_attribute(
        "aria-label", re.compile(rf"{host.alias}, connected"), timeout=PATIENT_MS
    )
    expect(lab.page.get_by_text(re.compile(r"\| Idle"))).to_be_visible(timeout=PATIENT_MS)
    run(lab, "import goltiny, sys; print(sys.executable, goltiny.version)", f"{there['python']} 1.0")
    free_space(lab, server, host)
    left_to_the_background(lab, server, host)
    assert lab.problems == []


def left_to_the_background(lab: LabPage, server: LabServer, host: Sshd) -> None:
    """The end of a build that no dialog shows tells how its test went, and what comes next."""
    assert server.request("POST", f"genops/targets/{host.alias}/environment", {})[0] == 200
    toast = lab.page.locator(".Toastify__toast", has_text="can run kernels.")
    expect(toast).to_contain_text(f"Build an environment on {host.alias}", timeout=2 * PATIENT_MS)
    looked_at(lab, "built-unseen", ".Toastify", daily=False)
    report = server.get(f"genops/targets/{host.alias}/report")
    assert {each["step"]: each["state"] for each in report["steps"]}["logout"] == "skipped", report
    toast.get_by_role("button", name="Show full test…").click()
    found = dialog(lab)
    expect(step(found, "ipykernel")).to_contain_text("passed", timeout=PATIENT_MS)
    found.get_by_role("button", name="Close").click(timeout=PATIENT_MS)


def free_space(lab: LabPage, server: LabServer, host: Sshd) -> None:
    """What the kernel and the target need stays; a copy that no Lab knows goes when it was agreed twice."""
    server.request("POST", f"genops/targets/{host.alias}/disconnect")
    stray = host.home / "genops" / "old-0123abcd"
    stray.mkdir(parents=True)
    (stray / "model.pt").write_bytes(b"x" * 100_000)
    lab.execute("genops:clean-target", {"name": host.alias})
    found = dialog(lab)
    expect(found.get_by_role("alert").filter(has_text="is not connected")).to_be_visible(timeout=PATIENT_MS)
    looked_at(lab, "free-space-away", ".jp-Dialog", daily=False)
    found.get_by_role("button", name="Connect", exact=True).click()
    built = found.get_by_role("row").filter(has_text="genops-lab/envs/work-")
    expect(built).to_contain_text("it has the interpreter of", timeout=PATIENT_MS)
    expect(built.get_by_role("checkbox")).to_be_disabled()
    row = found.get_by_role("row").filter(has_text="old-0123abcd")
    row.get_by_role("checkbox").check()
    looked_at(lab, "free-space", ".jp-Dialog")
    found.get_by_role("button", name="Remove 1").click()
    alert = found.get_by_role("alert").filter(has_text="may have no other copy")
    expect(alert).to_contain_text("another Lab sent it")
    assert stray.is_dir()
    looked_at(lab, "free-space-sure", ".jp-Dialog", daily=False)
    found.get_by_role("button", name="Remove anyway").click()
    expect(found.get_by_role("status")).to_contain_text("freed.", timeout=PATIENT_MS)
    expect(row).to_have_count(0)
    assert not stray.exists()
    found.get_by_role("button", name="Close").click()
