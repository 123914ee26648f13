"""Harnesses, scorers and endpoints of others on a host over a real sshd: each runs there, or in the Lab, and says where."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Failed
from genops_lab.genai.endpoints.limits import Limits
from genops_lab.genai.endpoints.models import NewEndpoint
from genops_lab.genai.endpoints.service import EndpointsService
from genops_lab.genai.evaluations.host_results import HostResults
from genops_lab.genai.evaluations.journal import spent_in
from genops_lab.genai.evaluations.models import AnswersReport, NewAnswerEvaluation
from genops_lab.genai.evaluations.results_folder import ResultsFolder
from tests.support.environments import environment_without_lab
from tests.support.homes import Home
from tests.support.sshd import Sshd

from .answering import Answering, answer
from .evaluating_on_target import (
    Gated,
    answers_of,
    asked,
    asking_process,
    bounded,
    ended,
    evaluating_host,
    file_of,
    home_with_key,
    left_on,
    log_of,
    opened,
    result,
)
from .test_harnesses import INSPECT, TASK, whole

TOKENS = 13  # of each answer


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with home_with_key() as found:
        yield found


@pytest.fixture(scope="module")
def host(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with evaluating_host(home, tmp_path_factory.mktemp("index")) as found:
        yield found


def harness_of(folder: Path, url: str, **harness: Any) -> NewAnswerEvaluation:
    (folder / "task.py").write_text(TASK)
    model = {"url": url, "model": "stub", "key": "KEY", "limits": {"tokens": 1000}, "settings": {"max_tokens": 9}}
    harness = {"inspect": "task.py", **harness}
    return file_of(
        folder, url, data="", prompt="", scorers=[{"scorer": "length", "at_most": 1}], harness=harness, models={"a": model}
    )


def test_a_task_of_inspect_ai_runs_there_and_goes_on_with_its_log(
    home: Home, host: Sshd, tmp_path: Path
) -> None:
    python, bad = str(environment_without_lab(*INSPECT)), {"Question 3"}

    def reply(_number: int, text: Any, _headers: dict[str, str]) -> tuple[int, Any, float]:
        text = text if isinstance(text, str) else text[0]["text"]
        if text in bad:
            return 400, b'{"error": {"message": "no"}}', 0.0
        return 200, whole(text.split()[-1]), 0.0

    stub = Answering(reply)

    async def test(url: str) -> AnswersReport:
        async with opened(home.data, host.alias) as lab:
            lacking = await answers_of(lab).begin_answers(harness_of(tmp_path, url, python=sys.executable))
            task = await ended(lab, lacking)
            needs = f"needs inspect_ai, which is not installed for {sys.executable}."
            assert (task.state, task.message) == ("failed", f"box: The task 'task.py' {needs}")
            assert task.hint.startswith(f"{sys.executable} -m pip install inspect-ai openai, or name")
            lacking = await answers_of(lab).begin_answers(harness_of(tmp_path, url))
            task = await ended(lab, lacking)
            assert "its environment was not built" in task.message
            assert "Missing there: inspect-ai." in "\n".join(await log_of(lab, lacking))
            assert stub.said == []

            begun = await answers_of(lab).begin_answers(harness_of(tmp_path, url, python=python))
            id = begun.evaluation.id
            task = await ended(lab, begun)
            assert task.message == "there is evaluated. 1 answers are missing.", (task.message, task.hint)
            first = (await result(lab, begun)).evaluation
            assert (first.models[0].answered, first.models[0].failures, first.rows) == (5, {"harness": 1}, 6)
            assert first.scorers == ["length", "match", "includes"] and left_on(host) == []
            bad.clear()
            before = len(stub.said)
            again = await answers_of(lab).resume_answers(id)
            assert (await ended(lab, again)).message == "there is evaluated. All answers are there."
            assert len(stub.said) - before == 1
            relayed = ResultsFolder(home.data / "answers" / id).path / "harness" / "a.calls.jsonl"
            assert spent_in(relayed, "a").total == 6 * TOKENS  # the budget counts both runs
            return await result(lab, again)

    with stub.serving() as url:
        found = bounded(test(url))
    assert found.report is not None
    assert {each.scorer: each.mean.value for each in found.report.scored} == {
        "length": 1.0, "match": 1.0, "includes": 1.0,
    }  # fmt: skip
    assert left_on(host) == []
