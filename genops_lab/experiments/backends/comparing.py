"""Read and compare whole runs, in the worker process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.core.errors import Failed, InvalidRequest
from genops_lab.experiments.comparison.compare import Gathered, compare
from genops_lab.experiments.comparison.models import ComparisonQuery, RunComparison
from genops_lab.experiments.models import Run
from genops_lab.experiments.restoring.run_source import Kept

from .artifacts import Digests, MlflowArtifacts, local_path
from .client import MlflowBackend, mlflow_errors
from .run_source import MlflowKept
from .runs import MlflowRuns

MAX_RUNS = 40
_AT_ONCE = 4


class MlflowComparison(MlflowBackend):
    """Compares runs of one MLflow."""

    def __init__(self, tracking_uri: str, scratch: str, **_others: Any) -> None:
        super().__init__(tracking_uri, scratch)
        self._runs = MlflowRuns(tracking_uri)
        self._kept = MlflowKept(tracking_uri, scratch)
        self._artifacts = MlflowArtifacts(tracking_uri, scratch)

    def compare(self, query: ComparisonQuery) -> RunComparison:
        """Compare runs. Raises InvalidRequest (too few, too many, a baseline that is not one of them),
        NotFound.
        """
        if not 2 <= len(query.run_ids) <= MAX_RUNS:
            raise InvalidRequest(
                f"{len(query.run_ids)} runs cannot be compared.", hint=f"Name 2 to {MAX_RUNS} runs."
            )
        named = {run.run_id: run for run in map(self._runs.resolve, query.run_ids)}
        ids = list(named)
        if len(ids) < 2:
            raise InvalidRequest("The same run was named twice.", hint="Name 2 different runs or more.")
        baseline = self._runs.resolve(query.baseline).run_id if query.baseline else ids[0]
        if baseline not in ids:
            raise InvalidRequest(
                f"The baseline {baseline} is not one of the runs.",
                hint="Use one of the runs as the baseline.",
            )
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(self._gathered, named.values()))
        digests = Digests(dict(zip(ids, (location for _run, location in found), strict=True)))
        return compare([run for run, _location in found], ids.index(baseline), query.repeats, digests)

    def _gathered(self, run: Run) -> tuple[Gathered, Path | None]:
        """Return the compared parts of a run, and the folder of its files if that is on this machine."""
        run_id = run.run_id
        with mlflow_errors(f"The metrics of run {run_id} could not be read"):
            stored = self._client.get_run(run_id)
        problems: list[str] = []
        kept, patch = Kept(cells=[]), ""
        try:
            kept, patch = self._kept.kept_with_patch(stored)
        except Failed as error:
            problems.append(error.message)
        files, more = self._artifacts.files(run_id)
        if more:
            problems.append(f"Only {len(files):,} of its files are compared.")
        gathered = Gathered(
            **msgspec.structs.asdict(run),
            raw_metrics=dict(stored.data.metrics),
            kept=kept,
            patch=patch,
            files=files,
            problem=" ".join(problems),
        )
        return gathered, local_path(stored.info.artifact_uri)
