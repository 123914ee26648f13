"""Homes, kernels and environments of the kernel side's tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import environment_without_lab
from tests.support.homes import Home

from .forked import IPYKERNEL, TIMEOUT_S, TRAINING, ForkServer, Ran, fork_server
from .kernels import RunningKernel, running_kernel
from .profiled import SUMMARY
from .stand_in import LabStandIn, lab_stand_in

SITE = Path(__file__).parents[2] / "genops_lab" / "kernel" / "site"


@pytest.fixture
def lab(home: Home) -> Iterator[LabStandIn]:
    """A stand-in for the Lab that listens."""
    with lab_stand_in(home.path / "s") as found:
        yield found


def in_a_notebook(home: Home, lab: LabStandIn) -> dict[str, str]:
    """The variables of a kernel that the Lab started for a notebook."""
    return home.environment(
        GENOPS_SOCKET=str(lab.path),
        GENOPS_KERNEL_ID="the-kernel",
        JPY_SESSION_NAME=str(home.work / "lesson.ipynb"),
        MLFLOW_TRACKING_URI=f"sqlite:///{home.path}/mlflow.db",
    )


@pytest.fixture
def fresh_kernel(home: Home, lab: LabStandIn) -> Iterator[RunningKernel]:
    """A kernel of this environment, with the extension loaded."""
    with running_kernel(sys.executable, in_a_notebook(home, lab), home.work) as found:
        found.ok("%load_ext genops_lab")
        yield found


@pytest.fixture
def kernel(home: Home, lab: LabStandIn, ipykernels: ForkServer) -> Iterator[RunningKernel]:
    """What most tests use: the same, forked. Those of PyTorch take ``torch_kernel`` in its place."""
    with running_kernel(sys.executable, in_a_notebook(home, lab), home.work, forks=ipykernels) as found:
        found.ok("%load_ext genops_lab")
        yield found


@pytest.fixture
def torch_kernel(home: Home, lab: LabStandIn, torches: ForkServer) -> Iterator[RunningKernel]:
    """One that has imported PyTorch before its first cell."""
    with running_kernel(sys.executable, in_a_notebook(home, lab), home.work, forks=torches) as found:
        found.ok("%load_ext genops_lab")
        yield found


@pytest.fixture
def profiles(lab: LabStandIn) -> list[dict[str, Any]]:
    """What was handed over; the summary is there at the second asking."""
    given: list[dict[str, Any]] = []

    def add(body: dict[str, Any]) -> tuple[int, Any]:
        given.append(body)
        return 200, {
            "id": "p1",
            "title": body["title"],
            "created_at": 1.0,
            "state": "analyzing",
            "run_id": body["run_id"],
        }

    lab.answers["POST", "/genops/profiles"] = add
    lab.answers["GET", "/genops/profiles/p1"] = lambda _body: (
        200,
        {"id": "p1", "title": given[-1]["title"], "created_at": 1.0, "state": "ready", "summary": SUMMARY},
    )
    return given


@pytest.fixture(scope="session")
def torches() -> Iterator[ForkServer]:
    """What forks processes that have PyTorch."""
    with fork_server() as found:
        yield found


@pytest.fixture(scope="session")
def ipykernels() -> Iterator[ForkServer]:
    """What forks kernels: importing ipykernel takes three times what else a start needs."""
    with fork_server(IPYKERNEL) as found:
        yield found


@pytest.fixture
def script(home: Home, torches: ForkServer) -> Any:
    """Runs a script to its end in a process of its own, without a Lab."""

    def run(code: str, before: str = TRAINING, timeout_s: float = TIMEOUT_S, *, whole: bool = False) -> Ran:
        path = home.work / "train.py"
        path.write_text(before + code)
        ended = torches.run(path, home.environment(), timeout_s, whole=whole)
        return Ran(ended.out, ended.err, ended.code, home)

    return run


@pytest.fixture(scope="session")
def ipykernel_alone() -> Path:
    """The Python of an environment that holds ipykernel and what it needs, nothing else."""
    return environment_without_lab("ipykernel")
