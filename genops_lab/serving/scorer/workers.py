"""Keep several scoring processes that share one listening socket.

This program has no model: it imports the standard library alone. A process that dies is started again alone, and the
others answer meanwhile. It reports for all in ``state.json``, and ends with the lease.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from . import loopback
from .lease import Lease
from .report import Report, log
from .revival import revive

LOOK_S = 0.1
REVIVE_S = 1.0
#: A process that dies again and again is started after so many seconds, then after twice as many.
AGAIN_S, MOST_AGAIN_S = 0.5, 30.0
GRACE_S = 9.0


class Worker:
    """One scoring process, and what it reports."""

    def __init__(self, number: int, spec_path: str, folder: Path) -> None:
        self.number = number
        self._spec_path = spec_path
        self.path = report_path(folder, number)
        self.path.unlink(missing_ok=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.ran = False
        self._began = self._due = 0.0
        self._pause_s = AGAIN_S

    def start(self, listener: socket.socket) -> None:
        """Start the process."""
        given = json.dumps({"socket": listener.fileno(), "worker": self.number})
        program = str(Path(__file__).with_name("__main__.py"))
        self._began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, program, self._spec_path, given],
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )

    def keep(self, listener: socket.socket) -> None:
        """Start the process again if it has ended."""
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return
            self.process = None
            if time.monotonic() - self._began > MOST_AGAIN_S:
                self._pause_s = AGAIN_S
            self._due = time.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, MOST_AGAIN_S)
            log(f"Worker {self.number} has ended (exit code {code}) and is started again.")
        if time.monotonic() >= self._due:
            self.start(listener)

    @property
    def state(self) -> dict[str, Any]:
        """The last report of the process; empty before the first."""
        try:
            return dict(json.loads(self.path.read_bytes()))
        except (OSError, ValueError):
            return {}

    @property
    def answers(self) -> bool:
        """Whether the process runs and has its model."""
        found = self.state
        alive = self.process is not None and self.process.poll() is None
        return alive and found.get("state") == "running" and found.get("pid") == self.process.pid  # type: ignore[union-attr]


def report_path(folder: Path, number: int) -> Path:
    """Return the file in which a worker reports."""
    return folder / f"worker-{number}.json"


def main(spec_path: str) -> int:
    """Keep the workers until a stop or the end of the lease. Return 0, or 1 if the model cannot be loaded."""
    spec: dict[str, Any] = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    folder = Path(spec["folder"])
    report, lease = Report(folder / "state.json"), Lease(folder / "lease.json", float(spec["lease_s"]))
    report.lease_until = lease.until
    loopback.keep_bounded(folder / "log.txt")
    stopping = False

    def stop(_number: int, _frame: Any) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        report.port = listener.getsockname()[1]
        report.write()
        workers = [Worker(number, spec_path, folder) for number in range(1, int(spec["workers"]) + 1)]
        for each in workers:
            each.start(listener)
        looked, written = time.monotonic(), ""
        while not stopping:
            time.sleep(LOOK_S)
            failed = _failed(workers)
            if failed:
                _end(workers)
                report.end("failed", str(failed["message"]), str(failed["hint"]))
                return 1
            _gather(report, lease, workers)
            lease.read()
            if lease.lapsed:
                _end(workers)
                text = "It was not used: no request came, and nobody extended its time."
                report.end("ended", text, "Deploy the version again.")
                return 0
            for each in workers:
                each.keep(listener)
            if spec.get("gateway") and time.monotonic() - looked > REVIVE_S:
                looked = time.monotonic()
                revive(spec["gateway"])
            shown = f"{report.state} {report.message} {report.requests} {report.errors} {report.lease_until}"
            if shown != written:
                with contextlib.suppress(OSError):  # a full disk: the answers go on
                    report.write()
                    written = shown
        report.state, report.message = "stopping", "Finishing the requests in flight."
        with contextlib.suppress(OSError):
            report.write()
        _end(workers)
        _gather(report, lease, workers)
    report.end("stopped", "Stopped.")
    return 0


def _failed(workers: list[Worker]) -> dict[str, Any] | None:
    """Return the report of a worker that could not load the model, if none ever could."""
    if any(each.ran for each in workers):
        return None
    return next((found for each in workers if (found := each.state).get("state") == "failed"), None)


def _gather(report: Report, lease: Lease, workers: list[Worker]) -> None:
    """Add up what the workers report. The deployment runs while one of them answers."""
    found = [each.state for each in workers]
    requests = sum(int(each.get("requests", 0)) for each in found)
    if requests > report.requests:
        lease.used()
    report.requests = requests
    report.errors = sum(int(each.get("errors", 0)) for each in found)
    report.latencies_ms = deque(each["latency_ms"] for each in found if each.get("latency_ms") is not None)
    report.lease_until = lease.until
    report.reloads = sum(int(each.get("reloads", 0)) for each in found)
    report.reloaded = next((each["reloaded"] for each in found if each.get("reloaded")), "")
    for each in workers:
        each.ran = each.ran or each.answers
    ready = sum(each.answers for each in workers)
    if ready and report.state == "starting":
        report.state = "running"
        report.loading_s = time.monotonic() - report.began
    if report.state == "running":
        report.message = "" if ready == len(workers) else f"{ready} of {len(workers)} workers answer."


def _end(workers: list[Worker]) -> None:
    """Let the workers finish their requests, then end them."""
    running = [each.process for each in workers if each.process is not None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + GRACE_S
    for process in running:
        try:
            process.wait(max(deadline - time.monotonic(), 0.01))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def orphaned(parent: int) -> bool:
    """Return whether the program that keeps a worker has ended."""
    return os.getppid() != parent
