"""Define traces as the sources of traces report them, as columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

from genops_lab.experiments.columns.cells import Rows
from genops_lab.experiments.columns.changes import Changes, Entries, ExperimentRow, Part, attribute_parts

from .metadata import OF_ATTRIBUTES, SIZES, value_of

#: Characters of a request and of a response that are held for each trace: the table shows and searches these.
PREVIEW = 250
#: Characters of other texts.
_LONGEST = 500


class TraceRow(NamedTuple):
    """A trace's figures in MLflow's form; times in milliseconds. The other columns come from its metadata."""

    trace_id: str
    experiment_id: str
    timestamp_ms: int | None
    duration_ms: int | None
    status: str
    request: str | None
    response: str | None
    name: str | None
    session: str | None
    input_tokens: float | None
    output_tokens: float | None
    tokens: float | None
    cost: float | None


#: Names of ``params`` that are texts of assessments of any trace that this process read. They may quote what was said.
SAID: set[str] = set()


class TraceChanges(Changes):
    """Traces that are new or changed, each once and whole.

    ``metadata`` and ``tags`` are (place in ``traces``, key, value), ``assessments`` (place, name, JSON value) with the
    latest of a name last.
    """

    may_lose_values: ClassVar[bool] = True

    def __init__(
        self,
        traces: Sequence[TraceRow] = (),
        metadata: Iterable[tuple[int, str, str]] = (),
        tags: Iterable[tuple[int, str, str]] = (),
        assessments: Iterable[tuple[int, str, str]] = (),
        experiments: dict[str, ExperimentRow] | None = None,
        gone: Sequence[str] = (),
    ) -> None:
        super().__init__(runs=list(traces), gone=list(gone), experiments=experiments)
        self._own: dict[str, list[str | None]] = {
            name: [None] * len(traces) for name in OF_ATTRIBUTES.values()
        }
        self._spans: list[float | None] = [None] * len(traces)
        params: dict[tuple[int, str], str] = {}
        for place, key, value in metadata:
            if key in OF_ATTRIBUTES:
                self._own[OF_ATTRIBUTES[key]][place] = value[:_LONGEST] or None
            elif key == SIZES:
                self._spans[place] = _number_of_spans(value)
            elif not key.startswith("mlflow."):
                params[place, key] = value[:_LONGEST]
        numbers: dict[tuple[int, str], float] = {}
        for place, name, text in assessments:
            value_or_text = value_of(text)
            params.pop((place, name), None)
            numbers.pop((place, name), None)
            if isinstance(value_or_text, float):
                numbers[place, name] = value_or_text
            elif value_or_text is not None:
                params[place, name] = value_or_text[:_LONGEST]
                SAID.add(name)
        self.metrics = _entries(numbers)
        self.params = _entries(params)
        self.tags = _entries(
            {(place, key): value[:_LONGEST] for place, key, value in tags if not key.startswith("mlflow.")}
        )

    def attributes(self, where: Rows) -> Iterator[Part]:
        """Yield the columns of the attributes of the traces, which stand at the rows ``where``."""
        traces: list[TraceRow] = self.runs
        return attribute_parts(
            where,
            {
                "trace_id": [each.trace_id for each in traces],
                "name": [each.name for each in traces],
                "status": [each.status for each in traces],
                "experiment_id": [each.experiment_id for each in traces],
                "session": [each.session or None for each in traces],
                "request": [_preview(each.request) for each in traces],
                "response": [_preview(each.response) for each in traces],
                **self._own,
            },
            {
                "start_time": [_seconds(each.timestamp_ms) for each in traces],
                "end_time": [_end(each) for each in traces],
                "input_tokens": [each.input_tokens for each in traces],
                "output_tokens": [each.output_tokens for each in traces],
                "tokens": [each.tokens for each in traces],
                "cost": [each.cost for each in traces],
                "spans": self._spans,
            },
        )


def _entries(found: dict[tuple[int, str], Any]) -> Entries:
    places, names = zip(*found, strict=True) if found else ((), ())
    return Entries(places, names, list(found.values()))


def _number_of_spans(sizes: str) -> float | None:
    try:
        found = json.loads(sizes)["num_spans"]
    except (ValueError, KeyError, TypeError):
        return None
    return float(found) if isinstance(found, int | float) else None


def _preview(text: str | None) -> str | None:
    return " ".join(text[: 2 * PREVIEW].split())[:PREVIEW] or None if text else None


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _end(trace: TraceRow) -> float | None:
    if trace.timestamp_ms is None or trace.duration_ms is None:
        return None
    return (trace.timestamp_ms + trace.duration_ms) / 1000
