"""Harnesses, scorers, endpoints and budgets of evaluations on a host over a real sshd."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from genops_lab.agent.transfer import BadTransfer
from genops_lab.core.errors import Failed
from genops_lab.evaluations.host_sessions import Talk
from genops_lab.genai.endpoints.endpoint import Answer
from genops_lab.genai.endpoints.limits import Usage
from genops_lab.genai.endpoints.models import NewEndpoint
from genops_lab.genai.endpoints.probes import PROMPTS
from genops_lab.genai.endpoints.service import EndpointsService
from genops_lab.genai.evaluations.host_results import HostResults
from genops_lab.genai.evaluations.journal import Call, spent_in
from genops_lab.genai.evaluations.models import AnswersReport, ModelAnswers, NewAnswerEvaluation
from genops_lab.genai.evaluations.results_folder import ResultsFolder, find_folder
from tests.support.environments import environment_without_lab, index_variables, uv_folder
from tests.support.homes import Home
from tests.support.packages import package_folder
from tests.support.processes import end_those_of
from tests.support.sshd import Sshd

from .answering import Answering, answer
from .evaluating_on_target import (
    KEY,
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
    with_variables,
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
    model = {
        "url": url,
        "model": "stub",
        "key": "KEY",
        "limits": {"tokens": 1000},
        "settings": {"max_tokens": 9},
    }
    harness = {"inspect": "task.py", **harness}
    return file_of(
        folder,
        url,
        data="",
        prompt="",
        scorers=[{"scorer": "length", "at_most": 1}],
        harness=harness,
        models={"a": model},
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


def test_litellm_asks_there_and_the_models_are_checked_before_and_after(
    home: Home, host: Sshd, tmp_path: Path
) -> None:
    if find_spec("litellm") is None:
        pytest.skip("LiteLLM is an extra: pip install 'genops-lab[litellm]'")
    stub, keys = Answering(lambda *_: (200, "", 0.0)), set[str]()

    def reply(number: int, text: str, headers: dict[str, str]) -> tuple[int, Any, float]:
        keys.add(headers.get("authorization", ""))
        name = "stub-1" if number < len(PROMPTS) + 3 else "stub-2"
        return 200, answer(text.split()[-1] if name == "stub-1" else f"No, {number}", model=name), 0.0

    stub.reply = reply

    async def test() -> AnswersReport:
        async with opened(home.data, host.alias) as lab:
            new = NewEndpoint(name="lite", model="openai/stub", litellm=True, key_secret="KEY")
            await lab.application.get(EndpointsService).add_endpoint(new)
            models = {"a": {"endpoint": "lite", "limits": {"at_once": 1}}}
            body = file_of(tmp_path, "", rows=4, models=models, check_models=True)
            begun = await answers_of(lab).begin_answers(body)
            task = await ended(lab, begun)
            assert task.message == "there is evaluated. All answers are there.", (task.message, task.hint)
            assert "The key of a goes to box." in await log_of(lab, begun)
            return await result(lab, begun)

    with stub.serving() as url, with_variables(host, OPENAI_BASE_URL=url):  # known there alone
        found = bounded(test())
    assert len(stub.said) == 2 * len(PROMPTS) + 4 and keys == {f"Bearer {KEY}"}
    assert stub.said[: len(PROMPTS)] == stub.said[-len(PROMPTS) :] == [*PROMPTS]
    assert any(
        note.startswith("a is another model than at the beginning.") for note in found.evaluation.notes
    )
    assert found.report is not None and found.report.scored[0].mean.value == 3 / 4
    assert left_on(host) == []


def test_mlflow_scores_here_and_a_function_there_has_its_packages_or_names_what_is_missing(
    home: Home, host: Sshd, tmp_path: Path
) -> None:
    uv = uv_folder()
    if uv is None:
        pytest.skip("no package index can be reached")
    (tmp_path / "own.py").write_text(
        "import goltiny\n\ndef score(row, text):\n    return goltiny.version == '1.0'\n"
    )
    (tmp_path / "more.py").write_text("import golmore\n\ndef score(row):\n    return golmore.value\n")
    packages = package_folder(tmp_path / "packages")
    variables = {**index_variables(), "PIP_FIND_LINKS": str(packages), "UV_FIND_LINKS": str(packages)}
    variables |= {"PATH": f"{uv}:/usr/bin:/bin", "PIP_NO_INDEX": "false", "UV_OFFLINE": "false"}
    scorers = [
        {"scorer": "mlflow", "class": "RegexMatch", "arguments": {"pattern": "[0-4]"}},
        {"scorer": "function", "file": "own.py", "name": "own"},
    ]
    stub = Answering(lambda _number, text, _headers: (200, text.split()[-1], 0.0))

    async def test(url: str) -> None:
        async with opened(home.data, host.alias) as lab:
            body = file_of(tmp_path, url, rows=10, scorers=scorers)
            begun = await answers_of(lab).begin_answers(body)
            task = await ended(lab, begun)
            assert task.state == "done", (task.message, task.hint)
            missing = f"own.py imports goltiny, which is not installed for {sys.executable}."
            found = await result(lab, begun)
            (note,) = [each for each in found.evaluation.notes if missing in each]
            assert f"{sys.executable} -m pip install goltiny" in note and "below packages" in note
            assert found.report is not None
            scores = {each.scorer: each.mean.value for each in found.report.scored}
            assert scores == {"RegexMatch": 0.5, "own": None}

            more = {"scorer": "function", "file": "more.py", "name": "more"}
            body = file_of(tmp_path, url, rows=10, scorers=[*scorers, more], packages=["goltiny<2"])
            begun = await answers_of(lab).begin_answers(body)
            task = await ended(lab, begun)
            assert task.state == "done", (task.message, task.hint)
            lines = await log_of(lab, begun)
            assert "Missing there: goltiny<2." in lines  # and not MLflow, which the new environment has not
            built = await result(lab, begun)
            assert built.report is not None
            scores = {each.scorer: each.mean.value for each in built.report.scored}
            assert scores == {"RegexMatch": 0.5, "own": 1.0, "more": None}, built.evaluation.notes

            (site,) = (host.home / ".local/share/genops-lab/envs").glob("there-*/lib/python3*/site-packages")
            assert (site / "goltiny.py").exists() and not (site / "mlflow").exists()
            assert any("more.py imports golmore, which is not" in note for note in built.evaluation.notes)
            (site / "golmore.py").write_text("value = 0.25\n")
            before = len(stub.said)
            again = await answers_of(lab).resume_answers(begun.evaluation.id)
            assert (await ended(lab, again)).state == "done" and len(stub.said) == before
            scored = (await result(lab, again)).report
            assert scored is not None
            assert {each.scorer: each.mean.value for each in scored.scored} == {**scores, "more": 0.25}

    with stub.serving() as url, with_variables(host, **variables):
        bounded(test(url))
    assert left_on(host) == []


@pytest.mark.parametrize(
    ("limits", "ends"),
    [({"tokens": 400}, "killed"), ({"money": 0.0009}, "restarted")],
    ids=["tokens", "money"],
)
def test_a_budget_is_never_passed_there_nor_when_the_evaluation_goes_on(
    home: Home, host: Sshd, tmp_path: Path, limits: dict[str, Any], ends: str
) -> None:
    gated = Gated(free=5)
    price = {"input": 1.0, "output": 10.0}
    one = 10e-6 * 1.0 + 3e-6 * 10.0  # an answer of the stub

    async def test(url: str) -> ModelAnswers:
        async with opened(home.data, host.alias) as lab:
            asked_for = {"url": url, "model": "stub", "price": price, "limits": {"at_once": 4, **limits}}
            body = file_of(tmp_path, url, models={"a": asked_for}, settings={"max_tokens": 7})
            begun = await answers_of(lab).begin_answers(body)
            await asked(gated, 9)
            if ends == "killed":
                asking_process(host).kill()
                assert (await ended(lab, begun)).state == "failed"
                gated.open()
                begun = await answers_of(lab).resume_answers(begun.evaluation.id)
            else:
                await asyncio.to_thread(host.stop)
                await asyncio.to_thread(end_those_of, host.home)
                gated.open()
                await asyncio.to_thread(host.start)
            task = await ended(lab, begun)
            assert task.state == "done", (task.message, task.hint)
            (model,) = (await result(lab, begun)).evaluation.models
            assert (model.repeated, 5 < model.answered < 12) == (4, True), model
            assert model.stopped.startswith("The budget of "), model
            last = await answers_of(lab).resume_answers(begun.evaluation.id)
            assert (await ended(lab, last)).state == "done"
            (model,) = (await result(lab, last)).evaluation.models
            assert model.answered < 12 and model.stopped.startswith("The budget of "), model
            return model

    with gated.stub.serving() as url:
        found = bounded(test(url))
    assert found.answered + 4 == len(gated.said)
    assert found.money is not None
    assert TOKENS * len(gated.said) <= found.spent.total <= limits.get("tokens", math.inf)
    assert one * len(gated.said) <= found.money <= limits.get("money", math.inf)


FUNCTION = "scorers: [{scorer: function, file: own.py, name: own}]"


@pytest.mark.parametrize(
    ("added", "paid", "why"),
    [
        ([FUNCTION], True, "a scorer is not that of a harness"),
        (["scorers: [{scorer: given, name: a}, {scorer: given, name: b}]"], True, "too many values"),
        (["scorers: 3"], True, "must be a list"),
        ([], False, "1 answers that were asked for before are missing"),
    ],
)
def test_a_host_adds_no_scorer_that_would_run_here_and_forgets_no_call_of_a_harness(
    tmp_path: Path, added: list[str], paid: bool, why: str
) -> None:
    """A host is not trusted: the Lab would run a function, and a shorter journal would free a part of the budget."""
    process = HostResults(str(tmp_path / "answers"))
    id = process.begin(harness_of(tmp_path, "http://127.0.0.1:9/v1")).id
    folder, came = find_folder(tmp_path / "answers", id), tmp_path / "came"
    call = Call(model="a", example="x", repeat=0, answer=Answer(text="", usage=Usage(input=10, output=3)))
    for path, is_there in ((folder.path, True), (came, paid)):
        (path / "harness").mkdir(parents=True)
        if is_there:
            (path / "harness" / "a.calls.jsonl").write_bytes(msgspec.json.encode(call) + b"\n")
    (came / "state.json").write_bytes((folder.path / "state.json").read_bytes())
    (came / "added.json").write_bytes(msgspec.json.encode(added))
    with pytest.raises(Failed, match=f"box sent invalid results: .*{why}"):
        process.take(id, str(came))
    assert folder.added() == [] and spent_in(folder.path / "harness" / "a.calls.jsonl", "a").total == TOKENS


@pytest.mark.parametrize("path", ["harness/../../x", "/etc/passwd", "scores/x", "harness"])
def test_a_host_names_no_file_outside_the_folder_that_was_asked_for(path: str) -> None:
    class Lying(Talk):
        """The talk with a host that lies. No real agent does."""

        def __init__(self) -> None:
            self.channel: Any = SimpleNamespace(write=lambda _bytes: None)

        async def document(self) -> dict[str, Any]:
            return {"files": ["harness/a.eval", path]}

    with pytest.raises(BadTransfer):
        asyncio.run(Lying().files("harness"))
