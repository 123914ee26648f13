"""``genops traces``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from genops_lab.core.errors import Conflict, InvalidRequest
from genops_lab.experiments.columns.models import RunTable, RunTableQuery
from genops_lab.genai.online.models import NewOnlineScorers, OnlineScorers
from genops_lab.genai.online.service import OnlineService
from genops_lab.genai.traces.models import ContentQuery, NewRows, SessionQuery, TailQuery, TwoTraces
from genops_lab.genai.traces.service import TracesService

from .deployment_argument import Deployed
from .deployment_files import text_of
from .grammar import noun
from .run_listing import query_pointed_at, remarks, sorting
from .session import Json, Session, command
from .views import online_scorers
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


@traces.command("score")
def score_traces(
    deployment: Deployed,
    scorers: Annotated[
        str,
        typer.Option(
            "--scorers",
            metavar="FILE",
            help="A file with the lists scorers and judges. Without it: show the scores.",
        ),
    ] = "",
    sample: Annotated[
        float,
        typer.Option("--sample", metavar="SHARE", help="The share of the traces, such as 0.1. Default: 1."),
    ] = 1.0,
    money_per_day: Annotated[
        float | None,
        typer.Option(
            "--money-per-day",
            metavar="AMOUNT",
            min=0,
            help="The most that judges may cost in a day (UTC). Default: no limit.",
        ),
    ] = None,
    pause: Annotated[
        bool, typer.Option("--pause", help="Score nothing until --resume. Traces wait.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on, with the traces that wait first.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Score no more traces. The scores stay in MLflow.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before requests and answers become traces.")
    ] = False,
    json: Json = False,
) -> None:
    """Score a sample of a deployment's new traces, or show the scores.

    Where no request becomes a trace, you are asked whether the sample of the requests becomes traces, which are then
    all scored. Traces are scored while JupyterLab runs.
    """
    with command(json) as session:
        if bool(scorers) + pause + resume + forget > 1:
            raise InvalidRequest(
                "Several of --scorers, --pause, --resume and --forget are given.", hint="Give one of them."
            )
        if scorers:
            folder = Path.cwd() if scorers == "-" else Path(scorers).parent.absolute()
            body = NewOnlineScorers(
                text=text_of(scorers),
                name=scorers,
                folder=str(folder),
                sample=sample,
                money_per_day=money_per_day,
            )
            found = _scored(session, deployment, body, yes)
        elif pause:
            found = session.call(OnlineService.pause_online_scorers, name=deployment)
        elif resume:
            found = session.call(OnlineService.resume_online_scorers, name=deployment)
        else:
            if forget:
                session.call(OnlineService.delete_online_scorers, name=deployment)
            found = session.call(OnlineService.get_online_scorers, name=deployment)
        session.show(found, online_scorers.scores(found))


def _scored(session: Session, deployment: str, body: NewOnlineScorers, yes: bool) -> OnlineScorers:
    """Set scorers; where no request becomes a trace, ask first whether requests and answers may be kept."""
    try:
        return session.call(OnlineService.set_online_scorers, name=deployment, body=body)
    except Conflict as error:
        if error.code != "no_traces":
            raise
    session.agree_to_record(
        f"No request to {deployment} becomes a trace. {100 * body.sample:g} % of its requests and answers will be kept "
        "as traces in MLflow, and each of these traces is scored.",
        yes,
    )
    body = replace(body, record=True)
    return session.call(OnlineService.set_online_scorers, name=deployment, body=body)


def _rows(found: RunTable) -> list[dict[str, Any]]:
    values = [(each.column, each.values) for each in found.columns]
    return [
        {name: column[at] for name, column in values if column[at] is not None}
        for at in range(len(found.run_ids))
    ]
