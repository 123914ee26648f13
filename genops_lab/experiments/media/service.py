"""What runs kept by step."""

from __future__ import annotations

from genops_lab.experiments.backends.media import MlflowMedia
from genops_lab.experiments.mlflow import MlflowConnection

from .models import HistogramQuery, HistogramSeries, RunMedia


class MediaService:
    """All methods raise Unavailable while MLflow does not answer."""

    def __init__(self, mlflow: MlflowConnection) -> None:
        self._mlflow = mlflow

    async def get_run_media(self, run_id: str) -> RunMedia:
        """The pictures, tables and histograms of a run, by name and step."""
        await self._mlflow.ensure()
        return await self._mlflow.worker.call(MlflowMedia.media, run_id)

    async def get_run_histograms(self, run_id: str, query: HistogramQuery) -> HistogramSeries:
        """The histograms of one name of a run, on common bins. Raises NotFound."""
        await self._mlflow.ensure()
        return await self._mlflow.worker.call(MlflowMedia.histograms, run_id, query)
