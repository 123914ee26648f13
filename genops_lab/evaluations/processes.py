"""Let the processes of models predict on this machine (:mod:`genops_lab.agent.model_process`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from genops_lab.agent.model_process import ModelSpec, Rows, Turns, TurnsFailed
from genops_lab.core.errors import Failed

__all__ = ["RUNNER", "ModelSpec", "PlannedModel", "Rows", "predict_in_turn"]

RUNNER = Path(__file__).with_name("runner.py")


class PlannedModel(NamedTuple):
    """A model of an evaluation: its folder, with its files in ``model``."""

    name: str
    folder: Path
    allow_pickle: bool


async def predict_in_turn(
    specs: list[ModelSpec],
    rows: Rows,
    *,
    progress: Callable[[str, float], None],
    say: Callable[[str], None],
) -> None:
    """Let every model predict every batch. Batches that exist already stay. No process is left, also after a cancel.

    Raises Failed if a process ends, or if a model fails.
    """
    loop, executor = (
        asyncio.get_running_loop(),
        ThreadPoolExecutor(1),
    )  # not one of the shared threads: it takes long

    def tell(message: str, share: float) -> None:
        loop.call_soon_threadsafe(progress, message, share)

    def log(line: str) -> None:
        loop.call_soon_threadsafe(say, line)

    turns = Turns(str(RUNNER), specs, rows, tell, log)
    job = loop.run_in_executor(executor, turns.run)
    try:
        await asyncio.shield(job)
    except TurnsFailed as error:
        raise Failed(error.message, hint=error.hint) from error
    finally:
        turns.stop()
        await asyncio.gather(job, return_exceptions=True)
        executor.shutdown()
