"""Labels of two models' answers by people, through a Lab and MLflow's own client, and the verdict on a judge."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Conflict, NotFound
from genops_lab.core.settings import Settings
from genops_lab.genai.evaluations import kept_labels
from genops_lab.genai.evaluations.evaluation_file import read_scorers
from genops_lab.genai.evaluations.models import NewAnswerEvaluation
from genops_lab.genai.evaluations.results_folder import ResultsFolder
from genops_lab.genai.evaluations.service import AnswersService
from genops_lab.genai.labels.models import (
    LabelItems,
    MoreLabels,
    NewFailureMode,
    NewLabel,
    NewLabelQueue,
    RaterQuery,
)
from genops_lab.genai.labels.service import LabelsService
from genops_lab.genai.scorers.judge_checks import problem
from genops_lab.genai.scorers.judges import Rubric
from tests.support.application import Lab, open_lab
from tests.support.homes import Home, temporary_home
from tests.support.mlflow_file import place_store
from tests.support.warm import warm_workers

from .answering import Answering, answer, questions

ROWS = 60
GOOD, BAD = "good", "bad"


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with temporary_home() as found, warm_workers():
        place_store(found.data)
        yield found


@contextlib.asynccontextmanager
async def opened(home: Home) -> AsyncIterator[Lab]:
    lab = await open_lab(Settings(data_dir=home.data))
    try:
        yield lab
    finally:
        await lab.stop()


def reply(_number: int, text: str, headers: dict[str, str]) -> tuple[int, Any, float]:
    """Answer the even questions right as model a and few as model b; judge by what the answer is, or refuse."""
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
            {"scorer": "rubric", "name": "helpful", "model": "j", "criterion": "It helps.", "scale": [BAD, GOOD]},
        ],
    }  # fmt: skip
    return NewAnswerEvaluation(text=json.dumps(file), folder=str(folder))


def test_people_label_and_the_judge_gets_a_verdict(home: Home, tmp_path: Path) -> None:
    (home.data / "secrets").mkdir(mode=0o700)
    (home.data / "secrets" / "KEY").write_text("sk-a")

    async def work(url: str) -> None:
        async with opened(home) as lab:
            answers, labels = lab.application.get(AnswersService), lab.application.get(LabelsService)
            begun = await answers.begin_answers(evaluation(tmp_path, url))
            done = await lab.tasks.wait(begun.task.id)
            assert done.state == "done", done
            id = begun.evaluation.id
            queue = await labels.begin_labels(NewLabelQueue(evaluation=id, rows=30))
            assert queue.question is not None and queue.question.name == "helpful"
            assert (queue.items, queue.evaluation, queue.question.choices) == (60, id, [BAD, GOOD])
            with pytest.raises(Conflict, match="are being labelled"):
                await labels.begin_labels(NewLabelQueue(evaluation=id, rows=30))

            # Each rater has an order of their own, and no page says whose answer it is or what a judge thinks.
            ann = await labels.list_label_items(queue.id, RaterQuery(rater="Ann"))
            bob = await labels.list_label_items(queue.id, RaterQuery(rater="bob"))
            assert {each.trace_id for each in ann.items} == {each.trace_id for each in bob.items}
            assert [each.trace_id for each in ann.items] != [each.trace_id for each in bob.items]
            content = await labels.get_label_content(queue.id, ann.items[0].trace_id)
            assert content.answer in ("right", "wrong") and content.turns[0].text.startswith("Question ")
            assert "stub" not in str(content) and "seen" not in str(content)

            right = await label_all(labels, ann)
            await label_all(labels, bob, but=right[:3])
            report = await labels.get_label_report(queue.name)
            assert [(each.rater, each.labels) for each in report.raters] == [("ann", 60), ("bob", 60)]
            assert report.between.value is not None and 0.8 < report.between.value < 1
            (judge,) = report.judges
            assert judge.calibrated and judge.verdict.startswith("Calibrated: agreement"), judge
            asked = [
                (await labels.get_label_content(queue.id, each.trace_id)).turns[0].text for each in ann.items
            ]
            assert judge.not_marked == asked.count("Question 7")
            means = {(each.model, each.against): each.corrected for each in report.corrected}
            # The sample is random: these hold for nearly any.
            assert abs((means["a", ""].value or 0) - 0.5) < 0.2, means
            assert -0.5 < (means["b", "a"].value or 0) < -0.1, means
            assert all(each.low is not None and each.high is not None for each in means.values())
            folder = ResultsFolder(home.data / "answers" / id)
            (kept,) = kept_labels.kept_labels(folder)
            assert len(kept.labels) == 60 and {each.chance for each in kept.labels} == {0.5}
            known = kept_labels.known_calibrations(folder)
            own = Rubric(name="helpful", model="j", criterion="It helps.", scale=[BAD, GOOD])
            assert problem(own, known) == ""
            other = Rubric(name="helpful", model="j", criterion="It helps a lot.", scale=[BAD, GOOD])
            assert "is not calibrated" in problem(other, known)

            # More answers, where scorers disagree, come last and count for no rate.
            more = await labels.add_label_disagreements(queue.id, MoreLabels(rows=4))
            again = await labels.list_label_items(queue.id, RaterQuery(rater="ann"))
            assert more.items == 64 and [each.random for each in again.items] == [True] * 60 + [False] * 4
            assert [each.label for each in again.items[-4:]] == [""] * 4
            await self_correction(labels, again)
            await failures(labels, id)
            await bad_days(home, labels, again)

    with Answering(reply).serving() as url:
        asyncio.run(work(url))


async def label_all(labels: LabelsService, found: LabelItems, but: list[str] | None = None) -> list[str]:
    """Label all by what the answer is, ``but`` the other way round; return the traces of right answers."""
    right = []
    for item in found.items:
        content = await labels.get_label_content(found.queue.id, item.trace_id)
        good = content.answer == "right"
        right += [item.trace_id] if good else []
        said = GOOD if good != (item.trace_id in (but or [])) else BAD
        await labels.set_label(found.queue.id, item.trace_id, NewLabel(label=said, rater=found.rater))
    return right


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
    assert {each.rater: each.labels for each in after.raters} == {"ann": 60, "bob": 60}


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
    text = "judges: {JUDGE: {url: http://h/v1, model: m}}\nscorers:\n" + mode.rubric
    assert read_scorers(text).scorers[0].label == "wrong unit"


async def bad_days(home: Home, labels: LabelsService, found: LabelItems) -> None:
    """MLflow shows what was made here; its people change the scale and delete a trace meanwhile."""
    from mlflow import MlflowClient
    from mlflow.genai.label_schemas import InputCategorical

    client = MlflowClient(tracking_uri=f"sqlite:///{home.data / 'mlflow' / 'mlflow.db'}")
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
    assert report.queue.items == 63 and outside == 1
    items = (await labels.list_label_items(queue.queue_id, RaterQuery(rater="ann"))).items
    assert {each.outdated for each in items if each.label == GOOD} == {True}
