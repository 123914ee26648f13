"""Servers that are killed or stopped in the middle of sweeps, here and on a host, and the next ones that go on."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from genops_lab.core.store import LocalStore
from genops_lab.core.store.work import WorkTable
from genops_lab.hosts.ledger import Ledger
from genops_lab.hosts.records import TargetRecord
from genops_lab.kernels.kernelspecs import install_kernelspec
from tests.support.homes import Home, temporary_home
from tests.support.lab_server import LabServer, start_lab
from tests.support.mlflow_file import place_store
from tests.support.sshd import Sshd

from .conftest import Sweeper

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CODE = """import genops, os, time
genops.log({{"x": n}})
while n == 2 and not os.path.exists({mark!r}):
    time.sleep(0.05)
"""
#: Two trials run when the server is killed; one of them fails afterwards.
ON_HOST = """import genops, os, time
genops.log({{'x': n}})
while n > 1 and not os.path.exists({mark!r}):
    time.sleep(0.05)
if n == 3:
    raise ValueError('late')
"""


@pytest.fixture(scope="module")
def restarted() -> Iterator[Sweeper]:
    """A Lab with a real host behind it, in the place of which the tests put the next ones."""
    with temporary_home() as home, Sshd() as host, pytest.MonkeyPatch.context() as patch:
        for name, value in home.environment().items():
            patch.setenv(name, value)
        found = Sweeper(home, _lab_with(home, host))
        try:
            yield found
        finally:
            for kernel in found.kernels():
                found.lab.request("DELETE", f"api/kernels/{kernel['id']}")
            found.lab.stop()


def _lab_with(home: Home, host: Sshd) -> LabServer:
    home.data.mkdir(parents=True, mode=0o700)
    place_store(home.data)
    store = LocalStore(home.data / "store.db")
    Ledger(store).add(TargetRecord(route=host.route(target="gpu-a", python=sys.executable)))
    store.close()
    install_kernelspec("gpu-a")
    return start_lab(home)


def test_each_trial_counts_once_when_the_server_is_killed_and_on_a_host_goes_on_without_it(
    restarted: Sweeper,
) -> None:
    sweeper, mark = restarted, str(restarted.home.work / "killed")
    there = sweeper.start(ON_HOST.format(mark=mark), "n=1,2,3,4", metric="x", on=["gpu-a"], parallel=2)
    here = sweeper.start(CODE.format(mark=mark), "n=1,2,3", metric="x")
    running = sweeper.until(there, lambda found: [trial["value"] for trial in found["trials"]] == [1, 2, 3])
    assert {trial["kernel_name"] for trial in running["trials"]} == {"genops-gpu-a"}
    sweeper.until(here, lambda found: [trial["value"] for trial in found["trials"]] == [1, 2])

    sweeper.lab.process.send_signal(signal.SIGKILL)
    sweeper.lab.process.wait(20)
    sweeper.lab = start_lab(sweeper.home, after=sweeper.lab)
    sweeper.until(here, lambda found: len(found["trials"]) == 2 and found["trials"][1]["attempt"] == 2)
    (sweeper.home.work / "killed").touch()

    done = sweeper.ended(here)
    assert done["state"] == "done", done
    assert [(t["state"], t["attempt"], t["value"]) for t in done["trials"]] == [
        ("finished", 1, 1),
        ("finished", 2, 2),
        ("finished", 1, 3),
    ]
    runs = sweeper.runs(here)
    assert [run.status for run in runs] == ["FINISHED"] * 3
    assert [run.run_id for run in runs] == [trial["run_id"] for trial in done["trials"]]

    done = sweeper.ended(there)
    works = WorkTable(LocalStore(sweeper.home.data / "store.db")).latest("sweep")
    assert [works[f"sweep:{each['id']}"].token for each in (here, there)] == [2, 2]
    states = ["finished", "finished", "failed", "finished"]
    assert [(t["state"], t["attempt"], t["value"]) for t in done["trials"]] == [
        (state, 1, number + 1) for number, state in enumerate(states)
    ], done
    kernels = [trial["kernel_id"] for trial in running["trials"]]
    assert [trial["kernel_id"] for trial in done["trials"][:3]] == kernels
    runs = sweeper.runs(there)
    assert [run.status for run in runs] == [state.upper() for state in states]
    assert {run.tags["genops.target"] for run in runs} == {"gpu-a"}
    assert sweeper.kernels() == []


def test_a_server_that_stops_leaves_its_sweep_to_the_next(restarted: Sweeper) -> None:
    sweeper, mark = restarted, restarted.home.work / "stopped"
    begun = sweeper.start(CODE.format(mark=str(mark)), "n=2,3", metric="x")
    sweeper.until(begun, lambda found: [trial["value"] for trial in found["trials"]] == [2])
    sweeper.lab.stop()
    mark.touch()
    sweeper.lab = start_lab(sweeper.home, after=sweeper.lab)
    done = sweeper.ended(begun)
    # A kernel that sees the mark before it is ended has finished its trial: then that counts.
    assert [(t["state"], t["value"]) for t in done["trials"]] == [("finished", 2), ("finished", 3)]
    runs = sweeper.runs(begun)
    assert [run.run_id for run in runs] == [trial["run_id"] for trial in done["trials"]]
    assert [run.status for run in runs] == ["FINISHED"] * 2
