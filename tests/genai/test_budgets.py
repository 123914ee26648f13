"""Budgets of evaluations hold over kill -9, answers without a count, hidden prompts, and tries that break off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.genai.endpoints.endpoint import Endpoint, most_tokens
from genops_lab.genai.endpoints.limits import Limits
from genops_lab.genai.evaluations.evaluation_file import EvaluationFileError
from genops_lab.genai.evaluations.harness_relay import Relay
from genops_lab.genai.evaluations.journal import spent_in

from .answering import Answering, Evaluating, answer, questions

_ASK = """
import sys, msgspec
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.evaluations.process import AnswersProcess
AnswersProcess(sys.argv[1]).ask(sys.argv[2], msgspec.json.decode(sys.stdin.read(), type=list[Endpoint]))
"""


def journal_of(evaluating: Evaluating) -> Path:
    return evaluating.folder / "answers" / evaluating.id / "calls.jsonl"


def test_tries_before_the_one_that_kill_9_ended_count_too(tmp_path: Path) -> None:
    body = answer("x", tokens=20)
    # The first tries break off, and the second ones never end.
    stub = Answering(lambda number, text, headers: (200, body[: len(body) // 2] if number < 4 else None, 0.0))
    with stub.serving() as url:
        evaluating = Evaluating(
            tmp_path, url, questions(4), settings={"max_tokens": 20}, model={"limits": {"at_once": 4}}
        )
        command = [sys.executable, "-c", _ASK, str(tmp_path / "answers"), evaluating.id]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(evaluating.endpoints))
            process.stdin.close()
            deadline = time.monotonic() + 60
            while len(stub.said) < 8 and time.monotonic() < deadline:
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGKILL)
        stub.reply = lambda number, text, headers: (200, "x", 0.0)
        found = evaluating.ask().models[0]
    most = most_tokens([{"role": "user", "content": "Question 0"}], {"max_tokens": 20}).total
    assert (found.answered, found.repeated, found.repeated_tokens) == (4, 4, 2 * 4 * most)
    assert found.spent.total == 4 * 13 + 2 * 4 * most == spent_in(journal_of(evaluating), "a").total


def test_what_one_process_answered_is_shared_by_the_same_messages_in_the_next(tmp_path: Path) -> None:
    stub = Answering(lambda number, text, headers: (200, "x", 0.0))
    rows = [{"q": text, "expected": "x"} for text in ("same", "other", "same")]
    with stub.serving() as url:
        evaluating = Evaluating(tmp_path, url, rows, model={"limits": {"at_once": 1}})
        evaluating.ask()
        journal = journal_of(evaluating)
        *kept, _shared = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join(kept))  # as if the process had ended before the third answer
        found = evaluating.ask().models[0]
    assert (stub.said, found.answered, found.joined) == (["same", "other"], 3, 1)


def test_a_prompt_that_an_endpoint_adds_passes_no_budget(tmp_path: Path) -> None:
    def reply(_number: int, _text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        found = json.loads(answer("x"))
        found["usage"]["prompt_tokens"] = 500
        return 200, json.dumps(found).encode(), 0.02

    stub = Answering(reply)
    with stub.serving() as url:
        evaluating = Evaluating(
            tmp_path, url, questions(60), settings={"max_tokens": 5}, model={"limits": {"tokens": 10_000}}
        )
        for _ in range(3):  # an evaluation that goes on knows what earlier calls used
            found = evaluating.ask().models[0]
            assert found.spent.total == 503 * len(stub.said) <= 10_000
            assert "budget of 10,000 tokens" in found.stopped
    assert 8 < found.answered < 20


def test_a_conversation_without_a_count_of_tokens_stays_paid_for(tmp_path: Path) -> None:
    found = json.loads(answer("x"))
    del found["usage"]
    stub = Answering(lambda number, text, headers: (200, json.dumps(found).encode(), 0.0))
    rows = [{"q": f"Question {at}", "expected": "x", "turns": ["and?", "then?"]} for at in range(6)]
    with stub.serving() as url:
        evaluating = Evaluating(
            tmp_path, url, rows, settings={"max_tokens": 100}, conversation={"turns": "turns"},
            model={"limits": {"tokens": 2_000, "at_once": 1}},
        )  # fmt: skip
        first = evaluating.ask().models[0]
        asked = len(stub.said)
        again = evaluating.ask().models[0]
    assert 3 <= asked < 18 and len(stub.said) == asked  # the second time, nothing fits into the budget
    assert 1_700 < first.spent.total <= 2_000 and again.spent == first.spent


@pytest.mark.parametrize("given", [None, 0, -5, "100", 2.5])
def test_a_budget_needs_a_number_of_tokens(tmp_path: Path, given: Any) -> None:
    with pytest.raises(EvaluationFileError, match="no max_tokens above 0"):
        Evaluating(
            tmp_path, "http://127.0.0.1:9/v1", questions(2), settings={"max_tokens": given},
            model={"limits": {"tokens": 1_000}},
        )  # fmt: skip


def test_answers_to_a_harness_that_break_off_count_in_full(tmp_path: Path) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "?"}], "max_tokens": 3}
    most = most_tokens(body["messages"], body).total  # type: ignore[arg-type]
    stub = Answering(lambda number, text, headers: (200, None, 0.0))
    statuses = []
    with stub.serving() as url:
        endpoint = Endpoint(name="a", url=url, model="m", timeout_s=0.1, limits=Limits(tokens=2 * most))
        with Relay(endpoint, tmp_path / "calls.jsonl") as relay:
            for _ in range(3):  # a harness tries again
                request = urllib.request.Request(
                    f"{relay.endpoint.url}/chat/completions", json.dumps(body).encode(),
                    {"Authorization": f"Bearer {relay.endpoint.key}"},
                )  # fmt: skip
                with pytest.raises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(request, timeout=30)
                statuses.append(refused.value.code)
        assert (statuses, len(stub.said), relay.spent.total) == ([502, 502, 400], 2, 2 * most)
        with Relay(endpoint, tmp_path / "calls.jsonl") as relay:
            assert relay.spent.total == 2 * most
