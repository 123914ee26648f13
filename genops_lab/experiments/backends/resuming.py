"""Runs that are gone on with."""

from __future__ import annotations

import getpass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from genops_lab.core.errors import Conflict, GenOpsError, NotAllowed, NotFound
from genops_lab.experiments.limits import Notes
from genops_lab.experiments.models import ResumableRun, TrackedProcess, TrackingEvent
from genops_lab.runtime.steps import next_steps

from .client import told
from .runs import TARGET_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient

FAILURE_TAG = "genops.failure"
_ACTIVE = "active"


def resumable(client: MlflowClient, run_id: str, process: TrackedProcess) -> ResumableRun:
    """What a session that goes on with this run must know.

    Raises Conflict for a deleted run, NotAllowed for one that is not this user's, or, for a kernel on another host, not
    of that host.
    """
    with told(f"The run {run_id} could not be read"):
        run = client.get_run(run_id)
        experiment = client.get_experiment(run.info.experiment_id).name
    if refusal := _refusal(run, process):
        raise refusal
    # the latest of each metric, with its step
    steps = next_steps((metric.key, int(metric.step)) for metric in run.data._metric_objs)
    return ResumableRun(
        run_id=run_id,
        name=run.info.run_name or "",
        experiment=experiment,
        next_step=steps.own,
        next_system_step=steps.system,
        next_auto_step=steps.auto,
    )


def going_on(client: MlflowClient, run_id: str, event: TrackingEvent, notes: Notes) -> Any:
    """The run, RUNNING again; None where it is gone. Done twice it is as done once."""
    if not run_id:
        return None
    try:
        with told(f"The run {run_id} could not be gone on with"):
            run = client.get_run(run_id)
            if run.info.lifecycle_stage != _ACTIVE:
                return None
            client.update_run(run_id, "RUNNING")
            if FAILURE_TAG in run.data.tags:
                client.delete_tag(run_id, FAILURE_TAG)
    except NotFound:
        return None
    at = datetime.fromtimestamp(event.timestamp, timezone.utc)
    notes.append(f"It was gone on with at {at:%Y-%m-%d %H:%M:%S} UTC.")
    return run


def _refusal(run: Any, process: TrackedProcess) -> GenOpsError | None:
    name, tags = run.info.run_name or run.info.run_id, run.data.tags
    if process.place and tags.get(TARGET_TAG) != process.place:
        return NotAllowed(
            f"The run {run.info.run_id} is not one of this host.",
            hint="A kernel on another host goes on with runs of that host only: use a kernel of the Lab's machine.",
        )
    if run.info.lifecycle_stage != _ACTIVE:
        return Conflict(
            f"The run {name!r} is deleted.",
            hint=f"Bring it back first: genops runs undelete {run.info.run_id[:8]}",
        )
    owner = tags.get("mlflow.user", "")
    if owner and user() and owner != user():
        return NotAllowed(
            f"The run {name!r} is {owner}'s, not yours.",
            hint="Start a run of your own. mlflow.start_run(run_id=...) writes into it, if MLflow lets you.",
        )
    return None


def user() -> str:
    """Whose runs are written here."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose uid has no name
        return ""
