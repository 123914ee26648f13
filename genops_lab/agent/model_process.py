"""Run models in processes of their own, and let them predict the same batches in turn.

The Lab and the agent of a host use this alike. The process of a model is ``runner.py`` of the evaluations, which a
Python with the model's requirements runs. All methods block.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import threading
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple

_LOG = "log.txt"
_SHOWN_LINES = 20
_SAID_EVERY_S = 0.5


class TurnsFailed(Exception):
    """A process ended, or a model failed."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class ModelSpec(NamedTuple):
    """One model: the folder with its files, its interpreter and variables, and the folder ``out`` of its batches."""

    name: str
    model: str
    interpreter: str
    environment: Mapping[str, str]
    out: str

    def has(self, batch: int) -> bool:
        """Return whether the batch is predicted."""
        return os.path.exists(os.path.join(self.out, f"batch-{batch}.json"))


class Rows(NamedTuple):
    """The rows: a Parquet file with ``rows`` rows, the columns that no model gets, and the rows of one call."""

    file: str
    rows: int
    left_out: List[str]
    batch_rows: int


class ModelProcess:
    """A running ``runner.py``. It ends when its standard input does, so with the process that started it."""

    def __init__(
        self, runner: str, spec: ModelSpec, task: Mapping[str, Any], name: str = "spec.json"
    ) -> None:
        """Start the process, which carries out the task. Raises TurnsFailed."""
        self.spec = spec
        path = os.path.join(spec.out, name)
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
                json.dump({"out": spec.out, **task}, stream)
            with open(os.path.join(spec.out, _LOG), "ab") as log:
                self.process = subprocess.Popen(
                    [spec.interpreter, runner, path],
                    cwd=spec.out,
                    env=dict(spec.environment),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise TurnsFailed(
                f"The process of {spec.name} cannot be started: {error.strerror or error}.",
                "Free some disk space or memory, then evaluate again.",
            ) from error

    def predict(self, batch: int, rows: str) -> None:
        """Let the model predict a batch; ``rows`` names its rows for an error. Raises TurnsFailed."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its answer says why
            self.process.stdin.write(json.dumps({"batch": batch}).encode() + b"\n")
            self.process.stdin.flush()
        self.answer(f"while it predicted {rows}")

    def answer(self, doing: str) -> None:
        """Wait for an answer: the model is loaded, or a task is done. Raises TurnsFailed."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._ended(self.process.wait(), doing)
        found: Dict[str, Any] = json.loads(line)
        if "error" in found:
            raise TurnsFailed(
                f"{self.spec.name} failed {doing}: {found['error']}",
                found["hint"] or "The log has the whole error. Try the model on these rows in a notebook.",
            )

    def _ended(self, code: int, doing: str) -> TurnsFailed:
        if code < 0:
            return TurnsFailed(
                f"The process of {self.spec.name} was killed by signal {-code} {doing}.",
                "The machine may have run out of memory. Evaluate with fewer rows a call: --batch-rows 32",
            )
        return TurnsFailed(
            f"The process of {self.spec.name} ended with the exit code {code} {doing}.",
            "The log has its last lines.",
        )

    def last_lines(self) -> List[str]:
        """Return the last lines that the model and its process printed."""
        with contextlib.suppress(OSError), open(os.path.join(self.spec.out, _LOG), "rb") as stream:
            text = stream.read()[-20_000:].decode("utf-8", "replace")
            return text.splitlines()[-_SHOWN_LINES:]
        return []

    def kill(self) -> None:
        """Kill the process and what it started. May be called from another thread."""
        if self.process.returncode is None:  # later its id may belong to another process
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill the process and wait for its end."""
        self.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class Turns:
    """Every model predicts every batch, in turn: A B, B A, A B, so that their latencies compare.

    ``progress`` gets a sentence and the share of the rows, ``say`` a line of a log.
    """

    def __init__(
        self,
        runner: str,
        specs: List[ModelSpec],
        rows: Rows,
        progress: Callable[[str, float], None],
        say: Callable[[str], None],
    ) -> None:
        self._runner, self._specs, self._rows = runner, specs, rows
        self._progress, self._say = progress, say
        self._running: List[ModelProcess] = []
        self._stopped = False
        self._lock = threading.Lock()

    def run(self) -> None:
        """Predict all batches that are missing. Raises TurnsFailed if a process ends, or if a model fails."""
        rows = self._rows
        batches = math.ceil(rows.rows / rows.batch_rows)
        first = next((at for at in range(batches) if not all(each.has(at) for each in self._specs)), batches)
        if first == batches:
            return
        task = {"rows": rows.file, "left_out": rows.left_out, "batch_rows": rows.batch_rows}
        try:
            for spec in self._specs:
                self._start(spec, {"model": spec.model, **task})
            for process in self._running:
                process.answer("while it loaded the model")
            self._predict(range(first, batches))
        except TurnsFailed:
            for process in self._running:
                for line in process.last_lines():
                    self._say(line)
            raise
        finally:
            for process in self._running:
                process.end()

    def pack(self) -> None:
        """Let each model's Python write its batches into ``answers.parquet``. Raises TurnsFailed."""
        for spec in self._specs:
            process = ModelProcess(self._runner, spec, {"pack": True}, "pack.json")
            try:
                process.answer("while its predictions were written")
            finally:
                process.end()

    def stop(self) -> None:
        """Kill the processes, from another thread: ``run`` then fails."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def _start(self, spec: ModelSpec, task: Mapping[str, Any]) -> None:
        with self._lock:
            if self._stopped:
                raise TurnsFailed("The evaluation was stopped.", "")
            self._running.append(ModelProcess(self._runner, spec, task))

    def _predict(self, batches: range) -> None:
        rows, said = self._rows, 0.0
        for at in batches:
            until = min(rows.rows, (at + 1) * rows.batch_rows)
            named = f"the rows {at * rows.batch_rows + 1:,} to {until:,}"
            for process in self._running if at % 2 == 0 else reversed(self._running):
                if not process.spec.has(at):
                    process.predict(at, named)
            if time.monotonic() - said > _SAID_EVERY_S or until == rows.rows:
                said = time.monotonic()
                self._progress(f"{until:,} of {rows.rows:,} rows.", until / rows.rows)
