"""Group notes about failures into named failure modes, which are issues of MLflow, and count them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.experiments.backends.client import mlflow_errors

from .backend import MlflowLabels, every_page
from .models import (
    ChosenFailureMode,
    FailureMode,
    FailureModes,
    FailureModeText,
    NewFailureMode,
    NotedAnswer,
)
from .suggesting import by_words


class MlflowFailures(MlflowLabels):
    """Failure modes in MLflow. All methods block."""

    def failure_modes(self, id: str) -> FailureModes:
        """Return the failure modes of the answers of a queue, and groups of notes without one. Raises NotFound."""
        with mlflow_errors("Cannot read the failure modes"):
            queue = self.found(id)
            notes = {
                each.trace_id: " ".join(label.note or str(label.value) for label in each.labels.values())
                for each in self.items(queue)
                if each.labels
            }
            issues = {each.issue_id: each for each in every_page(self._search, queue.experiment_id)}
            failing: dict[str, list[str]] = {}
            for info in self.tracing.store.batch_get_trace_infos(sorted(notes)) if notes else []:
                for each in _references(info):
                    if each.name in issues:
                        failing.setdefault(each.name, []).append(info.trace_id)
        modes = [_mode(issues[mode], traces, len(notes)) for mode, traces in failing.items()]
        modes.sort(key=lambda each: (-len(each.trace_ids), each.name))
        named = {trace for each in modes for trace in each.trace_ids}
        rest = {trace: note for trace, note in notes.items() if trace not in named}
        answers = [NotedAnswer(trace_id=trace, note=note) for trace, note in notes.items()]
        return FailureModes(read=len(notes), modes=modes, suggested=by_words(rest), answers=answers)

    def name_failures(self, id: str, body: NewFailureMode, rater: str) -> FailureModes:
        """Make a failure mode or find it by its name, and add answers to it. Raises InvalidRequest, NotFound."""
        name = _checked(body.name)
        with mlflow_errors(f"Cannot keep the failure mode {name!r}"):
            queue = self._queue_with(id, body.trace_ids)
            mode = self._named(queue, name, body.description, rater)
            for info in self._infos(body.trace_ids):
                self._add(info, mode, rater)
        return self.failure_modes(queue.queue_id)

    def move_failure(self, id: str, trace: str, body: ChosenFailureMode, rater: str) -> FailureModes:
        """Give an answer one failure mode in place of those that it has. Raises InvalidRequest, NotFound."""
        name = _checked(body.name) if body.name.strip() else ""
        with mlflow_errors(f"Cannot move the answer {trace[:80]}"):
            queue = self._queue_with(id, [trace])
            mode = self._named(queue, name, "", rater) if name else None
            for info in self._infos([trace]):
                if mode is not None:
                    self._add(info, mode, rater)
                for each in _references(info):
                    if mode is None or each.name != mode.issue_id:
                        self.tracing.delete_assessment(trace, each.assessment_id)
        return self.failure_modes(queue.queue_id)

    def describe_failure_mode(self, id: str, mode: str, body: FailureModeText) -> FailureModes:
        """Change the name and the description of a failure mode. Raises InvalidRequest, Conflict, NotFound."""
        name = _checked(body.name)
        with mlflow_errors(f"Cannot describe the failure mode {name!r}"):
            queue = self.found(id)
            known = every_page(self._search, queue.experiment_id)
            if all(each.issue_id != mode for each in known):
                raise NotFound(
                    f"There is no failure mode {mode[:80]!r}.",
                    hint=f"See: genops labels failures {queue.name!r}",
                )
            if any(each.name == name and each.issue_id != mode for each in known):
                raise Conflict(
                    f"There is a failure mode {name!r} already.", hint="Move the answers into that one."
                )
            self.tracing.store.update_issue(mode, name=name, description=body.description.strip() or name)
        return self.failure_modes(queue.queue_id)

    def _queue_with(self, id: str, traces: Sequence[str]) -> Any:
        """Return a queue that has these answers. Raises NotFound, InvalidRequest."""
        queue = self.found(id)
        there = {each.trace_id for each in self.items(queue)}
        other = [each for each in traces if each not in there]
        if other:
            raise InvalidRequest(
                f"The queue {queue.name} has no answer {other[0][:80]}.", hint="Name answers of this queue."
            )
        return queue

    def _named(self, queue: Any, name: str, description: str, rater: str) -> Any:
        """Return MLflow's issue of a name; a new one if there is none."""
        known = [each for each in every_page(self._search, queue.experiment_id) if each.name == name]
        return known[0] if known else self.tracing._create_issue(
            experiment_id=queue.experiment_id, name=name, description=description or name,
            source_run_id=None, created_by=rater,
        )  # fmt: skip

    def _infos(self, traces: Sequence[str]) -> list[Any]:
        return list(self.tracing.store.batch_get_trace_infos(list(traces))) if traces else []

    def _add(self, info: Any, mode: Any, rater: str) -> None:
        from mlflow.entities import AssessmentSource
        from mlflow.entities.assessment import IssueReference

        if all(each.name != mode.issue_id for each in _references(info)):
            reference = IssueReference(
                issue_id=mode.issue_id, issue_name=mode.name, source=AssessmentSource("HUMAN", rater)
            )
            self.tracing.log_assessment(info.trace_id, reference)

    def _search(self, experiment: str, max_results: int, page_token: str | None) -> Any:
        return self.tracing.store.search_issues(
            experiment_id=experiment, max_results=max_results, page_token=page_token
        )


def _references(info: Any) -> list[Any]:
    """Return the references of a trace to issues."""
    return [each for each in info.assessments or [] if each.issue is not None and each.valid is not False]


def _checked(name: str) -> str:
    """Return the name of a failure mode. Raises InvalidRequest."""
    if not 1 <= len(name.strip()) <= 100:
        raise InvalidRequest(
            "A failure mode needs a name.", hint="Use 1 to 100 characters, such as: wrong unit"
        )
    return name.strip()


def _mode(issue: Any, traces: list[str], read: int) -> FailureMode:
    from genops_lab.statistics.rates import binomial

    from .agreement import estimate

    lines = [
        "scorers:",
        "- scorer: rubric",
        f"  name: {json.dumps(issue.name)}",
        "  model: JUDGE",
        f"  criterion: {json.dumps(f'The answer does not fail in this way: {issue.description}')}",
        '  scale: ["it fails in this way", "it does not"]',
    ]
    return FailureMode(
        id=issue.issue_id, name=issue.name, description=issue.description, trace_ids=sorted(traces),
        share=estimate(binomial(len(traces), read)), rubric="\n".join(lines) + "\n",
    )  # fmt: skip
