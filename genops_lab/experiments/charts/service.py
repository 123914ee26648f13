"""Charts of runs: their histories, and which parameters matter."""

from __future__ import annotations

from genops_lab.experiments.columns.backend import RunMirror
from genops_lab.experiments.mlflow import MlflowConnection

from .backend import RunHistories
from .models import Histories, HistoriesQuery, Importance, ImportanceQuery


class ChartsService:
    """Asks the runs worker. All methods raise Unavailable while MLflow does not answer."""

    def __init__(self, mlflow: MlflowConnection) -> None:
        self._mlflow = mlflow

    async def query_histories(self, body: HistoriesQuery) -> Histories:
        """Histories of a metric of many runs, made short so that no peak is hidden. Raises InvalidRequest."""
        await self._mlflow.ensure()
        return await self._mlflow.columns.call(RunHistories.histories, body)

    async def rank_parameters(self, body: ImportanceQuery) -> Importance:
        """How much each parameter tells of a metric. Raises InvalidRequest (the query), NotFound (an experiment)."""
        await self._mlflow.ensure()
        return await self._mlflow.columns.call(RunMirror.importance, body)
