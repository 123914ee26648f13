"""Write traces into MLflow while models are still asked, so that little is left to write at the end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from genops_lab.core.errors import GenOpsError

from .records import AnswerRecords

if TYPE_CHECKING:
    from genops_lab.experiments.mlflow import MlflowConnection

#: The least pause between two writes. Each reads the whole journal, so a long one has a longer pause after it.
_PAUSE_S, _PAUSES_FOR_EACH = 1.0, 10
#: How long a write that began is waited for: a second one beside it would write the same traces.
_LEAVES_S = 5.0


class Recording:
    """The evaluations whose runs in MLflow are not finished yet."""

    def __init__(self, mlflow: MlflowConnection, redaction: str) -> None:
        self._mlflow, self._redaction = mlflow, redaction
        self._unfinished = set[str]()

    @contextlib.asynccontextmanager
    async def meanwhile(self, folder: str) -> AsyncIterator[None]:
        """Write the traces of answers while the body asks for others. :meth:`AnswerRecords.record` writes the rest.

        An error of MLflow ends the writing here. The record at the end reports it.
        """
        writes = asyncio.Lock()
        writing = asyncio.create_task(self._write(folder, writes))
        try:
            yield
        finally:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(writes.acquire(), _LEAVES_S)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(self, folder: str, writes: asyncio.Lock) -> None:
        await self._mlflow.call(AnswerRecords.ready)
        since, pause, goes_on = 0.0, _PAUSE_S, True
        while goes_on:
            await asyncio.sleep(pause)
            async with writes:
                began = time.time()
                self._unfinished.add(folder)
                goes_on = await self._mlflow.call_long(
                    AnswerRecords.record_answers, folder, since, self._redaction
                )
                since, pause = began, max(_PAUSE_S, _PAUSES_FOR_EACH * (time.time() - began))

    def finished(self, folder: str) -> None:
        """Note that MLflow has all of an evaluation."""
        self._unfinished.discard(folder)

    async def stop(self, folder: str) -> None:
        """Let no run in MLflow seem to go on after its evaluation stopped."""
        if folder in self._unfinished:
            self._unfinished.discard(folder)
            with contextlib.suppress(GenOpsError, asyncio.TimeoutError):
                await asyncio.wait_for(self._mlflow.call(AnswerRecords.stop, folder), _LEAVES_S)
