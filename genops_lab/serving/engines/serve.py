"""Run an engine for one revision: ``python serve.py spec.json``.

The process starts the engine on a loopback port, waits until it is ready, and reports in ``state.json`` as scoring
processes do. The engine is a child that ends with it. Figures of tokens are in ``tokens.json``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

if (
    __name__ == "__main__"
    and sys.path
    and Path(sys.path[0] or ".").resolve() == Path(__file__).resolve().parent
):
    del sys.path[0]  # the files beside this one are no modules of everybody
    _CODE = str(Path(__file__).resolve().parents[3])
    if _CODE not in sys.path:  # on a host GenOps Lab is a folder of files beside the model
        sys.path.insert(0, _CODE)

from genops_lab.serving.engines import figures
from genops_lab.serving.engines.settings import COMMAND
from genops_lab.serving.engines.starting import EngineStart, start_of
from genops_lab.serving.scorer import replicas
from genops_lab.serving.scorer.lease import Lease
from genops_lab.serving.scorer.report import Report, log
from genops_lab.serving.scorer.revival import revive

POLL_S = 0.1
LOOK_S = 1.0
GRACE_S = 8.0
SLEEPS = "It sleeps, because nobody used it. The next request loads the model."
_PR_SET_PDEATHSIG = 1
_LOG_END = 4000


class EngineFailed(Exception):
    """The engine cannot serve. The first argument is the message, the second the hint."""


class Engine:
    """An engine as a child process, with its port and its key."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.serving: dict[str, Any] = spec["serving"]
        self.name: str = spec["name"]
        self.folder = Path(spec["folder"])
        self.key = Path(spec["key_file"]).read_text(encoding="utf-8").strip()
        self.port = self._port()
        self.log_from = _size(self.folder / "log.txt")
        self.start: EngineStart = start_of(
            {**self.serving, "sleep_s": spec.get("sleep_s", 0)},
            self.name,
            Path(spec["model"]),
            self.folder,
            self.port,
            self.key,
        )
        try:
            self.child = subprocess.Popen(
                self.start.argv, cwd=self.folder, env={**os.environ, **self.start.environment},
                stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr, preexec_fn=_end_with_parent,
            )  # fmt: skip
        except OSError as error:
            raise EngineFailed(
                f"Cannot start {self.start.argv[0]}: {error.strerror}.",
                "Check the command, then deploy again.",
            ) from error

    def _port(self) -> int:
        """Return the port of a command that has one, else a free one. Raises EngineFailed for a port in use."""
        asked = int(self.serving.get("port", 0))
        with socket.socket() as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                found.bind(("127.0.0.1", asked))
            except OSError as error:
                raise EngineFailed(
                    f"Another program uses port {asked}.",
                    "End that program, or leave --port out and let the command listen on $PORT.",
                ) from error
            return int(found.getsockname()[1])

    def is_ready(self) -> bool:
        """Return whether the model is loaded. Raises EngineFailed if the engine has ended or is open."""
        code = self.child.poll()
        if code is not None:
            is_command = self.serving["engine"] == COMMAND
            raise EngineFailed(
                *self._ended(code, "before it answered" if is_command else "while it loaded the model")
            )
        if figures.ask(self.port, self.start.health, self.key)[0] != 200:
            return False
        if self.start.keyed and figures.ask(self.port, "/v1/models", "")[0] not in (401, 403):
            raise EngineFailed(
                "The engine answers without the key, so it is not used.",
                "Update the engine, then deploy again.",
            )
        return True

    @property
    def sleeps(self) -> bool:
        """Whether the engine has unloaded its model until the next request. Asking does not wake it."""
        return figures.sleeps(self.port, self.key)

    def check(self) -> None:
        """Raise EngineFailed if the engine has ended."""
        code = self.child.poll()
        if code is not None:
            raise EngineFailed(*self._ended(code, "while it served"))

    def _ended(self, code: int, doing: str) -> tuple[str, str]:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        lines = _end_of(self.folder / "log.txt", self.log_from)
        why = next(
            (line for line in reversed(lines) if "error" in line.lower() or "failed" in line.lower()), ""
        )
        why = why or (lines[-1] if lines else "")
        memory = " The machine may have run out of memory." if code == -signal.SIGKILL else ""
        said = f" Its log says: {why[:200]}" if why else ""
        what = "The command" if self.serving["engine"] == COMMAND else "The engine"
        return f"{what} {how} {doing}.{said}", f"Read the log, then deploy again.{memory}"

    def stop(self) -> None:
        """End the engine."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


class Counts:
    """The figures since the revision started: the gateway's own begin again when it does."""

    _ADDED = ("requests", "errors", "prompt_tokens", "completion_tokens")

    def __init__(self) -> None:
        self.totals = dict.fromkeys(self._ADDED, 0)
        self._seen = dict.fromkeys(self._ADDED, 0)
        self.latest: dict[str, Any] = {}

    def add(self, found: dict[str, Any]) -> bool:
        """Take the gateway's counts. Return whether there were requests since the last ones."""
        if not found:
            return False
        before = self.totals["requests"]
        if found["requests"] < self._seen["requests"]:
            self._seen = dict.fromkeys(self._ADDED, 0)
        for name in self._ADDED:
            self.totals[name] += found[name] - self._seen[name]
            self._seen[name] = found[name]
        self.latest = found
        return self.totals["requests"] > before


def serve(spec: dict[str, Any], report: Report, lease: Lease) -> None:
    """Serve until a signal, the end of the lease, or of the engine. Raises EngineFailed."""
    stopping = False

    def stop(*_given: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    engine = Engine(spec)
    try:
        while not engine.is_ready():
            if stopping:
                return
            time.sleep(POLL_S)
        report.loading_s = time.monotonic() - report.began
        report.port = engine.port
        report.state, report.message = "running", ""
        lease.used()
        report.lease_until = lease.until
        report.write()
        log(f"running: http://127.0.0.1:{engine.port}")
        counts, looked = Counts(), 0.0
        while not stopping:
            engine.check()
            time.sleep(POLL_S)
            if time.monotonic() - looked < LOOK_S:
                continue
            looked = time.monotonic()
            revive(spec["gateway"])
            if replicas.look(spec, Path(__file__)):
                return
            lease.read()
            _look(spec, engine, counts, report, lease)
            if lease.lapsed:
                report.state = "ended"
                return
        _finish(spec, engine)
    finally:
        engine.stop()


def _look(spec: dict[str, Any], engine: Engine, counts: Counts, report: Report, lease: Lease) -> None:
    """Write what changed: counts for ``state.json``, tokens for ``tokens.json``."""
    used = counts.add(figures.of_gateway(spec["gateway"], engine.name, int(spec["number"])))
    if used:
        lease.used()
    shown = {name: counts.totals[name] for name in ("prompt_tokens", "completion_tokens")} | {
        name: counts.latest.get(name) for name in ("tokens_per_s", "first_token_ms")
    }
    # An idle engine is not asked: it has nothing to say.
    if used or counts.latest.get("in_flight"):
        shown |= figures.of_engine(engine.port, engine.key)
    report.requests, report.errors = counts.totals["requests"], counts.totals["errors"]
    report.latencies_ms.clear()
    report.latencies_ms.extend(counts.latest.get("latencies_ms", []))
    changed = report.lease_until != lease.until
    if spec.get("sleep_s"):
        changed |= _note_sleep(report, engine, used=used or bool(counts.latest.get("in_flight")))
    report.lease_until = lease.until
    try:
        if used or changed:
            report.write()
        # The gateway takes figures that are old for missing: while there are requests they are written each time.
        if shown != getattr(counts, "written", None) or counts.latest.get("in_flight"):
            _replace(engine.folder / "tokens.json", json.dumps(shown))
            counts.written = shown  # type: ignore[attr-defined]
    except OSError as error:  # late figures must not stop the answers
        log(f"Cannot write the figures: {error}")


def _note_sleep(report: Report, engine: Engine, *, used: bool) -> bool:
    """Note whether the model is unloaded. Return whether that changed. A model that sleeps is not asked again."""
    asleep = False if used else report.asleep or engine.sleeps
    if asleep == report.asleep:
        return False
    report.asleep, report.message = asleep, SLEEPS if asleep else ""
    return True


def _finish(spec: dict[str, Any], engine: Engine) -> None:
    """Wait for the answers in flight."""
    until = time.monotonic() + GRACE_S
    while time.monotonic() < until and engine.child.poll() is None:
        found = figures.of_gateway(spec["gateway"], engine.name, int(spec["number"]))
        if not found.get("in_flight"):
            return
        time.sleep(POLL_S)


def main(spec_path: str) -> int:
    """Serve the revision of ``spec.json``. Return 0 after a stop or the end of the lease, else 1."""
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    report = Report(Path(spec["folder"]) / "state.json")
    lease = Lease(Path(spec["folder"]) / "lease.json", float(spec["lease_s"]))
    report.lease_until = lease.until
    try:
        report.write()
        log(f"starting: {spec['serving']['engine']}")
        serve(spec, report, lease)
    except EngineFailed as error:
        report.end("failed", *error.args)
        return 1
    except OSError as error:
        report.end(
            "failed",
            f"The engine cannot be started: {error.strerror or error}.",
            "Read the log, then deploy again.",
        )
        return 1
    if report.state == "ended":
        report.end(
            "ended", "It was not used: no request came, and nobody extended its time.", "Deploy it again."
        )
    else:
        report.end("stopped", "Stopped.")
    return 0


def _end_with_parent() -> None:
    """Make the kernel end the child when this process is killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _end_of(path: Path, start: int) -> list[str]:
    """Return the last lines of the log, from ``start`` on."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(start, _size(path) - _LOG_END))
            text = stream.read(_LOG_END).decode("utf-8", "replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
