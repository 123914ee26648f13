"""Requests to a model that sleeps: how many are lost, and how long the first answer takes.

A gateway and a scoring process with a small model. Each round waits until the model is unloaded, then sends 20 requests
at once. No peer is measured beside it: `mlflow models serve` cannot sleep.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.serving.conftest import KEY as CALLERS_KEY
from tests.serving.conftest import GatewayProcess, sha
from tests.serving.scoring import KEY, ScoringProcess
from tests.support.rooms import eventually

from .figure import Figure

ROUNDS, AT_ONCE = 50, 20
CODE = """
import mlflow

class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["x"].to_numpy()

mlflow.models.set_model(Model())
"""


def figures() -> Iterator[Figure]:
    """Yield the lost requests and the seconds until the first answer."""
    with tempfile.TemporaryDirectory(prefix="gol-wake-ups-") as scratch:
        yield from _figures(Path(scratch))


def _figures(scratch: Path) -> Iterator[Figure]:
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    (scratch / "code.py").write_text(CODE)
    model = scratch / "model"
    signature = ModelSignature(inputs=Schema([ColSpec("double", "x")]), outputs=Schema([ColSpec("double")]))
    mlflow.pyfunc.save_model(
        model, python_model=str(scratch / "code.py"), signature=signature, pip_requirements=["mlflow"]
    )
    process = ScoringProcess(scratch / "scorer", model, sleep_s=0.5).runs()
    folder = scratch / "gateway"
    folder.mkdir()
    gateway = GatewayProcess(folder)
    revision = {"id": 1, "number": 1, "port": process.state["port"], "key": KEY, "weight": 100}
    keys = [{"name": "default", "sha256": sha(CALLERS_KEY)}]
    route = {"name": "m", "generation": 1, "revisions": [revision], "keys": keys, "idle_s": 0.1}
    gateway.say({"op": "set", "route": route})
    body = json.dumps({"dataframe_split": {"columns": ["x"], "data": [[2.5]]}}).encode()
    first_s, failed = [], []

    def asked(_at: int) -> tuple[float, str]:
        began = time.perf_counter()
        try:
            found = gateway.ask(body=body, name="m", Content_Type="application/json")
            problem = (
                "" if found.body == b'{"predictions": [2.5]}' else f"{found.status}: {found.body[:200]!r}"
            )
        except OSError as error:
            problem = f"{type(error).__name__}: {error}"
        return time.perf_counter() - began, problem

    try:
        for _ in range(ROUNDS):
            eventually(lambda: process.state, lambda state: bool(state["asleep"]), 60)
            with ThreadPoolExecutor(AT_ONCE) as pool:
                answers = list(pool.map(asked, range(AT_ONCE)))
            first_s.append(min(seconds for seconds, _ in answers))
            failed += [problem for _, problem in answers if problem]
    finally:
        gateway.end()
        process.end()
    yield Figure(
        name="gateway requests lost over wake-ups", unit="requests", values=[len(failed)], target=0,
        notes={"requests": ROUNDS * AT_ONCE, "wake_ups": ROUNDS, "first_failures": failed[:3]},
    )  # fmt: skip
    yield Figure(name="scorer first answer of a model that slept", unit="s", values=first_s, target=5.0)
