"""Kernels that end, are interrupted or restarted inside a run: the run ends too, and says why."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from genops_lab.experiments.tracking import KERNEL_ENDED
from tests.support.homes import Home
from tests.support.kernels import LabKernel, lab_kernel
from tests.support.lab_server import LabServer
from tests.support.mlflow_file import kept_run
from tests.support.rooms import eventually

LONG = """%%track --name {name}
import genops, signal, time
if {deaf}: signal.signal(signal.SIGINT, signal.SIG_IGN)
for i in range(30): genops.log({{"loss": i}}, step=i)
print("logged", flush=True)
time.sleep(120)
"""


@pytest.fixture
def kernel(lab: LabServer) -> Iterator[LabKernel]:
    with lab_kernel(lab) as found:
        found.ok("%load_ext genops_lab")
        yield found


def begin(kernel: LabKernel, name: str, *, deaf: bool = False) -> str:
    """A tracked cell that has logged and goes on; a deaf one cannot be interrupted."""
    sent = kernel.send(LONG.format(name=name, deaf=deaf))
    kernel.wait_for_output("logged")
    return sent


def assert_ended(home: Home, name: str, status: str, reason: str | None) -> None:
    """The run ended like this within seconds, with all that was logged."""
    run = eventually(lambda: kept_run(home, name), lambda run: run.status != "RUNNING", 30)
    assert (run.status, run.tags.get("genops.failure")) == (status, reason)
    assert run.points["loss"] == [(step, float(step)) for step in range(30)]


def test_a_kernel_that_is_killed_leaves_a_failed_run(kernel: LabKernel, module_home: Home) -> None:
    pid = int(kernel.ok("import os; os.getpid()").result)
    begin(kernel, "killed")
    os.kill(pid, signal.SIGKILL)
    assert_ended(module_home, "killed", "FAILED", KERNEL_ENDED)


def test_an_interrupt_ends_the_run_and_not_the_kernel(kernel: LabKernel, module_home: Home) -> None:
    kernel.ok("kept = 5")
    sent = begin(kernel, "interrupted")
    kernel.interrupt()
    assert kernel.finish(sent).reply["ename"] == "KeyboardInterrupt"
    assert_ended(module_home, "interrupted", "KILLED", None)
    assert kernel.ok("kept").result == "5"


def test_a_restart_stops_the_run(kernel: LabKernel, module_home: Home) -> None:
    """Jupyter interrupts a kernel before it ends it, so a restart reads as its user's stop."""
    begin(kernel, "restarted")
    kernel.restart()
    assert_ended(module_home, "restarted", "KILLED", None)
    kernel.ok("%load_ext genops_lab")
    kernel.ok("%%track --name afterwards\nimport genops\ngenops.log({'a': 1})")
    assert kept_run(module_home, "afterwards").status == "FINISHED"


def test_a_restart_of_a_kernel_that_hears_nothing_fails_the_run(kernel: LabKernel, module_home: Home) -> None:
    begin(kernel, "deaf", deaf=True)
    kernel.restart()
    assert_ended(module_home, "deaf", "FAILED", KERNEL_ENDED)
