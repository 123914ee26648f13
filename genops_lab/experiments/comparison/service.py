"""Compares runs, and hands out their files."""

from __future__ import annotations

import asyncio
import shutil
from typing import BinaryIO

from genops_lab.core.errors import NotFound
from genops_lab.experiments.backends.artifacts import HandedOut, MlflowArtifacts
from genops_lab.experiments.backends.comparing import MlflowComparison
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.experiments.service import ExperimentsService

from .models import ComparisonQuery, RunComparison


class ComparisonService:
    """All methods raise Unavailable while MLflow does not answer."""

    def __init__(self, mlflow: MlflowConnection, experiments: ExperimentsService) -> None:
        self._mlflow = mlflow
        self._experiments = experiments

    async def compare_runs(self, body: ComparisonQuery) -> RunComparison:
        """What differs between runs; repeats are taken together, and each column is compared with the baseline's.

        Raises InvalidRequest (fewer than 2 runs, more than 40, a baseline that is none of them), NotFound.
        """
        await self._mlflow.ensure()
        return await self._mlflow.worker.call(MlflowComparison.compare, body)

    async def open_artifact(self, run_id: str, path: str) -> BinaryIO:
        """One file of a run, to be read in parts and closed. A copy of it has no name any more when this returns.

        Raises InvalidRequest for a path that leaves the run's artifacts, or a folder; NotFound.
        """
        run = await self._experiments.resolve_run(run_id)
        found = await self._mlflow.worker.call(MlflowArtifacts.hand_out, run.run_id, path)
        return await asyncio.to_thread(_opened, found, path)


def _opened(found: HandedOut, path: str) -> BinaryIO:
    try:
        return open(found.path, "rb")  # noqa: PTH123 - who asked closes it
    except FileNotFoundError as error:
        raise NotFound(
            f"The artifact {path[:80]!r} is gone.", hint="It was deleted while it was to be read."
        ) from error
    finally:
        if found.folder:
            shutil.rmtree(found.folder, ignore_errors=True)
