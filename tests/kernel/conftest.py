"""Homes, kernels and environments of the kernel side's tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.homes import Home

from .forked import TIMEOUT_S, TRAINING, ForkServer, Ran, fork_server
from .kernels import RunningKernel, running_kernel
from .profiled import SUMMARY
from .stand_in import LabStandIn, lab_stand_in

SITE = Path(__file__).parents[2] / "genops_lab" / "kernel" / "site"


@pytest.fixture
def lab(home: Home) -> Iterator[LabStandIn]:
    """A stand-in for the Lab that listens."""
    with lab_stand_in(home.path / "s") as found:
        yield found


@pytest.fixture
def kernel(home: Home, lab: LabStandIn) -> Iterator[RunningKernel]:
    """A kernel of this environment, with the extension loaded."""
    env = home.environment(
        GENOPS_SOCKET=str(lab.path),
        GENOPS_KERNEL_ID="the-kernel",
        JPY_SESSION_NAME=str(home.work / "lesson.ipynb"),
        MLFLOW_TRACKING_URI=f"sqlite:///{home.path}/mlflow.db",
    )
    with running_kernel(sys.executable, env, home.work) as found:
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


@pytest.fixture(scope="module")
def torches() -> Iterator[ForkServer]:
    """What forks processes that have PyTorch."""
    with fork_server() as found:
        yield found


@pytest.fixture
def script(home: Home, torches: ForkServer) -> Any:
    """Runs a script to its end in a process of its own, without a Lab."""

    def run(code: str, before: str = TRAINING, timeout_s: float = TIMEOUT_S) -> Ran:
        path = home.work / "train.py"
        path.write_text(before + code)
        ended = torches.run(path, home.environment(), timeout_s)
        return Ran(ended.out, ended.err, ended.code, home)

    return run


@pytest.fixture(scope="session")
def ipykernel_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment that holds ipykernel and what it needs, nothing else."""
    folder = tmp_path_factory.mktemp("alone") / "venv"
    python = folder / "bin" / "python"
    try:
        subprocess.run(
            [sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True, timeout=120
        )
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "ipykernel"],
            check=True,
            capture_output=True,
            timeout=170,
        )
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"a second environment cannot be made here: {error}")
    return python
