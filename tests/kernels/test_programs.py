"""Kernels of a target in programs that know nothing of GenOps Lab, without a Jupyter server."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.core.store import LocalStore
from genops_lab.hosts.ledger import Ledger
from genops_lab.hosts.providers import route_of
from genops_lab.hosts.records import TargetRecord
from tests.kernels.places import TARGET, Place, a_place, wait
from tests.support.homes import temporary_home
from tests.support.processes import runs

KERNEL = f"genops-{TARGET}"
TIMEOUT_S = 150.0


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with temporary_home() as home, a_place(home) as found:
        store = LocalStore(home.data / "store.db")
        Ledger(store).add(TargetRecord(route=route_of(target=TARGET, kind="local", python=sys.executable)))
        store.close()
        yield found


def run(place: Place, *command: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=place.home.work,
        env=place.home.environment(),
        input=typed,
        stdin=subprocess.DEVNULL if typed is None else None,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


def notebook(place: Place, name: str, *cells: str) -> Path:
    import nbformat

    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    path = place.home.work / name
    nbformat.write(made, path)
    return path


def test_nbclient(place: Place) -> None:
    import nbformat

    path = notebook(place, "a.ipynb", "print(6 * 7)", "import os; open('here', 'w'); print(os.getcwd())")
    done = run(
        place, sys.executable, "-m", "jupyter", "execute", "--inplace", f"--kernel_name={KERNEL}", str(path)
    )
    assert done.returncode == 0, done.stderr
    outputs = [cell.outputs[0].text for cell in nbformat.read(path, as_version=4).cells]
    assert outputs == ["42\n", f"{place.home.work}\n"]
    assert running(place) == []


@pytest.mark.exhaustive  # it runs notebooks by nbclient
def test_papermill(place: Place) -> None:
    import nbformat

    path = notebook(place, "b.ipynb", "x = 1", "print(x + 1)")
    made = place.home.work / "b-out.ipynb"
    done = run(place, sys.executable, "-m", "papermill", "-k", KERNEL, str(path), str(made))
    assert done.returncode == 0, done.stderr
    assert nbformat.read(made, as_version=4).cells[-1].outputs[0].text == "2\n"
    assert running(place) == []


def test_the_console(place: Place) -> None:
    done = run(
        place,
        sys.executable,
        "-m",
        "jupyter",
        "console",
        "--simple-prompt",
        f"--kernel={KERNEL}",
        typed="print(6 * 7)\nquit\n",
    )
    assert done.returncode == 0 and "42" in done.stdout, (done.stdout, done.stderr)


def test_a_program_that_forgets_its_kernel_leaves_it_under_its_lease(place: Place) -> None:
    kernel_id = str(uuid.uuid4())
    code = (
        "from jupyter_client import KernelManager\n"
        f"km = KernelManager(kernel_name={KERNEL!r}); km.kernel_id = {kernel_id!r}\n"
        "km.start_kernel(); kc = km.client(); kc.start_channels(); kc.wait_for_ready(60)\n"
        "print(kc.execute_interactive('kept = 1', timeout=60)['content']['status'])\n"
    )
    done = run(place, sys.executable, "-c", code)
    assert done.returncode == 0 and done.stdout.strip() == "ok", done.stderr
    (info,) = [each for each in place.call("kernels.list") if each["kernel_id"] == kernel_id]
    assert info["state"] == "running" and info["lease_until"] > info["started_at"] + 6 * 86400
    wait(lambda: place.call("kernels.info", kernel_id=kernel_id)["attached"] is None)
    assert runs(info["pid"])
    place.call("kernels.stop", kernel_id=kernel_id, grace_s=0)


def test_a_target_that_is_not_there_is_named(place: Place) -> None:
    folder = place.home.path / "data" / "kernels" / "genops-gone"
    folder.mkdir(parents=True)
    spec = json.loads((place.home.path / "data" / "kernels" / KERNEL / "kernel.json").read_text())
    spec["metadata"]["kernel_provisioner"]["config"]["target"] = "gone"
    (folder / "kernel.json").write_text(json.dumps(spec))
    path = notebook(place, "c.ipynb", "1")
    done = run(place, sys.executable, "-m", "jupyter", "execute", "--kernel_name=genops-gone", str(path))
    assert done.returncode != 0 and "no target 'gone'" in done.stderr


def running(place: Place) -> list[str]:
    return [each["kernel_id"] for each in place.call("kernels.list") if each["state"] == "running"]
