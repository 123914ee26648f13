"""Keep a spare kernel until a start takes it.

A spare is in a folder of its own, in no list, uses no GPU (nothing is imported) and ends by itself when no
connection renews it. A taken spare gets the id, the key, the folder and the variables of the order, and
becomes a kernel like any other. It refuses an order with settings that only a start can apply; then a new
kernel is started.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import socket
import time
from typing import Any, Callable, Dict, List, Mapping, Optional

from . import launching, records, wire
from .connection import peer_is_own
from .journal import Journal
from .keep import CannotStart, first_state, hold, new_keeper, redirect
from .keeper import Keeper
from .logs import log
from .paths import forget, listen, socket_folder
from .state_file import CONNECTION, IPC, JOURNAL, KERNEL_LOG, SOCKET, write_state
from .unit_process import KernelProcess
from .warm_pool import SPARE, write_spare

_STAND_S = 120.0
_ANSWER_S = 5.0
_PEER_S = 2.0
_TICK_MS = 1000
#: Variables that programs read when they start: a running kernel cannot get others.
_AT_START = (
    "LD_", "DYLD_", "PYTHON", "IPYTHON", "JUPYTER", "MALLOC_", "GLIBC_", "LC_", "LANG", "HOME", "OMP_", "GOMP_", "KMP_",
    "MKL_", "OPENBLAS_", "NUMEXPR_", "VECLIB_", "BLIS_", "COVERAGE_", "PYDEVD_", "XDG_CONFIG", "XDG_DATA",
)  # fmt: skip


class Refused(Exception):
    """``code``: ``does_not_fit``, or ``stale`` when the spare is useless."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def unfit(have: Mapping[str, str], wanted: Mapping[str, str]) -> List[str]:
    """Return the differing variables that a kernel needs at its start."""
    differ = {name for name in {*have, *wanted} if have.get(name) != wanted.get(name)}
    return sorted(name for name in differ if name.upper().startswith(_AT_START))


class WarmKernel:
    """``order``: argv, env, cwd, signature_scheme, fits, lease_s."""

    def __init__(self, folder: str, order: Dict[str, Any]) -> None:
        """Start the kernel. Raises CannotStart, OSError."""
        self._folder = folder
        self._env: Dict[str, str] = order["env"]
        self._fits = order["fits"]
        self._scheme = order["signature_scheme"]
        self._lease_s = float(order["lease_s"])
        self._until = time.monotonic() + self._lease_s
        argv = launching.spare(order["argv"])
        if argv is None:
            raise CannotStart("not_warm", "Only ipykernel's usual command can be kept ready.")
        hold(folder)
        key = secrets.token_hex(32)
        self.signer = wire.Signer(key, self._scheme)
        sockets = socket_folder(folder)
        self._prefix = os.path.join(sockets, IPC)
        self._connection = os.path.join(folder, CONNECTION)
        wire.write_connection_file(self._connection, self._prefix, key, self._scheme, "")
        command = [part.replace("{connection_file}", self._connection) for part in argv]
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        self.process = KernelProcess(command, self._env, order["cwd"], os.path.join(folder, KERNEL_LOG))
        self._tell(ready=False)
        self._listener = listen(os.path.join(sockets, SOCKET))
        self._over = False
        self._keeper: Optional[Keeper] = None
        self._poller = select.poll()
        self._relay: Any = None

    def _tell(self, *, ready: bool) -> None:
        write_spare(
            self._folder,
            {
                "fits": self._fits,
                "ready": ready,
                "pid": self.process.pid,
                "pid_started": self.process.started,
            },
        )

    def run(self) -> int:
        """Wait to be taken, then keep the kernel to its end."""
        from .relay import Relay

        signal.signal(signal.SIGTERM, lambda *_: self._end())
        self._relay = Relay(self._prefix, self.signer, self._poller)
        self._poller.register(self._listener.fileno(), select.POLLIN)
        self._poller.register(self.process.output, select.POLLIN)
        try:
            if not self._until_it_stands():
                return 1
            self._tell(ready=True)
            while self._keeper is None and self._lives():
                self._turn(_TICK_MS)
                if self._keeper is None and not os.path.exists(os.path.join(self._folder, SPARE)):
                    self._end()  # a cleaner has removed the folder
                if time.monotonic() > self._until:
                    self._end()
            if self._keeper is None:
                return 0
            self._keeper.run()
        except BaseException as error:
            if self._keeper is not None:
                self._keeper.fail(error)
            raise
        finally:
            if self._keeper is None:
                self.process.signal(signal.SIGKILL)
            forget(self._folder)
        return 0

    def _lives(self) -> bool:
        return not self._over and self.process.poll() is None

    def _end(self) -> None:
        """Remove the spare from the list."""
        self._over = True
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._folder, SPARE))

    def _until_it_stands(self) -> bool:
        deadline = time.monotonic() + _STAND_S
        while not self._relay.ready:
            if time.monotonic() > deadline or not self._lives():
                return False
            self._relay.look()
            self._turn(20)
        return self._asked('__import__("sys").modules["genops_spare"].mark()') == ""

    def _turn(self, wait_ms: int) -> None:
        ready = {thing for thing, _ in self._poller.poll(wait_ms)}
        self._relay.receive(ready)  # no client receives it
        if self.process.output in ready:
            descriptor = self.process.output
            if not self.process.read_output():
                self._poller.unregister(descriptor)
        if self._keeper is None and self._listener.fileno() in ready:
            self._accept()

    def _asked(self, expression: str) -> str:
        """Let the kernel evaluate an expression; return "" or the error."""
        self._relay.ask(expression)
        deadline = time.monotonic() + _ANSWER_S
        while time.monotonic() < deadline and self._lives():
            events = {thing for thing, _ in self._poller.poll(20)}
            self._relay.receive(events)
            for content in self._relay.answers():
                reply = dict(content.get("user_expressions") or {}).get("genops") or content
                return "" if reply.get("status") == "ok" else f"{reply.get('ename')}: {reply.get('evalue')}"
        return "the kernel does not answer"

    # Calls of this host's attach

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        with sock:
            if not peer_is_own(sock, os.getuid()):
                return
            sock.settimeout(_PEER_S)
            try:
                answer = self._answered(_read(sock))
                sock.sendall(records.json_record(records.ANSWER, answer))
            except (OSError, ValueError, KeyError, TypeError) as error:
                log(f"A call to the spare kernel failed: {error}")

    def _answered(self, call: Dict[str, Any]) -> Dict[str, Any]:
        calls: Dict[str, Callable[[Dict[str, Any]], Any]] = {
            "renew": self._renew,
            "end": lambda _params: self._end(),
            "take": self._take,
        }
        try:
            return {"result": calls[call["method"]](call["params"])}
        except Refused as error:
            return {"error": {"code": error.code, "message": str(error), "hint": ""}}

    def _renew(self, params: Dict[str, Any]) -> None:
        self._lease_s = float(params["seconds"])
        self._until = time.monotonic() + self._lease_s

    def _take(self, params: Dict[str, Any]) -> Dict[str, Any]:
        folder, order = str(params["folder"]), dict(params["order"])
        differ = unfit(self._env, order["env"])
        if differ:
            raise Refused(
                "does_not_fit", f"The kernel needs these variables at its start: {', '.join(differ)}"
            )
        try:
            return self._become(folder, order)
        except OSError as error:
            self._end()
            raise Refused("stale", f"{type(error).__name__}: {error}") from error

    def _become(self, folder: str, order: Dict[str, Any]) -> Dict[str, Any]:
        lock = hold(folder)
        state = {**first_state(order), "pid": self.process.pid, "pid_started": self.process.started}
        write_state(folder, state)
        journal = Journal(os.path.join(folder, JOURNAL))
        env = {**order["env"], "JPY_PARENT_PID": str(os.getpid())}
        given = json.dumps({"cwd": order["cwd"], "env": env, "key": order["key"]})
        trouble = self._asked(f'__import__("sys").modules["genops_spare"].take({given!r})')
        if trouble or self.process.output < 0:
            journal.close()
            lock.release()
            self._end()
            raise Refused("stale", trouble or "the kernel has closed its output")
        self.signer.take_key(order["key"])
        wire.write_connection_file(self._connection, self._prefix, order["key"], self._scheme, order["name"])
        os.unlink(os.path.join(self._folder, SPARE))
        self._leave()
        self.process.move_log(os.path.join(folder, KERNEL_LOG))
        redirect(folder)
        listener = listen(os.path.join(socket_folder(folder), SOCKET))
        self._poller.unregister(self.process.output)
        from .kernel_unit import KernelUnit

        unit = KernelUnit(state, self.process, relay=self._relay, order=order)
        self._keeper = new_keeper(folder, order, state, journal, listener, unit, self._poller)
        return self._keeper.info()

    def _leave(self) -> None:
        """Remove the spare from the list, so that no other start takes it."""
        self._poller.unregister(self._listener.fileno())
        os.unlink(self._listener.getsockname())
        self._listener.close()


def _read(sock: socket.socket) -> Dict[str, Any]:
    kind, _, length = records.HEADER.unpack(_exactly(sock, records.HEADER.size))
    if kind != records.CALL or length > records.MAX_JSON_BYTES:
        raise ValueError("the call is invalid")
    call: Dict[str, Any] = json.loads(_exactly(sock, length))
    return call


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ConnectionError("the caller has left")
        data += piece
    return data
