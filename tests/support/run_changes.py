"""Random changes of runs through MLflow's API, and what MLflow and a mirror say of the runs afterwards."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from genops_lab.experiments.columns.mirror import Shown

if TYPE_CHECKING:
    from mlflow import MlflowClient

METRICS = ("loss", "val/acc", "x")
KEYS = ("a", "b c", "é")
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from([float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1e308]),
)
_WHICH = st.integers(0, 5)
CHANGES = st.one_of(
    st.tuples(st.just("create"), _WHICH, st.sampled_from([None, "one", "two words"])),
    st.tuples(
        st.just("metric"),
        _WHICH,
        st.tuples(st.sampled_from(METRICS), VALUES, st.integers(1, 3), st.integers(-1, 2)),
    ),
    st.tuples(st.just("param"), _WHICH, st.tuples(st.sampled_from(KEYS), st.sampled_from(["1", "é" * 3000]))),
    st.tuples(st.just("tag"), _WHICH, st.tuples(st.sampled_from(KEYS), st.sampled_from(["", "1", "x", "ü\n"]))),
    st.tuples(st.just("untag"), _WHICH, st.sampled_from(KEYS)),
    st.tuples(st.just("end"), _WHICH, st.sampled_from(["FINISHED", "FAILED", "KILLED"])),
    st.tuples(st.just("status"), _WHICH, st.sampled_from(["RUNNING", "SCHEDULED"])),
    st.tuples(st.just("rename"), _WHICH, st.sampled_from(["renamed", "again"])),
    st.tuples(st.just("delete"), _WHICH, st.none()),
    st.tuples(st.just("restore"), _WHICH, st.none()),
    st.tuples(st.just("experiment"), _WHICH, st.none()),
    st.tuples(st.just("rename experiment"), _WHICH, st.none()),
    st.tuples(st.just("delete experiment"), _WHICH, st.none()),
    st.tuples(st.just("restore experiment"), _WHICH, st.none()),
)  # fmt: skip


class Changer:
    """Makes changes in one store, of runs and experiments named by small numbers."""

    def __init__(self, client: MlflowClient) -> None:
        self.client = client
        self.runs: list[str] = []
        # Of its own, so that a store may be shared with what other tests left in it.
        self.experiments = [client.create_experiment(uuid.uuid4().hex)]
        self._names = 0

    def change(self, what: str, which: int, how: Any) -> None:
        """One change; one that MLflow refuses (a deleted run gets no metrics, say) is none."""
        from mlflow.exceptions import MlflowException

        acts: dict[str, Callable[[str, Any], Any]] = {
            "metric": lambda run, how: self.client.log_metric(run, how[0], how[1], timestamp=how[2], step=how[3]),
            "param": lambda run, how: self.client.log_param(run, how[0], how[1]),
            "tag": lambda run, how: self.client.set_tag(run, how[0], how[1]),
            "untag": lambda run, how: self.client.delete_tag(run, how),
            "end": lambda run, how: self.client.set_terminated(run, how),
            "status": lambda run, how: self.client.update_run(run, status=how),
            "rename": lambda run, how: self.client.update_run(run, name=how),
            "delete": lambda run, how: self.client.delete_run(run),
            "restore": lambda run, how: self.client.restore_run(run),
            "delete for good": lambda run, how: self._delete_for_good(run),
        }  # fmt: skip
        experiment = self.experiments[which % len(self.experiments)]
        self._names += 1
        with contextlib.suppress(MlflowException):
            if what == "create":
                self.runs.append(self.client.create_run(experiment, run_name=how).info.run_id)
            elif what == "experiment":
                self.experiments.append(
                    self.client.create_experiment(f"{uuid.uuid4().hex[:8]} {self._names}")
                )
            elif what == "rename experiment":
                self.client.rename_experiment(experiment, f"{uuid.uuid4().hex[:8]} {self._names}")
            elif what == "delete experiment":
                self.client.delete_experiment(experiment)
            elif what == "restore experiment":
                self.client.restore_experiment(experiment)
            elif self.runs:
                acts[what](self.runs[which % len(self.runs)], how)

    def _delete_for_good(self, run_id: str) -> None:
        """What ``mlflow gc`` does."""
        store: Any = self.client._tracking_client.store
        store._hard_delete_run(run_id)
        self.runs.remove(run_id)


def as_mlflow_says(client: MlflowClient) -> dict[str, Any]:
    """All runs by id, deleted ones included, as MlflowClient answers."""
    from mlflow.entities import ViewType

    experiments = {
        each.experiment_id: each.name for each in client.search_experiments(view_type=ViewType.ALL)
    }
    found, token = {}, None
    while True:
        page = client.search_runs(
            list(experiments), run_view_type=ViewType.ALL, max_results=1000, page_token=token
        )
        for run in page:
            found[run.info.run_id] = {
                "run_name": run.info.run_name,
                "status": run.info.status,
                "start_time": run.info.start_time / 1000 if run.info.start_time else None,
                "end_time": run.info.end_time / 1000 if run.info.end_time else None,
                "lifecycle_stage": run.info.lifecycle_stage,
                "experiment_id": run.info.experiment_id,
                "experiment": experiments[run.info.experiment_id],
                "artifact_uri": run.info.artifact_uri,
                "user": run.info.user_id or None,
                "metrics": {key: comparable(value) for key, value in run.data.metrics.items()},
                "params": dict(run.data.params),
                "tags": dict(run.data.tags),
            }
        token = page.token
        if not token:
            return found


def as_mirrored(shown: Shown) -> dict[str, Any]:
    """The same of a mirror."""
    snapshot = shown.asked.snapshot
    rows = np.arange(snapshot.rows)
    shown_names = shown.asked.names()
    values = {
        each.column: shown.asked.columns([each.column], rows)[0].values for each in shown_names if each.runs
    }
    found: dict[str, Any] = {}
    for row, run_id in enumerate(snapshot.ids[: snapshot.rows]):
        of: dict[str, Any] = {"metrics": {}, "params": {}, "tags": {}}
        for name in ("run_name", "status", "start_time", "end_time", "lifecycle_stage", "experiment_id",
                     "experiment", "artifact_uri", "user"):  # fmt: skip
            of[name] = values[name][row] if name in values else None
        for column, of_all in values.items():
            prefix, dot, name = column.partition(".")
            if dot and of_all[row] is not None:
                of[prefix][name] = comparable(float(of_all[row])) if prefix == "metrics" else of_all[row]
        found[run_id] = of
    return found


def comparable(value: float) -> float | str:
    """A number, NaN as text: it equals nothing."""
    return "NaN" if value != value else value
