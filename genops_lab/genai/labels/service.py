"""Label answers: begin, read one by one, keep, and say what the labels show."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from genops_lab.core.errors import InvalidRequest
from genops_lab.core.events import EventBus
from genops_lab.core.paging import FIRST, Page, PageQuery
from genops_lab.core.principals import this_user
from genops_lab.core.settings import Settings
from genops_lab.genai.evaluations.results_folder import ResultsFolder, find_folder

from .backend import NOTE_QUESTION, MlflowLabels
from .failures import MlflowFailures
from .models import (
    FailureModes,
    LabelContent,
    LabelItem,
    LabelItems,
    LabelQuestion,
    LabelQueue,
    LabelReport,
    MoreLabels,
    NewFailureMode,
    NewLabel,
    NewLabelQueue,
    RaterQuery,
)

if TYPE_CHECKING:
    from genops_lab.experiments.mlflow import MlflowConnection

_ME = RaterQuery()
_MOST_CHOICES = 9
_LONGEST_CHOICE = 64
_MOST_ROWS = 5000


class LabelsService:
    """The operations of labels. MLflow keeps them."""

    def __init__(self, settings: Settings, mlflow: MlflowConnection, events: EventBus) -> None:
        self._root = settings.data_dir / "answers"
        self._mlflow, self._events = mlflow, events

    async def list_label_queues(self, query: PageQuery = FIRST) -> Page[LabelQueue]:
        """List review queues of MLflow, newest first."""
        found = await self._mlflow.call(MlflowLabels.queues)
        ids = [each.id for each in found]
        if query.after and query.after not in ids:
            raise query.bad_cursor()
        start = ids.index(query.after) + 1 if query.after else 0
        items = found[start : start + query.limit]
        return Page(items=items, next=items[-1].id if start + len(items) < len(found) else "")

    async def begin_labels(self, body: NewLabelQueue) -> LabelQueue:
        """Choose rows of an evaluation at random, and make a review queue of their answers."""
        if not 1 <= body.rows <= _MOST_ROWS:
            raise InvalidRequest(f"rows is {body.rows}.", hint=f"Choose 1 to {_MOST_ROWS:,} rows.")
        folder = await asyncio.to_thread(find_folder, self._root, body.evaluation)
        question = await asyncio.to_thread(_question, folder, body)
        made = await self._mlflow.call_long(MlflowLabels.begin, str(folder.path), body, question)
        return self._changed(made)

    async def add_label_disagreements(self, id: str, body: MoreLabels) -> LabelQueue:
        """Add answers on which scorers disagree. They count for no rate of agreement."""
        queue = await self._mlflow.call(MlflowLabels.queue, id)
        folder = await asyncio.to_thread(find_folder, self._root, queue.evaluation)
        made = await self._mlflow.call_long(MlflowLabels.add_disagreements, queue.id, str(folder.path), body)
        return self._changed(made)

    async def get_label_report(self, id: str) -> LabelReport:
        """Return what the labels of a queue show, and keep the verdicts on judges with the evaluation."""
        queue = await self._mlflow.call(MlflowLabels.queue, id)
        folder = await asyncio.to_thread(self._folder, queue.evaluation)
        return await self._mlflow.call_long(MlflowLabels.report, queue.id, folder)

    async def delete_label_queue(self, id: str) -> None:
        """Delete a review queue. Its labels stay at the traces."""
        await self._mlflow.call(MlflowLabels.delete, id)
        self._events.emit("label", id)

    async def list_label_items(self, id: str, query: RaterQuery = _ME) -> LabelItems:
        """List the answers of a queue in a rater's order, with the rater's own labels."""
        return await self._mlflow.call(MlflowLabels.rated, id, _rater(query.rater))

    async def get_label_content(self, id: str, trace: str) -> LabelContent:
        """Return what a rater reads of an answer: no model, no marks."""
        return await self._mlflow.call(MlflowLabels.content, id, trace)

    async def set_label(self, id: str, trace: str, body: NewLabel) -> LabelItem:
        """Keep a rater's label of an answer."""
        found = await self._mlflow.call(MlflowLabels.label, id, trace, body, _rater(body.rater))
        self._events.emit("label", id)
        return found

    async def delete_label(self, id: str, trace: str, query: RaterQuery = _ME) -> None:
        """Take a rater's label of an answer back."""
        await self._mlflow.call(MlflowLabels.unlabel, id, trace, _rater(query.rater))
        self._events.emit("label", id)

    async def list_failure_modes(self, id: str) -> FailureModes:
        """Count the failure modes of a queue, and suggest groups of notes that have none."""
        return await self._mlflow.call(MlflowFailures.failure_modes, id)

    async def name_failures(self, id: str, body: NewFailureMode) -> FailureModes:
        """Name a way to fail, and the answers that fail so."""
        found = await self._mlflow.call_long(MlflowFailures.name_failures, id, body, _rater(""))
        self._events.emit("label", id)
        return found

    def _folder(self, evaluation: str) -> str:
        """Return the folder of an evaluation; empty if this machine does not have it."""
        path = self._root / evaluation
        return str(path) if evaluation and (path / "state.json").is_file() else ""

    def _changed(self, queue: LabelQueue) -> LabelQueue:
        self._events.emit("label", queue.id)
        return queue


def _rater(name: str) -> str:
    """Return who labels, as MLflow writes users: in small letters."""
    found = (name.strip() or this_user().name).lower()
    if len(found) > 100 or not found.isprintable():
        raise InvalidRequest("The name of the rater is too long.", hint="Use at most 100 characters.")
    return found


def _question(folder: ResultsFolder, body: NewLabelQueue) -> LabelQuestion:
    """Return the question of a new queue. Raises InvalidRequest."""
    if body.failures:
        name = body.question or NOTE_QUESTION
        return LabelQuestion(name=name, instruction=body.instruction or "Why does the answer fail?")
    choices, instruction, name = body.choices, body.instruction, body.question
    if not choices:
        scale = _scale(folder, body.judge)
        if scale is not None:
            name, choices, criterion = name or scale[0], scale[1], scale[2]
            instruction = instruction or criterion
        else:
            name, choices = name or "correct", ["wrong", "correct"]
    name = name or "quality"
    if not 2 <= len(choices) <= _MOST_CHOICES or len(set(choices)) < len(choices):
        raise InvalidRequest(
            f"The question {name!r} has {len(set(choices))} choices.",
            hint=f"Give 2 to {_MOST_CHOICES}, the worst first: the keys 1 to 9 choose them.",
        )
    if any(not each.strip() or len(each) > _LONGEST_CHOICE for each in choices):
        raise InvalidRequest(
            "A choice is empty or too long.", hint=f"Use 1 to {_LONGEST_CHOICE} characters for each."
        )
    return LabelQuestion(name=name, choices=choices, instruction=instruction)


def _scale(folder: ResultsFolder, judge: str) -> tuple[str, list[str], str] | None:
    """Return name, marks and criterion of a judge; of the only one without a name. None if there is none."""
    from genops_lab.genai.evaluations.evaluation_file import read_evaluation
    from genops_lab.genai.evaluations.process import all_scorers
    from genops_lab.genai.scorers.base import Judge

    scorers, _models = all_scorers(folder, read_evaluation(folder.text()))
    judges = [each for each in scorers if isinstance(each, Judge) and hasattr(each, "scale")]
    found = [each for each in judges if each.label == judge] if judge else judges
    if judge and not found:
        raise InvalidRequest(
            f"{folder.id} has no judge {judge!r} with a scale.",
            hint=f"Its judges: {', '.join(each.label for each in judges) or 'none'}.",
        )
    if len(found) != 1:
        return None
    one = found[0]
    choices = [each[:_LONGEST_CHOICE] for each in getattr(one, "scale", [])]
    return one.label, choices, str(getattr(one, "criterion", ""))
