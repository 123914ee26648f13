"""``genops deployments score``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.deployments.batches.models import NewBatch
from genops_lab.deployments.batches.service import BatchesService

from .deployment_argument import Deployed
from .grammar import noun
from .session import Json, command
from .views import lab as lab_views
from .waiting import followed

batches = noun()


@batches.command("score")
def score(
    deployment: Deployed,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="DATA",
            help="A file (Parquet, CSV, JSON lines), or NAME@DIGEST or NAME of a data set that MLflow knows.",
        ),
    ],
    out: Annotated[
        str,
        typer.Option("--out", metavar="FILE", help="The Parquet file to write: the rows with their answers."),
    ],
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            metavar="COLUMN",
            help="A column that the model does not get. Give it several times for more.",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A part of each request to a language model, such as temperature=0.",
        ),
    ] = None,
    batch_rows: Annotated[
        int, typer.Option("--batch-rows", metavar="ROWS", help="The rows of one request.")
    ] = 256,
    parallel: Annotated[int, typer.Option("--parallel", metavar="N", help="The requests at once.")] = 4,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output file if it exists.")
    ] = False,
    json: Json = False,
) -> None:
    """Score a file of rows or prompts.

    After an interruption the same command goes on with the rows that have no answer.
    """
    with command(json) as session:
        file = Path(data).expanduser()
        body = NewBatch(
            data=str(file.absolute()) if file.is_file() else data,
            out=str(Path(out).expanduser().absolute()),
            without=without or [],
            settings=dict(map(_setting, setting or [])),
            batch_rows=batch_rows,
            parallel=parallel,
            overwrite=overwrite,
        )
        begun = session.call(BatchesService.score_deployment, name=deployment, body=body)
        task = followed(session, begun.task)
        session.show({"out": begun.out, "message": task.message}, lab_views.done(task.message))


def _setting(text: str) -> tuple[str, int | float | str | bool]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise InvalidRequest(f"{text!r} is no setting.", hint="Give NAME=VALUE, such as --set temperature=0.")
    try:
        decoded = msgspec.json.decode(value, type=int | float | bool)
    except msgspec.DecodeError:
        return name, value
    return name, decoded
