"""Run tasks of inspect-ai and lm-evaluation-harness in a child process, and read their answers and scores.

The model is asked through ``harness_relay``, whose token goes to the child by its environment.
"""

from __future__ import annotations

import datetime
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.core.errors import Failed
from genops_lab.core.paths import private_dir
from genops_lab.genai.endpoints.endpoint import Answer, Endpoint
from genops_lab.genai.endpoints.limits import Usage

from .harness_file import Harness
from .journal import Call
from .results_folder import KeptScore

_LOOK_S = 0.5
_SHOWN = 1500
#: The packages of each harness.
PACKAGES = {"inspect": ("inspect-ai", "openai"), "lm_eval": ("lm-eval[api]",)}
_MODULES = {"inspect": "inspect_ai", "lm_eval": "lm_eval"}
_MARKS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}


class HarnessResult(msgspec.Struct, kw_only=True):
    """The results of one model: rows by id, a call for each answer, scores by the scorer's name."""

    rows: dict[str, dict[str, Any]]
    calls: list[Call]
    scores: dict[str, list[KeptScore]]


def run_harness(
    harness: Harness, endpoint: Endpoint, settings: Mapping[str, Any], repeats: int, files: Path, logs: Path,
    look: Callable[[], None],
) -> HarnessResult:  # fmt: skip
    """Run a task for one model and return its results. A log of an earlier run is continued. Blocks.

    files: the folder with the files of the task. logs: where the harness writes. look: raises to stop. Raises Failed.
    """
    private_dir(logs)
    kind = harness.kind
    python = str(Path(harness.python).expanduser()) if harness.python else sys.executable
    found = subprocess.run(
        [python, "-c", f"import importlib.util as u, sys; sys.exit(u.find_spec('{_MODULES[kind]}') is None)"],
        capture_output=True, check=False,
    ) if _is_program(python) else None  # fmt: skip
    if found is None or found.returncode:
        raise Failed(
            f"The task {harness.task!r} needs {_MODULES[kind]}, which is not installed for {python}.",
            hint=f"{python} -m pip install {shlex.join(PACKAGES[kind])}, or name an environment that has the package: "
            "python: PATH",
        )
    if kind == "inspect":
        return _run_inspect(harness, endpoint, settings, repeats, python, files, logs, look)
    return _run_lm_eval(harness, endpoint, settings, python, files, logs, look)


def _is_program(python: str) -> bool:
    return os.access(python, os.X_OK)


def _run_inspect(
    harness: Harness, endpoint: Endpoint, settings: Mapping[str, Any], repeats: int, python: str, files: Path,
    logs: Path, look: Callable[[], None],
) -> HarnessResult:  # fmt: skip
    command = [python, "-m", "inspect_ai"]
    last = _newest(logs)
    known = _inspect_log(command, last, files) if last else None
    if known is None or known["status"] != "success" or any(each.get("error") for each in known["samples"]):
        common = [
            "--log-dir", str(logs), "--display", "none", "--no-fail-on-error",
            "--max-connections", str(endpoint.limits.at_once),
        ]  # fmt: skip
        if known is not None and last:
            asked = [*command, "eval-retry", last, *common]
        else:
            given = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
            limit = ["--limit", str(harness.limit)] if harness.limit else []
            asked = [
                *command, "eval", harness.inspect, "--model", f"openai-api/evaluated/{endpoint.model}",
                "--log-format", "eval", "--epochs", str(repeats), *common, *limit, *given, *harness.arguments,
            ]  # fmt: skip
        own = {"EVALUATED_API_KEY": endpoint.key or "none", "EVALUATED_BASE_URL": endpoint.url}
        _follow(asked, own, files, harness, look)
        last = _newest(logs)
        known = _inspect_log(command, last, files) if last else None
        if known is None or (not known["samples"] and known["status"] != "success"):
            error = ((known or {}).get("error") or {}).get("message", "it wrote no log")
            raise Failed(f"inspect-ai could not run {harness.inspect!r}: {str(error)[:_SHOWN]}")
    return inspect_results(known, endpoint.name)


def _inspect_log(command: list[str], path: str, folder: Path) -> dict[str, Any] | None:
    """Return a log as inspect-ai's own command writes it; None for one that it cannot read."""
    done = subprocess.run([*command, "log", "dump", path], capture_output=True, check=False, cwd=folder)
    if done.returncode:
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    found["samples"] = found.get("samples") or []
    return found


def inspect_results(log: Mapping[str, Any], model: str) -> HarnessResult:
    """Return the answers and scores in a log of inspect-ai."""
    found = HarnessResult(rows={}, calls=[], scores={})
    for sample in log["samples"]:
        id, repeat = str(sample["id"]), int(sample["epoch"]) - 1
        given = sample["input"]
        messages = [{"role": "user", "content": given}] if isinstance(given, str) else _turns(given)
        metadata = sample.get("metadata") or {}
        found.rows[id] = {"messages": messages, "expected": sample.get("target"), **metadata}
        error, output = sample.get("error"), sample.get("output") or {}
        usages = list((sample.get("model_usage") or {}).values())
        usage = Usage(
            input=sum(each.get("input_tokens", 0) for each in usages),
            output=sum(each.get("output_tokens", 0) for each in usages),
            known=bool(usages),
        )
        answer = None
        if not error:
            choices = output.get("choices") or [{}]
            answer = Answer(
                text=str(output.get("completion") or ""), usage=usage, model=str(output.get("model") or ""),
                finish_reason={"max_tokens": "length"}.get(reason := str(choices[0].get("stop_reason") or ""), reason),
                tool_calls=[
                    {"id": call.get("id", ""), "type": "function", "function": {
                        "name": call.get("function", ""), "arguments": json.dumps(call.get("arguments") or {})}}
                    for message in sample.get("messages") or [] for call in message.get("tool_calls") or []
                ],
            )  # fmt: skip
        found.calls.append(
            Call(
                model=model, example=id, repeat=repeat, at=_seconds(sample.get("started_at")),
                latency_s=float(sample.get("working_time") or 0.0), answer=answer,
                failure="harness" if error else "", message=str((error or {}).get("message", ""))[:_SHOWN],
            )
        )  # fmt: skip
        if not error:
            for name, score in (sample.get("scores") or {}).items():
                for part, value in _values(name, score.get("value")):
                    kept = KeptScore(
                        model=model, example=id, repeat=repeat, value=value,
                        reason=str(score.get("explanation") or "")[:500],
                    )  # fmt: skip
                    found.scores.setdefault(part, []).append(kept)
    return found


def _turns(given: list[Any]) -> list[dict[str, Any]]:
    return [{"role": each["role"], "content": each["content"]} for each in given]


def _values(name: str, value: Any) -> Iterator[tuple[str, float | None]]:
    """Yield a score's value, or those of its parts. inspect-ai writes C, P, I and N for marks."""
    if isinstance(value, Mapping):
        for part, each in value.items():
            yield from _values(f"{name}-{part}", each)
    elif isinstance(value, bool | int | float):
        yield name, float(value) if value == value else None
    else:
        yield name, _MARKS.get(str(value))


def _run_lm_eval(
    harness: Harness, endpoint: Endpoint, settings: Mapping[str, Any], python: str, files: Path, logs: Path,
    look: Callable[[], None],
) -> HarnessResult:  # fmt: skip
    if not list(logs.rglob("samples_*.jsonl")):
        model = {
            "model": endpoint.model, "base_url": endpoint.url.rstrip("/") + "/chat/completions",
            "num_concurrent": endpoint.limits.at_once, "tokenized_requests": False,
        }  # fmt: skip
        given = ",".join(f"{name}={value}" for name, value in settings.items())
        asked = [
            python, "-m", "lm_eval", "--model", "local-chat-completions",
            "--model_args", ",".join(f"{name}={value}" for name, value in model.items()),
            "--tasks", harness.lm_eval, "--apply_chat_template", "--log_samples", "--output_path", str(logs),
            "--include_path", str(files),
            *(["--limit", str(harness.limit)] if harness.limit else []),
            *(["--gen_kwargs", given] if given else []), *harness.arguments,
        ]  # fmt: skip
        _follow(asked, {"OPENAI_API_KEY": endpoint.key or "none"}, files, harness, look)
    lines = []
    for path in sorted(logs.rglob("samples_*.jsonl")):
        kept = path.read_text(encoding="utf-8").split("\n")  # texts may have other ends of lines
        lines += [json.loads(line) for line in kept if line.strip()]
    if not lines:
        raise Failed(f"lm-evaluation-harness gave no samples of {harness.lm_eval!r}.")
    return lm_eval_results(lines, endpoint.name)


def lm_eval_results(samples: list[dict[str, Any]], model: str) -> HarnessResult:
    """Return the answers and scores in samples that lm-evaluation-harness logged."""
    found = HarnessResult(rows={}, calls=[], scores={})
    for sample in samples:
        id = str(sample["doc_id"])
        if id not in found.rows:
            request = sample["arguments"]["gen_args_0"]["arg_0"]  # a chat is JSON in a list
            text = str(request[0] if isinstance(request, list) else request)
            messages = json.loads(text) if text.startswith("[{") else [{"role": "user", "content": text}]
            found.rows[id] = {"messages": _turns(messages), "expected": sample["target"]}
            text = str(sample["resps"][0][0])
            answer = Answer(text=text, usage=Usage(known=False), model=model)
            found.calls.append(Call(model=model, example=id, repeat=0, at=time.time(), answer=answer))
        for metric in sample["metrics"]:
            suffix = "" if sample.get("filter", "none") == "none" else f"-{sample['filter']}"
            for name, value in _values(metric, sample.get(metric)):
                kept = KeptScore(model=model, example=id, repeat=0, value=value)
                found.scores.setdefault(name + suffix, []).append(kept)
    return found


def _follow(
    command: list[str], own: Mapping[str, str], folder: Path, harness: Harness, look: Callable[[], None]
) -> None:
    """Run a command until its end. It is ended when ``look`` raises or its time is over. Raises Failed."""
    began = time.monotonic()
    direct = ",".join(filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "127.0.0.1"]))
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "no_proxy": direct, "NO_PROXY": direct, **own},
            stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            while True:
                try:
                    code = process.wait(_LOOK_S)
                    break
                except subprocess.TimeoutExpired:
                    look()
                if time.monotonic() - began > harness.timeout_s:
                    raise Failed(
                        f"The task {harness.task!r} did not end within {harness.timeout_s:,.0f} s.",
                        hint="Give it longer: harness: {timeout_s: ...}",
                    )
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if code:
            size = printed.seek(0, os.SEEK_END)
            printed.seek(max(0, size - _SHOWN))
            last = printed.read().decode(errors="replace").strip()
            for name, value in own.items():
                if name.endswith("_KEY") and value != "none":
                    last = last.replace(value, "...")
            raise Failed(f"The task {harness.task!r} failed: {last}", hint="See what the harness says above.")


def _newest(folder: Path) -> str:
    return str(max(folder.glob("*.eval"), key=lambda each: each.stat().st_mtime, default=""))


def _seconds(text: Any) -> float:
    try:
        return datetime.datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return time.time()
