"""Questions to MLflow that a moment without it must not cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from genops_lab.core.errors import Unavailable

from .backends.outcomes import MlflowTrials

if TYPE_CHECKING:
    from genops_lab.experiments.mlflow import MlflowConnection

P = ParamSpec("P")
R = TypeVar("R")

_AGAIN_AFTER_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


class RetryingMlflow:
    """Asks again for a minute where MLflow does not answer. A trial that ended meanwhile is not lost by that."""

    def __init__(self, mlflow: MlflowConnection) -> None:
        self._mlflow = mlflow

    async def ask(
        self, method: Callable[Concatenate[MlflowTrials, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """The answer of the MLflow worker. Raises what it raises in the end."""
        for wait_s in (*_AGAIN_AFTER_S, None):
            try:
                await self._mlflow.ensure()
                return await self._mlflow.worker.call(method, *args, **kwargs)
            except Unavailable:
                if wait_s is None:
                    raise
                await asyncio.sleep(wait_s)
        raise AssertionError
