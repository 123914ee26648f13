"""A whole evaluation through the services of a Lab, and what MLflow's own client sees of it."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.models import Task
from genops_lab.experiments.columns.models import RunTableQuery
from genops_lab.genai.endpoints.models import NewEndpoint
from genops_lab.genai.endpoints.service import EndpointsService
from genops_lab.genai.evaluations import records, schema, traces
from genops_lab.genai.evaluations.models import BegunAnswers, NewAnswerEvaluation, NewScores
from genops_lab.genai.evaluations.service import AnswersService
from genops_lab.genai.traces.models import NewRows
from genops_lab.genai.traces.service import TracesService
from tests.kernels.outputs.pages import eventually
from tests.support.application import Lab, opened
from tests.support.homes import Home
from tests.support.warm import program

from .answering import Answering, answer, questions
from .labs import client_of


async def ended(lab: Lab, begun: BegunAnswers) -> Task:
    return await lab.tasks.wait(begun.task.id)


def file_of(folder: Path, url: str, **more: Any) -> NewAnswerEvaluation:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions(12)))
    file = {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "numbers"}, "data": "rows.jsonl",
        "prompt": [{"role": "system", "content": "Answer."}, {"role": "user", "content": "{{q}}"}],
        "models": {"a": {"url": url, "model": "stub", "key": "KEY"}, "b": {"endpoint": "theirs"}},
        "scorers": [{"scorer": "exact"}], "tries": 1, "settings": {"max_tokens": 5}, **more,
    }  # fmt: skip
    return NewAnswerEvaluation(text=json.dumps(file), folder=str(folder))


def test_a_lab_evaluates_and_mlflow_shows_it(home: Home, tmp_path: Path) -> None:
    bad = {"Question 4"}

    def reply(_number: int, text: str, headers: dict[str, str]) -> tuple[int, Any, float]:
        is_a = headers.get("authorization") == "Bearer sk-1"
        if text in bad and is_a:
            return 500, b"{}", 0.0
        return 200, answer(text.split()[-1] if is_a or text < "Question 2" else "no"), 0.0

    stub = Answering(reply)

    async def evaluate(url: str) -> list[Any]:
        async with opened(home) as lab:
            answers = lab.application.get(AnswersService)
            (home.data / "secrets").mkdir(mode=0o700)
            (home.data / "secrets" / "KEY").write_text("sk-1")
            theirs = NewEndpoint(name="theirs", url=url, model="other")
            await lab.application.get(EndpointsService).add_endpoint(theirs)
            begun = await answers.begin_answers(file_of(tmp_path, url))
            first = await ended(lab, begun)
            shown = await answers.get_answer_evaluation(begun.evaluation.id)
            bad.clear()
            await ended(lab, await answers.resume_answers(begun.evaluation.id))
            before = len(stub.said)
            # No model answers again, so neither its endpoint nor its key is needed.
            await lab.application.get(EndpointsService).delete_endpoint("theirs")
            (home.data / "secrets" / "KEY").unlink()
            more = NewScores(text="scorers: [{scorer: contains, name: has}]")
            await ended(lab, await answers.score_answers(begun.evaluation.id, more))
            assert len(stub.said) == before == 25
            (home.data / "secrets" / "KEY").write_text("sk-1")
            await lab.application.get(EndpointsService).add_endpoint(theirs)
            await rows_of_mlflow(lab, begun.evaluation.id)
            return [first, shown, await answers.get_answer_evaluation(begun.evaluation.id)]

    async def rows_of_mlflow(lab: Lab, name: str) -> None:
        """The traces of the evaluation, and a data set of them, are rows of two others."""
        traces_of = lab.application.get(TracesService)
        found = await traces_of.query_traces(RunTableQuery(query="status = 'OK'", wait_s=30, lifecycle="all"))
        assert len(found.run_ids) == 24, name
        chosen = NewRows(trace_ids=found.run_ids[:3], dataset="chosen", with_answer=True)
        await traces_of.add_trace_rows(chosen)
        answers = lab.application.get(AnswersService)
        for data, count in [("traces: status = 'OK'", 24), ("dataset:chosen", 3)]:
            id = "trace_id" if count > 3 else "record_id"
            more = {"data": data, "id": id, "prompt": "", "conversation": {"history": "messages"}}
            begun = await answers.begin_answers(file_of(tmp_path, address[0], **more))
            assert (await ended(lab, begun)).message.endswith("All answers are there.")
            shown = await answers.list_answers(begun.evaluation.id)
            assert len(shown.items) == begun.evaluation.rows == count and begun.evaluation.data == data
            assert shown.items[0].example.startswith("tr-" if count > 3 else "dr-")
            assert shown.items[0].row["messages"][0]["content"] == "Answer."
        again = await answers.begin_answers(file_of(tmp_path, address[0], **more))
        assert again.evaluation.digest == begun.evaluation.digest
        await ended(lab, again)

    address: list[str] = []
    with stub.serving() as url:
        address.append(url)
        first, shown, last = asyncio.run(evaluate(url))
    assert (first.state, first.message) == ("done", "numbers is evaluated. 1 answers are missing.")
    assert [each.answered for each in shown.evaluation.models] == [11, 12]
    assert last.evaluation.stage == "done" and last.evaluation.missing == 0
    worse = next(each for each in last.report.compared if each.scorer == "exact")
    assert (worse.model, worse.against, worse.verdict, len(worse.worse)) == ("b", "a", "worse", 8)
    assert "sk-1" not in "".join(
        each.read_text(errors="replace") for each in (home.data / "answers").rglob("*") if each.is_file()
    )

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{home.data / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(records.EXPERIMENT).experiment_id
    run = client.get_run(last.evaluation.models[0].run_id)
    assert run.info.status == "FINISHED" and run.data.tags["mlflow.runType"] == "genai_evaluate"
    assert "b is worse than a by" in run.data.tags["mlflow.note.content"]
    assert run.data.metrics["exact/mean"] == run.data.metrics["has/mean"] == 1.0
    found = client.search_traces(locations=[experiment], run_id=run.info.run_id)
    assert len(found) == 12 and {each.info.state.value for each in found} == {"OK"}
    marks = {each.name: each for each in found[0].info.assessments}
    assert set(marks) == {"exact", "has", "expected"} and marks["exact"].feedback.value == 1.0
    assert found[0].data.spans[0].outputs["choices"][0]["message"]["content"] == marks["expected"].value
    _same_in_bulk_and_by_the_api(client)


def _same_in_bulk_and_by_the_api(client: Any) -> None:
    """Rows that are inserted in bulk read as those that MLflow's own client writes."""
    from genops_lab.genai.endpoints.endpoint import Answer
    from genops_lab.genai.endpoints.limits import Usage
    from genops_lab.genai.evaluations.asking import Wanted
    from genops_lab.genai.evaluations.journal import Call
    from genops_lab.genai.evaluations.steps import Step

    given = Answer(text="höher", usage=Usage(input=7, output=2), finish_reason="stop", model="m-1")
    marks = [
        traces.Mark("exact", 1.0, "", "CODE", "exact"),
        traces.Mark("judge", None, "it refused", "LLM_JUDGE", "j"),
    ]
    wanted = Wanted(
        example="1", repeat=0, messages=[{"role": "user", "content": "Wie?"}], settings={"seed": 1}
    )
    called = {"id": "c1", "type": "function", "function": {"name": "height", "arguments": "{}"}}
    turns = [("model", {"role": "assistant", "tool_calls": [called]}, "c", Usage(input=3))]
    turns += [("tool", {"role": "tool", "tool_call_id": "c1", "content": "[5]"}, "height", Usage())]
    turns += [("model", {"role": "assistant", "content": "höher"}, "c", Usage(input=4, output=2))]
    steps = [
        Step(kind=kind, message=message, name=name, usage=usage, at=1.8e9 + at)
        for at, (kind, message, name, usage) in enumerate(turns)
    ]
    kept = []
    for in_bulk in (True, False):
        experiment = client.create_experiment(f"bulk {in_bulk}")
        writer = traces.TraceWriter(client, experiment, in_bulk=in_bulk)
        for call in (
            Call(model="a", example="1", repeat=0, at=1.8e9, latency_s=0.5, answer=given),
            Call(
                model="b",
                example="1",
                repeat=0,
                at=1.8e9,
                latency_s=0.5,
                failure="server",
                message="HTTP 500",
            ),
            Call(model="c", example="1", repeat=0, at=1.8e9, latency_s=3.0, answer=given, steps=steps),
        ):
            trace = traces.AnswerTrace(f"e{in_bulk}", "name", wanted, call, marks, {"expected": {"x": [1]}})
            writer.write("r" * 32, [trace])
            text = json.dumps(client.get_trace(trace.id).to_dict(), sort_keys=True, default=str)
            kept.append(_without_times(json.loads(text.replace(trace.id, "TRACE"))))
    for one, other in zip(kept[:3], kept[3:], strict=True):
        assert one == other


def _without_times(value: Any) -> Any:
    """Return a trace without what differs between two that are the same."""
    left_out = {"create_time", "last_update_time", "create_time_ms", "last_update_time_ms", "assessment_id"}
    left_out |= {"trace_id", "span_id", "parent_span_id", "mlflow.artifactLocation", "experiment_id"}
    if isinstance(value, dict):
        return {key: _without_times(each) for key, each in value.items() if key not in left_out}
    if isinstance(value, list):
        return [_without_times(each) for each in value]
    return value


def test_answers_are_in_mlflow_while_others_are_asked(home: Home, tmp_path: Path) -> None:
    """A cancelled evaluation leaves no run that seems to go on; a resumed one writes each trace and mark once."""
    stub = Answering(lambda _number, text, _headers: (200, text[9:], math.inf if int(text[9:]) > 5 else 0.0))

    def seen() -> tuple[str, list[Any]]:
        client = client_of(home)
        experiment = client.get_experiment_by_name("meanwhile")
        runs = client.search_runs([experiment.experiment_id]) if experiment else []
        if not runs:
            return "", []
        (run,) = runs
        return run.info.status, client.search_traces(
            locations=[experiment.experiment_id], run_id=run.info.run_id
        )

    async def evaluate(url: str) -> None:
        async with opened(home) as lab:
            answers = lab.application.get(AnswersService)
            models = {"a": {"url": url, "model": "stub"}}
            file = file_of(tmp_path, url, models=models, experiment="meanwhile")
            begun = await answers.begin_answers(file)
            status, found = await asyncio.to_thread(eventually, seen, lambda found: len(found[1]) == 6)
            assert status == "RUNNING"
            assert [each.name for trace in found for each in trace.info.assessments] == ["expected"] * 6
            folder = home.data / "answers" / begun.evaluation.id
            writer = records.AnswerRecords(f"sqlite:///{home.data / 'mlflow' / 'mlflow.db'}")
            assert not writer.record_answers(str(folder), 0.0, "secrets"), (
                "what is redacted is written at the end"
            )
            await lab.tasks.cancel_task(begun.task.id)
            assert (await ended(lab, begun)).state == "cancelled" and seen()[0] == "FAILED"
            stub.opened.set()
            task = await ended(lab, await answers.resume_answers(begun.evaluation.id))
            assert task.message == "numbers is evaluated. All answers are there."

    with stub.serving() as url:
        asyncio.run(evaluate(url))
    status, found = seen()
    assert status == "FINISHED" and len(found) == 12
    marks = [sorted(each.name for each in trace.info.assessments) for trace in found]
    assert marks == [["exact", "expected"]] * 12


def test_a_gate_stands_on_an_evaluation_and_an_uncalibrated_judge_turns_none_green(
    home: Home, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    from genops_lab.gates.models import CheckGates, GateReport
    from genops_lab.gates.service import GatesService

    def reply(number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        if "<answer>" in text:
            return 200, '{"reason": "fine", "mark": 5}', 0.0
        is_bad = stub.bodies[number]["model"] == "old" and int(text.split()[-1]) % 3 == 0
        return 200, "no" if is_bad else text.split()[-1], 0.0

    client = MlflowClient(tracking_uri=f"sqlite:///{home.data / 'mlflow' / 'mlflow.db'}")
    client.create_registered_model("answering")
    for _ in range(2):
        client.create_model_version("answering", str(tmp_path))
    client.set_registered_model_alias("answering", "champion", "1")
    stub, notes = Answering(reply), list[str]()

    async def evaluate(url: str) -> list[GateReport]:
        async with opened(home) as lab:
            body = file_of(
                tmp_path, url, metadata={"name": "gated"}, cluster="part",
                models={
                    "old": {"url": url, "model": "old", "registered": "answering@1"},
                    "new": {"url": url, "model": "new", "registered": "answering@2"},
                },
                judges={"j": {"url": url, "model": "judging"}},
                scorers=[{"scorer": "exact"}, {"scorer": "rubric", "criterion": "It is right.", "model": "j"}],
            )  # fmt: skip
            rows = [{**row, "part": at // 2} for at, row in enumerate(questions(120))]
            (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            begun = await lab.application.get(AnswersService).begin_answers(body)
            await ended(lab, begun)
            shown = await lab.application.get(AnswersService).get_answer_evaluation(begun.evaluation.id)
            notes.extend(shown.evaluation.notes)
            found = []
            for scorer in ("exact", "rubric"):
                rule = "{rule: better, metric: accuracy, cluster: part}"
                rules = f"kind: Gates\ndata: gated.{scorer}\nrules: [{rule}]\n"
                checked = lab.application.get(GatesService).check_gates(
                    "answering", "2", CheckGates(text=rules)
                )
                found.append(await checked)
            return found

    with stub.serving() as url:
        exact, rubric = asyncio.run(evaluate(url))
    assert (exact.verdict, exact.rules[0].clusters, exact.rules[0].estimate) == (
        "pass",
        60,
        pytest.approx(1 / 3),
    )
    assert (
        rubric.rules[0].verdict == "cannot_be_checked"
        and "no evaluation on gated.rubric" in rubric.rules[0].clause
    )
    assert sum("by rubric. The judge rubric is not calibrated" in each for each in notes) == 2


def test_the_command_evaluates_without_a_lab_redacts_and_says_what_is_missing(
    home: Home, tmp_path: Path
) -> None:
    def reply(_number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        broken = b'{"error": {"message": "Ask @all. ![x](http://example.com/x.png)"}}'
        return (500, broken, 0.0) if text == "Question 7" else (200, text.split()[-1], 0.0)

    with Answering(reply).serving() as url:
        secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"  # the form of a token, of nobody
        turns = [{"role": "system", "content": f"The key is {secret}."}, {"role": "user", "content": "{{q}}"}]
        models = {"a": {"url": url, "model": "stub"}, "b": {"url": url, "model": "stub", "prompt": "no"}}
        body = file_of(tmp_path, url, models=models, prompt=turns, id="id")
        rows = [{**row, "id": f"{at} {secret}"} for at, row in enumerate(questions(12))]
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (tmp_path / "e.yaml").write_text(body.text)
        command = [*program("genops_lab.commands.main"), "evaluate", "e.yaml", "--json"]
        done = subprocess.run(
            [*command, "--markdown", "report.md"], cwd=tmp_path, capture_output=True,
            env=home.environment() | {"GENOPS_REDACT_TRACES": "secrets"}, text=True, check=False, timeout=120,
        )  # fmt: skip
        there = subprocess.run(
            [*command, "--on", "nowhere"], cwd=tmp_path, capture_output=True, env=home.environment(), text=True,
            check=False, timeout=120,
        )  # fmt: skip
        assert there.returncode and "There is no target" in there.stderr, there.stderr
    assert done.returncode == 8, done.stderr
    found = json.loads(done.stdout)
    assert found["evaluation"]["models"][0]["failures"] == {"server": 1}
    assert found["report"]["scored"][0]["mean"]["value"] == 1.0
    markdown = (tmp_path / "report.md").read_text()
    assert f"New failures of b: 0 {secret}" in "\n".join(found["report"]["sentences"])
    assert "| a | 11 of 12 | 1 |" in markdown and "That counts as neither right nor wrong." in markdown
    # Words of an endpoint call nobody in a pull request, and load no picture.
    assert "Ask &#64;all. !\\[x\\](http" in markdown and "@" not in markdown
    store = b"".join(each.read_bytes() for each in (home.data / "mlflow").rglob("*") if each.is_file())
    assert secret.encode() not in store and store.count(b"The key is [github token 1].") > 12
    assert b"New failures of b: 0 [github token 1]" in store


def test_the_schema_of_evaluation_files_is_that_of_the_code() -> None:
    assert schema.FILE.read_text() == schema.schema(), "python -m genops_lab.genai.evaluations.schema"
