"""Read the results of trials from MLflow in its worker process; only MLflow decides what counts."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from genops_lab.core.errors import GenOpsError
from genops_lab.experiments.backends.client import MlflowBackend, all_pages, mlflow_errors, quoted
from genops_lab.sweeps.models import Direction, MetricSummary, Objective

SWEEP_TAG = "genops.sweep"
TRIAL_TAG = "genops.trial"
ATTEMPT_TAG = "genops.trial_attempt"
PRUNED_TAG = "genops.pruned"
SUPERSEDED_TAG = "genops.superseded_by_sweep"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The run of a trial. ``steps`` and ``values`` are the finite values of the objective, by step."""

    run_id: str
    number: int
    attempt: int
    status: str
    steps: list[int]
    values: list[float]

    def objective(self, objective: Objective, direction: Direction) -> float | None:
        """Return the objective, or None if the run logged no value."""
        if not self.values:
            return None
        if objective == "last":
            return self.values[-1]
        return min(self.values) if direction == "minimize" else max(self.values)


class MlflowTrials(MlflowBackend):
    """Read and end the runs of sweeps."""

    def outcome(self, run_id: str, metric: str) -> Outcome:
        """Return the result of a run."""
        with mlflow_errors(f"Cannot read the run {run_id}"):
            return self._outcome(self._client.get_run(run_id), metric)

    def outcomes(self, sweep_id: str, metric: str) -> list[Outcome]:
        """Return the results of all runs of a sweep, also of replaced attempts, oldest first."""
        with mlflow_errors(f"Cannot read the runs of the sweep {sweep_id}"):
            experiments = [found.experiment_id for found in all_pages(self._client.search_experiments)]
            runs = all_pages(
                self._client.search_runs,
                experiment_ids=experiments,
                filter_string=f"tags.`{SWEEP_TAG}` = {quoted(sweep_id)}",
                order_by=["attributes.start_time ASC"],
            )
            return [self._outcome(run, metric) for run in runs]

    def finish(self, run_id: str, status: str, tags: dict[str, str]) -> None:
        """Set the status (empty: unchanged) and tags of a run."""
        with mlflow_errors(f"Cannot end the run {run_id}"):
            for key, value in tags.items():
                self._client.set_tag(run_id, key, value)
            if status and self._client.get_run(run_id).info.status != status:
                self._client.set_terminated(run_id, status=status)

    def supersede(self, run_id: str, sweep_id: str) -> None:
        """Take the run of a replaced attempt out of its sweep; idempotent."""
        with mlflow_errors(f"Cannot change the run {run_id}"):
            run = self._client.get_run(run_id)
            self._client.set_tag(run_id, SUPERSEDED_TAG, sweep_id)
            for key in (SWEEP_TAG, "genops.repeat"):
                if key in run.data.tags:
                    self._client.delete_tag(run_id, key)
            if run.info.status == "RUNNING":
                self._client.set_terminated(run_id, status="KILLED")

    def summary(self, run_ids: list[str]) -> list[MetricSummary]:
        """Return mean and 95 % interval of the last value of each metric over runs, without system metrics."""
        from genops_lab.statistics.repeats import mean_t

        with mlflow_errors("Cannot read the repeats"):
            runs = [self._client.get_run(run_id) for run_id in run_ids]
        names = sorted({name for run in runs for name in run.data.metrics if not name.startswith("system/")})
        found: list[MetricSummary] = []
        for name in names:
            values = [run.data.metrics[name] for run in runs if name in run.data.metrics]
            mean = mean_t([value for value in values if math.isfinite(value)])
            found.append(
                MetricSummary(metric=name, n=mean.n, mean=mean.estimate, low=mean.low, high=mean.high)
            )
        return found

    def _outcome(self, run: Any, metric: str) -> Outcome:
        tags = run.data.tags
        history = (
            self._client.get_metric_history(run.info.run_id, metric) if metric in run.data.metrics else []
        )
        points = sorted(history, key=lambda point: (point.step, point.timestamp))
        finite = [point for point in points if math.isfinite(point.value)]
        try:
            number, attempt = int(tags.get(TRIAL_TAG, "-1")), int(tags.get(ATTEMPT_TAG, "1"))
        except ValueError as error:
            raise GenOpsError(
                f"The tag {TRIAL_TAG} or {ATTEMPT_TAG} of the run {run.info.run_id} is not a number.",
                hint="Correct the tag, or delete it.",
            ) from error
        return Outcome(
            run_id=run.info.run_id,
            number=number,
            attempt=attempt,
            status=str(run.info.status),
            steps=[int(point.step) for point in finite],
            values=[float(point.value) for point in finite],
        )
