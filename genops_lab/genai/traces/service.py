"""Serve traces: the list, one trace, what was said, comparisons, and rows of data sets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub
from genops_lab.core.services import Service
from genops_lab.experiments.columns.models import RunColumns, RunQueryText, RunsState, RunTable, RunTableQuery
from genops_lab.experiments.columns.watch import TableWatch
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.experiments.query.models import Completion
from genops_lab.genai.endpoints.limits import Price

from .backend import TraceMirror
from .mlflow_traces import MlflowTraces
from .models import (
    ContentQuery,
    SpanContent,
    Trace,
)

#: Ids that are named where a reference means several traces.
_NAMED = 5
_WHOLE = 35


async def _no_prices() -> Mapping[str, Price]:
    return {}


@dataclass(frozen=True)
class KnownPrices:
    """``of()`` returns the prices of models by their names."""

    of: Callable[[], Awaitable[Mapping[str, Price]]] = _no_prices


class TracesService(Service):
    """Asks the mirror in the process of the runs, and the MLflow worker for whole traces."""

    def __init__(
        self, mlflow: MlflowConnection, events: EventBus, live: LiveHub, prices: KnownPrices | None = None
    ) -> None:
        self._mlflow = mlflow
        self._events = events
        self._prices = prices or KnownPrices()
        self._watch = TableWatch(
            lambda version, wait_s: mlflow.columns.call(TraceMirror.wait, version, wait_s),
            lambda: events.emit("trace"),
            live,
        )

    async def query_traces(self, body: RunTableQuery) -> RunTable:
        """Return a window of the matching traces, in order, without what was said.

        The columns ``request`` and ``response`` are empty, and are not searched. Raises InvalidRequest (the query, a
        column), NotFound (an experiment), Unavailable.
        """
        return await self._table(body, content=False)

    async def query_trace_content(self, body: RunTableQuery) -> RunTable:
        """Return a window of the matching traces, in order, with the first characters of requests and responses."""
        return await self._table(body, content=True)

    async def _table(self, body: RunTableQuery, content: bool) -> RunTable:
        asked = replace(body, lifecycle="all")
        found = await self._mlflow.call_columns(TraceMirror.table, asked, content)
        self._watch.used(found.state.version)
        return found

    async def list_trace_columns(self) -> RunColumns:
        """Return all columns of traces, with the number of traces that have a value."""
        return await self._mlflow.call_columns(TraceMirror.columns)

    async def complete_trace_query(self, body: RunQueryText) -> list[Completion]:
        """Return completions for a query that is being written, best first."""
        return await self._mlflow.call_columns(TraceMirror.completions, body)

    async def get_traces_state(self) -> RunsState:
        """Return how many of the traces are read, and how old they may be."""
        found = await self._mlflow.call_columns(TraceMirror.state)
        self._watch.used(found.version)
        return found

    async def get_trace(self, trace_id: str) -> Trace:
        """Return a trace with its tree of spans; ``trace_id`` may be a unique prefix, or ``latest``.

        The messages of spans and the texts of assessments are empty, because they may quote what was said.
        """
        return await self._trace(trace_id, content=False)

    async def get_trace_content(self, trace_id: str) -> Trace:
        """Return a trace with its tree of spans, their messages, and the texts of assessments."""
        return await self._trace(trace_id, content=True)

    async def _trace(self, trace_id: str, content: bool) -> Trace:
        found = await self._resolve(trace_id)
        return await self._mlflow.call(MlflowTraces.trace, found, await self._prices.of(), content)

    async def get_span_content(self, trace_id: str, span_id: str, query: ContentQuery) -> SpanContent:
        """Return what a span was asked and what it answered."""
        found = await self._resolve(trace_id)
        return await self._mlflow.call(MlflowTraces.content, found, span_id, query.characters)

    async def close(self) -> None:
        """Stop reporting changes."""
        self._watch.close()

    async def _resolve(self, reference: str) -> str:
        if len(reference) >= _WHOLE:
            return reference
        found = await self._mlflow.call_columns(TraceMirror.find, reference, _NAMED)
        if not found:
            raise NotFound(f"There is no trace {reference!r}.", hint="List the traces: genops traces list")
        if len(found) > 1:
            raise InvalidRequest(
                f"{reference!r} means several traces: {', '.join(found)}.",
                hint="Give more characters of the id.",
            )
        return found[0]
