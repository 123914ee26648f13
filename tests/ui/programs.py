"""Scripts that a person runs in a terminal beside the Lab."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from tests.support import warm
from tests.support.lab_server import LabServer

#: A person's own MLflow code, which logs a model in a format that holds no pickle.
TRAIN = """
import mlflow
from sklearn.linear_model import LinearRegression

model = LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
mlflow.set_experiment("lines")
with mlflow.start_run(run_name="line"):
    mlflow.log_metric("slope", float(model.coef_[0]))
    mlflow.sklearn.log_model(
        model,
        name="model",
        serialization_format="skops",
        input_example=[[0.5]],
        pip_requirements=["mlflow", "scikit-learn", "skops"],
    )
"""

#: A run that goes on until the file ``enough`` is there.
COUNT = """
import itertools, os, time
import genops

with genops.run("counter", "counting"):
    for step in itertools.count():
        genops.log({"count": step}, step=step)
        if os.path.exists("enough"):
            break
        time.sleep(0.2)
"""

#: A person's own MLflow code.
PLAIN = """
from mlflow import MlflowClient

client = MlflowClient()
experiment = client.create_experiment("by-hand")
run = client.create_run(experiment, run_name="plain-client")
client.log_metric(run.info.run_id, "score", 0.75)
client.set_terminated(run.info.run_id)
"""


def own_mlflow(server: LabServer) -> dict[str, str]:
    """The variables that lead mlflow in a script to where the Lab's kernels are led."""
    answer = server.get(f"genops/tracking/kernel?mlflow_version={version('mlflow')}")
    return {
        "MLFLOW_TRACKING_URI": answer["tracking_uri"],
        "_MLFLOW_SERVER_ARTIFACT_ROOT": answer["artifact_root"],
    }


@contextmanager
def script(server: LabServer, code: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A script that runs in the Lab's folder, in a process that has imported MLflow already."""
    process = subprocess.Popen(
        warm.script(code, scikit_learn="sklearn" in code),
        cwd=server.home.work,
        env=server.home.environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def run_script(server: LabServer, code: str, **env: str) -> str:
    """What a script printed; it must succeed."""
    with script(server, code, **env) as process:
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 0, printed
    return printed
