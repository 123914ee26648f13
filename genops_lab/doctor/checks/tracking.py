"""Check that MLflow works."""

from __future__ import annotations

import asyncio

from genops_lab.core.errors import GenOpsError
from genops_lab.core.models import Check
from genops_lab.core.paging import MOST, PageQuery
from genops_lab.experiments.mlflow import MlflowConnection

from .storage import damage_of

ANSWER_S = 40.0


async def examine(mlflow: MlflowConnection) -> list[Check]:
    """Check the file of the embedded MLflow, and a call of MLflow in the worker."""
    file = mlflow.embedded_file
    if file is not None and file.exists():
        damage = await asyncio.to_thread(damage_of, file)
        if damage is not None:
            return [
                Check(
                    id="mlflow",
                    title="MLflow",
                    state="error",
                    detail=f"The embedded MLflow's file {file} is damaged: {damage}.",
                    hint="Copy the file, then try `sqlite3 mlflow.db .recover`. Or move it away to start empty.",
                )
            ]
    return [await _answers(mlflow)]


async def _answers(mlflow: MlflowConnection) -> Check:
    from genops_lab.experiments.backends.runs import MlflowRuns

    where = f"{mlflow.kind}, {mlflow.shown_uri}"
    try:
        await asyncio.wait_for(mlflow.ensure(), ANSWER_S)
        found = await asyncio.wait_for(
            mlflow.worker.call(MlflowRuns.list_experiments, PageQuery(limit=MOST)), ANSWER_S
        )
    except GenOpsError as error:
        return Check(
            id="mlflow", title="MLflow", state="error", detail=f"{where}: {error.message}", hint=error.hint
        )
    except asyncio.TimeoutError:  # not the built-in one before Python 3.11
        if mlflow.is_being_made:
            return Check(
                id="mlflow",
                title="MLflow",
                state="info",
                detail=f"{where}: the database is still being created or upgraded after {ANSWER_S:.0f} s.",
                hint="This continues in the background. Run `genops doctor` again in a minute.",
            )
        return Check(
            id="mlflow",
            title="MLflow",
            state="error",
            detail=f"{where}: no answer within {ANSWER_S:.0f} s.",
            hint="Check that the MLflow server runs and that its address is correct.",
        )
    count = f"{len(found.items)}{' or more' if found.next else ''}"
    return Check(id="mlflow", title="MLflow", state="ok", detail=f"{where}, experiments: {count}.")
