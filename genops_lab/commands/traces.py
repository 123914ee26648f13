"""``genops traces``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from genops_lab.experiments.columns.models import RunTable, RunTableQuery
from genops_lab.genai.traces.models import ContentQuery, NewRows, SessionQuery, TailQuery, TwoTraces
from genops_lab.genai.traces.service import TracesService

from .grammar import noun
from .run_listing import query_pointed_at, remarks, sorting
from .session import Json, command
from .views import traces as views

traces = noun()

#: Traces of one request.
_PAGE = 1000
_WAIT_S = 60
_A_YEAR_S = 365 * 86_400
_COLUMNS = (
    *("trace_id", "name", "status", "start_time", "duration", "spans", "tokens", "cost"),
    *("session", "user", "experiment", "run_id", "notebook", "request", "response"),
)
_TRACE = typer.Argument(metavar="TRACE", help="The id of a trace, its beginning, or: latest")


@traces.command("list")
def list_traces(
    query: Annotated[
        str,
        typer.Option("--filter", metavar="QUERY", help="Only traces that match, such as: status = ERROR"),
    ] = "",
    experiment: Annotated[
        list[str] | None,
        typer.Option(
            "--experiment", "-e", metavar="NAME", help="Only of this experiment; can be given again."
        ),
    ] = None,
    sort: Annotated[
        list[str] | None,
        typer.Option("--sort", metavar="COLUMN", help="Sort by a column, such as: -duration"),
    ] = None,
    errors_first: Annotated[bool, typer.Option("--errors-first", help="List failed traces first.")] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="The most traces.")] = 50,
    json: Json = False,
) -> None:
    """List traces, the newest first."""
    with command(json) as session, query_pointed_at(session, query):
        order = [sorting(key) for key in [*(["status"] if errors_first else []), *(sort or [])]]
        rows: list[dict[str, Any]] = []
        while True:
            asked = RunTableQuery(
                query=query,
                experiments=experiment or [],
                sort=order,
                columns=list(_COLUMNS),
                limit=min(limit - len(rows), _PAGE),
                offset=len(rows),
                wait_s=0 if rows else _WAIT_S,
            )
            found = session.call(TracesService.query_trace_content, body=asked)
            rows += _rows(found)
            if len(rows) >= min(limit, found.matched) or not found.run_ids:
                break
        session.show(rows, views.traces(rows, filtered=bool(query)))
        if found.matched > len(rows):
            session.say(f"These are {len(rows)} of {found.matched} traces. A larger --limit shows more.")
        remarks(session, query, found.doubts, found.state)


@traces.command("show")
def show_trace(
    trace: Annotated[str, _TRACE],
    span: Annotated[
        str, typer.Option("--span", metavar="ID", help="Show the inputs and outputs of this span.")
    ] = "",
    json: Json = False,
) -> None:
    """Show the spans of a trace, or what one span was asked and answered."""
    with command(json) as session:
        if span:
            content = session.call(
                TracesService.get_span_content, trace_id=trace, span_id=span, query=ContentQuery()
            )
            session.show(content, views.content(content))
            return
        found = session.call(TracesService.get_trace_content, trace_id=trace)
        session.show(found, views.trace(found))


@traces.command("session")
def show_session(
    session_id: Annotated[str, typer.Argument(metavar="SESSION", help="The id of a session.")],
    experiment: Annotated[
        str,
        typer.Option("--experiment", "-e", metavar="NAME", help="Only traces of this experiment."),
    ] = "",
    json: Json = False,
) -> None:
    """Show the traces of a session as one conversation, with totals."""
    with command(json) as session:
        body = SessionQuery(session=session_id, experiment=experiment)
        found = session.call(TracesService.get_session_content, body=body)
        session.show(found, views.conversation(found))


@traces.command("compare")
def compare_traces(
    first: Annotated[str, _TRACE],
    second: Annotated[str, typer.Argument(metavar="TRACE", help="The trace beside it.")],
    json: Json = False,
) -> None:
    """Compare two traces span by span: durations, tokens, contents."""
    with command(json) as session:
        found = session.call(TracesService.compare_traces, body=TwoTraces(first=first, second=second))
        session.show(found, views.comparison(found))


@traces.command("add-row")
def add_row(
    trace_ids: Annotated[list[str], typer.Argument(metavar="TRACE...", help="Ids of traces, or: latest")],
    dataset: Annotated[
        str, typer.Option("--dataset", metavar="NAME", help="The MLflow data set; a new name makes one.")
    ],
    with_answer: Annotated[
        bool, typer.Option("--with-answer", help="Add the answer as the expectation expected_response.")
    ] = False,
    json: Json = False,
) -> None:
    """Make traces rows of an MLflow data set."""
    with command(json) as session:
        body = NewRows(trace_ids=trace_ids, dataset=dataset, with_answer=with_answer)
        added = session.call(TracesService.add_trace_rows, body=body)
        session.show(added, views.added(added))


@traces.command("tail")
def tail_traces(
    query: Annotated[
        str, typer.Option("--filter", metavar="QUERY", help="Only traces that match, such as: status = ERROR")
    ] = "",
    json: Json = False,
) -> None:
    """Print traces as they land, until Ctrl+C."""
    with command(json) as session, query_pointed_at(session, query):
        asked = TailQuery(query=query, seconds=_A_YEAR_S)
        for landed in session.stream(TracesService.follow_traces, query=asked):
            session.show_line(landed, views.landed(landed))


def _rows(found: RunTable) -> list[dict[str, Any]]:
    values = [(each.column, each.values) for each in found.columns]
    return [
        {name: column[at] for name, column in values if column[at] is not None}
        for at in range(len(found.run_ids))
    ]
