"""``genops experiments``."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from genops_lab.core.errors import NotFound
from genops_lab.experiments.columns.models import RunSearch
from genops_lab.experiments.columns.service import RunTableService
from genops_lab.experiments.query.errors import nearest
from genops_lab.experiments.service import ExperimentsService

from .completion import experiment_names
from .grammar import noun
from .session import Json, command
from .views import runs as views

experiments = noun()

_WAIT_S = 60


@experiments.command("list")
def list_experiments(json: Json = False) -> None:
    """List experiments, the last updated first."""
    with command(json) as session:
        found = session.every(ExperimentsService.list_experiments, key="id")
        session.show(found, views.experiments(found))


@experiments.command("show")
def show_experiment(
    experiment: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT", help="A name or an id of an experiment.", autocompletion=experiment_names
        ),
    ],
    json: Json = False,
) -> None:
    """Show an experiment: its id, dates and number of runs."""
    with command(json) as session:
        known = session.every(ExperimentsService.list_experiments, key="id")
        found = next((each for each in known if experiment in (each.name, each.id)), None)
        if found is None:
            near = " or ".join(nearest(experiment, [each.name for each in known]))
            raise NotFound(
                f"There is no experiment {experiment!r}.",
                hint=f"Did you mean {near}?" if near else "List the experiments: genops experiments list",
            )
        asked = RunSearch(experiments=[found.id], limit=1, wait_s=_WAIT_S)
        count = session.call(RunTableService.search_runs, body=asked).matched
        data = {**msgspec.to_builtins(found), "runs": count}
        session.show(data, views.experiment(found, count))
