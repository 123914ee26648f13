"""Labels in MLflow, in its worker process: review queues, label schemas, and people's feedback on traces.

MLflow's own page of reviews shows the same queues and labels.
"""

from __future__ import annotations

import contextlib
import json
import random
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.experiments.backends.client import MlflowBackend, mlflow_errors
from genops_lab.genai.evaluations.journal import read
from genops_lab.genai.evaluations.models import AnswerEvaluation
from genops_lab.genai.evaluations.process import on_disk
from genops_lab.genai.evaluations.records import EVALUATION_TAG
from genops_lab.genai.evaluations.results_folder import ResultsFolder, find_folder
from genops_lab.genai.evaluations.traces import trace_id

from .blind import PAIR, asked_of_raters, is_pair, is_swapped, kept_label, order_key, shown_label
from .content import content_of
from .models import (
    LabelContent,
    LabelItem,
    LabelItems,
    LabelQuestion,
    LabelQueue,
    LabelReport,
    MoreLabels,
    NewLabel,
    NewLabelQueue,
)

#: A tag of a trace, followed by the queue's id: how its answer was chosen.
CHOSEN = "genops.labels."
_MOST_EXPERIMENTS = 100
_PAGE = 1000
_MOST_CHOICES = 9
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
NOTE_QUESTION = "Failure note"


class Label(NamedTuple):
    """The label of one rater for an answer."""

    rater: str
    value: Any
    note: str
    assessment_id: str


class Item(NamedTuple):
    """An answer of a queue with all its labels. ``chance``: None if it was not chosen at random."""

    trace_id: str
    chance: float | None
    labels: dict[str, Label]
    marks: dict[str, float | None]
    run_id: str
    example: str
    repeat: int


class MlflowLabels(MlflowBackend):
    """The review queues of one MLflow. All methods block."""

    @property
    def tracing(self) -> Any:
        """Return MLflow's client of traces, reviews and issues."""
        return self._client._tracing_client

    # Queues ------------------------------------------------------------------------------------------------------

    def queues(self) -> list[LabelQueue]:
        """Return the queues of the 100 experiments that changed last, newest first."""
        with mlflow_errors("Cannot list the labels"):
            experiments = self._client.search_experiments(
                max_results=_MOST_EXPERIMENTS, order_by=["last_update_time DESC"]
            )
            found = [
                self._shown(queue, each.name)
                for each in experiments
                for queue in every_page(self.tracing._list_review_queues, each.experiment_id)
            ]
        return sorted(found, key=lambda each: (-each.created_at, each.id))

    def queue(self, id: str) -> LabelQueue:
        """Return a queue by its id or its name. Raises NotFound."""
        with mlflow_errors("Cannot read the labels"):
            found = self.found(id)
            return self._shown(found, self._client.get_experiment(found.experiment_id).name)

    def begin(self, folder: str, body: NewLabelQueue, question: LabelQuestion) -> LabelQueue:
        """Choose rows at random and make their queue. Raises Conflict, InvalidRequest."""
        results = ResultsFolder(Path(folder))
        state = results.state()
        answers = _pairs(results, state) if question.pairs else _answers(results, state, body.failures)
        rows = sorted(answers)
        if not rows:
            what = (
                f"has no answer that {body.failures} gives less than 1"
                if body.failures
                else "has no row that two models answered"
                if question.pairs
                else "has no answers"
            )
            raise InvalidRequest(
                f"The evaluation {state.id} {what}.", hint=f"See: genops evaluate show {state.id}"
            )
        chosen = random.SystemRandom().sample(rows, min(body.rows, len(rows)))
        # A sample of a fixed size: each row has this chance, and the mean of such a sample varies less than that of
        # rows that are chosen each by itself.
        chance = len(chosen) / len(rows)
        name = f"{state.id}: {question.name}"
        with mlflow_errors(f"Cannot begin to label {state.id}"):
            experiment = self._experiment_of(state)
            if any(
                each.name.lower() == name.lower()
                for each in every_page(self.tracing._list_review_queues, experiment)
            ):
                raise Conflict(
                    f"The answers of {state.id} are being labelled for {question.name!r}.",
                    hint=f"See the labels: genops labels show {name!r}",
                    code="labels_begun",
                )
            schema = self._schema(experiment, question)
            made = self.tracing._create_review_queue(
                experiment, name=name, queue_type="custom", schema_ids=[schema.schema_id]
            )
            try:
                pairs = {each: against for row in chosen for each, against in answers[row].items()}
                self._attach(made.queue_id, pairs, chance)
            except BaseException:
                self.tracing._delete_review_queue(made.queue_id)
                raise
        return self.queue(made.queue_id)

    def add_disagreements(self, id: str, folder: str, body: MoreLabels) -> LabelQueue:
        """Add the answers on which scorers disagree most. They say how a judge errs, and never how often."""
        queue = self.found(id)
        if self._asked(queue).pairs:
            raise InvalidRequest(
                f"The queue {queue.name} has pairs, and further ones cannot be added.",
                hint="Begin a queue with more rows: genops labels begin RESULT --pairs --sample N",
            )
        results = ResultsFolder(Path(folder))
        state = results.state()
        there = {each.trace_id for each in self.items(queue)}
        scores = [results.scores(name) for name in state.scorers]
        apart: list[tuple[float, str]] = []
        for key, call in read(results.calls).items():
            values = [own[key].value for own in scores if key in own]
            known = [each for each in values if each is not None]
            id_ = trace_id(state.id, *key)
            if call.answer is not None and id_ not in there and len(known) > 1 and max(known) > min(known):
                apart.append((max(known) - min(known), id_))
        if not apart:
            raise InvalidRequest(
                f"The scorers of {state.id} disagree on no further answer.",
                hint="Two scorers are needed: genops evaluate score RESULT --scorer SCORER",
            )
        apart.sort(key=lambda each: (-each[0], each[1]))
        with mlflow_errors(f"Cannot add answers to {queue.name}"):
            self._attach(queue.queue_id, {each: "" for _, each in apart[: body.rows]}, None)
        return self.queue(queue.queue_id)

    def delete(self, id: str) -> None:
        """Delete a queue. Labels stay at their traces."""
        with mlflow_errors("Cannot delete the queue"):
            self.tracing._delete_review_queue(self.found(id).queue_id)

    # Items and labels --------------------------------------------------------------------------------------------

    def rated(self, id: str, rater: str) -> LabelItems:
        """Return the answers of a queue in the order of a rater."""
        with mlflow_errors("Cannot read the answers to label"):
            shown, queue = self.queue(id), self.found(id)
            question = self._asked(queue)
            items = self.items(queue)
        items.sort(key=lambda each: (each.chance is None, each.chance is None and -_spread(each, question),
                                     order_key(queue.queue_id, rater, each.trace_id)))  # fmt: skip
        own = [_own(each, question, rater, queue.queue_id) for each in items]
        return LabelItems(queue=shown, rater=rater, items=own)

    def content(self, id: str, trace: str, rater: str, root: str) -> LabelContent:
        """Return what a rater reads; of a pair both answers, in the rater's order. Raises NotFound.

        ``root``: the folder of all evaluations, which have the pictures that are too large for a trace.
        """
        with mlflow_errors("Cannot read the answer"):
            queue = self.found(id)
            with _gone(trace):
                found = self._client.get_trace(trace)
                if found is None:
                    raise _not_there(trace)
                content = content_of(found, self._attachments_of(trace, root))
                if not is_pair(self._question(queue)):
                    return content
                against = _chosen(found.info.tags or {}, queue.queue_id).get("against")
                rival = self._client.get_trace(against) if against else None
                if rival is None:
                    raise _not_there(trace)
        answers = [content.answer, content_of(rival).answer]
        first, second = reversed(answers) if is_swapped(queue.queue_id, rater, trace) else answers
        return LabelContent(
            trace_id=trace, turns=content.turns, answer=first, expected=content.expected, other=second
        )

    def label(self, id: str, trace: str, body: NewLabel, rater: str) -> LabelItem:
        """Keep a label, in place of the rater's own former one. Raises NotFound, Conflict for a changed scale."""
        from mlflow.entities import AssessmentSource, Feedback

        with mlflow_errors("The label was not kept"):
            queue = self.found(id)
            question = self._asked(queue)
            value = _value(question, kept_label(question, body.label, queue.queue_id, rater, trace))
            with _gone(trace):
                item = _item(self.tracing.get_trace_info(trace), queue.queue_id, question.name)
                made = Feedback(
                    name=question.name, value=value, rationale=body.note or None,
                    source=AssessmentSource("HUMAN", rater),
                )  # fmt: skip
                own = item.labels.get(rater)
                if own is None:
                    self.tracing.log_assessment(trace, made)
                else:
                    made.rationale = body.note
                    self.tracing.update_assessment(trace, own.assessment_id, made)
                self.tracing._set_review_queue_item_status(
                    queue.queue_id, item_id=trace, status="complete", completed_by=rater
                )
        return LabelItem(trace_id=trace, random=item.chance is not None, label=body.label, note=body.note)

    def unlabel(self, id: str, trace: str, rater: str) -> None:
        """Take a rater's label back. Those of others stay. Does nothing without one."""
        with mlflow_errors("The label was not taken back"), _gone(trace):
            queue = self.found(id)
            question = self._asked(queue)
            item = _item(self.tracing.get_trace_info(trace), queue.queue_id, question.name)
            own = item.labels.get(rater)
            if own is None:
                return
            self.tracing.delete_assessment(trace, own.assessment_id)
            if len(item.labels) == 1:
                self.tracing._set_review_queue_item_status(queue.queue_id, item_id=trace, status="pending")

    def report(self, id: str, folder: str) -> LabelReport:
        """Return what the labels show. ``folder``: that of the evaluation; empty without one."""
        from .agreement import report_of

        with mlflow_errors("Cannot read the labels"):
            shown, queue = self.queue(id), self.found(id)
            question = self._asked(queue)
            items = self.items(queue)
            known = {each.run_id for each in items if each.run_id}
            models = {
                run: self._client.get_run(run).data.tags.get("genops.answers.model", "") for run in known
            }
        with on_disk("MLflow has the labels. Free some disk space, then show the results again."):
            return report_of(shown, question, items, models, ResultsFolder(Path(folder)) if folder else None)

    def items(self, queue: Any) -> list[Item]:
        """Return the answers of a queue that are still there, with the labels of everybody."""
        ids = [each.item_id for each in every_page(self.tracing._list_review_queue_items, queue.queue_id)]
        if not ids:
            return []
        question = self._question(queue)
        name = question.name if question is not None else ""
        found: list[Item] = []
        for start in range(0, len(ids), 500):
            for info in self.tracing.store.batch_get_trace_infos(ids[start : start + 500]):
                found.append(_item(info, queue.queue_id, name))
        return found

    # Parts -------------------------------------------------------------------------------------------------------

    def _asked(self, queue: Any) -> LabelQuestion:
        """Return the question that GenOps Lab asks. Raises Conflict."""
        question = self._question(queue)
        if (problem := _problem(question)) or question is None:
            raise Conflict(
                f"The queue {queue.name} cannot be labelled here. {problem}", hint="Label it in MLflow."
            )
        return question

    def found(self, id: str) -> Any:
        """Return MLflow's queue by its id or its name. Raises NotFound."""
        from mlflow.exceptions import MlflowException

        if id.startswith("rq-"):
            try:
                return self.tracing._get_review_queue(id)
            except MlflowException as error:
                if error.error_code not in _MISSING:
                    raise
        experiments = self._client.search_experiments(
            max_results=_MOST_EXPERIMENTS, order_by=["last_update_time DESC"]
        )
        queues = [
            each
            for one in experiments
            for each in every_page(self.tracing._list_review_queues, one.experiment_id)
        ]
        exact = [each for each in queues if each.name.lower() == id.lower()]
        begins = exact or [each for each in queues if each.name.lower().startswith(id.lower()) and id]
        if len(begins) == 1:
            return begins[0]
        if not begins:
            raise NotFound(f"There is no queue {id[:120]!r}.", hint="See the queues: genops labels list")
        first = begins[0].queue_id if exact else begins[0].name
        names = [f"{each.name!r} ({each.queue_id})" if exact else repr(each.name) for each in begins[:5]]
        more = f" and {len(begins) - 5:,} more" if len(begins) > 5 else ""
        raise NotFound(
            f"{len(begins):,} queues {'have the name' if exact else 'begin with'} {id[:120]!r}: "
            f"{', '.join(names)}{more}.",
            hint=f"Name one of them: genops labels show {shlex.quote(first)}",
        )

    def _experiment_of(self, state: AnswerEvaluation) -> str:
        run = next((each.run_id for each in state.models if each.run_id), "")
        if not run:
            raise Conflict(
                f"The answers of {state.id} are not in MLflow yet.",
                hint=f"Wait until the evaluation is done, or go on with it: genops evaluate resume {state.id}",
                code="not_recorded",
            )
        return str(self._client.get_run(run).info.experiment_id)

    def _schema(self, experiment: str, question: LabelQuestion) -> Any:
        """Return MLflow's label schema of a question. Raises Conflict if one of the name asks something else."""
        from mlflow.genai.label_schemas import InputCategorical, InputText

        schemas = every_page(self.tracing._list_label_schemas, experiment)
        known = next((each for each in schemas if each.name == question.name), None)
        if known is not None:
            if _question_of(known).choices != question.choices:
                raise Conflict(
                    f"The experiment has a question {question.name!r} with other choices: "
                    f"{', '.join(_question_of(known).choices) or 'a text'}.",
                    hint="Give the question another name: --question NAME",
                    code="other_choices",
                )
            return known
        given = InputCategorical(options=list(question.choices)) if question.choices else InputText()
        return self.tracing._create_label_schema(
            experiment, name=question.name, type="feedback", input=given,
            instruction=question.instruction[:1000] or None, enable_comment=True,
        )  # fmt: skip

    def _attach(self, queue_id: str, traces: Mapping[str, str], chance: float | None) -> None:
        """Add traces to a queue, each with the one that it is compared with; empty: none."""
        chosen: dict[str, Any] = {"chance": chance} if chance is not None else {"chosen": "disagreement"}
        for each, against in traces.items():
            tag = json.dumps({**chosen, "against": against} if against else chosen)
            self._client.set_trace_tag(each, f"{CHOSEN}{queue_id}", tag)
        self.tracing._add_items_to_review_queue(queue_id, item_ids=list(traces))

    def _question(self, queue: Any) -> LabelQuestion | None:
        from mlflow.exceptions import MlflowException

        for each in queue.schema_ids:
            try:
                schema = self.tracing._get_label_schema(each)
            except MlflowException as error:
                if error.error_code not in _MISSING:
                    raise
                continue
            found = _question_of(schema)
            if found.choices or type(schema.input).__name__ == "InputText":
                return found
        return None

    def _shown(self, queue: Any, experiment: str) -> LabelQueue:
        items = every_page(self.tracing._list_review_queue_items, queue.queue_id)
        question = self._question(queue)
        evaluation = ""
        if items:
            evaluation = self._evaluation_of(items[0].item_id)
        problem = _problem(question)
        return LabelQueue(
            id=queue.queue_id, name=queue.name, experiment=experiment, created_at=queue.creation_time_ms / 1000,
            items=len(items), labelled=sum(str(each.status) == "complete" for each in items),
            evaluation=evaluation, question=None if problem or question is None else asked_of_raters(question),
            problem=problem,
        )  # fmt: skip

    def _evaluation_of(self, trace: str) -> str:
        found = self.tracing.store.batch_get_trace_infos([trace])
        run = (found[0].trace_metadata or {}).get("mlflow.sourceRun", "") if found else ""
        if not run:
            return ""
        tags = self._client.get_run(run).data.tags
        return str(tags.get(EVALUATION_TAG, ""))

    def _attachments_of(self, trace: str, root: str) -> Path | None:
        with contextlib.suppress(NotFound):
            return find_folder(Path(root), self._evaluation_of(trace)).attachments
        return None


def position(question: LabelQuestion, label: str) -> float | None:
    """Return a label as a number from 0, the first choice, to 1, the last; None for one that is no choice.

    >>> position(LabelQuestion(name="q", choices=["bad", "fair", "good"]), "fair")
    0.5
    """
    if label not in question.choices:
        return None
    return question.choices.index(label) / max(1, len(question.choices) - 1)


def text_of(question: LabelQuestion, value: Any) -> str:
    """Return the choice that a kept value stands for. MLflow keeps a pass or fail as a truth value."""
    if isinstance(value, bool):
        return question.choices[int(value)] if len(question.choices) == 2 else str(value)
    return str(value)


def _answers(results: ResultsFolder, state: AnswerEvaluation, failures: str) -> dict[str, dict[str, str]]:
    """Return the traces of the first answers to each row, of all models; with ``failures`` those that fail by it.

    A trace stands beside the one that it is compared with: none.
    """
    scores = results.scores(failures) if failures else {}
    if failures and failures not in state.scorers:
        raise InvalidRequest(
            f"{state.id} has no scorer {failures!r}.", hint=f"Its scorers: {', '.join(state.scorers)}."
        )
    found: dict[str, dict[str, str]] = {}
    for key, call in read(results.calls).items():
        score = scores.get(key)
        fails = not failures or (score is not None and score.value is not None and score.value < 1)
        if call.answer is not None and key[2] == 0 and fails:
            # Failures are chosen one by one: another model's answer to the row may be right.
            row = f"{key[1]}\n{key[0]}" if failures else key[1]
            found.setdefault(row, {})[trace_id(state.id, *key)] = ""
    return found


def _pairs(results: ResultsFolder, state: AnswerEvaluation) -> dict[str, dict[str, str]]:
    """Return the traces of the first answers to each row, each beside that of the first model."""
    first = state.models[0].model
    calls = read(results.calls)
    found: dict[str, dict[str, str]] = {}
    for (model, row, repeat), call in calls.items():
        rival = calls.get((first, row, repeat))
        if model != first and repeat == 0 and call.answer and rival is not None and rival.answer:
            found.setdefault(row, {})[trace_id(state.id, model, row, 0)] = trace_id(state.id, first, row, 0)
    return found


def _chosen(tags: Mapping[str, str], queue_id: str) -> dict[str, Any]:
    """Return how an answer was chosen."""
    found: dict[str, Any] = json.loads(tags.get(f"{CHOSEN}{queue_id}", "{}"))
    return found


def _item(info: Any, queue_id: str, question: str) -> Item:
    tags = info.tags or {}
    chance = _chosen(tags, queue_id).get("chance")
    labels: dict[str, Label] = {}
    marks: dict[str, float | None] = {}
    ordered = sorted(info.assessments or [], key=lambda each: each.last_update_time_ms or 0)
    for each in ordered:
        if each.feedback is None or each.valid is False:
            continue
        if each.source.source_type == "HUMAN":
            if each.name == question:
                rater = (each.source.source_id or "").lower()
                labels[rater] = Label(rater, each.feedback.value, each.rationale or "", each.assessment_id)
        else:
            value = each.feedback.value
            marks[each.name] = float(value) if isinstance(value, int | float) else None
    return Item(
        info.trace_id, chance, labels, marks, (info.trace_metadata or {}).get("mlflow.sourceRun", ""),
        tags.get("genops.answers.example", ""), int(tags.get("genops.answers.repeat", "0")),
    )  # fmt: skip


def _question_of(schema: Any) -> LabelQuestion:
    given = schema.input
    choices: list[str] = []
    truth = type(given).__name__ == "InputPassFail"
    if truth:
        choices = [given.negative_label, given.positive_label]
    elif type(given).__name__ == "InputCategorical" and not given.multi_select:
        choices = list(given.options)
    return LabelQuestion(
        name=schema.name,
        choices=choices,
        instruction=schema.instruction or "",
        truth=truth,
        pairs=choices == PAIR,
    )


def _problem(question: LabelQuestion | None) -> str:
    """Return why GenOps Lab cannot ask a question; empty if it can."""
    if question is None:
        return "It has no question with choices or a text."
    if len(question.choices) > _MOST_CHOICES:
        return f"Its question has {len(question.choices)} choices; there are keys for {_MOST_CHOICES}."
    return ""


def _value(question: LabelQuestion, label: str) -> Any:
    if not question.choices:
        if not label.strip():
            raise InvalidRequest("The note is empty.", hint="Write why the answer fails.")
        return label
    if label not in question.choices:
        raise Conflict(
            f"{label[:80]!r} is no choice of {question.name!r} any more.",
            hint=f"Load the page again, and choose one of: {', '.join(question.choices)}.",
            code="scale_changed",
        )
    return label == question.choices[1] if question.truth else label


def _own(item: Item, question: LabelQuestion, rater: str, queue_id: str) -> LabelItem:
    own = item.labels.get(rater)
    if own is None:
        return LabelItem(trace_id=item.trace_id, random=item.chance is not None)
    label = text_of(question, own.value)
    return LabelItem(
        trace_id=item.trace_id, random=item.chance is not None, note=own.note,
        label=shown_label(question, label, queue_id, rater, item.trace_id),
        outdated=bool(question.choices) and label not in question.choices,
    )  # fmt: skip


def _spread(item: Item, question: LabelQuestion) -> float:
    """Return how far people and judges are apart on an answer."""
    labels = [position(question, text_of(question, each.value)) for each in item.labels.values()]
    values = [each for each in [*labels, *item.marks.values()] if each is not None]
    return max(values) - min(values) if values else 0.0


def every_page(method: Any, id: str) -> list[Any]:
    """Return all pages of one of MLflow's lists."""
    found: list[Any] = []
    token: str | None = None
    while True:
        page = method(id, max_results=_PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


@contextlib.contextmanager
def _gone(trace: str) -> Iterator[None]:
    """Turn MLflow's error about a trace that was deleted meanwhile into NotFound."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code in _MISSING:
            raise _not_there(trace) from error
        raise


def _not_there(trace: str) -> NotFound:
    return NotFound(
        f"The answer {trace[:80]} is not there any more: its trace was deleted, or it left the queue.",
        hint="Go on with the next one.",
        code="answer_deleted",
    )
