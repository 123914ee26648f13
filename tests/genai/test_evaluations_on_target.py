"""Answers asked and scored on a host over a real sshd: nothing is lost or paid twice, whoever goes away meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec.structs import replace

from genops_lab.core.errors import Conflict, Failed, InvalidRequest, NotFound
from genops_lab.core.store.work import WorkTable
from genops_lab.deployments.addresses import Address
from genops_lab.deployments.models import Deployment
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.endpoints.models import NewEndpoint
from genops_lab.genai.endpoints.service import EndpointsService
from genops_lab.genai.evaluations.evaluation_file import Model
from genops_lab.genai.evaluations.host_results import ASKING, LITELLM, SANDBOX, STOPPING, HostResults
from genops_lab.genai.evaluations.journal import read
from genops_lab.genai.evaluations.models import AnswersReport, NewAnswerEvaluation, NewScores
from genops_lab.genai.evaluations.on_target import work_of
from genops_lab.genai.evaluations.results_folder import ResultsFolder
from genops_lab.genai.evaluations.target_endpoints import seen_from
from genops_lab.hosts.models import NewTarget
from tests.hosts.labs import connected, until
from tests.support.application import Lab
from tests.support.homes import Home
from tests.support.processes import end_those_of
from tests.support.sshd import Sshd
from tests.support.warm import use, warm_address

from .answering import Answering, Evaluating, answer, questions
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
    has_key,
    home_with_key,
    left_on,
    log_of,
    opened,
    result,
    state_of,
)


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with home_with_key() as found:
        yield found


@pytest.fixture(scope="module")
def host(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with evaluating_host(home, tmp_path_factory.mktemp("index")) as found:
        yield found


def test_a_host_asks_and_scores_and_the_result_is_one_like_others(
    home: Home, host: Sshd, tmp_path: Path
) -> None:
    gated = Gated(free=8)
    (tmp_path / "own.py").write_text("def score(row, text):\n    return float(text == row['expected'])\n")
    scorers = [
        {"scorer": "exact"},
        {"scorer": "regex", "pattern": "1"},
        {"scorer": "function", "file": "own.py", "name": "own"},
        {"scorer": "rubric", "criterion": "It is right.", "model": "j"},
    ]

    async def test(url: str) -> AnswersReport:
        async with opened(home.data, host.alias) as lab:
            judges = {"j": {"url": url, "model": "judging", "key": "KEY"}}
            body = file_of(tmp_path, url, scorers=scorers, judges=judges)
            plan = await answers_of(lab).plan_answers(body)
            assert plan.keys == "The keys of a and j go to box."
            begun = await answers_of(lab).begin_answers(body)
            assert begun.evaluation.target == "box"
            assert begun.task.title == "Evaluate there on box: 12 answers"
            await asked(gated, 9)
            process = asking_process(host)
            assert str(host.home) in process.environ()["PYTHONPATH"]  # the Lab's code, and no other
            assert has_key(host) == []
            with pytest.raises(Conflict):
                await answers_of(lab).delete_answer_evaluation(begun.evaluation.id)
            gated.open()
            task = await ended(lab, begun)
            assert (task.state, task.message) == ("done", "there is evaluated. All answers are there."), (
                task.hint
            )
            lines = await log_of(lab, begun)
            assert "The keys of a and j go to box." in lines
            assert {"a: 12 of 12 answers, 156 tokens.", "rubric used 156 tokens of j."} <= {*lines}
            more = NewScores(text="scorers: [{scorer: contains, name: has}]")
            scored = await answers_of(lab).score_answers(begun.evaluation.id, more)
            assert (await ended(lab, scored)).state == "done"
            shown = await answers_of(lab).list_answers(begun.evaluation.id)
            assert all(row.answers[0].trace_id for row in shown.items)
            return await result(lab, begun)

    with gated.stub.serving() as url:
        found = bounded(test(url))
    assert len(gated.said) == 12 + 12 and gated.keys == {f"Bearer {KEY}"}
    assert found.report is not None
    assert {each.scorer: each.mean.value for each in found.report.scored} == {
        "exact": 1.0, "regex": pytest.approx(3 / 12), "own": 1.0, "rubric": 1.0, "has": 1.0,
    }  # fmt: skip
    assert found.evaluation.stage == "done" and found.evaluation.models[0].run_id
    assert left_on(host) == [] and has_key(host) == []
    # Rows and answers are in no file that stays there.
    assert not [
        path for path in state_of(host).rglob("*") if path.is_file() and b"Question 3" in path.read_bytes()
    ]


def test_a_host_that_is_away_for_a_while_goes_on_alone(home: Home, host: Sshd, tmp_path: Path) -> None:
    gated = Gated(free=5)

    async def test(url: str) -> None:
        async with opened(home.data, host.alias) as lab:
            begun = await answers_of(lab).begin_answers(file_of(tmp_path, url))
            await asked(gated, 9)
            await asyncio.to_thread(host.stop)
            await until(
                lambda: log_of(lab, begun),
                lambda lines: any(line.startswith("The connection to box is down.") for line in lines),
            )
            gated.open()
            await asked(gated, 12)
            assert (await lab.tasks.get_task(begun.task.id)).state == "running"
            await asyncio.to_thread(host.start)
            assert (await ended(lab, begun)).message == "there is evaluated. All answers are there."
            assert not [each for each in (await result(lab, begun)).evaluation.models if each.repeated]

    with gated.stub.serving() as url:
        bounded(test(url))
    assert len(gated.said) == 12 and left_on(host) == []


def _killed_lab(
    data_dir: Path, environment: dict[str, str], warm: str, folder: Path, url: str, alias: str, told: Any
) -> None:
    """Evaluate in a process of its own, which is killed once the host has answers."""
    os.environ.update(environment)
    use(warm)

    async def work() -> None:
        async with opened(data_dir, alias) as lab:
            begun = await answers_of(lab).begin_answers(file_of(folder, url))
            await until(lambda: lab.tasks.get_task(begun.task.id), lambda task: (task.progress or 0) > 0)
            told.send([begun.task.id, begun.evaluation.id])
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(work())


def test_a_later_lab_takes_what_the_host_answered_after_the_first_was_killed(
    home: Home, host: Sshd, tmp_path: Path
) -> None:
    gated = Gated(free=5)
    context = multiprocessing.get_context("spawn")

    async def later(task_id: str, id: str) -> None:
        async with opened(home.data, host.alias, supervise=True) as lab:
            table = WorkTable(lab.store)

            async def state() -> str:
                return (await asyncio.to_thread(table.get, task_id)).state

            await until(state, lambda found: found != "running")
            work = await asyncio.to_thread(table.get, task_id)
            assert (work.state, work.token > 1) == ("done", True), (work.message, work.hint)
            found = await answers_of(lab).get_answer_evaluation(id)
            assert (found.evaluation.missing, found.evaluation.models[0].repeated) == (0, 0)
            assert found.report is not None and found.report.scored[0].mean.value == 1.0

    with gated.stub.serving() as url:
        ours, theirs = context.Pipe()
        arguments = (home.data, home.environment(), warm_address(), tmp_path, url, host.alias, theirs)
        process = context.Process(target=_killed_lab, args=arguments)
        process.start()
        assert ours.poll(200), "the evaluation did not begin"
        task_id, id = ours.recv()
        process.join(30)
        assert process.exitcode == -signal.SIGKILL
        there = asking_process(host)
        gated.open()
        there.wait(60)
        assert len(gated.said) == 12
        bounded(later(task_id, id))
    assert len(gated.said) == 12 and left_on(host) == []


def test_a_killed_process_on_the_host_repeats_only_what_was_in_flight_and_says_so(
    home: Home, host: Sshd, tmp_path: Path
) -> None:
    gated = Gated(free=5)

    async def test(url: str) -> None:
        async with opened(home.data, host.alias) as lab:
            settings = {"max_tokens": 7}
            begun = await answers_of(lab).begin_answers(file_of(tmp_path, url, settings=settings))
            await asked(gated, 9)
            asking_process(host).kill()
            task = await ended(lab, begun)
            assert task.state == "failed"
            assert task.message.startswith(
                "The evaluation ended early on box: It was killed by signal 9 (SIGKILL"
            )
            id = begun.evaluation.id
            assert task.hint == f"The answers so far are kept. Go on with: genops evaluate resume {id}"
            calls = read(ResultsFolder(home.data / "answers" / id).calls)
            assert len(calls) == 5 and left_on(host) == []
            gated.open()
            again = await answers_of(lab).resume_answers(id)
            assert (await ended(lab, again)).message == "there is evaluated. All answers are there."
            (model,) = (await result(lab, again)).evaluation.models
            assert (model.answered, model.repeated, model.failed) == (12, 4, 0)
            lines = await log_of(lab, again)
            assert f"a: 12 of 12 answers, {12 * 13 + model.repeated_tokens:,} tokens." in lines
            assert (
                "a: 4 calls were in flight when a process ended, and were made again. They may have used up to "
                f"{model.repeated_tokens:,} tokens."
            ) in lines

    with gated.stub.serving() as url:
        bounded(test(url))
    assert len(gated.said) == 9 + 7 and left_on(host) == []


def cut_power(host: Sshd) -> None:
    """End all processes at once: nobody sees the end of the evaluation."""
    end_those_of(host.home)


def shut_down(host: Sshd) -> None:
    """Ask all processes to end, as a host does that shuts down, until all have kept what they had to keep."""
    deadline = time.monotonic() + 60
    while found := [each for each in psutil.process_iter() if home_of(each) == str(host.home)]:
        for each in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.terminate()
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def home_of(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return process.environ().get("HOME", "")
    return ""


@pytest.mark.parametrize("end", [cut_power, shut_down])
def test_a_host_that_restarts_goes_on(home: Home, host: Sshd, tmp_path: Path, end: Any) -> None:
    gated = Gated(free=5)

    async def test(url: str) -> None:
        async with opened(home.data, host.alias) as lab:
            begun = await answers_of(lab).begin_answers(file_of(tmp_path, url))
            await asked(gated, 9)
            await asyncio.to_thread(host.stop)
            await asyncio.to_thread(end, host)
            gated.open()
            await asyncio.to_thread(host.start)
            assert (await ended(lab, begun)).message == "there is evaluated. All answers are there."
            assert "box restarted. The evaluation goes on there." in await log_of(lab, begun)
            (model,) = (await result(lab, begun)).evaluation.models
            assert (model.answered, model.repeated) == (12, 4)

    with gated.stub.serving() as url:
        bounded(test(url))
    assert len(gated.said) == 9 + 7 and left_on(host) == []


def test_a_cancel_keeps_what_was_answered_even_of_a_host_that_is_away(
    home: Home, host: Sshd, tmp_path: Path
) -> None:
    gated = Gated(free=5)

    async def test(url: str) -> None:
        async with opened(home.data, host.alias) as lab:
            begun = await answers_of(lab).begin_answers(file_of(tmp_path, url))
            id = begun.evaluation.id
            kept = ResultsFolder(home.data / "answers" / id).calls
            await asked(gated, 9)
            await lab.tasks.cancel_task(begun.task.id)
            assert (await ended(lab, begun)).state == "cancelled"
            assert len(read(kept)) == 5 and left_on(host) == []
            assert (await result(lab, begun)).evaluation.models[0].answered == 5

            again = await answers_of(lab).resume_answers(id)
            gated.free = 11  # 9 calls before, and 2 answers more
            await asked(gated, 15)
            await asyncio.to_thread(host.stop)
            await lab.tasks.cancel_task(again.task.id)
            assert (await ended(lab, again)).state == "cancelled"
            said = "\n".join(await log_of(lab, again))
            assert "box was not stopped: " in said and f"genops evaluate resume {id}" in said
            assert len(read(kept)) == 5
            with pytest.raises(Conflict, match="box is not connected"):
                await answers_of(lab).resume_answers(id)
            await asyncio.to_thread(host.start)
            assert (await connected(lab, "box")).state == "up"
            state = (await answers_of(lab).get_answer_evaluation(id)).evaluation
            works = [work_of(state, ["ask", "score"]), work_of(state, ["score"])]
            works.append(work_of(replace(state, scorers=[*state.scorers, "more"]), ["score"]))
            assert len({*works}) == 3  # a command that scores by fewer scorers is not followed
            gated.open()
            last = await answers_of(lab).resume_answers(id)
            assert (await ended(lab, last)).message == "there is evaluated. All answers are there."
            (model,) = (await result(lab, last)).evaluation.models
            assert (model.answered, model.repeated) == (12, 4)  # those of the first cancel alone

    with gated.stub.serving() as url:
        bounded(test(url))
    assert len(gated.said) == 9 + 7 and left_on(host) == []


def test_a_deletion_removes_what_is_on_the_host_or_says_why_not(
    home: Home, host: Sshd, tmp_path: Path
) -> None:
    gated = Gated(free=5)

    async def cancelled_while_away(lab: Lab, calls: int) -> str:
        """Return the id of an evaluation that goes on there after a cancel."""
        begun = await answers_of(lab).begin_answers(file_of(tmp_path, url))
        await asked(gated, calls)
        await asyncio.to_thread(host.stop)
        await lab.tasks.cancel_task(begun.task.id)
        assert (await ended(lab, begun)).state == "cancelled"
        return begun.evaluation.id

    async def test() -> None:
        async with opened(home.data, host.alias) as lab:
            id = await cancelled_while_away(lab, 9)
            await asyncio.to_thread(host.start)
            assert (await connected(lab, "box")).state == "up"
            assert len(left_on(host)) == 1 and asking_process(host).is_running()
            assert (await answers_of(lab).delete_answer_evaluation(id)).left == ""
            assert left_on(host) == [] and not (home.data / "answers" / id).exists()
            with pytest.raises(AssertionError):
                asking_process(host)

            gated.free = 9 + 5
            id = await cancelled_while_away(lab, 9 + 9)
            deleted = await answers_of(lab).delete_answer_evaluation(id)
            assert deleted.left.startswith(
                f"box still has files of {id}: box is not connected. The command there"
            )
            assert not (home.data / "answers" / id).exists()
            gated.open()
            await asyncio.to_thread(asking_process(host).wait, 60)
            (session,) = left_on(host)
            month_ago = time.time() - 31 * 86400
            os.utime(state_of(host) / "evaluations" / "sessions" / session, (month_ago, month_ago))
            await asyncio.to_thread(host.start)
            assert (await connected(lab, "box")).state == "up"
            begun = await answers_of(lab).begin_answers(file_of(tmp_path, url))
            assert (await ended(lab, begun)).state == "done"
            assert left_on(host) == []
            assert (await answers_of(lab).delete_answer_evaluation(begun.evaluation.id)).left == ""

    with gated.stub.serving() as url:
        bounded(test())


def test_rows_are_asked_there_until_the_answer_is_known_and_code_runs_in_the_sandbox(
    home: Home, host: Sshd, tmp_path: Path
) -> None:
    def reply(_number: int, text: str, headers: dict[str, str]) -> tuple[int, Any, float]:
        return 200, answer(f"print({text.split()[-1]})" if "authorization" in headers else "print('no')"), 0.0

    stub = Answering(reply)

    async def test(url: str) -> AnswersReport:
        async with opened(home.data, host.alias) as lab:
            models = {
                "a": {"url": url, "model": "one", "key": "KEY", "limits": {"at_once": 4}},
                "b": {"url": url, "model": "two"},
            }
            scorers = [
                {"scorer": "contains", "expected": "expected"},
                {"scorer": "code", "program": "{{answer}}", "stdout": "expected"},
            ]
            body = file_of(tmp_path, url, rows=60, models=models, scorers=scorers[:1], stop_when_known=True)
            begun = await answers_of(lab).begin_answers(body)
            task = await ended(lab, begun)
            assert task.state == "done", (task.message, task.hint)
            more = NewScores(text=json.dumps({"scorers": scorers[1:]}))
            again = await answers_of(lab).score_answers(begun.evaluation.id, more)
            assert (await ended(lab, again)).state == "done"
            return await result(lab, again)

    with stub.serving() as url:
        found = bounded(test(url))
    report = found.report
    assert report is not None and report.stopped is not None
    assert report.stopped.known and report.stopped.examples < 60
    assert len(stub.said) == 2 * report.stopped.examples
    assert {(each.model, each.scorer): each.mean.value for each in report.scored} == {
        ("a", "contains"): 1.0, ("b", "contains"): 0.0, ("a", "code"): 1.0, ("b", "code"): 0.0,
    }, found.evaluation.notes  # fmt: skip


def test_what_cannot_run_there_is_refused_before_anything_is_asked(
    home: Home, host: Sshd, tmp_path: Path
) -> None:
    gated = Gated(free=100)

    async def refused(lab: Lab, body: NewAnswerEvaluation) -> InvalidRequest:
        with pytest.raises(InvalidRequest) as found:
            await answers_of(lab).begin_answers(body)
        return found.value

    async def test(url: str) -> None:
        async with opened(home.data, host.alias) as lab:
            with pytest.raises(NotFound):
                await answers_of(lab).begin_answers(replace(file_of(tmp_path, url), on="nowhere"))
            await lab.targets.add_target(NewTarget(name="jobs", kind="slurm", config={"host": "login1"}))
            error = await refused(lab, replace(file_of(tmp_path, url), on="jobs"))
            assert error.message.endswith("and jobs requests a host for each kernel.")
            here = NewEndpoint(name="here", url=url, model="stub")
            await lab.application.get(EndpointsService).add_endpoint(here)
            error = await refused(lab, file_of(tmp_path, url, models={"a": {"endpoint": "here"}}))
            assert error.message == f"box does not reach the endpoint 'here': {url} is on this machine."
            assert error.hint.startswith(
                "If its server runs on box, give url and model in the evaluation file"
            )
            lacking = file_of(tmp_path, url, scorers=[{"scorer": "exact"}, {"scorer": "embeddings"}])
            begun = await answers_of(lab).begin_answers(lacking)
            task = await ended(lab, begun)
            assert task.state == "failed" and task.hint
            words = "box cannot run the evaluation there: its environment was not built. "
            assert task.message.startswith(words), task.message
            assert "Missing there: sentence-transformers>=3." in await log_of(lab, begun)
            await lab.targets.disconnect_target("box")
            with pytest.raises(Conflict, match="box is not connected"):
                await answers_of(lab).begin_answers(file_of(tmp_path, url))

    with gated.stub.serving() as url:
        bounded(test(url))
    assert gated.said == [] and left_on(host) == []


@pytest.mark.parametrize(
    ("model", "on", "said"),
    [
        (Model(deployment="small"), "box", "http://127.0.0.1:9000/small/v1"),
        (Model(endpoint="deployment:small"), "box", "http://127.0.0.1:9000/small/v1"),
        (
            Model(deployment="small"),
            "other",
            "other does not reach the deployment 'small', which runs on box.",
        ),
        (Model(endpoint="far"), "box", "https://far.example/v1"),
        (Model(url="http://localhost:8000/v1", model="m"), "box", "http://localhost:8000/v1"),
        (Model(endpoint="near"), "box", "box does not reach the endpoint 'near': http://[::1]:8000/v1 is on"),
    ],
)
def test_a_host_asks_deployments_by_their_address_there_and_never_this_machine(
    model: Model, on: str, said: str
) -> None:
    class Deployed:
        """One deployment on the target box. A real one needs a model that serves."""

        async def get_deployment(self, name: str) -> Deployment:
            there = Address(kind="host", reached_from="box", address=f"http://127.0.0.1:9000/{name}")
            here = Address(kind="loopback", reached_from="here", address="http://127.0.0.1:1/x")
            return Deployment(
                name=name, model="m", version="1", state="running", target="box", addresses=[here, there],
                created_at=0, lease_until=0,
            )  # fmt: skip

    url = {"far": "https://far.example/v1", "near": "http://[::1]:8000/v1"}.get(model.endpoint, model.url)
    endpoint = Endpoint(name="a", url=url or "http://127.0.0.1:1/x/v1", model="m")
    deployments: Any = Deployed()
    work = seen_from(on, model, endpoint, deployments)
    if said.startswith("http"):
        assert asyncio.run(work).url == said
        return
    with pytest.raises(InvalidRequest) as refused:
        asyncio.run(work)
    assert refused.value.message.startswith(said) and refused.value.hint


def test_results_without_answers_that_are_here_are_not_taken(tmp_path: Path) -> None:
    """A host is not trusted, and its disk may be an older one."""
    with Answering(lambda _number, text, _headers: (200, text.split()[-1], 0.0)).serving() as url:
        evaluating = Evaluating(tmp_path, url, questions(3))
        evaluating.ask()
    folder = tmp_path / "answers" / evaluating.id
    came = tmp_path / "came"
    came.mkdir()
    (came / "state.json").write_bytes((folder / "state.json").read_bytes())
    lines = (folder / "calls.jsonl").read_bytes().splitlines(keepends=True)
    taking = HostResults(str(tmp_path / "answers"))
    for content, why in [
        (b"".join(lines[:-1]), "1 answers that were asked for before are missing"),
        (b"".join(lines) + b'{"model": 3}\n', "Expected"),
    ]:
        (came / "calls.jsonl").write_bytes(content)
        with pytest.raises(Failed, match=why):
            taking.take(evaluating.id, str(came))
        assert (folder / "calls.jsonl").read_bytes() == b"".join(lines)


def test_the_versions_of_a_host_are_those_of_the_package() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    for line in (*ASKING, *STOPPING, *SANDBOX, LITELLM):
        assert f'"{line}"' in project, line
