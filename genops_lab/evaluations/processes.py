"""Run models in processes of their own, and let them predict the same batches in turn."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genops_lab.core.errors import Failed
from genops_lab.core.paths import write_private

RUNNER = Path(__file__).with_name("runner.py")
_LOG = "log.txt"
_SHOWN_LINES = 20
_SAID_EVERY_S = 0.5
_MOST_LINE_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One model of an evaluation: its files, interpreter and variables, and the folder ``out`` of its batches."""

    name: str
    model: Path
    interpreter: Path
    environment: Mapping[str, str]
    out: Path

    def has(self, batch: int) -> bool:
        """Return whether the batch is predicted."""
        return (self.out / f"batch-{batch}.json").exists()


class ModelProcess:
    """A running ``runner.py``. It ends when its standard input does, so with the Lab."""

    def __init__(self, spec: ModelSpec, process: asyncio.subprocess.Process) -> None:
        self._spec = spec
        self._process = process

    @staticmethod
    async def start(spec: ModelSpec, rows: Path, left_out: list[str], batch_rows: int) -> ModelProcess:
        """Start the process; it loads the model. Raises Failed if it cannot be started."""
        given = {
            "model": str(spec.model), "rows": str(rows), "out": str(spec.out), "left_out": left_out,
            "batch_rows": batch_rows,
        }  # fmt: skip
        path = spec.out / "spec.json"
        try:
            await asyncio.to_thread(write_private, path, json.dumps(given))
            with (spec.out / _LOG).open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    str(spec.interpreter), str(RUNNER), str(path),
                    cwd=spec.out, env=dict(spec.environment), stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True, limit=_MOST_LINE_BYTES,
                )  # fmt: skip
        except OSError as error:
            raise Failed(
                f"The process of {spec.name} cannot be started: {error.strerror or error}.",
                hint="Free some disk space or memory, then evaluate again.",
            ) from error
        return ModelProcess(spec, process)

    async def ready(self) -> None:
        """Wait until the model is loaded. Raises Failed."""
        await self._answer("while it loaded the model")

    async def predict(self, batch: int, rows: str) -> None:
        """Let the model predict a batch; ``rows`` names its rows for an error. Raises Failed."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its answer says why
            self._process.stdin.write(json.dumps({"batch": batch}).encode() + b"\n")
            await self._process.stdin.drain()
        await self._answer(f"while it predicted {rows}")

    async def _answer(self, doing: str) -> None:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._ended(await self._process.wait(), doing)
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise Failed(
                f"{self._spec.name} failed {doing}: {found['error']}",
                hint=found["hint"]
                or "The log has the whole error. Try the model on these rows in a notebook.",
            )

    def _ended(self, code: int, doing: str) -> Failed:
        if code < 0:
            memory = (
                "The machine may have run out of memory. Evaluate with fewer rows a call: --batch-rows 32"
            )
            return Failed(
                f"The process of {self._spec.name} was killed by signal {-code} {doing}.", hint=memory
            )
        return Failed(
            f"The process of {self._spec.name} ended with the exit code {code} {doing}.",
            hint="The log has its last lines.",
        )

    def last_lines(self) -> list[str]:
        """Return the last lines that the model and its process printed."""
        with contextlib.suppress(OSError):
            text = (self._spec.out / _LOG).read_bytes()[-20_000:].decode("utf-8", "replace")
            return text.splitlines()[-_SHOWN_LINES:]
        return []

    async def end(self) -> None:
        """Kill the process and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


async def predict_in_turn(
    specs: list[ModelSpec],
    rows: Path,
    count: int,
    *,
    left_out: list[str],
    batch_rows: int,
    progress: Callable[[str, float], None],
    say: Callable[[str], None],
) -> None:
    """Let every model predict every batch, in turn: A B, B A, A B, so that their latencies compare.

    Batches that exist already stay. Raises Failed if a process ends, or if a model fails.
    """
    batches = math.ceil(count / batch_rows)
    first = next((at for at in range(batches) if not all(spec.has(at) for spec in specs)), batches)
    if first == batches:
        return
    running: list[ModelProcess] = []
    try:
        for spec in specs:
            running.append(await ModelProcess.start(spec, rows, left_out, batch_rows))
        await asyncio.gather(*(each.ready() for each in running))
        said = 0.0
        for at in range(first, batches):
            until = min(count, (at + 1) * batch_rows)
            named = f"the rows {at * batch_rows + 1:,} to {until:,}"
            order = list(zip(specs, running, strict=True))
            for spec, process in order if at % 2 == 0 else reversed(order):
                if not spec.has(at):
                    await process.predict(at, named)
            if time.monotonic() - said > _SAID_EVERY_S or until == count:
                said = time.monotonic()
                progress(f"{until:,} of {count:,} rows.", until / count)
    except Failed:
        for process in running:
            for line in process.last_lines():
                say(line)
        raise
    finally:
        # Also after a cancellation: no process is left.
        await asyncio.shield(asyncio.gather(*(each.end() for each in running)))
