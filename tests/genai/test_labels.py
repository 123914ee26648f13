"""Labels of two models' answers by people, through a Lab and MLflow's own client, and the verdict on a judge."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Conflict, Failed, InvalidRequest, NotFound
from genops_lab.genai.evaluations import kept_labels
from genops_lab.genai.evaluations.evaluation_file import read_scorers
from genops_lab.genai.evaluations.models import NewAnswerEvaluation, NewScores
from genops_lab.genai.evaluations.results_folder import ResultsFolder
from genops_lab.genai.evaluations.service import AnswersService
from genops_lab.genai.labels.models import (
    ChosenFailureMode,
    FailureMode,
    FailureModeText,
    FailureRows,
    LabelItems,
    MoreLabels,
    NewFailureMode,
    NewLabel,
    NewLabelQueue,
    NotedAnswer,
    RaterQuery,
)
from genops_lab.genai.labels.service import LabelsService
from genops_lab.genai.labels.suggesting import NoteEmbeddings, alike, read_groups
from genops_lab.genai.scorers.judge_checks import problem
from genops_lab.genai.scorers.judges import Rubric
from tests.support.application import Lab, opened
from tests.support.homes import Home
from tests.support.mlflow_file import place_server_store
from tests.support.mlflow_server import running_mlflow

from .answering import Answering, answer, questions

#: An estimate needs 20 labels of a model.
ROWS, LABELLED = 40, 22
GOOD, BAD = "good", "bad"


def reply(_number: int, text: str, headers: dict[str, str]) -> tuple[int, Any, float]:
    """Answer the even questions right as model a and few as model b; judge by what the answer is, or refuse."""
    if "<answer_a>" in text:  # the right one wins
        one, other = ("right" in part for part in text.split("<answer_b>"))
        better = "tie" if one == other else "A" if one else "B"
        return 200, answer(json.dumps({"reason": "seen", "better": better})), 0.0
    if "<answer>" in text:
        if "Question 7\n" in text:
            return 200, answer("I cannot judge this."), 0.0
        mark = 2 if "right" in text.split("<answer>")[1] else 1
        return 200, answer(json.dumps({"reason": "seen", "mark": mark})), 0.0
    number = int(text.split()[-1])
    is_a = headers.get("authorization") == "Bearer sk-a"
    return 200, answer("right" if number % (2 if is_a else 5) == 0 else "wrong"), 0.0


def evaluation(folder: Path, url: str) -> NewAnswerEvaluation:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions(ROWS)))
    file = {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "numbers"}, "data": "rows.jsonl",
        "prompt": "{{q}}", "settings": {"max_tokens": 5}, "tries": 1,
        "models": {"a": {"url": url, "model": "stub-a", "key": "KEY"}, "b": {"url": url, "model": "stub-b"}},
        "judges": {"j": {"url": url, "model": "judge"}},
        "scorers": [
            {"scorer": "exact", "expected": "q"},
            {"scorer": "pairwise", "name": "better", "model": "j"},
            {"scorer": "rubric", "name": "helpful", "model": "j", "criterion": "It helps.", "scale": [BAD, GOOD]},
        ],
    }  # fmt: skip
    return NewAnswerEvaluation(text=json.dumps(file), folder=str(folder))


@pytest.fixture(params=["file", "server"])
def uri(home: Home, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the MLflow: the Lab's own file, or a server."""
    if request.param == "file":
        yield f"sqlite:///{home.data / 'mlflow' / 'mlflow.db'}"
        return
    place_server_store(tmp_path / "far.db")
    with running_mlflow(home, f"sqlite:///{tmp_path}/far.db", tmp_path / "artifacts") as url:
        yield url


def test_people_label_and_the_judge_gets_a_verdict(home: Home, uri: str, tmp_path: Path) -> None:
    (home.data / "secrets").mkdir(mode=0o700, exist_ok=True)
    (home.data / "secrets" / "KEY").write_text("sk-a")

    async def work(url: str) -> None:
        async with opened(home, mlflow_uri=uri) as lab:
            answers, labels = lab.application.get(AnswersService), lab.application.get(LabelsService)
            begun = await answers.begin_answers(evaluation(tmp_path, url))
            done = await lab.tasks.wait(begun.task.id)
            assert done.state == "done", done
            id = begun.evaluation.id
            queue = await labels.begin_labels(NewLabelQueue(evaluation=id, rows=LABELLED))
            assert queue.question is not None and queue.question.name == "helpful"
            assert (queue.items, queue.evaluation, queue.question.choices) == (2 * LABELLED, id, [BAD, GOOD])
            with pytest.raises(Conflict, match="are being labelled"):
                await labels.begin_labels(NewLabelQueue(evaluation=id, rows=LABELLED))

            # Each rater has an order of their own, and no page says whose answer it is or what a judge thinks.
            ann = await labels.list_label_items(queue.id, RaterQuery(rater="Ann"))
            bob = await labels.list_label_items(queue.id, RaterQuery(rater="bob"))
            assert {each.trace_id for each in ann.items} == {each.trace_id for each in bob.items}
            assert [each.trace_id for each in ann.items] != [each.trace_id for each in bob.items]
            contents = {
                each.trace_id: await labels.get_label_content(queue.id, each.trace_id) for each in ann.items
            }
            for content in contents.values():
                assert content.answer in ("right", "wrong") and content.turns[0].text.startswith("Question ")
                assert "stub" not in str(content) and "seen" not in str(content)

            right = [each for each, content in contents.items() if content.answer == "right"]
            await label_all(labels, ann, right)
            await label_all(labels, bob, right[2:])
            report = await labels.get_label_report(queue.name)
            assert [(each.rater, each.labels) for each in report.raters] == [
                ("ann", 2 * LABELLED),
                ("bob", 2 * LABELLED),
            ]
            assert report.between.value is not None and 0.8 < report.between.value < 1
            (judge,) = report.judges
            assert judge.calibrated and judge.verdict.startswith("Calibrated: agreement"), judge
            asked = [content.turns[0].text for content in contents.values()]
            assert judge.not_marked == asked.count("Question 7")
            means = {(each.model, each.against): each.corrected for each in report.corrected}
            # The sample is random: these hold for nearly any.
            assert abs((means["a", ""].value or 0) - 0.5) < 0.2, means
            assert -0.5 < (means["b", "a"].value or 0) < -0.1, means
            assert all(each.low is not None and each.high is not None for each in means.values())
            folder = ResultsFolder(home.data / "answers" / id)
            (kept,) = kept_labels.kept_labels(folder)
            assert len(kept.labels) == 2 * LABELLED and {each.chance for each in kept.labels} == {
                LABELLED / ROWS
            }
            known = kept_labels.known_calibrations(folder)
            own = Rubric(name="helpful", model="j", criterion="It helps.", scale=[BAD, GOOD])
            assert problem(own, known) == ""
            other = Rubric(name="helpful", model="j", criterion="It helps a lot.", scale=[BAD, GOOD])
            assert "is not calibrated" in problem(other, known)

            await report_again(lab, id, queue.id)

            # More answers, where scorers disagree, come last and count for no rate.
            more = await labels.add_label_disagreements(queue.id, MoreLabels(rows=4))
            again = await labels.list_label_items(queue.id, RaterQuery(rater="ann"))
            assert [each.random for each in again.items] == [True] * 2 * LABELLED + [False] * 4
            assert more.items == len(again.items) and [each.label for each in again.items[-4:]] == [""] * 4
            await self_correction(labels, again)
            await pairs(labels, id)
            await failures(labels, id)
            await bad_days(uri, labels, again)

    with Answering(reply).serving() as url:
        asyncio.run(work(url))


async def report_again(lab: Lab, id: str, queue: str) -> None:
    """Labels reach the report of the evaluation without a call to a model."""
    answers, labels = lab.application.get(AnswersService), lab.application.get(LabelsService)
    before = (await answers.get_answer_evaluation(id)).report
    assert before is not None and not any(each.calibrated for each in before.judges)
    assert (await labels.get_label_report(queue)).is_newer
    begun = await answers.score_answers(id, NewScores())
    done = await lab.tasks.wait(begun.task.id)
    assert done.state == "done", done
    after = (await answers.get_answer_evaluation(id)).report
    assert after is not None
    assert {each.scorer: each.calibrated for each in after.judges} == {"better": False, "helpful": True}
    assert any(each.corrected is not None for each in after.scored if each.scorer == "helpful")
    assert not (await labels.get_label_report(queue)).is_newer


async def label_all(labels: LabelsService, found: LabelItems, right: list[str]) -> None:
    """Label all as a rater for whom the answers of some traces are right."""
    for item in found.items:
        said = GOOD if item.trace_id in right else BAD
        await labels.set_label(found.queue.id, item.trace_id, NewLabel(label=said, rater=found.rater))


async def self_correction(labels: LabelsService, found: LabelItems) -> None:
    """A second label of a rater takes the place of the first; one that is taken back is gone."""
    item = found.items[0]
    await labels.set_label(found.queue.id, item.trace_id, NewLabel(label=BAD, note="no", rater="ann"))
    shown = (await labels.list_label_items(found.queue.id, RaterQuery(rater="ann"))).items[0]
    assert (shown.label, shown.note) == (BAD, "no")
    extra = found.items[-1]
    await labels.set_label(found.queue.id, extra.trace_id, NewLabel(label=GOOD, rater="ann"))
    before = (await labels.get_label_report(found.queue.id)).queue.labelled
    await labels.delete_label(found.queue.id, extra.trace_id, RaterQuery(rater="ann"))
    after = await labels.get_label_report(found.queue.id)
    assert after.queue.labelled == before - 1
    rated = len(found.items) - 4
    assert {each.rater: each.labels for each in after.raters} == {"ann": rated, "bob": rated}


async def pairs(labels: LabelsService, evaluation: str) -> None:
    """Two answers are compared blind, each rater in an order of their own, and the pairwise judge gets a verdict."""
    queue = await labels.begin_labels(NewLabelQueue(evaluation=evaluation, rows=LABELLED, judge="better"))
    shown = ["first answer", "equal", "second answer"]
    assert queue.question is not None and queue.question.choices == shown and queue.items == LABELLED
    first = {}
    for rater in ("ann", "bob"):
        found = await labels.list_label_items(queue.id, RaterQuery(rater=rater))
        chosen = {}
        for item in found.items:
            content = await labels.get_label_content(queue.id, item.trace_id, RaterQuery(rater=rater))
            assert content.other is not None and "stub" not in str(content)
            one, other = content.answer == "right", content.other == "right"
            said = shown[1] if one == other else shown[0] if one else shown[2]
            chosen[item.trace_id] = said
            await labels.set_label(queue.id, item.trace_id, NewLabel(label=said, rater=rater))
            first[rater, item.trace_id] = content.answer
        own = await labels.list_label_items(queue.id, RaterQuery(rater=rater))
        assert {each.trace_id: each.label for each in own.items} == chosen
    report = await labels.get_label_report(queue.id)
    assert report.between.value == 1.0  # whatever the order
    traces = {trace for _, trace in first}
    assert any(first["ann", each] != first["bob", each] for each in traces)
    (judge,) = report.judges
    assert (judge.scorer, judge.calibrated, judge.rate) == ("better", True, 1.0)
    (mean,) = report.corrected
    # a is right on even rows, b on every fifth: of 40 rows b wins 4 and loses 16.
    assert (mean.model, mean.against, mean.judged) == ("b", "", pytest.approx(0.5 - 6 / 40))
    with pytest.raises(InvalidRequest, match="further ones cannot be added"):
        await labels.add_label_disagreements(queue.id, MoreLabels(rows=4))
    with pytest.raises(InvalidRequest, match="Pairs have choices of their own"):
        await labels.begin_labels(NewLabelQueue(evaluation=evaluation, pairs=True, choices=[BAD, GOOD]))
    with pytest.raises(NotFound) as several:  # the evaluation has two queues
        await labels.get_label_report(evaluation)
    assert several.value.message == (
        f"2 queues begin with '{evaluation}': '{evaluation}: better', '{evaluation}: helpful'."
    )
    assert several.value.hint == f"Name one of them: genops labels show '{evaluation}: better'"


async def failures(labels: LabelsService, evaluation: str) -> None:
    """Failures are read and noted; a person names groups of notes, which are issues of MLflow, and they are counted."""
    queue = await labels.begin_labels(NewLabelQueue(evaluation=evaluation, rows=10, failures="helpful"))
    assert queue.question is not None and (queue.items, queue.question.choices) == (10, [])
    items = (await labels.list_label_items(queue.id)).items
    notes = ["wrong units", "unit is missing", "Units: metres", "rude", "impolite"]
    for item, note in zip(items, notes, strict=False):
        content = await labels.get_label_content(queue.id, item.trace_id)
        assert content.answer == "wrong"
        await labels.set_label(queue.id, item.trace_id, NewLabel(label=note))
    found = await labels.list_failure_modes(queue.id)
    (group,) = found.suggested
    assert (found.read, group.words, len(group.trace_ids)) == (5, ["unit"], 3)
    named = NewFailureMode(name="wrong unit", description="The unit is wrong.", trace_ids=group.trace_ids)
    found = await labels.name_failures(queue.id, named)
    found = await labels.name_failures(queue.id, named)  # once more: nothing is counted twice
    (mode,) = found.modes
    assert (mode.share.value, mode.share.n, found.suggested) == (0.6, 5, [])
    assert round(mode.share.low or 0, 3) == 0.147  # the exact interval of 3 of 5
    text = "judges: {JUDGE: {url: http://h/v1, model: m}}\n" + mode.rubric
    assert read_scorers(text).scorers[0].label == "wrong unit"
    await modes_change(labels, queue.id, mode)


async def modes_change(labels: LabelsService, queue: str, mode: FailureMode) -> None:
    """A note moves to another failure mode and out of all; a mode is described; its answers become rows."""
    notes = {each.note: each.trace_id for each in (await labels.list_failure_modes(queue)).answers}
    assert set(notes) == {"wrong units", "unit is missing", "Units: metres", "rude", "impolite"}
    rude = NewFailureMode(name="rude", trace_ids=[notes["rude"], notes["impolite"]])
    await labels.name_failures(queue, rude)
    found = await labels.move_failure(queue, notes["unit is missing"], ChosenFailureMode(name="rude"))
    assert {each.name: len(each.trace_ids) for each in found.modes} == {"rude": 3, "wrong unit": 2}
    found = await labels.move_failure(queue, notes["unit is missing"], ChosenFailureMode())
    assert {each.name: len(each.trace_ids) for each in found.modes} == {"rude": 2, "wrong unit": 2}
    with pytest.raises(InvalidRequest, match="has no answer tr-0"):
        await labels.move_failure(queue, "tr-0", ChosenFailureMode(name="rude"))

    text = FailureModeText(name="unit", description="No unit, or another.")
    found = await labels.describe_failure_mode(queue, mode.id, text)
    changed = next(each for each in found.modes if each.id == mode.id)
    assert (changed.name, changed.description) == ("unit", "No unit, or another.")
    assert "No unit, or another." in changed.rubric
    with pytest.raises(Conflict, match="There is a failure mode 'rude' already"):
        await labels.describe_failure_mode(queue, mode.id, FailureModeText(name="rude", description=""))
    with pytest.raises(NotFound, match="There is no failure mode 'iss-0'"):
        await labels.describe_failure_mode(queue, "iss-0", text)

    added = await labels.add_failure_rows(queue, "unit", FailureRows())
    assert added.dataset == "unit" and added.added + added.updated == 2
    again = await labels.add_failure_rows(queue, mode.id, FailureRows(dataset="unit"))
    assert (again.added, again.updated) == (0, 2)
    with pytest.raises(NotFound, match="has no failure mode 'nobody'"):
        await labels.add_failure_rows(queue, "nobody", FailureRows())


async def bad_days(uri: str, labels: LabelsService, found: LabelItems) -> None:
    """MLflow shows what was made here; its people change the scale and delete a trace meanwhile."""
    from mlflow import MlflowClient
    from mlflow.genai.label_schemas import InputCategorical

    client = MlflowClient(tracking_uri=uri)
    tracing = client._tracing_client
    queue = tracing._get_review_queue(found.queue.id)
    one, two = found.items[0].trace_id, found.items[1].trace_id
    assessments = client.get_trace(two).info.assessments
    people = {each.source.source_id: each.feedback.value for each in assessments if each.name == "helpful"
              and each.source.source_type == "HUMAN"}  # fmt: skip
    assert set(people) == {"ann", "bob"} and set(people.values()) <= {GOOD, BAD}

    client.delete_traces(queue.experiment_id, trace_ids=[one])
    with pytest.raises(NotFound, match="is not there any more"):
        await labels.set_label(queue.queue_id, one, NewLabel(label=GOOD, rater="ann"))
    tracing._update_label_schema(queue.schema_ids[0], input=InputCategorical(options=[BAD, "fair", "great"]))
    with pytest.raises(Conflict, match="no choice of 'helpful' any more"):
        await labels.set_label(queue.queue_id, two, NewLabel(label=GOOD, rater="ann"))
    report = await labels.get_label_report(queue.queue_id)
    outside = sum("any more: the scale changed" in each for each in report.notes)
    assert report.queue.items == len(found.items) - 1 and outside == 1
    items = (await labels.list_label_items(queue.queue_id, RaterQuery(rater="ann"))).items
    assert {each.outdated for each in items if each.label == GOOD} == {True}

    elsewhere = client.create_experiment("with a queue of the same name")
    other = tracing._create_review_queue(elsewhere, name=queue.name, queue_type="custom", schema_ids=[])
    with pytest.raises(NotFound, match="2 queues have the name") as several:
        await labels.get_label_report(queue.name)
    assert queue.queue_id in several.value.message and other.queue_id in several.value.message
    assert several.value.hint == f"Name one of them: genops labels show {other.queue_id}"


NOTES = [NotedAnswer(trace_id=each, note=f"note {each}") for each in "abcd"]


def test_groups_of_a_model_are_checked() -> None:
    said = {
        "groups": [
            {"name": "one", "notes": [1, 99, "2", True]},
            {"name": " two\n lines ", "description": 5, "notes": [1, 3, 3, 2]},
            {"name": "empty", "notes": [2]},
            {"name": "no notes"},
            "text",
        ]
    }
    found = read_groups(f"Here they are:\n```json\n{json.dumps(said)}\n```", NOTES, "m")
    assert [(each.name, each.trace_ids, each.description) for each in found] == [
        ("two lines", ["c", "b"], ""),
        ("one", ["a"], ""),
    ]
    for wrong in ("", "I cannot.", '{"groups": 5}', "[1]", '{"groups": [', '{"other": []}'):
        with pytest.raises(Failed, match="The answer of m "):
            read_groups(wrong, NOTES, "m")


def test_notes_that_are_alike_make_a_group() -> None:
    notes = {each.trace_id: each.note for each in NOTES}
    # b is near a and c, which are not near each other; d is near nobody.
    vectors = [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]]
    assert [each.trace_ids for each in alike(notes, vectors)] == [["a", "b", "c"]]
    assert alike({"a": "x"}, [[1.0, 0.0]]) == []


def test_embeddings_need_their_extra() -> None:
    try:
        import sentence_transformers  # noqa: F401
    except ImportError:
        with pytest.raises(Failed, match="need sentence-transformers") as failed:
            NoteEmbeddings().groups({"a": "x"}, "model")
        assert failed.value.hint == "pip install 'genops-lab[embeddings]'"
    else:
        pytest.skip("sentence-transformers is installed.")
