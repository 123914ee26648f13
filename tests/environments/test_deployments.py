"""A deployment outlives the Lab that began it, and the next Lab finds it again."""

from __future__ import annotations

import json
import signal
import urllib.request
from typing import Any

import psutil
import pytest

from tests.support.homes import Home
from tests.support.kernels import lab_kernel
from tests.support.lab_server import LabServer, running_lab
from tests.support.rooms import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

#: A model of code, and not of scikit-learn: that and skops cost 6 s of CPU to import.
LOG = """%%track --name digits
import mlflow
from pathlib import Path
Path("sums.py").write_text('''import mlflow
class Sums(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [int(sum(row)) for row in model_input]
mlflow.models.set_model(Sums())
''')
mlflow.pyfunc.log_model(name="model", python_model="sums.py", pip_requirements=["mlflow"])
"""
ROWS = [[1.0, 2.0], [3.0, 4.0]]
SUMS = [3, 7]


def deployment(server: LabServer) -> dict[str, Any]:
    """The deployment once it neither starts nor stops."""
    found: dict[str, Any] = eventually(
        lambda: server.get("genops/deployments/digits"),
        lambda each: each["state"] not in ("preparing", "starting", "stopping"),
        120,
    )
    if found["state"] == "running":
        found["key"] = server.get("genops/deployments/digits/key")["key"]
    return found


def predictions(found: dict[str, Any], rows: list[list[float]]) -> list[int]:
    """What it answers."""
    request = urllib.request.Request(
        found["url"] + "/invocations",
        data=json.dumps({"inputs": rows}).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {found['key']}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return list(json.load(answer)["predictions"])


def process_of(home: Home) -> psutil.Process:
    """The process that this machine's handle names."""
    (handle,) = (home.data / "deployments" / "digits" / "revisions").glob("*/process.json")
    return psutil.Process(json.loads(handle.read_bytes())["pid"])


def test_it_answers_through_a_restart_of_the_lab_and_is_stopped_by_the_next(home: Home) -> None:
    with running_lab(home) as server:
        with lab_kernel(server) as kernel:
            kernel.ok("%load_ext genops_lab")
            kernel.ok(LOG)
            kernel.ok("%genops models register digits")
            kernel.ok("%genops deploy digits --name digits")
        before = deployment(server)
        assert before["state"] == "running", before
        assert predictions(before, ROWS) == SUMS
        process = process_of(home)
        helpers = [
            each
            for each in psutil.Process(server.process.pid).children(recursive=True)
            if each != process and "genops_lab.serving.gateway" not in each.cmdline()
        ]
        server.stop(signal.SIGTERM)
        assert server.process.returncode == 0, server.log[-3000:]
        assert [each for each in helpers if each.is_running()] == [], "the Lab left helpers behind"
    assert process.is_running()
    assert predictions(before, ROWS) == SUMS
    with running_lab(home) as server:
        after = deployment(server)
        assert [after[key] for key in ("state", "url", "key")] == ["running", before["url"], before["key"]]
        assert process_of(home) == process
        assert predictions(after, ROWS) == SUMS
        status, stopped = server.request("POST", "genops/deployments/digits/stop")
        assert status == 200, stopped
        assert deployment(server)["state"] == "stopped"
        eventually(process.is_running, lambda running: not running)
