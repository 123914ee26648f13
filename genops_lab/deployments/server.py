"""Serve one model on a loopback port behind a key: the scoring process.

Any interpreter with the model's requirements runs this as a plain file (``python server.py spec.json``). It imports the
standard library, mlflow, fastapi and uvicorn, and ``core/loopback.py`` of genops_lab. The process reports to the Lab in
``state.json`` and reads ``spec.json``, the key's file and ``lease.json`` from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import importlib.util
import json
import math
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genops_lab.core.loopback import Connections

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 64 * 1024 * 1024
GRACE_S = 8
FLUSH_S = 0.3
REVIVE_S = 1.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def _log(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class Report:
    """The state for the Lab: ``state.json``, replaced whole, at most every 0.3 s while requests arrive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.began = time.monotonic()
        self.state = "starting"
        self.message = "Loading the model."
        self.hint = ""
        self.port = 0
        self.lease_until = 0.0
        self.requests = 0
        self.errors = 0
        self.loading_s = 0.0
        self.latencies_ms: deque[float] = deque(maxlen=200)

    def write(self) -> None:
        """Write the file. Raises OSError, such as for a full disk."""
        content = {
            "pid": os.getpid(),
            "written_at": time.time(),
            "state": self.state,
            "message": self.message,
            "hint": self.hint,
            "port": self.port,
            "lease_until": self.lease_until,
            "requests": self.requests,
            "errors": self.errors,
            "loading_s": round(self.loading_s, 1),
            "latency_ms": round(statistics.median(self.latencies_ms), 3) if self.latencies_ms else None,
        }
        descriptor, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".state-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(content, stream)
            Path(temporary).replace(self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise

    def end(self, state: str, message: str, hint: str = "") -> None:
        """Report the final state; on a full disk only in the log."""
        self.state, self.message, self.hint = state, message, hint
        _log(f"{state}: {message} {hint}".rstrip())
        with contextlib.suppress(OSError):
            self.write()


class Lease:
    """The time until which this process may run. Each request and each renewal by the Lab extends it."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = self._extends_s = seconds
        self._seen = 0
        self.until = 0.0
        self.read()

    def used(self) -> None:
        """Extend the lease after a request."""
        self.until = max(self.until, time.time() + self._extends_s)

    def read(self) -> None:
        """Read a renewal by the Lab."""
        try:
            modified = self._path.stat().st_mtime_ns
            if modified != self._seen:
                self._seen = modified
                found = json.loads(self._path.read_text())
                until = float(found["until"])
                # A revision that gets no requests any more stays for a shorter time.
                self._extends_s = float(found.get("warm_s") or self._seconds)
                self.until = until if "warm_s" in found else max(self.until, until)
        except (OSError, ValueError, KeyError) as error:
            _log(f"Cannot read the lease: {error}")

    @property
    def lapsed(self) -> bool:
        """Whether the lease has ended."""
        return time.time() > self.until


class RequestGuard:
    """Check host, origin, key and size of each request before the app; count the requests to the model."""

    def __init__(
        self, app: App, key: str, report: Report, lease: Lease, timeout_s: float, connections: Connections
    ) -> None:
        self._app = app
        self._authorization = f"Bearer {key}".encode()
        self._report = report
        self._lease = lease
        self._timeout_s = timeout_s
        self._connections = connections
        self.changed = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        self._connections.admit(scope["client"])
        if scope["path"] != "/invocations":
            await self._app(scope, receive, send)
            return
        await self._score(scope, receive, send)

    def _refusal(self, scope: Message) -> tuple[int, str, str] | None:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin")
        if not _is_loopback(host) or (
            origin is not None and not _is_loopback(origin.decode("latin-1"), origin=True)
        ):
            return 403, "PERMISSION_DENIED", "Use localhost or 127.0.0.1 as the host and origin of requests."
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._authorization):
            return 401, "UNAUTHENTICATED", "Send the deployment's key: Authorization: Bearer <key>."
        if int(headers.get(b"content-length", b"0")) > MAX_BODY_BYTES:
            return _TOO_LARGE
        return None

    async def _score(self, scope: Message, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        timeout_s = min(self._timeout_s, _time_left(scope))
        status = 500
        started = False

        async def counted(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
            await send(message)

        try:
            body = await _whole_body(receive)
            if body is None:
                await _answer(counted, *_TOO_LARGE)
            else:
                await asyncio.wait_for(self._app(scope, _given(body, receive), counted), timeout_s)
        except (asyncio.TimeoutError, TimeoutError):
            if not started:
                text = f"The model did not answer within {timeout_s:.0f} s."
                await _answer(counted, 504, "DEADLINE_EXCEEDED", text)
        finally:
            self._lease.used()
            self._report.requests += 1
            self._report.errors += status >= 400
            self._report.latencies_ms.append((time.perf_counter() - began) * 1000)
            self.changed.set()


def _time_left(scope: Message) -> float:
    """Return the seconds for which the caller still waits, as the gateway says."""
    try:
        return max(float(dict(scope["headers"]).get(b"x-request-timeout", b"inf")), 0.0)
    except ValueError:
        return math.inf


_TOO_LARGE = (413, "REQUEST_TOO_LARGE", f"A request body may have at most {MAX_BODY_BYTES // 2**20} MiB.")


def _is_loopback(text: str, *, origin: bool = False) -> bool:
    if origin:
        scheme, _, text = text.partition("://")
        if scheme not in ("http", "https"):
            return False
    name, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal():
        name = text
    return name.lower() in LOOPBACK


async def _whole_body(receive: Receive) -> bytes | None:
    """Return the body, or None if it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _given(body: bytes, receive: Receive) -> Receive:
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


async def _answer(send: Send, status: int, code: str, message: str) -> None:
    body = json.dumps({"error_code": code, "message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def load(folder: str) -> Any:
    """Load the model as MLflow's scoring app."""
    import mlflow.pyfunc
    from mlflow.pyfunc import scoring_server

    app = scoring_server.init(mlflow.pyfunc.load_model(folder))
    # Its only middleware is a time limit with a task group for each request; RequestGuard's limit is cheaper.
    app.user_middleware.clear()
    return app


def load_failure(error: BaseException) -> tuple[str, str]:
    """Return the message and hint for a model that failed to load."""
    text = f"{type(error).__name__}: {error}"
    first = text.strip().splitlines()[0][:300]
    if "MLFLOW_ALLOW_PICKLE_DESERIALIZATION" in text or "pickle" in text.lower():
        return (
            f"The model is saved as a pickle, which needs your confirmation to load. {first}",
            "Deploy it again and confirm that you trust it. Or save it without pickle: scikit-learn with "
            "serialization_format='skops', PyTorch with an input_example (pt2).",
        )
    if isinstance(error, ModuleNotFoundError):
        return (
            f"The model needs the package {error.name!r}, which its environment does not have.",
            "Log the model with the package in pip_requirements or extra_pip_requirements, then register it again.",
        )
    if isinstance(error, MemoryError):
        return (
            "The machine has too little memory for the model.",
            "Stop kernels or deployments, then deploy the model again.",
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full.", "Free some disk space, then deploy again."
    return (
        f"Cannot load the model. {first}",
        "The log has the whole error. Correct the code that logs the model, then log and register it again.",
    )


async def serve(
    app: App, key: str, spec: dict[str, Any], report: Report, lease: Lease, loopback: ModuleType
) -> None:
    """Answer requests until a signal or the end of the lease."""
    import uvicorn

    connections: Connections = loopback.Connections()
    guard = RequestGuard(app, key, report, lease, float(spec.get("timeout_s", 60)), connections)
    config = uvicorn.Config(
        guard,
        http=connections.protocol(),
        ws="none",
        backlog=loopback.BACKLOG,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=30,
    )

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # replaced below: uvicorn's handler would end the process before its final report

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            report.loading_s = time.monotonic() - report.began
            lease.used()  # the time for loading does not count
            report.lease_until = lease.until
            report.state, report.message = "running", ""
            report.write()
            _log(f"running: http://127.0.0.1:{report.port}/invocations")

    server = Server(config)

    def stop() -> None:
        report.state, report.message = "stopping", "Finishing the requests in flight."
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    # asyncio turns Nagle's algorithm off only if the protocol is named; with Nagle an answer takes 44 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        report.port = listener.getsockname()[1]
        keeper = asyncio.create_task(_keep(server, guard, report, lease, spec.get("gateway")))
        await server.serve(sockets=[listener])
        keeper.cancel()


def revive(gateway: dict[str, Any]) -> None:
    """Start the gateway again if it was killed although it has a route to here: there may be no Lab that does.

    A gateway holds the lock of its folder while it runs. If several start at once, one stays.
    """
    import fcntl

    try:
        if not Path(gateway["route"]).exists():
            return
        with open(gateway["lock"], "rb") as lock:  # noqa: PTH123 - for its descriptor
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with Path(gateway["log"]).open("ab") as log:
            subprocess.Popen(
                gateway["argv"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _log("The gateway had ended and was started again.")
    except OSError:
        return  # it runs, or there was none yet


async def _keep(
    server: Any, guard: RequestGuard, report: Report, lease: Lease, gateway: dict[str, Any] | None
) -> None:
    """Write the figures when they change; end the server with its lease; see that there is a gateway."""
    looked = time.monotonic()
    while not server.should_exit:
        if gateway and time.monotonic() - looked > REVIVE_S:
            looked = time.monotonic()
            revive(gateway)
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(guard.changed.wait(), 1.0)
        lease.read()
        if lease.lapsed:
            report.state = "ended"
            server.should_exit = True
        if guard.changed.is_set() or report.lease_until != lease.until:
            guard.changed.clear()
            report.lease_until = lease.until
            try:
                report.write()
            except OSError as error:  # late figures must not stop the answers
                _log(f"Cannot write state.json: {error}")
        await asyncio.sleep(FLUSH_S)


def _loopback() -> ModuleType:
    """Load ``genops_lab/core/loopback.py`` by its path: not every model's environment has the package."""
    path = Path(__file__).resolve().parents[1] / "core" / "loopback.py"
    found = importlib.util.spec_from_file_location("genops_loopback", path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def main(spec_path: str) -> int:
    """Serve the model of ``spec.json``. Return 0 after a stop or the end of the lease, else 1."""
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    folder = Path(spec["folder"])
    report = Report(folder / "state.json")
    lease = Lease(folder / "lease.json", float(spec["lease_s"]))
    loopback = _loopback()
    loopback.keep_bounded(folder / "log.txt")
    report.lease_until = lease.until
    try:
        report.write()
        _log("starting: loading the model")
        app = load(spec["model"])
    except BaseException as error:  # report all that a model's code raises, also SystemExit
        traceback.print_exc()
        report.end("failed", *load_failure(error))
        return 1
    try:
        key = Path(spec["key_file"]).read_text(encoding="utf-8").strip()
        asyncio.run(serve(app, key, spec, report, lease, loopback))
    except OSError as error:
        traceback.print_exc()
        full = error.errno == errno.ENOSPC
        hint = "Free some disk space, then deploy again." if full else "See the log, then deploy again."
        report.end("failed", f"The scoring process cannot serve requests: {error.strerror or error}.", hint)
        return 1
    if report.state == "ended":
        report.end(
            "ended",
            "It was not used: no request came, and nobody extended its time.",
            "Deploy the version again.",
        )
    else:
        report.end("stopped", "Stopped.")
    return 0


if __name__ == "__main__":
    # Import nothing from the folder of this file: a model may have modules of the same names.
    if sys.path and Path(sys.path[0] or ".").resolve() == Path(__file__).resolve().parent:
        del sys.path[0]
    sys.exit(main(sys.argv[1]))
