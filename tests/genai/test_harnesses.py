"""Tasks of inspect-ai and lm-evaluation-harness as evaluations.

Logs are read as inspect-ai 0.3.285 and lm-eval wrote them in a real run, made once and cut. Each also runs a task in
an environment of its own, which is kept between runs.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Failed
from genops_lab.genai.endpoints.endpoint import Endpoint, most_tokens
from genops_lab.genai.endpoints.limits import Limits
from genops_lab.genai.evaluations.harness_relay import Relay
from genops_lab.genai.evaluations.harnesses import inspect_results, lm_eval_results
from genops_lab.genai.evaluations.journal import spent_in
from genops_lab.genai.evaluations.models import NewAnswerEvaluation
from genops_lab.genai.evaluations.process import AnswersProcess
from genops_lab.genai.evaluations.results_folder import find_folder
from tests.support import exhaustive
from tests.support.environments import environment_without_lab

from .answering import Answering, Evaluating, answer

INSPECT, LM_EVAL = ("inspect-ai==0.3.285", "openai>=2"), ("lm-eval[api]==0.4.13",)
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
                "models": {"a": {"url": url, "model": "stub", "key": "K", "limits": more.pop("limits", {})}}, **more,
            }
        )  # fmt: skip
        self.id = self.process.begin(NewAnswerEvaluation(text=self.text, folder=str(folder))).id


def test_a_task_of_inspect_ai_runs_here_and_only_its_failed_samples_run_again(tmp_path: Path) -> None:
    python = str(environment_without_lab(*INSPECT))
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
    python = str(environment_without_lab(*LM_EVAL))
    rows = [{"q": f"Question {at}", "expected": str(at)} for at in range(4)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "numbers.yaml").write_text(LM_TASK)
    stub = Answering(lambda number, text, headers: (200, whole(text.split()[-1].replace("2", "0")), 0.0))
    with stub.serving() as url:
        files = ["rows.jsonl", "numbers.yaml"]
        evaluating = Harnessed(tmp_path, url, {"lm_eval": "numbers", "python": python, "files": files})
        found = evaluating.ask()
        assert (found.models[0].answered, found.scorers, len(stub.said)) == (4, ["exact_match"], 4)
        assert found.models[0].spent.total == 4 * 13  # lm-eval itself does not keep them
        if exhaustive.ALL:  # another start of lm-eval; the relay's own tests bound a budget in each run
            more: dict[str, Any] = {"settings": {"max_tokens": 5}, "limits": {"tokens": 80, "at_once": 1}}
            bounded = Harnessed(
                tmp_path, url, {"lm_eval": "numbers", "python": python, "files": files}, **more
            )
            with pytest.raises(Failed, match=r"without results of a\. The budget of 80 tokens would"):
                bounded.ask()
            assert 4 < len(stub.said) < 8
    evaluating.process.score(evaluating.id, [])
    report = find_folder(tmp_path / "answers", evaluating.id).report()
    assert report is not None and report.scored[0].mean.value == 0.75


@pytest.mark.exhaustive  # two starts of inspect-ai; the relay's own tests bound a budget in each run
def test_a_budget_bounds_a_real_harness_and_what_it_spent_counts_when_it_goes_on(tmp_path: Path) -> None:
    python = str(environment_without_lab(*INSPECT))
    stub = Answering(lambda number, text, headers: (200, whole(_text(text).split()[-1]), 0.0))
    (tmp_path / "task.py").write_text(TASK)
    limits = {"tokens": 100, "at_once": 1}
    with stub.serving() as url:
        evaluating = Harnessed(
            tmp_path, url, {"inspect": "task.py", "python": python}, settings={"max_tokens": 5}, limits=limits
        )
        first = evaluating.ask().models[0]
        assert 0 < first.answered < 6 and first.spent.total == 13 * first.answered == 13 * len(stub.said)
        assert first.stopped == "The budget of 100 tokens would be passed by the next call."
        again = evaluating.ask().models[0]
        assert again.spent.total == 13 * len(stub.said) <= 100 and again.stopped == first.stopped


def _text(content: Any) -> str:
    return content if isinstance(content, str) else str(content[0]["text"])


def asked(endpoint: Endpoint, body: dict[str, Any], key: str = "") -> tuple[int, dict[str, Any]]:
    """Ask as a harness does; return the status and the body."""
    request = urllib.request.Request(
        f"{endpoint.url}/chat/completions", data=json.dumps(body).encode(), method="POST",
        headers={"Authorization": f"Bearer {key or endpoint.key}", "Content-Type": "application/json"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=60) as answered:
            return answered.status, json.loads(answered.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_relay_never_passes_a_budget_and_keeps_the_key(tmp_path: Path) -> None:
    seen: list[str] = []

    def reply(_number: int, _text: Any, headers: dict[str, str]) -> tuple[int, Any, float]:
        seen.append(headers["authorization"])
        return 200, "yes", 0.0

    stub = Answering(reply)
    body = {"model": "m", "messages": [{"role": "user", "content": "?"}], "max_tokens": 3}
    most = most_tokens(body["messages"], body).total  # type: ignore[arg-type]
    with stub.serving() as url:
        # Each answer uses 13 tokens: two fit beside what the third reserves, and a fourth never.
        limits = Limits(tokens=2 * 13 + most)
        endpoint = Endpoint(name="a", url=url, model="m", key="the key", limits=limits)
        with Relay(endpoint, tmp_path / "calls.jsonl") as relay:
            assert relay.endpoint.key != "the key" and "127.0.0.1" in relay.endpoint.url
            assert asked(relay.endpoint, body)[1]["choices"][0]["message"]["content"] == "yes"
            assert asked(relay.endpoint, body, key="wrong")[0] == 401
            assert asked(relay.endpoint, {**body, "model": "other"})[0] == 400
            assert asked(relay.endpoint, {"model": "m"})[0] == 400
            status, told = asked(relay.endpoint, {**body, "max_tokens": None})
            assert (status, "without max_tokens" in told["error"]["message"]) == (400, True)
        assert (relay.spent.total, len(stub.said), set(seen)) == (13, 1, {"Bearer the key"})
        # What was in flight when a process ended counts in full, and so does what an earlier one asked.
        lost = {"begun": ["a", "lost", 0], "most": {"input": 10, "output": 3}}
        with (tmp_path / "calls.jsonl").open("a") as journal:
            journal.write(json.dumps(lost) + "\n")
        with Relay(endpoint, tmp_path / "calls.jsonl") as relay:
            assert (relay.spent.total, [most.total for _, most in relay.lost]) == (26, [13])
            assert asked(relay.endpoint, body)[0] == 200
            status, told = asked(relay.endpoint, body)
            assert (status, told["error"]["message"]) == (
                400,
                relay.stopped,
            ) and "would be passed" in relay.stopped
        assert (relay.spent.total, len(stub.said)) == (39, 2)


def test_the_relay_hands_on_what_an_endpoint_refuses_and_what_it_does_not_count(tmp_path: Path) -> None:
    stub = Answering(lambda number, text, headers: (429, b'{"error": {"message": "slow down"}}', 0.0))
    body = {"model": "m", "messages": [{"role": "user", "content": "?"}], "max_tokens": 3}
    with (
        stub.serving() as url,
        Relay(Endpoint(name="a", url=url, model="m"), tmp_path / "calls.jsonl") as relay,
    ):
        assert asked(relay.endpoint, body) == (429, {"error": {"message": "slow down"}})
        stub.reply = lambda number, text, headers: (200, b'{"choices": [{"message": {"content": "x"}}]}', 0.0)
        assert asked(relay.endpoint, body)[0] == 200
    # An answer without tokens counts as all that was reserved, and a refusal as nothing.
    assert relay.spent == most_tokens(body["messages"], body)  # type: ignore[arg-type]
    gone = Endpoint(name="a", url="http://127.0.0.1:9/v1", model="m")
    with Relay(gone, tmp_path / "others.jsonl") as relay:
        status, told = asked(relay.endpoint, body)
    assert status == 502 and "no connection to 127.0.0.1:9" in told["error"]["message"]


def test_a_call_without_an_answer_in_time_counts_in_full_now_and_later(tmp_path: Path) -> None:
    stub = Answering(lambda number, text, headers: (200, None, 0.0))
    body = {"model": "m", "messages": [{"role": "user", "content": "?"}], "max_tokens": 3}
    most = most_tokens(body["messages"], body)  # type: ignore[arg-type]
    limits = Limits(tokens=most.total)
    with stub.serving() as url:
        endpoint = Endpoint(name="a", url=url, model="m", limits=limits, timeout_s=0.3)
        for asks in (1, 0):
            with Relay(endpoint, tmp_path / "calls.jsonl") as relay:
                statuses = [asked(relay.endpoint, body)[0] for _ in range(2)]
            assert (statuses, relay.spent) == ([502] * asks + [400] * (2 - asks), most)
    assert len(stub.said) == 1 and spent_in(tmp_path / "calls.jsonl", "a") == most


def test_a_full_disk_ends_a_harness_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = Answering(lambda number, text, headers: (200, "yes", 0.0))
    body = {"model": "m", "messages": [], "max_tokens": 3}
    with (
        stub.serving() as url,
        Relay(Endpoint(name="a", url=url, model="m"), tmp_path / "calls.jsonl") as relay,
    ):

        def full(*_of: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "write", full)
        status, told = asked(relay.endpoint, body)
        monkeypatch.undo()
    assert (status, stub.said) == (400, []) and "No space left" in told["error"]["message"]
    assert relay.error is not None and relay.error.errno == errno.ENOSPC


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
