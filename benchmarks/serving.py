"""The start of a scoring process and one-row requests to it, beside `mlflow models serve` with the same model."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from genops_lab.deployments.targets.local import SERVER
from tests.support.homes import temporary_home
from tests.support.lab_server import free_port, running_lab

from .figure import Figure

WARM_UP, REQUESTS = 100, 1000
TRAIN = """
import mlflow, numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
import genops
x, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=300).fit(x, y)
with genops.run(name="iris", experiment="bench") as run:
    info = mlflow.sklearn.log_model(model, name="model", serialization_format="skops", input_example=x[:2])
print(info.model_uri)
"""


def _latencies_ms(url: str, headers: dict[str, str]) -> list[float]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    body = json.dumps({"inputs": [[5.1, 3.5, 1.4, 0.2]]})
    times = []
    for _ in range(WARM_UP + REQUESTS):
        started = time.perf_counter()
        connection.request(
            "POST", f"{parts.path}/invocations", body, {"Content-Type": "application/json", **headers}
        )
        answer = connection.getresponse()
        payload = answer.read()
        times.append((time.perf_counter() - started) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {payload[:500]!r}")
    connection.close()
    return times[WARM_UP:]


def figures() -> Iterator[Figure]:
    with temporary_home(debugger=True) as home:
        with running_lab(home) as server:
            env = home.environment(MLFLOW_TRACKING_URI=f"sqlite:///{home.data}/mlflow/mlflow.db")
            server.get("genops/experiments")
            trained = subprocess.run(
                [sys.executable, "-c", TRAIN], capture_output=True, text=True, env=env, cwd=home.work, check=True,
                timeout=300,
            )  # fmt: skip
            genops = [sys.executable, "-m", "genops_lab.commands"]
            for command in (["models", "register", "iris", "--run", "latest"],):
                subprocess.run(
                    [*genops, *command], env=env, cwd=home.work, check=True, stdout=subprocess.DEVNULL
                )

            def said(*arguments: str) -> Any:
                done = subprocess.run(
                    [*genops, *arguments, "--json"],
                    capture_output=True,
                    text=True,
                    env=env,
                    cwd=home.work,
                    timeout=300,
                )
                return json.loads(done.stdout or done.stderr)

            refused = said("deploy", "iris", "--name", "iris", "--wait")
            if "error" in refused:  # a subprocess logged it: the files are confirmed by their digest
                digest = refused["error"]["details"]["check"]["digest"]
                said("deploy", "iris", "--name", "iris", "--wait", "--trust", digest)
            deployed = said("deployments", "show", "iris", "--with-key")
            ours = _latencies_ms(deployed["url"], {"Authorization": f"Bearer {deployed['key']}"})
            subprocess.run([*genops, "deployments", "stop", "iris"], env=env, cwd=home.work, check=True,
                           stdout=subprocess.DEVNULL)  # fmt: skip
        folder = next((home.data / "deployments" / "iris" / "revisions").iterdir())
        starts = [_start_s(folder) for _ in range(3)]
        port = free_port()
        model_uri = trained.stdout.strip().splitlines()[-1]
        began = time.monotonic()
        baseline = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", "-m", model_uri, "-p", str(port),
             "--env-manager", "local"],
            env={**env, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]},
            cwd=home.work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            theirs = _when_up(port)
            their_start = _UP[0] - began
        finally:
            os.killpg(baseline.pid, 15)
            baseline.wait(20)
    yield Figure(
        name="scorer_start", unit="s", values=starts, target=5,
        baseline="mlflow models serve, until it answers the first row", baseline_values=[their_start],
    )  # fmt: skip
    yield Figure(
        name="one_row_request", unit="ms", values=ours, target=2,
        baseline="mlflow models serve, same model and client, no key", baseline_values=theirs,
    )  # fmt: skip


#: When ``mlflow models serve`` answered first.
_UP: list[float] = []


def _start_s(folder: Path) -> float:
    """Return the seconds from the start of a scoring process until it answers, in a fresh interpreter."""
    began, state = time.monotonic(), folder / "state.json"
    state.unlink()
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(folder / "spec.json")], cwd=folder, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not state.exists() or json.loads(state.read_bytes())["state"] != "running":
        if process.poll() is not None:
            raise RuntimeError("the scoring process has ended")
        time.sleep(0.02)
    taken = time.monotonic() - began
    process.terminate()
    process.wait(20)
    return taken


def _when_up(port: int) -> list[float]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(OSError, RuntimeError, http.client.HTTPException):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=10):
                _UP.append(time.monotonic())
            return _latencies_ms(f"http://127.0.0.1:{port}", {})
        time.sleep(0.5)
    raise RuntimeError("mlflow models serve did not come up")
