"""Serve traces: the list, one trace, what was said, comparisons, and rows of data sets."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub
from genops_lab.core.paths import contents_path
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.experiments.columns.models import RunColumns, RunQueryText, RunsState, RunTable, RunTableQuery
from genops_lab.experiments.columns.watch import TableWatch
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.experiments.query.models import Completion
from genops_lab.genai.endpoints.limits import Price

from .backend import TraceMirror
from .mlflow_traces import MlflowTraces
from .models import (
    AddedRows,
    ContentQuery,
    NewRows,
    Session,
    SessionQuery,
    SessionTrace,
    SpanContent,
    TailedTrace,
    TailQuery,
    Trace,
    TraceComparison,
    TracesTaken,
    TwoTraces,
)
from .sessions import MOST_READ, MOST_TRACES, query_of, rows_of, session_of, traces_of
from .writing import DatasetRows, OtlpTraces

#: Ids that are named where a reference means several traces.
_NAMED = 5
_WHOLE = 35
_MOST_ROWS = 200
#: MLflow's experiment "Default".
_FIRST_EXPERIMENT = "0"
_TAILED = [
    "trace_id",
    "name",
    "status",
    "start_time",
    "duration",
    "tokens",
    "cost",
    "session",
    "request",
    "response",
]
_TAIL_WINDOW, _TAIL_WAIT_S = 200, 2.0


async def _no_prices() -> Mapping[str, Price]:
    return {}


@dataclass(frozen=True)
class KnownPrices:
    """``of()`` returns the prices of models by their names."""

    of: Callable[[], Awaitable[Mapping[str, Price]]] = _no_prices


class TracesService(Service):
    """Asks the mirror in the process of the runs, and the MLflow worker for whole traces."""

    def __init__(
        self,
        mlflow: MlflowConnection,
        events: EventBus,
        live: LiveHub,
        settings: Settings,
        prices: KnownPrices | None = None,
    ) -> None:
        self._mlflow = mlflow
        self._root_dir = str(settings.root_dir or "")
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
        called = await self._called(found)
        trace = await self._mlflow.call(MlflowTraces.trace, found, await self._prices.of(), content, called)
        # The kernel wrote the path of its machine; a notebook outside the Lab's folder keeps it.
        return replace(trace, notebook=contents_path(trace.notebook, self._root_dir) or trace.notebook)

    async def get_session(self, body: SessionQuery) -> Session:
        """Return the traces of a session in order, with totals, without what was said. Raises NotFound."""
        return await self._session(body, content=False)

    async def get_session_content(self, body: SessionQuery) -> Session:
        """Return the traces of a session as one conversation, with totals. Raises NotFound."""
        return await self._session(body, content=True)

    async def _session(self, body: SessionQuery, content: bool) -> Session:
        rows: list[SessionTrace] = []
        while True:
            asked = query_of(body, offset=len(rows))
            table = await self._mlflow.call_columns(TraceMirror.table, asked, False)
            rows += traces_of(table)
            if not table.run_ids or len(rows) >= min(table.matched, MOST_TRACES):
                break
        if not rows:
            raise NotFound(
                f"There is no session {body.session[:80]!r}.",
                hint="The list of traces shows their sessions: genops traces list",
            )
        prices = await self._prices.of()
        read = await self._mlflow.call(MlflowTraces.said, rows[-MOST_READ:], body.characters, prices, content)
        return session_of(body.session, [*rows[:-MOST_READ], *read])

    async def get_span_content(self, trace_id: str, span_id: str, query: ContentQuery) -> SpanContent:
        """Return what a span was asked and what it answered. Raises NotFound (the trace, the span)."""
        found = await self._resolve(trace_id)
        try:
            return await self._mlflow.call(MlflowTraces.content, found, span_id, query.characters)
        except NotFound:
            for called in await self._called(found):
                with contextlib.suppress(NotFound):
                    return await self._mlflow.call(MlflowTraces.content, called, span_id, query.characters)
            raise

    async def compare_traces(self, body: TwoTraces) -> TraceComparison:
        """Return two traces with their spans in pairs, without what was said."""
        first, second = await self._resolve(body.first), await self._resolve(body.second)
        return await self._mlflow.call(MlflowTraces.compare, first, second, await self._prices.of())

    async def add_trace_rows(self, body: NewRows) -> AddedRows:
        """Make traces rows of an MLflow data set. A row with the same inputs is updated."""
        if not 0 < len(body.trace_ids) <= _MOST_ROWS or not body.dataset.strip():
            raise InvalidRequest(
                f"{len(body.trace_ids)} traces were named for the data set {body.dataset[:80]!r}.",
                hint=f"Name 1 to {_MOST_ROWS} traces and a data set.",
            )
        found = [await self._resolve(each) for each in body.trace_ids]
        return await self._mlflow.call(DatasetRows.add, replace(body, trace_ids=found))

    async def follow_traces(self, query: TailQuery) -> AsyncIterator[TailedTrace]:
        """Give each matching trace that begins from now on, when it lands and again when it ends."""
        since, told, version = time.time(), dict[str, str](), 0
        where = f"({query.query}) and " if query.query.strip() else ""
        asked = RunTableQuery(
            query=f"{where}start_time > {int(since * 1000)}",
            columns=_TAILED,
            limit=_TAIL_WINDOW,
            lifecycle="all",
        )
        until = time.monotonic() + query.seconds
        while True:
            found = await self._mlflow.call_columns(TraceMirror.table, asked, True)
            for row in reversed(rows_of(found)):
                if told.get(row["trace_id"]) != row["status"]:
                    told[row["trace_id"]] = row["status"]
                    yield TailedTrace(**row)
            before = version
            while version == before:
                if time.monotonic() >= until:
                    return
                state = await self._mlflow.columns.call(TraceMirror.wait, before, _TAIL_WAIT_S)
                version = state.version

    async def take_spans(
        self, body: bytes, media_type: str, encoding: str, experiment: str, run_id: str
    ) -> TracesTaken:
        """Keep spans that came by OTLP in MLflow; without an ``experiment`` in the first one.

        Raises InvalidRequest (the body), NotFound (the experiment).
        """
        taken = await self._mlflow.call(
            OtlpTraces.take, body, media_type, encoding, experiment or _FIRST_EXPERIMENT, run_id
        )
        if taken.spans:
            self._events.emit("trace")
        return taken

    async def close(self) -> None:
        """Stop reporting changes."""
        self._watch.close()

    async def _called(self, trace_id: str) -> list[str]:
        """Return traces of deployments that a span of this trace called; none while the list cannot be read."""
        try:
            return await self._mlflow.call_columns(TraceMirror.called, trace_id)
        except GenOpsError:
            return []

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
