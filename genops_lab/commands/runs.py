"""``genops runs`` and ``genops experiments``."""

from __future__ import annotations

from typing import Annotated

import typer

from .completion import experiment_names, run_ids
from .session import Json, command
from .views import runs as views

runs = typer.Typer(help="Runs in MLflow.", no_args_is_help=True)
experiments = typer.Typer(help="Experiments in MLflow.", no_args_is_help=True)


@runs.command("list")
def list_runs(
    experiment: Annotated[
        str,
        typer.Option(
            "--experiment", "-e", help="Name or id of an experiment.", autocompletion=experiment_names
        ),
    ] = "",
    filter: Annotated[
        str, typer.Option("--filter", help="MLflow filter, such as 'metrics.loss < 0.1'.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    with command(json) as session:
        from genops_lab.experiments.models import RunQuery
        from genops_lab.experiments.service import ExperimentsService

        page = session.call(
            ExperimentsService.list_runs, query=RunQuery(experiment=experiment, filter=filter, limit=limit)
        )
        session.show(page.runs, views.runs(page.runs))
        if page.next_page_token:
            session.say(f"There are more than {limit} runs: see them with a larger --limit.")


@runs.command("show")
def show_run(
    run: Annotated[
        str, typer.Argument(help="Id, a unique prefix of it, or 'latest'.", autocompletion=run_ids)
    ] = "latest",
    json: Json = False,
) -> None:
    """Show a run with its parameters, metrics, models and artifacts."""
    with command(json) as session:
        from genops_lab.experiments.service import ExperimentsService

        detail = session.call(ExperimentsService.get_run, run_id=run)
        session.show(detail, views.run(detail))


@experiments.command("list")
def list_experiments(json: Json = False) -> None:
    """List experiments, the latest first."""
    with command(json) as session:
        from genops_lab.experiments.service import ExperimentsService

        found = session.call(ExperimentsService.list_experiments)
        session.show(found, views.experiments(found))
