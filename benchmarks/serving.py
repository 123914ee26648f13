"""One-row requests to a deployed scikit-learn model, beside `mlflow models serve` with the same model."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

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
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json", **headers})
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
            deployed = json.loads(
                subprocess.run(
                    [*genops, "deploy", "iris", "--name", "iris", "--wait", "--trust", "--json"],
                    capture_output=True, text=True, env=env, cwd=home.work, check=True, timeout=300,
                ).stdout
            )  # fmt: skip
            ours = _latencies_ms(deployed["url"], {"Authorization": f"Bearer {deployed['key']}"})
            subprocess.run([*genops, "deployments", "stop", "iris"], env=env, cwd=home.work, check=True,
                           stdout=subprocess.DEVNULL)  # fmt: skip
        port = free_port()
        model_uri = trained.stdout.strip().splitlines()[-1]
        baseline = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", "-m", model_uri, "-p", str(port),
             "--env-manager", "local"],
            env={**env, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]},
            cwd=home.work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            theirs = _when_up(port)
        finally:
            os.killpg(baseline.pid, 15)
            baseline.wait(20)
    yield Figure(
        name="one_row_request", unit="ms", values=ours, target=2,
        baseline="mlflow models serve, same model and client, no key", baseline_values=theirs,
    )  # fmt: skip


def _when_up(port: int) -> list[float]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(OSError, RuntimeError, http.client.HTTPException):
            return _latencies_ms(f"http://127.0.0.1:{port}", {})
        time.sleep(0.5)
    raise RuntimeError("mlflow models serve did not come up")
