"""``genops experiments``."""

from __future__ import annotations

from shlex import quote
from typing import Annotated

import msgspec
import typer

from genops_lab.core.errors import NotFound
from genops_lab.experiments.columns.models import RunSearch
from genops_lab.experiments.columns.service import RunTableService
from genops_lab.experiments.models import ExperimentRef, NewExperiment
from genops_lab.experiments.query.errors import nearest
from genops_lab.experiments.service import ExperimentsService

from .completion import experiment_names
from .grammar import noun
from .session import Json, command
from .views import lab as lab_views
from .views import runs as views

experiments = noun()

_WAIT_S = 60


Experiment = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT", help="A name or an id of an experiment.", autocompletion=experiment_names
    ),
]


@experiments.command("list")
def list_experiments(
    deleted: Annotated[bool, typer.Option("--deleted", help="List deleted experiments.")] = False,
    json: Json = False,
) -> None:
    """List experiments, the last updated first."""
    with command(json) as session:
        listed = (
            ExperimentsService.list_deleted_experiments if deleted else ExperimentsService.list_experiments
        )
        found = session.every(listed, key="id")
        session.show(found, views.experiments(found))


@experiments.command("add")
def add_experiment(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the new experiment.")],
    json: Json = False,
) -> None:
    """Add an experiment, to log runs in it."""
    with command(json) as session:
        found = session.call(ExperimentsService.add_experiment, body=NewExperiment(name=name))
        session.show(found, views.experiment(found, 0))


@experiments.command("delete")
def delete_experiment(experiment: Experiment, json: Json = False) -> None:
    """Delete an experiment with its runs; `undelete` restores them."""
    with command(json) as session:
        found = session.call(ExperimentsService.delete_experiment, body=ExperimentRef(experiment=experiment))
        session.show(found, lab_views.done(f"Experiment {found.name} is deleted, with its runs."))
        session.say(f"Restore it: genops experiments undelete {quote(found.name)}")


@experiments.command("undelete")
def undelete_experiment(
    experiment: Annotated[
        str, typer.Argument(metavar="EXPERIMENT", help="A name or an id of a deleted experiment.")
    ],
    json: Json = False,
) -> None:
    """Restore a deleted experiment. MLflow restores all its runs, also those deleted before it."""
    with command(json) as session:
        found = session.call(
            ExperimentsService.undelete_experiment, body=ExperimentRef(experiment=experiment)
        )
        session.show(found, lab_views.done(f"Experiment {found.name} is restored, with its runs."))


@experiments.command("show")
def show_experiment(
    experiment: Experiment,
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
