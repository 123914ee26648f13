"""Group notes about failures into named failure modes, which are issues of MLflow, and count them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from genops_lab.core.errors import InvalidRequest
from genops_lab.experiments.backends.client import mlflow_errors

from .backend import MlflowLabels, every_page
from .models import FailureMode, FailureModes, NewFailureMode, NoteGroup

_WORD = re.compile(r"[^\W\d_]{3,}")
#: Words that say nothing about a failure.
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "the and for not but was are has had with from that this these those its his her they them there their answer "
        "answers model question does did says said gives given wrong fails failed because instead only very into than "
        "also should would could about which what when where have been being just more most some",
    )
)


class MlflowFailures(MlflowLabels):
    """Failure modes in MLflow. All methods block."""

    def failure_modes(self, id: str) -> FailureModes:
        """Return the failure modes of the answers of a queue, and groups of notes without one. Raises NotFound."""
        with mlflow_errors("Cannot read the failure modes"):
            queue = self.found(id)
            items = self.items(queue)
            notes = {
                each.trace_id: " ".join(label.note or str(label.value) for label in each.labels.values())
                for each in items
                if each.labels
            }
            issues = {each.issue_id: each for each in every_page(self._search, queue.experiment_id)}
            failing: dict[str, list[str]] = {}
            for info in self.tracing.store.batch_get_trace_infos(sorted(notes)) if notes else []:
                for each in info.assessments or []:
                    if each.issue is not None and each.valid is not False and each.name in issues:
                        failing.setdefault(each.name, []).append(info.trace_id)
        modes = [_mode(issues[mode], traces, len(notes)) for mode, traces in failing.items()]
        modes.sort(key=lambda each: (-len(each.trace_ids), each.name))
        named = {trace for each in modes for trace in each.trace_ids}
        rest = {trace: note for trace, note in notes.items() if trace not in named}
        return FailureModes(read=len(notes), modes=modes, suggested=groups(rest))

    def name_failures(self, id: str, body: NewFailureMode, rater: str) -> FailureModes:
        """Make a failure mode or find it by its name, and add answers to it. Raises InvalidRequest, NotFound."""
        from mlflow.entities import AssessmentSource
        from mlflow.entities.assessment import IssueReference

        name = body.name.strip()
        if not 1 <= len(name) <= 100:
            raise InvalidRequest(
                "A failure mode needs a name.", hint="Use 1 to 100 characters, such as: wrong unit"
            )
        with mlflow_errors(f"Cannot keep the failure mode {name!r}"):
            queue = self.found(id)
            there = {each.trace_id for each in self.items(queue)}
            other = [each for each in body.trace_ids if each not in there]
            if other:
                raise InvalidRequest(
                    f"The queue {queue.name} has no answer {other[0][:80]}.",
                    hint="Name answers of this queue.",
                )
            known = [each for each in every_page(self._search, queue.experiment_id) if each.name == name]
            mode = known[0] if known else self.tracing._create_issue(
                experiment_id=queue.experiment_id, name=name, description=body.description or name,
                source_run_id=None, created_by=rater,
            )  # fmt: skip
            for info in self.tracing.store.batch_get_trace_infos(body.trace_ids) if body.trace_ids else []:
                if all(each.name != mode.issue_id for each in info.assessments or []):
                    reference = IssueReference(
                        issue_id=mode.issue_id, issue_name=name, source=AssessmentSource("HUMAN", rater)
                    )
                    self.tracing.log_assessment(info.trace_id, reference)
        return self.failure_modes(queue.queue_id)

    def _search(self, experiment: str, max_results: int, page_token: str | None) -> Any:
        return self.tracing.store.search_issues(
            experiment_id=experiment, max_results=max_results, page_token=page_token
        )


def groups(notes: Mapping[str, str], least: int = 2) -> list[NoteGroup]:
    """Return groups of notes by the words that they share, the largest first; a note is in one group alone.

    The word that most of the rest share begins a group, and words that all its notes have are shown with it.

    >>> [each.words for each in groups({"1": "wrong unit, metres", "2": "unit missing", "3": "rude"})]
    [['unit']]
    """
    words = {
        trace: {_stem(each) for each in _WORD.findall(note.lower())} - _COMMON
        for trace, note in notes.items()
    }
    found: list[NoteGroup] = []
    while True:
        counts = Counter(word for each in words.values() for word in each)
        if not counts:
            return found
        word, count = min(counts.items(), key=lambda each: (-each[1], each[0]))
        if count < least:
            return found
        traces = [trace for trace, own in words.items() if word in own]
        shared = set.intersection(*(words[trace] for trace in traces)) - {word}
        found.append(
            NoteGroup(words=[word, *sorted(shared)[:4]], notes=_first(notes, traces), trace_ids=traces)
        )
        for trace in traces:
            del words[trace]


def _first(notes: Mapping[str, str], traces: Sequence[str]) -> list[str]:
    return [notes[trace][:200] for trace in traces[:3]]


def _stem(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 4 else word


def _mode(issue: Any, traces: list[str], read: int) -> FailureMode:
    from genops_lab.statistics.rates import binomial

    from .agreement import estimate

    lines = [
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
