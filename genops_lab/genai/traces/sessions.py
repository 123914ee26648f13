"""Put the traces of a session together as one conversation with its totals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from genops_lab.experiments.columns.models import RunSort, RunTable, RunTableQuery
from genops_lab.experiments.query.names import quoted_text

from .models import Session, SessionQuery, SessionTrace, Tokens

#: Traces whose figures are summed, and the last ones whose texts are read.
MOST_TRACES, MOST_READ = 10_000, 100
_PAGE, _WAIT_S = 1000, 30.0
_COLUMNS = (
    *("trace_id", "name", "status", "experiment", "start_time", "duration"),
    *("input_tokens", "output_tokens", "cost"),
)


def query_of(asked: SessionQuery, offset: int) -> RunTableQuery:
    """Return the question for the traces of a session, the first one first."""
    return RunTableQuery(
        query=f"session = {quoted_text(asked.session)}",
        experiments=[asked.experiment] if asked.experiment else [],
        sort=[RunSort(column="start_time")],
        columns=list(_COLUMNS),
        lifecycle="all",
        limit=_PAGE,
        offset=offset,
        wait_s=0 if offset else _WAIT_S,
    )


def rows_of(found: RunTable) -> list[dict[str, Any]]:
    """Return the rows of a window by the fields of the wire types, without missing values."""
    values = {each.column: each.values for each in found.columns}
    values["started_at"] = values.pop("start_time")
    return [
        {name: column[at] for name, column in values.items() if column[at] is not None}
        for at in range(len(found.run_ids))
    ]


def traces_of(found: RunTable) -> list[SessionTrace]:
    """Return traces with their figures, as MLflow counted them, without turns."""
    return [
        SessionTrace(tokens=_tokens(row.pop("input_tokens", None), row.pop("output_tokens", None)), **row)
        for row in rows_of(found)
    ]


def session_of(session: str, traces: Sequence[SessionTrace]) -> Session:
    """Return the session with the last traces and the totals of all; the traces stand in order."""
    counted = [each.tokens for each in traces if each.tokens is not None]
    costs = [each.cost for each in traces if each.cost is not None]
    ends = [each.started_at + (each.duration or 0) for each in traces if each.started_at is not None]
    return Session(
        session=session,
        traces=list(traces[-MOST_READ:]),
        traces_total=len(traces),
        failed=sum(each.status == "ERROR" for each in traces),
        started_at=min((each.started_at for each in traces if each.started_at is not None), default=None),
        ended_at=max(ends, default=None),
        tokens=Tokens(
            input=_sum(each.input for each in counted), output=_sum(each.output for each in counted)
        )
        if counted
        else None,
        cost=sum(costs) if costs else None,
        cost_is_partial=bool(costs) and any(each.cost is None and each.tokens is not None for each in traces),
        experiments=sorted({each.experiment for each in traces if each.experiment}),
    )


def _tokens(asked: float | None, answered: float | None) -> Tokens | None:
    if asked is None and answered is None:
        return None
    return Tokens(
        input=None if asked is None else int(asked), output=None if answered is None else int(answered)
    )


def _sum(values: Iterable[int | None]) -> int | None:
    known = [each for each in values if each is not None]
    return sum(known) if known else None
