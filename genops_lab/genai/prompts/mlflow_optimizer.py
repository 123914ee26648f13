"""Run an optimizer of MLflow. GenOps Lab answers and scores for it, and asks the model that writes.

MLflow asks the writer by OpenAI's protocol, itself or through LiteLLM. Its address is a server of this process on
loopback, so that each call is kept, counted and paid once, and no key is in MLflow's reach.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from genops_lab.core.errors import Failed

from .optimization_models import OptimizerName

#: The fewest rows of a step of GEPA, by its own default.
GEPA_STEP = 3
_MOST_BYTES = 50_000_000
#: How long MLflow waits for one text, in seconds.
_WAIT_S = 3600
_NAMES = {"metaprompt": "MetaPromptOptimizer", "gepa": "GepaPromptOptimizer"}
INSTALL = {"gepa": "pip install 'gepa>=0.0.26' 'litellm>=1.80,<2'"}
#: The reason of rows whose text was refused before anything was asked.
TEXT = "text"


class TriedRow(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a row with a candidate text. ``value`` None: the call failed, or a scorer could not score."""

    row: str
    text: str = ""
    value: float | None
    scores: dict[str, float] = {}
    reasons: dict[str, str] = {}


class TrainingRow(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a row that the optimizer sees."""

    row: str
    inputs: dict[str, Any]
    expectations: dict[str, Any] = {}


#: Answers rows with a text and scores the answers.
Try = Callable[[str, Sequence[str]], list[TriedRow]]
#: Asks the writer: messages and settings in, an HTTP status and a chat completion out.
Write = Callable[[list[dict[str, Any]], dict[str, Any]], tuple[int, dict[str, Any]]]


def class_name(optimizer: OptimizerName) -> str:
    """Return MLflow's name of an optimizer."""
    return _NAMES[optimizer]


def check_installed(optimizer: OptimizerName) -> None:
    """Raise Failed if an optimizer needs a package that is missing."""
    missing = [each for each in ("gepa", "litellm") if importlib.util.find_spec(each) is None]
    if optimizer == "gepa" and missing:
        raise Failed(
            f"MLflow's GepaPromptOptimizer needs {' and '.join(missing)}, which is not installed for JupyterLab.",
            hint=f"Install it there: {INSTALL['gepa']}. Or use --optimizer metaprompt, which needs neither.",
            code="not_installed",
        )


def optimize(
    optimizer: OptimizerName, name: str, template: str, rows: Sequence[TrainingRow], rounds: int, attempt: Try,
    write: Write,
) -> str:  # fmt: skip
    """Let MLflow write texts, and try each by ``attempt``. Return why it wrote none in the last round; empty: it did.

    The caller keeps what ``attempt`` saw. Blocks. ``attempt`` and ``write`` are called in other threads too.
    """
    from mlflow.genai.optimize.types import EvaluationResultRecord

    expected = {each.row: each.expectations or {"expected_response": ""} for each in rows}
    inputs = {each.row: each.inputs for each in rows}
    records = [{"row": row, "inputs": inputs[row], "expectations": expected[row]} for row in inputs]
    has_gaps = optimizer == "metaprompt"  # GEPA needs a score for each row
    refused: dict[str, str] = {}

    def evaluate(candidate: dict[str, str], batch: list[dict[str, Any]]) -> list[Any]:
        found = attempt(candidate[name], [each["row"] for each in batch])
        if why := found[0].reasons.get(TEXT):
            refused[candidate[name]] = why
        no_trace: Any = None
        return [
            EvaluationResultRecord(
                inputs=inputs[each.row], outputs=each.text, expectations=expected[each.row],
                score=each.value or 0.0, trace=no_trace, rationales=each.reasons, individual_scores=each.scores,
            )
            for each in found if each.value is not None or not has_gaps
        ]  # fmt: skip

    with _served(write) as model, _warnings() as said:
        if optimizer == "gepa":
            from mlflow.genai.optimize.optimizers import GepaPromptOptimizer

            steps = len(rows) + rounds * (len(rows) + 2 * min(GEPA_STEP, len(rows)))
            gepa = GepaPromptOptimizer(model, max_metric_calls=steps, gepa_kwargs={"seed": 0})
            gepa.optimize(evaluate, records, {name: template}, enable_tracking=False)
            return ""
        from mlflow.genai.optimize.optimizers import MetaPromptOptimizer

        reason = ""
        for _ in range(rounds):
            said.clear()
            meta = MetaPromptOptimizer(model)
            found = meta.optimize(evaluate, records, {name: template}, enable_tracking=False)
            written = found.optimized_prompts[name]
            reason = ""
            if written == template:
                reason = " ".join((said or ["it returned the same text"])[-1].split())[:500]
            elif written in refused:
                reason = refused[written]
            else:
                template = written
    return reason


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Give the warnings of MLflow's optimizers: they return the old text where they fail, and say why in the log."""
    said: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, handler = logging.getLogger("mlflow.genai.optimize.optimizers"), Keeping(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


@contextmanager
def _served(write: Write) -> Iterator[str]:
    """Serve the writer on loopback for MLflow, and give its name there. The key is new, and opens nothing else."""
    key = secrets.token_urlsafe(24)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            given = self.headers.get("authorization", "")
            if not secrets.compare_digest(given.encode(), f"Bearer {key}".encode()):
                return self._answer(401, {"error": {"message": "This address is MLflow's alone."}})
            size = int(self.headers.get("content-length") or 0)
            if not 0 < size <= _MOST_BYTES:
                return self._answer(413, {"error": {"message": f"The request has {size:,} bytes."}})
            body = json.loads(self.rfile.read(size))
            messages = body.pop("messages")
            return self._answer(*write(messages, body))

        def _answer(self, status: int, body: Mapping[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: requests have texts of users."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    others = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    loopback = ",".join(filter(None, [others, "127.0.0.1"]))
    # This process is for one optimization alone.
    os.environ.update(
        OPENAI_API_KEY=key, OPENAI_API_BASE=url, OPENAI_BASE_URL=url, NO_PROXY=loopback, no_proxy=loopback,
        MLFLOW_GENAI_EVAL_LLM_TIMEOUT=str(_WAIT_S), LITELLM_LOCAL_MODEL_COST_MAP="True",
    )  # fmt: skip
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield "openai:/writer"
    finally:
        server.shutdown()
        server.server_close()
