"""Stands in for the Lab in these tests: a real HTTP server on a real unix socket that records what it gets.

The Lab's own tracking service is tested in ``tests/experiments`` and, end to end, in ``tests/ui``.
"""

from __future__ import annotations

import json
import os
import socketserver
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

Answer = tuple[int, Any]


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class LabStandIn:
    """Takes tracking events in order, each once, and answers other paths from ``answers``."""

    def __init__(self, path: Path, tracking_uri: str = "sqlite:///none.db") -> None:
        self.path = path
        self.tracking_uri = tracking_uri
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.processes: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.answers: dict[tuple[str, str], Callable[[Any], Answer]] = {}
        self.run_ids: dict[str, str] = {}
        self.make_run: Callable[[dict[str, Any]], str] = lambda start: f"run-of-{start['name']}"
        self.refusal: Answer | None = None
        self._lock = threading.Lock()
        self._server: _Server | None = None

    def open(self) -> None:
        """Listen."""
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def address_string(self) -> str:
                return "unix"

            def log_message(self, *_arguments: Any) -> None:
                """Quiet."""

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                status, answer = stand_in.answer(self.command, self.path, body)
                payload = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = _serve

        self._server = _Server(str(self.path), Handler)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def close(self) -> None:
        """Stop listening; what was recorded stays."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            self.path.unlink(missing_ok=True)

    def answer(self, method: str, path: str, body: Any) -> Answer:
        """One request."""
        with self._lock:
            self.requests.append((method, path, body))
            if path == "/genops/tracking/events":
                return self.refusal or self._take(body)
            found = self.answers.get((method, path.partition("?")[0]))
            if found is None:
                return 404, {
                    "error": {"code": "not_found", "message": f"No {path}.", "hint": "Look elsewhere."}
                }
            return found(body)

    def _take(self, batch: dict[str, Any]) -> Answer:
        key, events = batch["run_key"], self.events[batch["run_key"]]
        self.processes[key] = batch["process"]
        for event in batch["events"]:
            if event["seq"] == len(events) + 1:
                events.append(event)
            elif event["seq"] > len(events):
                return 409, self._gap(key, len(events))
        start = events[0]["data"]
        if key not in self.run_ids:
            self.run_ids[key] = self.make_run(start)
        return 200, {
            "run_id": self.run_ids[key],
            "experiment_id": "1",
            "name": start["name"] or "a-name-of-mlflow",
            "acked_seq": len(events),
            "tracking_uri": self.tracking_uri,
        }

    def _gap(self, key: str, acked: int) -> Any:
        if acked == 0:
            del self.events[key]
        return {
            "error": {
                "code": "conflict",
                "message": "An event that follows is missing.",
                "hint": "Send all events after the acknowledged one.",
                "details": {"acked_seq": acked},
            }
        }

    def forget_runs(self) -> None:
        """The store was lost."""
        with self._lock:
            self.events.clear()
            self.run_ids.clear()

    def runs(self) -> list[list[dict[str, Any]]]:
        """The events of each run, in the order in which the runs began."""
        with self._lock:
            found = [list(events) for events in self.events.values()]
        return sorted(found, key=lambda events: float(events[0]["timestamp"]))  # each run is sent by itself

    def only_run(self) -> list[dict[str, Any]]:
        """The events of the one run that there is."""
        (events,) = self.runs()
        return events


def kinds(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The data of the events of one kind."""
    return [event["data"] for event in events if event["kind"] == kind]


def own_metrics(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was logged, without the machine's load."""
    return [
        data
        for data in kinds(events, "metrics")
        if not any(key.startswith("system/") for key in data["values"])
    ]


def eventually(condition: Callable[[], Any], within_s: float = 30.0) -> Any:
    """The first true value of ``condition``; fails when there is none in time."""
    deadline, pause_s = time.monotonic() + within_s, 0.02
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(pause_s)
        pause_s = min(1.3 * pause_s, 0.25)
    raise AssertionError(f"not true within {within_s:.0f} s")


@contextmanager
def lab_stand_in(folder: Path, **options: Any) -> Iterator[LabStandIn]:
    """A stand-in that listens in ``folder``."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = LabStandIn(folder / f"lab-{os.urandom(3).hex()}.sock", **options)
    found.open()
    try:
        yield found
    finally:
        found.close()
