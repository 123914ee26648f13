"""``genops models evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from genops_lab.core.errors import Conflict
from genops_lab.evaluations.models import BegunEvaluation, EvaluationReport, EvaluationsQuery, NewEvaluation
from genops_lab.evaluations.service import EvaluationsService

from .completion import model_names, target_names
from .grammar import noun
from .session import Json, Session, command
from .terminal import render
from .views import evaluations as views
from .waiting import followed

evaluate = noun()


@evaluate.command("evaluate")
def evaluate_version(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A registered model.", autocompletion=model_names)
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="DATA",
            help="A file (Parquet, CSV, JSON lines), or NAME@DIGEST or NAME of a data set that MLflow knows. "
            "The beginning of a digest is enough.",
        ),
    ],
    version: Annotated[
        str,
        typer.Option(
            "--version", metavar="VERSION", help="A number or an alias. Default: the newest version."
        ),
    ] = "",
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="VERSION",
            help="Compare with this version, a number or an alias. Default: champion, if the model has that alias.",
        ),
    ] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Compare with no other version.")] = False,
    id: Annotated[
        str,
        typer.Option(
            "--id",
            metavar="COLUMN",
            help="The column of unique ids. Default: as the last time, else id or the row numbers.",
        ),
    ] = "",
    label: Annotated[
        str,
        typer.Option(
            "--label",
            metavar="COLUMN",
            help="The column of labels. Default: as the last time, else label or target.",
        ),
    ] = "",
    group: Annotated[
        list[str] | None,
        typer.Option(
            "--group",
            metavar="COLUMN",
            help="A column of groups, such as region: metrics are shown by group. Give it several times for more.",
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option("--name", metavar="NAME", help="The name of the data of a file. Default: the file's."),
    ] = "",
    task: Annotated[
        Literal["", "classification", "regression"],
        typer.Option("--task", help="The kind of predictions. Default: from labels and predictions."),
    ] = "",
    on: Annotated[
        str,
        typer.Option(
            "--on",
            metavar="TARGET",
            help="Run the models on the host of this connected target. Default: this machine.",
            autocompletion=target_names,
        ),
    ] = "",
    batch_rows: Annotated[
        int, typer.Option("--batch-rows", metavar="ROWS", help="The rows that a model gets in one call.")
    ] = 256,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            "--trust",
            metavar="DIGEST",
            help="Load the model of unknown origin whose files have this digest (sha256:...).",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Compute metrics of a version and its champion.

    Both see the same rows, each in its own process. The champion is the version that the alias champion names.
    The evaluation is a run of MLflow. `genops evaluations show` shows it again.
    """
    with command(json) as session:
        file = Path(data).expanduser()
        body = NewEvaluation(
            model=model,
            version=version,
            data=str(file.absolute()) if file.is_file() else data,
            against="" if alone else against,
            name=name,
            id=id,
            label=label,
            groups=group or [],
            task=task,
            batch_rows=batch_rows,
            on=on,
            trust=trust or [],
        )
        begun = _begun(session, body)
        followed(session, begun.task)
        report = _report(session, begun)
        session.show(report, views.report(report))


def _begun(session: Session, body: NewEvaluation) -> BegunEvaluation:
    """Begin the evaluation; ask whether files of an unknown origin may be loaded. Raises Conflict for a no."""
    try:
        return session.call(EvaluationsService.evaluate, body=body)
    except Conflict as error:
        if error.code != "confirmation_needed" or not session.can_ask:
            raise
        checks = error.details["checks"]
    for check in checks:
        session.say(render(views.origin(check)))
        if not session.confirm("Load this model?"):
            raise Conflict(
                f"{check['model']} version {check['version']} was not evaluated.", code="confirmation_needed"
            )
    trusted: list[Any] = [*body.trust, *(check["digest"] for check in checks)]
    return session.call(EvaluationsService.evaluate, body=msgspec.structs.replace(body, trust=trusted))


def _report(session: Session, begun: BegunEvaluation) -> EvaluationReport:
    query = EvaluationsQuery(session=begun.task.id, version=begun.version)
    found = session.call(EvaluationsService.list_evaluations, query=query).items
    return session.call(EvaluationsService.get_evaluation, run_id=found[0].run_id)
