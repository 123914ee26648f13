"""Other programs that evaluate the same examples. inspect-ai and deepeval get environments of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.homes import Home

from .compute_measures import left_out

INSPECT, DEEPEVAL = "inspect-ai==0.3.285", "deepeval==4.3.0"

_MLFLOW = """
import sys, httpx, mlflow
from mlflow.genai.scorers import scorer
mlflow.set_tracking_uri(sys.argv[3]); mlflow.set_experiment("beside")
client = httpx.Client()
def answer(q):
    body = {"model": "stub", "messages": [{"role": "user", "content": q}]}
    reply = client.post(sys.argv[1] + "/chat/completions", json=body)
    return reply.json()["choices"][0]["message"]["content"]
@scorer
def exact(outputs, expectations):
    return outputs == expectations["expected"]
rows = [{"inputs": {"q": f"Question {at}"}, "expectations": {"expected": str(at)}} for at in range(int(sys.argv[2]))]
mlflow.genai.evaluate(data=rows, predict_fn=answer, scorers=[exact])
"""

_INSPECT = """
import sys
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import get_model
from inspect_ai.scorer import exact
samples = [Sample(input=f"Question {at}", target=str(at)) for at in range(int(sys.argv[2]))]
model = get_model("openai-api/stub/stub", base_url=sys.argv[1], api_key="none")
(log,) = eval(
    Task(dataset=MemoryDataset(samples), scorer=exact()), model=model, max_connections=int(sys.argv[4]),
    max_samples=int(sys.argv[4]), display="none", log_dir=sys.argv[3],
)
assert log.status == "success" and log.results.scores[0].metrics["mean"].value == 1.0, log.error or log.results
"""

_DEEPEVAL = """
import sys
from concurrent.futures import ThreadPoolExecutor
import httpx
from deepeval import evaluate
from deepeval.evaluate import AsyncConfig, CacheConfig, DisplayConfig
from deepeval.metrics import ExactMatchMetric
from deepeval.test_case import LLMTestCase
client = httpx.Client()
def answered(at):
    body = {"model": "stub", "messages": [{"role": "user", "content": f"Question {at}"}]}
    text = client.post(sys.argv[1] + "/chat/completions", json=body).json()["choices"][0]["message"]["content"]
    return LLMTestCase(input=f"Question {at}", actual_output=text, expected_output=str(at))
with ThreadPoolExecutor(int(sys.argv[4])) as pool:
    cases = list(pool.map(answered, range(int(sys.argv[2]))))
evaluate(
    cases, [ExactMatchMetric()], async_config=AsyncConfig(max_concurrent=int(sys.argv[4])),
    display_config=DisplayConfig(show_indicator=False, print_results=False),
    cache_config=CacheConfig(write_cache=False),
)
"""


@dataclass(frozen=True)
class Peer:
    """A program that evaluates: its command asks, scores and keeps the results in its own way."""

    name: str
    what: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


def peers(home: Home, url: str, examples: int, at_once: int) -> Iterator[Peer]:
    """Yield those that can be had."""
    common = [url, str(examples)]
    store = f"sqlite:///{home.data / 'mlflow' / 'mlflow.db'}"
    settings = {
        "MLFLOW_GENAI_EVAL_MAX_WORKERS": str(at_once),
        "MLFLOW_GENAI_EVAL_SKIP_TRACE_VALIDATION": "1",
    }
    what = f"mlflow.genai.evaluate, {at_once} workers"
    yield Peer("mlflow", what, [sys.executable, "-c", _MLFLOW, *common, store], settings)
    for name, package, program, alone in (
        ("inspect_ai", INSPECT, _INSPECT, {"STUB_API_KEY": "none"}),
        ("deepeval", DEEPEVAL, _DEEPEVAL, {"DEEPEVAL_TELEMETRY_OPT_OUT": "1"}),
    ):
        python = _installed(home.path / name, package)
        if python is not None:
            results = str(home.path / name / "results")
            yield Peer(name, package, [str(python), "-c", program, *common, results, str(at_once)], alone)


def _installed(folder: Path, package: str) -> Path | None:
    """Install a package with pip into an environment of its own; return its Python."""
    python = folder / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [
            str(python),
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            package,
            "openai",
            "httpx",
        ],
    ):
        if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
            left_out(f"{package} cannot be installed")
            return None
    return python
