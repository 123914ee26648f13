"""``%%profile`` under the real Nsight Systems, through a real Lab. There is no GPU: it records NVTX ranges alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.profiling.engine.kinds import Kind
from genops_lab.profiling.engine.reading.nsight import read
from tests.support.homes import temporary_home
from tests.support.lab_kernels import LabKernel, lab_kernel
from tests.support.lab_server import LabServer, running_lab
from tests.support.nsight_tools import real_nsys

# Daily a stand-in takes its place, with the real one's arguments and exports: test_profile_nsight.py.
pytestmark = [pytest.mark.slow, pytest.mark.exhaustive, pytest.mark.timeout(300)]

CELL = """%%profile --title "{title}"
import nvtx, time
with nvtx.annotate("{title} work"):
    time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[LabServer]:
    """A Lab of a machine that has it."""
    pytest.importorskip("nvtx", reason="PyPI's nvtx has no wheel for this Python")
    with (
        real_nsys() as nsys,
        temporary_home() as home,
        running_lab(home, env={"PATH": f"{nsys.parent}{os.pathsep}{os.environ['PATH']}"}) as found,
    ):
        yield found


@pytest.fixture
def kernel(server: LabServer) -> Iterator[LabKernel]:
    status, made = server.request("POST", "genops/compute/nsight/kernels", {"kernel_name": "python3"})
    assert (status, made["name"]) == (200, "python3-nsight"), made
    with lab_kernel(server, made["name"]) as found:
        found.run("%load_ext genops_lab")
        yield found


def profiled(server: LabServer, title: str) -> dict[str, Any]:
    """The profile of this title, analysed."""
    (found,) = [each for each in server.get("genops/profiles") if each["title"] == title]
    deadline = time.monotonic() + 60
    while found["state"] == "analyzing" or not found["artifact"]:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
        found = server.get(f"genops/profiles/{found['id']}")
    return dict(server.get(f"genops/profiles/{found['id']}"))


def ranges(shown: dict[str, Any]) -> list[str]:
    """The names of NVTX ranges in the trace that the Lab keeps."""
    columns = read(Path(shown["trace_path"]))
    of_code = columns.kind == Kind.ANNOTATION
    return [columns.names[each] for each in columns.name[of_code].tolist()]


def test_cells_are_recorded_to_profiles_of_a_run(kernel: LabKernel, server: LabServer) -> None:
    kernel.run("import genops\nrun = genops.start('r')")
    for title, other in (("first", "second"), ("second", "first")):
        _said, err = kernel.run(CELL.format(title=title))
        assert err == ""
        shown = profiled(server, title)
        assert shown["state"] == "ready", shown
        names = ranges(shown)
        assert f"{title} work" in names and f"{other} work" not in names, "each has its own"
        assert [name for name in names if name.startswith("genops:line:")], (
            "lines are marked without PyTorch's NVTX"
        )
        assert (Path(shown["trace_path"]).parent / "report.nsys-rep").read_bytes(), "for nsys-ui"
    of_run = server.home.data / "mlflow" / "artifacts"
    kept = {path.name for path in of_run.rglob(f"{shown['artifact'].rpartition('/')[0]}/*")}
    assert "report.nsys-rep" in kept and any(name.startswith("trace.sqlite") for name in kept), kept


def test_that_the_gpu_was_not_seen_is_said(kernel: LabKernel) -> None:
    kernel.client.execute(CELL.format(title="dark"), allow_stdin=False)
    said = ""
    while "no events of the cuda device" not in said:
        said += str(kernel.client.get_iopub_msg(timeout=60)["content"])


def test_an_interrupt_keeps_the_kernel_and_what_was_recorded(kernel: LabKernel, server: LabServer) -> None:
    code = CELL.format(title="cut") + "print('runs', flush=True)\ntime.sleep(100)"
    sent = kernel.send(code)
    while kernel.client.get_iopub_msg(timeout=60)["msg_type"] != "stream":
        pass
    kernel.act("interrupt")
    assert kernel.reply(sent)["ename"] == "KeyboardInterrupt"
    (found,) = [each for each in server.get("genops/profiles") if each["title"] == "cut"]
    assert "cut work" in ranges(server.get(f"genops/profiles/{found['id']}"))
    assert kernel.run("print(2 + 3)")[0] == "5\n"


def test_after_a_restart_it_records_in_a_session_of_its_own(kernel: LabKernel, server: LabServer) -> None:
    before, _err = kernel.run("import os; print(os.environ['GENOPS_NSYS_SESSION'])")
    kernel.client.stop_channels()
    kernel.act("restart")
    kernel.connect()
    after, _err = kernel.run("import os; print(os.environ['GENOPS_NSYS_SESSION'])\n%load_ext genops_lab")
    assert after != before
    _out, err = kernel.run(CELL.format(title="anew"))
    assert err == ""
    (found,) = [each for each in server.get("genops/profiles") if each["title"] == "anew"]
    assert "anew work" in ranges(server.get(f"genops/profiles/{found['id']}"))
