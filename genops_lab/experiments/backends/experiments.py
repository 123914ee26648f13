"""Add, delete and restore experiments through MLflow's own API, in the worker process."""

from __future__ import annotations

from functools import partial
from typing import Any

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.paging import Page, PageQuery
from genops_lab.experiments.models import Experiment

from .client import MlflowBackend, mlflow_errors, one_page

#: The experiment of runs that name none; MLflow cannot start such a run without it.
DEFAULT_ID = "0"
#: Most runs of an experiment that are read again at once; the others are read in turn.
MOST_RUNS = 1000


class ExperimentChanges(MlflowBackend):
    """Changes experiments. MLflow keeps a deleted one, with its runs, until its administrator removes it for good."""

    def add(self, name: str) -> Experiment:
        """Add an experiment. Raises Conflict if the name is taken, also by a deleted one."""
        if not name.strip():
            raise InvalidRequest("The experiment has no name.", hint="Give a name, such as: mnist")
        with mlflow_errors(f"The experiment {name[:60]!r} could not be added"):
            taken = self._client.get_experiment_by_name(name)
            if taken is not None and taken.lifecycle_stage == "deleted":
                raise Conflict(
                    f"The experiment {name[:60]!r} was deleted, and MLflow keeps its name.",
                    hint="Choose another name, or restore it: genops experiments undelete NAME",
                )
            if taken is not None:
                raise Conflict(f"The experiment {name[:60]!r} exists.", hint="Choose another name.")
            return shown(self._client.get_experiment(self._client.create_experiment(name)))

    def list_deleted(self, query: PageQuery) -> Page[Experiment]:
        """Return deleted experiments, the latest changed first."""
        from mlflow.entities import ViewType

        search = partial(self._client.search_experiments, view_type=ViewType.DELETED_ONLY)
        with mlflow_errors("The deleted experiments could not be listed"):
            found, token = one_page(search, query, order_by=["last_update_time DESC"])
        return Page(items=[shown(each) for each in found], next=token)

    def delete(self, ref: str) -> tuple[Experiment, list[str]]:
        """Mark an experiment and its runs as deleted; returns the newest of these runs. Raises NotFound."""
        found = self._named(ref, deleted=False)
        if found.experiment_id == DEFAULT_ID:
            raise InvalidRequest(
                f"The experiment {found.name!r} cannot be deleted: MLflow needs it for runs that name no experiment.",
                hint="Delete its runs: genops runs delete RUN",
            )
        with mlflow_errors(f"The experiment {found.name!r} could not be deleted"):
            self._client.delete_experiment(found.experiment_id)
        return shown(found), self._runs(found)

    def undelete(self, ref: str) -> tuple[Experiment, list[str]]:
        """Restore a deleted experiment and all its runs; returns the newest of these runs. Raises NotFound."""
        found = self._named(ref, deleted=True)
        with mlflow_errors(f"The experiment {found.name!r} could not be restored"):
            self._client.restore_experiment(found.experiment_id)
        return shown(found), self._runs(found)

    def _named(self, ref: str, *, deleted: bool) -> Any:
        """Return the experiment with this name or id."""
        stage, word = ("deleted", "deleted experiment") if deleted else ("active", "experiment")
        missing = NotFound(
            f"There is no {word} {ref[:60]!r}.",
            hint="List them: genops experiments list" + (" --deleted" if deleted else ""),
        )
        with mlflow_errors(f"The experiment {ref[:60]!r} could not be read"):
            found: Any = self._client.get_experiment_by_name(ref) if ref.strip() else None
            if found is None or found.lifecycle_stage != stage:
                # A server and a database answer differently to an id that is no number.
                if not ref.isdecimal():
                    raise missing
                try:
                    found = self._client.get_experiment(ref)
                except Exception as error:
                    if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST":
                        raise
                    raise missing from error
        if found.lifecycle_stage != stage:
            raise missing
        return found

    def _runs(self, experiment: Any) -> list[str]:
        from mlflow.entities import ViewType

        with mlflow_errors(f"The runs of {experiment.name!r} could not be listed"):
            page = self._client.search_runs(
                [experiment.experiment_id], run_view_type=ViewType.ALL, max_results=MOST_RUNS
            )
        return [run.info.run_id for run in page]


def shown(experiment: Any) -> Experiment:
    """Return an experiment of MLflow as its wire type."""
    return Experiment(
        id=experiment.experiment_id,
        name=experiment.name,
        created_at=(experiment.creation_time or 0) / 1000 or None,
        updated_at=(experiment.last_update_time or 0) / 1000 or None,
    )
