"""Tasks of inspect-ai and lm-evaluation-harness as evaluations.

Logs are read as inspect-ai 0.3.285 and lm-eval wrote them in a real run, made once and cut. The packages are large:
where GENOPS_TEST_INSPECT or GENOPS_TEST_LM_EVAL names the Python of an environment with one, its task is run.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Failed
from genops_lab.genai.evaluations.harnesses import inspect_results, lm_eval_results
from genops_lab.genai.evaluations.models import NewAnswerEvaluation
from genops_lab.genai.evaluations.process import AnswersProcess
from genops_lab.genai.evaluations.results_folder import find_folder

from .answering import Answering, Evaluating, answer

TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes, match
from inspect_ai.solver import generate

@task
def numbers():
    samples = [Sample(input=f"Question {at}", target=str(at), id=f"q{at}") for at in range(6)]
    return Task(dataset=samples, solver=generate(), scorer=[match(), includes()])
"""
LM_TASK = """
task: numbers
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{q}}"
doc_to_target: "{{expected}}"
generation_kwargs: {until: ["\\n\\n"], max_gen_toks: 16}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


class Harnessed(Evaluating):
    """An evaluation of a harness's task."""

    def __init__(self, folder: Path, url: str, harness: dict[str, Any], **more: Any) -> None:
        self.process, self.folder = AnswersProcess(str(folder / "answers")), folder
        self.text = json.dumps(
            {
                "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "task"}, "harness": harness,
                "models": {"a": {"url": url, "model": "stub", "key": "K"}}, **more,
            }
        )  # fmt: skip
        self.id = self.process.begin(NewAnswerEvaluation(text=self.text, folder=str(folder))).id


def test_a_task_of_inspect_ai_runs_here_and_only_its_failed_samples_run_again(tmp_path: Path) -> None:
    python = os.environ.get("GENOPS_TEST_INSPECT")
    if not python:
        pytest.skip("GENOPS_TEST_INSPECT names no Python with inspect-ai")
    bad = {"Question 3"}

    def reply(_number: int, text: Any, headers: dict[str, str]) -> tuple[int, Any, float]:
        text = text if isinstance(text, str) else text[0]["text"]
        assert headers["authorization"] == "Bearer K"
        return (
            (400, b'{"error": {"message": "no"}}', 0.0)
            if text in bad
            else (200, whole(text.split()[-1]), 0.0)
        )

    stub = Answering(reply)
    (tmp_path / "task.py").write_text(TASK)
    with stub.serving() as url:
        evaluating = Harnessed(tmp_path, url, {"inspect": "task.py", "python": python}, repeats=2)
        found = evaluating.ask()
        assert (found.models[0].answered, found.models[0].failures, found.rows) == (10, {"harness": 2}, 6)
        bad.clear()
        before = len(stub.said)
        again = evaluating.ask().models[0]
        assert (again.answered, again.failed, len(stub.said) - before) == (12, 0, 2)
        assert evaluating.ask().models[0].answered == 12 and len(stub.said) - before == 2
    evaluating.process.score(evaluating.id, [])
    report = find_folder(tmp_path / "answers", evaluating.id).report()
    assert report is not None
    assert {each.scorer: each.mean.value for each in report.scored} == {"match": 1.0, "includes": 1.0}


def test_a_task_of_lm_evaluation_harness_runs_here(tmp_path: Path) -> None:
    python = os.environ.get("GENOPS_TEST_LM_EVAL")
    if not python:
        pytest.skip("GENOPS_TEST_LM_EVAL names no Python with lm-eval")
    rows = [{"q": f"Question {at}", "expected": str(at)} for at in range(4)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "numbers.yaml").write_text(LM_TASK)
    stub = Answering(lambda number, text, headers: (200, whole(text.split()[-1].replace("2", "0")), 0.0))
    with stub.serving() as url:
        files = ["rows.jsonl", "numbers.yaml"]
        evaluating = Harnessed(tmp_path, url, {"lm_eval": "numbers", "python": python, "files": files})
        found = evaluating.ask()
        assert (found.models[0].answered, found.scorers, len(stub.said)) == (4, ["exact_match"], 4)
    evaluating.process.score(evaluating.id, [])
    report = find_folder(tmp_path / "answers", evaluating.id).report()
    assert report is not None and report.scored[0].mean.value == 0.75


def whole(text: str) -> bytes:
    """Return an answer with all that OpenAI's client wants."""
    found = json.loads(answer(text))
    found |= {"id": "x", "object": "chat.completion", "created": 1}
    found["choices"][0]["index"] = 0
    found["usage"]["total_tokens"] = 13
    return json.dumps(found).encode()


#: Cut from logs of inspect-ai 0.3.285 and of lm-eval, made once with the tasks above.
INSPECT_SAMPLE = {
    "id": "q0", "epoch": 1, "input": "Question 0", "target": "0",
    "messages": [{"content": "Question 0", "role": "user"}, {"content": "0", "role": "assistant", "model": "stub"}],
    "output": {
        "model": "stub", "completion": "0",
        "choices": [{"message": {"content": "0", "role": "assistant"}, "stop_reason": "max_tokens"}],
    },
    "scores": {
        "match": {"value": "C", "answer": "0", "explanation": "0"},
        "rates": {"value": {"x": 0.25, "y": "I"}}, "odd": {"value": "?"},
    },
    "model_usage": {"openai-api/genops/stub": {"input_tokens": 10, "output_tokens": 3, "total_tokens": 13}},
    "metadata": {"level": "easy"}, "started_at": "2026-12-01T05:31:13.083168+00:00", "working_time": 0.513,
}  # fmt: skip
LM_SAMPLE = {
    "doc_id": 0, "doc": {"q": "Question 10"}, "target": "10",
    "arguments": {"gen_args_0": {"arg_0": ['[{"role": "user", "content": "Question 10"}]'], "arg_1": {}}},
    "resps": [["10"]], "filtered_resps": ["10"], "filter": "none", "metrics": ["exact_match"], "exact_match": 1.0,
}  # fmt: skip


def test_logs_of_both_are_read() -> None:
    failed = {**INSPECT_SAMPLE, "epoch": 2, "error": {"message": "no"}}
    found = inspect_results({"samples": [INSPECT_SAMPLE, failed]}, "a")
    first, second = found.calls
    assert first.answer is not None and (first.answer.text, first.answer.finish_reason) == ("0", "length")
    assert (first.answer.usage.total, second.answer, second.message) == (13, None, "no")
    assert {name: [each.value for each in kept] for name, kept in found.scores.items()} == {
        "match": [1.0], "rates-x": [0.25], "rates-y": [0.0], "odd": [None]
    }  # fmt: skip
    assert found.rows["q0"]["level"] == "easy" and found.rows["q0"]["expected"] == "0"
    strict = {**LM_SAMPLE, "filter": "strict", "exact_match": 0.0}
    given = lm_eval_results([LM_SAMPLE, strict], "a")
    assert given.rows["0"]["messages"] == [{"role": "user", "content": "Question 10"}]
    assert len(given.calls) == 1 and {name: kept[0].value for name, kept in given.scores.items()} == {
        "exact_match": 1.0, "exact_match-strict": 0.0
    }  # fmt: skip


def test_a_missing_harness_is_told_with_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(TASK)
    for python in (sys.executable, str(tmp_path / "gone")):
        evaluating = Harnessed(tmp_path, "http://x/v1", {"inspect": "task.py", "python": python})
        with pytest.raises(Failed, match="needs inspect_ai, which is not installed") as found:
            evaluating.ask()
        assert f"{python} -m pip install inspect-ai openai" in found.value.hint
