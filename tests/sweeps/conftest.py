"""A real JupyterLab that runs sweeps, and what its user sees of them."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.runtime.kernels import Cell, RunningKernel, running_kernel
from tests.support.homes import Home, temporary_home
from tests.support.lab_server import LabServer, start_lab
from tests.support.mlflow_file import KeptRun, runs_in
from tests.support.warm import forked_kernels

WAIT_S = 120.0


@dataclass
class Sweeper:
    """A Lab, and calls on its sweeps."""

    home: Home
    lab: LabServer

    def start(self, code: str, *space: str, **options: Any) -> dict[str, Any]:
        """Start a sweep."""
        body = {
            "code": code,
            "space": list(space),
            "cwd": str(self.home.work),
            "track": {"system_metrics": False},
            "on": ["python3"],
            **options,
        }
        status, answer = self.lab.request("POST", "genops/sweeps", body)
        assert status == 200, answer
        return dict(answer)

    def refused(self, code: str, *space: str, **options: Any) -> str:
        """What is said to a sweep that cannot be."""
        status, answer = self.lab.request(
            "POST", "genops/sweeps", {"code": code, "space": list(space), **options}
        )
        assert status >= 400, answer
        return str(answer["error"]["message"])

    def get(self, sweep: dict[str, Any]) -> dict[str, Any]:
        """The sweep now."""
        return dict(self.lab.get(f"genops/sweeps/{sweep['id']}"))

    def until(self, sweep: dict[str, Any], true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The sweep, once something is true of it."""
        deadline = time.monotonic() + WAIT_S
        found = self.get(sweep)
        while not true(found):
            assert time.monotonic() < deadline, (found, self.lab.log[-3000:])
            path = f"genops/sweeps/{sweep['id']}?after={found['version']}&wait_s=5"
            found = dict(self.lab.get(path))
        return found

    def ended(self, sweep: dict[str, Any]) -> dict[str, Any]:
        """The sweep at its end."""
        return self.until(sweep, lambda found: found["ended_at"] is not None)

    def runs(self, sweep: dict[str, Any]) -> list[KeptRun]:
        """MLflow's runs of a sweep, by their trials."""
        runs = runs_in(self.home.data / "mlflow" / "mlflow.db")
        found = [run for run in runs if run.tags.get("genops.sweep") == sweep["id"]]
        return sorted(found, key=lambda run: int(run.tags["genops.trial"]))

    def kernels(self) -> list[Any]:
        """The kernels that run."""
        return list(self.lab.get("api/kernels"))


@pytest.fixture(scope="package")
def sweeper() -> Iterator[Sweeper]:
    """A Lab that the tests share, with forked kernels. Those of ``test_restarts.py`` start cold."""
    with temporary_home() as home:
        lab = start_lab(home, env=forked_kernels(home, "forked"))
        try:
            yield Sweeper(home, lab)
        finally:
            lab.stop()


@pytest.fixture
def kernel(sweeper: Sweeper) -> Iterator[RunningKernel]:
    """A notebook's kernel that finds the Lab."""
    with _notebook(sweeper) as found:
        yield found


@pytest.fixture(scope="package")
def refusing(sweeper: Sweeper) -> Iterator[RunningKernel]:
    """One that tests share: they run what is refused in it, and nothing else."""
    with _notebook(sweeper) as found:
        yield found


@contextmanager
def _notebook(sweeper: Sweeper) -> Iterator[RunningKernel]:
    env = sweeper.home.environment(JPY_SESSION_NAME=str(sweeper.home.work / "lesson.ipynb"))
    with running_kernel(sys.executable, env, sweeper.home.work) as found:
        found.ok("%load_ext genops_lab")
        yield found


def id_of(cell: Cell) -> dict[str, Any]:
    found = re.search(r"Sweep (\w{8}):", cell.stream("stdout"))
    assert found, cell.messages
    return {"id": found[1]}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def shown(kernel: RunningKernel, cell: Cell, true: Callable[[str], bool]) -> str:
    """The HTML that stays in the notebook, once something is true of it."""
    for content in cell.of("update_display_data"):
        if true(content["data"]["text/html"]):
            return str(content["data"]["text/html"])
    while True:
        content = kernel.wait_for("update_display_data", WAIT_S)["content"]
        if true(content["data"]["text/html"]):
            return str(content["data"]["text/html"])
