"""Run the scoring process: load the model, answer on a loopback port, report, end with the lease.

The process reports to the Lab in ``state.json`` and reads ``spec.json``, the key's file and ``lease.json`` from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from . import loopback, memory, replicas
from .endpoints import Endpoints, endpoints
from .guard import RequestGuard
from .lease import Lease
from .listening import Listening
from .loading import load, load_failure
from .prediction import Predictions
from .report import Report, log
from .revival import revive
from .succession import become
from .workers import orphaned, report_path

GRACE_S = 8
FLUSH_S = 0.3
REVIVE_S = 1.0
TIMEOUT_S = 60.0


class ScoringProcess:
    """One process with one model.

    A process whose model hangs, or that uses too much memory, starts itself again with the same pid and port. Requests
    wait in the backlog of the socket meanwhile. ``succession`` is what the process before gave: its socket, and why.
    """

    def __init__(self, spec_path: str, succession: str = "{}") -> None:
        self._spec_path = spec_path
        self.spec: dict[str, Any] = json.loads(Path(spec_path).read_text(encoding="utf-8"))
        folder = Path(self.spec["folder"])
        given: dict[str, Any] = json.loads(succession)
        #: The number of this process among several that share the socket; 0 for the only one.
        self._worker = int(given.get("worker", 0))
        self._parent = os.getppid()
        self.report = Report(report_path(folder, self._worker) if self._worker else folder / "state.json")
        self.lease = Lease(folder / "lease.json", float(self.spec["lease_s"]))
        self.timeout_s = float(self.spec.get("timeout_s") or TIMEOUT_S)
        self.predictions = Predictions(self.timeout_s, int(self.spec.get("batch_rows") or 0) * 2)
        self.sleep_s = float(self.spec.get("sleep_s") or 0)
        self._why_again = ""
        self._sleeps = False
        self._inherited: int | None = given.get("socket")
        if self._inherited is not None:
            os.set_inheritable(self._inherited, False)
            with contextlib.suppress(FileNotFoundError):  # a worker's first start
                self.report.go_on(starting=bool(self._worker))
            self.lease.extend(self.report.lease_until)
        self._note = str(given.get("why", ""))
        if not self._worker:
            loopback.keep_bounded(folder / "log.txt")
        self.report.lease_until = self.lease.until

    def load(self) -> Endpoints:
        """Load the model. Raises whatever its code raises."""
        self.report.write()
        log("starting: loading the model")
        if limit := int(self.spec.get("memory_bytes") or 0):
            memory.watch(limit, self._too_large)
        return endpoints(load(self.spec["model"]), self.spec, self.predictions)

    def _too_large(self, used: int) -> None:
        limit = memory.shown(int(self.spec["memory_bytes"]))
        if not self.report.loading_s:
            text = f"The model used {memory.shown(used)} of memory while it was loaded; its limit is {limit}."
            self.report.end("failed", text, "Deploy it again with a higher memory limit.")
            os._exit(1)
        self._why_again = f"it used {memory.shown(used)} of memory, more than its limit of {limit}."

    def _listen(self) -> socket.socket:
        if self._inherited is not None:
            return socket.socket(fileno=self._inherited)
        # asyncio turns Nagle's algorithm off only if the protocol is named; with Nagle an answer takes 44 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        return listener

    async def serve(self, answers: Endpoints, key: str) -> None:
        """Answer requests until a signal or the end of the lease."""
        import uvicorn

        process, report = self, self.report
        connections = loopback.Connections()
        guard = RequestGuard(answers, key, report, self.lease, self.timeout_s, connections)
        config = uvicorn.Config(
            guard,
            http=connections.protocol(),
            ws="none",
            # asyncio accepts so many connections at once: a worker leaves the next one to the others.
            backlog=1 if self._worker else loopback.BACKLOG,
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
                kept.listen(loopback.BACKLOG)
                if listening is not None:
                    listening.begin()
                process.began()

        server = Server(config)

        def stop() -> None:
            report.state, report.message = "stopping", "Finishing the requests in flight."
            server.should_exit = True

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        with self._listen() as listener:
            report.port = listener.getsockname()[1]
            kept = listener.dup()  # uvicorn closes its own at the end; requests of a next process wait here
            listening = Listening(listener, config, server) if self.sleep_s else None
            keeper = asyncio.create_task(self._keep(server, guard, listening, stop))
            await server.serve(sockets=[] if listening else [listener])
            keeper.cancel()
        if self._why_again and report.state == "running":
            self._start_again(kept)
        if self._sleeps and report.state == "running":
            self._become(kept, sleep=True)
        kept.close()

    def began(self) -> None:
        """Report that the model answers."""
        report = self.report
        report.loading_s = time.monotonic() - report.began
        self.lease.used()  # the time for loading does not count
        report.lease_until = self.lease.until
        report.state = "running"
        report.message = f"The model was loaded again: {self._note}" if self._note else ""
        report.write()
        used = memory.shown(memory.used_bytes())
        log(
            f"running: http://127.0.0.1:{report.port}/invocations, loaded in {report.loading_s:.1f} s, {used} of memory"
        )

    def _start_again(self, listener: socket.socket) -> NoReturn:
        log(f"The model is loaded again: {self._why_again}")
        self._become(listener, why=self._why_again)

    def _become(self, listener: socket.socket, **given: Any) -> NoReturn:
        if self._why_again:
            self.report.reloads, self.report.reloaded = self.report.reloads + 1, self._why_again
        with contextlib.suppress(OSError):  # its counts go on from the last ones written
            self.report.write()
        become(self._spec_path, listener, **given, **({"worker": self._worker} if self._worker else {}))

    async def _keep(
        self, server: Any, guard: RequestGuard, listening: Listening | None, stop: Callable[[], None]
    ) -> None:
        """Write the figures when they change; end the server with its lease; see that there is a gateway."""
        looked = time.monotonic()
        report, lease = self.report, self.lease
        gateway = None if self._worker else self.spec.get("gateway")
        while not server.should_exit:
            if gateway and time.monotonic() - looked > REVIVE_S:
                looked = time.monotonic()
                revive(gateway)
                if replicas.look(self.spec, Path(__file__).with_name("__main__.py")):
                    server.should_exit = True
            with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(guard.changed.wait(), 1.0)
            lease.read()
            if self._worker and orphaned(self._parent):
                stop()
            elif not self._worker and lease.lapsed:
                report.state = "ended"
                server.should_exit = True
            if self.predictions.lost and not self._why_again:
                self._why_again = f"a prediction did not end within {2 * self.timeout_s:g} s."
            if listening and not guard.in_flight and listening.ends_after(self.sleep_s):
                self._sleeps = True
            if self._why_again or self._sleeps:
                server.should_exit = True
            if guard.changed.is_set() or report.lease_until != lease.until:
                guard.changed.clear()
                report.lease_until = lease.until
                try:
                    report.write()
                except OSError as error:  # late figures must not stop the answers
                    log(f"Cannot write state.json: {error}")
            await asyncio.sleep(FLUSH_S)

    def end(self) -> None:
        """Report the end after a stop or the end of the lease."""
        if self.report.state == "ended":
            self.report.end(
                "ended",
                "It was not used: no request came, and nobody extended its time.",
                "Deploy the version again.",
            )
        else:
            self.report.end("stopped", "Stopped.")
        if self.predictions.longest_s:  # Python would wait for its thread
            sys.stderr.flush()
            os._exit(0)


def main(*arguments: str) -> int:
    """Serve the model of ``spec.json``. Return 0 after a stop or the end of the lease, else 1."""
    process = ScoringProcess(*arguments)
    report = process.report
    try:
        answers = process.load()
    except BaseException as error:  # report all that a model's code raises, also SystemExit
        traceback.print_exc()
        report.end("failed", *load_failure(error))
        return 1
    try:
        key = Path(process.spec["key_file"]).read_text(encoding="utf-8").strip()
        asyncio.run(process.serve(answers, key))
    except OSError as error:
        traceback.print_exc()
        full = error.errno == errno.ENOSPC
        hint = "Free some disk space, then deploy again." if full else "See the log, then deploy again."
        report.end("failed", f"The scoring process cannot serve requests: {error.strerror or error}.", hint)
        return 1
    process.end()
    return 0
