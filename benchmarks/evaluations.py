"""1,000 examples against an endpoint that answers after 50 ms, 8 at once, beside ``mlflow.genai.evaluate``.

The floor is 6.25 s. ``genops evaluate`` starts cold and writes a trace with feedback for each answer, as MLflow does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.genai.answering import Answering
from tests.support.homes import Home, temporary_home
from tests.support.mlflow_file import place_store

from .figure import Figure

EXAMPLES, AT_ONCE, DELAY_S = 1000, 8, 0.05
FLOOR_S = EXAMPLES / AT_ONCE * DELAY_S
ROUNDS = 3

_MLFLOW = """
import sys, httpx, mlflow
from mlflow.genai.scorers import scorer
mlflow.set_tracking_uri(sys.argv[2]); mlflow.set_experiment("beside")
client = httpx.Client()
def answer(q):
    body = {"model": "stub", "messages": [{"role": "user", "content": q}]}
    reply = client.post(sys.argv[1] + "/chat/completions", json=body)
    return reply.json()["choices"][0]["message"]["content"]
@scorer
def exact(outputs, expectations):
    return outputs == expectations["expected"]
rows = [{"inputs": {"q": f"Question {at}"}, "expectations": {"expected": str(at)}} for at in range(int(sys.argv[3]))]
mlflow.genai.evaluate(data=rows, predict_fn=answer, scorers=[exact])
"""


def figures() -> Iterator[Figure]:
    """Yield wall and CPU seconds, then what becomes of faults."""
    stub = Answering(lambda number, text, headers: (200, text.split()[-1], DELAY_S))
    with stub.serving() as url, temporary_home() as home:
        place_store(home.data)
        folder = _folder(home, url)
        ours = [_timed(_evaluate(folder), home, folder) for _ in range(ROUNDS)]
        beside = [
            sys.executable, "-c", _MLFLOW, url, f"sqlite:///{home.data / 'mlflow' / 'mlflow.db'}", str(EXAMPLES),
        ]  # fmt: skip
        environment = {
            "MLFLOW_GENAI_EVAL_MAX_WORKERS": str(AT_ONCE),
            "MLFLOW_GENAI_EVAL_SKIP_TRACE_VALIDATION": "1",
        }
        theirs = [_timed(beside, home, folder, environment)]
    what = "mlflow.genai.evaluate, 8 workers"
    notes = {"examples": EXAMPLES, "floor_s": FLOOR_S}
    yield Figure(
        name="evaluations_1000_wall", unit="s", values=[wall for wall, _ in ours], target=1.1 * FLOOR_S,
        baseline=what, baseline_values=[wall for wall, _ in theirs], notes=notes,
    )  # fmt: skip
    yield Figure(
        name="evaluations_1000_cpu", unit="CPU s", values=[cpu for _, cpu in ours], target=5.0,
        baseline=what, baseline_values=[cpu for _, cpu in theirs], notes=notes,
    )  # fmt: skip
    yield _with_faults()


def _with_faults() -> Figure:
    """3 % errors, 1 % that hang and a storm of 429: the answers that are there, with the failures by kind."""
    storm = {"left": 200}

    def reply(number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        at = int(text.split()[-1])
        if number > 500 and storm["left"]:
            storm["left"] -= 1
            return 429, b"{}", 0.0
        return (500, b"{}", DELAY_S) if at % 33 == 0 else (200, None if at % 100 == 1 else str(at), DELAY_S)

    with Answering(reply).serving() as url, temporary_home() as home:
        place_store(home.data)
        folder = _folder(home, url, tries=2, model={"timeout_s": 1.0})
        done = subprocess.run(
            _evaluate(folder),
            env=home.environment(),
            cwd=folder,
            capture_output=True,
            check=False,
            timeout=600,
        )
        (found,) = json.loads(done.stdout)["evaluation"]["models"]
    accounted = found["answered"] + sum(found["failures"].values())
    return Figure(
        name="evaluations_faults_accounted", unit="of 1,000 calls", values=[accounted], target=EXAMPLES,
        notes={"answered": found["answered"], "failures": found["failures"], "exit_code": done.returncode},
    )  # fmt: skip


def _folder(home: Home, url: str, **more: Any) -> Path:
    rows = [{"q": f"Question {at}", "expected": str(at)} for at in range(EXAMPLES)]
    (home.work / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = {"url": url, "model": "stub", "limits": {"at_once": AT_ONCE}, **more.pop("model", {})}
    file = {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "bench"}, "data": "rows.jsonl",
        "prompt": "{{q}}", "models": {"stub": model}, "scorers": [{"scorer": "exact"}], **more,
    }  # fmt: skip
    (home.work / "bench.yaml").write_text(json.dumps(file))
    return home.work


def _evaluate(folder: Path) -> list[str]:
    return [sys.executable, "-m", "genops_lab.commands", "evaluate", str(folder / "bench.yaml"), "--json"]


def _timed(
    command: list[str], home: Home, folder: Path, environment: dict[str, str] | None = None
) -> tuple[float, float]:
    """Return the wall and CPU seconds of a command with its children."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(
        command,
        env=home.environment(**(environment or {})),
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=600,
    )
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, cpu
