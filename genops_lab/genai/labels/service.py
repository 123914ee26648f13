"""Label answers: begin, read one by one, keep, and say what the labels show."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.paging import FIRST, Page, PageQuery
from genops_lab.core.principals import this_user
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.core.worker import Worker
from genops_lab.genai.evaluations.models import PlannedCalls
from genops_lab.genai.evaluations.results_folder import ResultsFolder, find_folder
from genops_lab.genai.traces.models import AddedRows, NewRows
from genops_lab.genai.traces.writing import DatasetRows

from .backend import NOTE_QUESTION, MlflowLabels
from .blind import PAIR
from .failures import MlflowFailures
from .models import (
    ChosenFailureMode,
    FailureModes,
    FailureModeText,
    FailureRows,
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
    NotedAnswer,
    RaterQuery,
    SuggestedBy,
)
from .suggesting import MOST_NOTES, NoteEmbeddings, by_model, planned

if TYPE_CHECKING:
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.genai.endpoints.service import EndpointsService
    from genops_lab.genai.scorers.base import Judge

_ME = RaterQuery()
_MOST_CHOICES = 9
_LONGEST_CHOICE = 64
_MOST_ROWS = 5000


class LabelsService(Service):
    """The operations of labels. MLflow keeps them."""

    def __init__(
        self, settings: Settings, mlflow: MlflowConnection, events: EventBus, endpoints: EndpointsService
    ) -> None:
        self._root = settings.data_dir / "answers"
        self._mlflow, self._events, self._endpoints = mlflow, events, endpoints
        self._embeddings = Worker("Groups of notes", {}, idle_s=60.0)

    async def close(self) -> None:
        """Stop the process of embeddings."""
        await self._embeddings.stop(within_s=1.0)

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

    async def get_label_content(self, id: str, trace: str, query: RaterQuery = _ME) -> LabelContent:
        """Return what a rater reads of an answer: no model, no marks. Pairs have an order for each rater."""
        return await self._mlflow.call(MlflowLabels.content, id, trace, _rater(query.rater), str(self._root))

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

    async def move_failure(self, id: str, trace: str, body: ChosenFailureMode) -> FailureModes:
        """Give an answer one failure mode in place of those that it has, or none."""
        found = await self._mlflow.call(MlflowFailures.move_failure, id, trace, body, _rater(""))
        self._events.emit("label", id)
        return found

    async def describe_failure_mode(self, id: str, mode: str, body: FailureModeText) -> FailureModes:
        """Change the name and the description of a failure mode."""
        found = await self._mlflow.call(MlflowFailures.describe_failure_mode, id, mode, body)
        self._events.emit("label", id)
        return found

    async def add_failure_rows(self, id: str, mode: str, body: FailureRows) -> AddedRows:
        """Make the answers of a failure mode rows of an MLflow data set. A row with the same inputs is updated.

        ``mode`` is an id or a name.
        """
        found = await self._mlflow.call(MlflowFailures.failure_modes, id)
        chosen = next((each for each in found.modes if mode in (each.id, each.name)), None)
        if chosen is None:
            names = ", ".join(each.name for each in found.modes) or "none"
            raise NotFound(
                f"The queue {id} has no failure mode {mode[:80]!r}.", hint=f"Its failure modes: {names}."
            )
        rows = NewRows(trace_ids=chosen.trace_ids, dataset=body.dataset.strip() or chosen.name)
        return await self._mlflow.call_long(DatasetRows.add, rows)

    async def plan_failure_groups(self, id: str, body: SuggestedBy) -> PlannedCalls:
        """Return what a model's suggestion costs at most. Nothing is asked."""
        kept = await self._endpoints.get_endpoint(body.endpoint)
        _found, notes = await self._unnamed(id)
        return await asyncio.to_thread(planned, kept.name, kept.price, notes)

    async def suggest_failure_groups(self, id: str, body: SuggestedBy) -> FailureModes:
        """Suggest groups of the notes without a failure mode, by a model or by embeddings. Nothing is kept."""
        if bool(body.endpoint) == bool(body.embeddings):
            raise InvalidRequest(
                "Groups are suggested by a model or by embeddings.",
                hint="Give either endpoint or embeddings.",
            )
        found, notes = await self._unnamed(id)
        if not notes:
            return msgspec.structs.replace(found, suggested=[])
        if body.endpoint:
            groups = await by_model(await self._endpoints.endpoint(body.endpoint), notes)
        else:
            texts = {each.trace_id: each.note for each in notes}
            groups = await self._embeddings.call(NoteEmbeddings.groups, texts, body.embeddings)
        return msgspec.structs.replace(found, suggested=groups)

    async def _unnamed(self, id: str) -> tuple[FailureModes, list[NotedAnswer]]:
        """Return the failure modes, and the notes that have none. Raises InvalidRequest for too many."""
        found = await self._mlflow.call(MlflowFailures.failure_modes, id)
        named = {trace for each in found.modes for trace in each.trace_ids}
        notes = [each for each in found.answers if each.trace_id not in named]
        if len(notes) > MOST_NOTES:
            raise InvalidRequest(
                f"{len(notes):,} notes have no failure mode, and {MOST_NOTES} are grouped at most.",
                hint="Name groups of notes with words in common first.",
            )
        return found, notes

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
    pairwise = _pairwise(folder, body)
    if pairwise is not None:
        return LabelQuestion(
            name=name or pairwise[0], choices=PAIR, instruction=instruction or pairwise[1], pairs=True
        )
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


def _judges(folder: ResultsFolder) -> list[Judge]:
    from genops_lab.genai.evaluations.evaluation_file import read_evaluation
    from genops_lab.genai.evaluations.process import all_scorers
    from genops_lab.genai.scorers.base import Judge

    scorers, _models = all_scorers(folder, read_evaluation(folder.text()))
    return [each for each in scorers if isinstance(each, Judge)]


def _pairwise(folder: ResultsFolder, body: NewLabelQueue) -> tuple[str, str] | None:
    """Return name and criterion of a question about pairs. None: the question is about single answers."""
    from genops_lab.genai.scorers.judges import Pairwise

    judges = _judges(folder)
    named = [each for each in judges if each.label == body.judge] if body.judge else judges
    if not (body.pairs or (named and not body.choices and all(isinstance(each, Pairwise) for each in named))):
        return None
    if body.choices:
        raise InvalidRequest(
            "Pairs have choices of their own: the first answer, equal, the second answer.",
            hint="Leave out the choices.",
        )
    found = [each for each in named if isinstance(each, Pairwise)]
    if len(found) == 1:
        return found[0].label, found[0].criterion
    return "better", "Which answer is more correct and more helpful?"


def _scale(folder: ResultsFolder, judge: str) -> tuple[str, list[str], str] | None:
    """Return name, marks and criterion of a judge; of the only one without a name. None if there is none."""
    judges = [each for each in _judges(folder) if hasattr(each, "scale")]
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
