"""The sockets of one remote kernel for local clients, as if the kernel ran on this machine.

ROUTER for shell, control and stdin, XPUB for iopub, and a heartbeat. The Lab answers the heartbeat itself,
since it delivers every message later. Everything belongs to the connections' loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import zmq
from jupyter_client.connect import KernelConnectionInfo

from genops_lab.agent.records import CONTROL, IOPUB, SHELL, STDIN

from ...core.paths import private_dir, runtime_dir

log = logging.getLogger("genops_lab")

#: The "ports" of the connection file; for ipc they are the suffixes of the sockets' names.
PORTS = {SHELL: 1, IOPUB: 2, STDIN: 3, CONTROL: 5}
HEARTBEAT_PORT = 4
_ROUTERS = (SHELL, CONTROL, STDIN)
_BATCH = 200
#: Seconds that a reply waits for its client: a page that returns has the same identity.
HOLD_S = 600.0
#: The most bytes of such replies.
HOLD_BYTES = 256 * 1024 * 1024
_RETRY_S = 0.25
#: Messages that may wait for a stalled reader; later ones wait in the host's journal. The number never
#: changes: a ZMQ pipe that has counted with a larger one may stop for good with a smaller one.
_QUEUE_MESSAGES = 5_000
#: Seconds after which a stalled reader loses messages, so that the others continue.
_STALLED_S = 30.0
#: zmq_send copies smaller messages anyway.
_COPY_BELOW = 65536
_PATH_LIMIT = 100
#: As plain numbers: pyzmq's enumerations cost more than the calls.
_EVENTS, _POLLIN, _NOBLOCK = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.NOBLOCK)


class Endpoints:
    """Bound when made. Calls ``received(channel, frames)`` with the clients' messages."""

    def __init__(self, context: zmq.Context[Any], received: Callable[[int, list[bytes]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = received
        self.folder = _folder()
        self.ip = str(self.folder / "c")
        self._sockets: dict[int, zmq.Socket[Any]] = {}
        self._by_port: dict[int, zmq.Socket[Any]] = {}
        self._waiting: dict[tuple[int, bytes], deque[tuple[float, list[bytes]]]] = {}
        self._held_bytes = 0
        self._retry: asyncio.TimerHandle | None = None
        self._scheduled: set[int] = set()
        self._paused = False
        self._full_since: float | None = None
        #: called with the topic of each new subscription to iopub
        self.subscribed: Callable[[bytes], None] | None = None
        try:
            for channel, port in PORTS.items():
                self._sockets[channel] = self._bind(
                    context, zmq.XPUB if channel == IOPUB else zmq.ROUTER, port
                )
            self._heartbeat = self._bind(context, zmq.ROUTER, HEARTBEAT_PORT)
        except BaseException:
            self.close()
            raise
        for port, socket in self._by_port.items():
            self._loop.add_reader(socket.fileno(), self._drain, port)
            self._soon(port)
        self.name_sockets()

    def _bind(self, context: zmq.Context[Any], kind: int, port: int) -> zmq.Socket[Any]:
        socket: zmq.Socket[Any] = context.socket(kind)
        self._by_port[port] = socket
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, 0)
        if kind == zmq.XPUB:
            socket.setsockopt(zmq.XPUB_VERBOSE, 1)
            socket.setsockopt(zmq.XPUB_NODROP, 1)
            socket.setsockopt(zmq.SNDHWM, _QUEUE_MESSAGES)
        else:
            socket.setsockopt(zmq.SNDHWM, 0)
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
            socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        socket.bind(f"ipc://{self.folder}/s{port}")
        return socket

    def name_sockets(self) -> None:
        """Give the sockets the names of the connection file.

        Jupyter removes these names whenever a kernel restarts (``cleanup_ipc_files``), so the sockets
        themselves have others.
        """
        for port in self._by_port:
            with contextlib.suppress(FileExistsError):
                Path(f"{self.ip}-{port}").symlink_to(f"s{port}")

    def connection_info(self, key: bytes, signature_scheme: str) -> KernelConnectionInfo:
        """Return what clients need, as in Jupyter's connection file."""
        info: dict[str, Any] = {
            "transport": "ipc",
            "ip": self.ip,
            "shell_port": PORTS[SHELL],
            "iopub_port": PORTS[IOPUB],
            "stdin_port": PORTS[STDIN],
            "control_port": PORTS[CONTROL],
            "hb_port": HEARTBEAT_PORT,
            "key": key,
            "signature_scheme": signature_scheme,
        }
        return cast(KernelConnectionInfo, info)  # typed as a file has it; managers hold the key as bytes

    # To the clients

    def deliver(self, channel: int, frames: list[bytes]) -> bool:
        """Deliver a kernel's message. False: a reader is too slow, try again later.

        A message after :meth:`close` has no readers, such as the state of a host that is still requested.
        """
        if not self._sockets:
            return True
        if channel == IOPUB:
            return self._publish(frames)
        if (channel, frames[0]) in self._waiting or not self._route(channel, frames):
            self._hold(channel, frames)
            self._retry_later()
        return True

    def _hold(self, channel: int, frames: list[bytes]) -> None:
        """Keep a reply for a client that is away; above the limit the oldest replies are dropped."""
        waiting = self._waiting.setdefault((channel, frames[0]), deque())
        waiting.append((time.monotonic() + HOLD_S, frames))
        self._held_bytes += _size(frames)
        while self._held_bytes > HOLD_BYTES:
            first = min(self._waiting, key=lambda each: self._waiting[each][0][0])
            self._let_go(first)
            if not self._waiting[first]:
                del self._waiting[first]

    def _let_go(self, client: tuple[int, bytes]) -> None:
        _until, frames = self._waiting[client].popleft()
        self._held_bytes -= _size(frames)

    def _publish(self, frames: list[bytes]) -> bool:
        socket = self._sockets[IOPUB]
        try:
            socket.send_multipart(frames, zmq.NOBLOCK, copy=_size(frames) < _COPY_BELOW)
        except zmq.Again:
            return self._publish_when_full(socket, frames)
        finally:
            self._sent(socket, PORTS[IOPUB])
        self._full_since = None
        return True

    def _publish_when_full(self, socket: zmq.Socket[Any], frames: list[bytes]) -> bool:
        now = time.monotonic()
        self._full_since = self._full_since or now
        if now - self._full_since < _STALLED_S:
            return False
        log.warning(
            "A client of a kernel has read nothing for %.0f s: it now loses messages.", now - self._full_since
        )
        socket.setsockopt(zmq.XPUB_NODROP, 0)
        try:
            socket.send_multipart(frames, zmq.NOBLOCK)
        finally:
            socket.setsockopt(zmq.XPUB_NODROP, 1)
        return True

    def _route(self, channel: int, frames: list[bytes]) -> bool:
        socket = self._sockets[channel]
        try:
            socket.send_multipart(frames, zmq.NOBLOCK, copy=_size(frames) < _COPY_BELOW)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            return False
        finally:
            self._sent(socket, PORTS[channel])
        return True

    def _retry_later(self) -> None:
        if self._retry is None:
            self._retry = self._loop.call_later(_RETRY_S, self._retry_all)

    def _retry_all(self) -> None:
        self._retry = None
        now = time.monotonic()
        for (channel, identity), waiting in list(self._waiting.items()):
            while waiting and waiting[0][0] < now:
                self._let_go((channel, identity))
            self._flush(channel, identity)
        if self._waiting:
            self._retry_later()

    def _flush(self, channel: int, identity: bytes) -> None:
        waiting = self._waiting.get((channel, identity))
        if waiting is None:
            return
        while waiting and self._route(channel, waiting[0][1]):
            self._let_go((channel, identity))
        if not waiting:
            del self._waiting[channel, identity]

    # From the clients

    def pause(self, paused: bool) -> None:
        """Read nothing from shell while much waits to be sent to the host."""
        self._paused = paused
        port = PORTS[SHELL]
        if port not in self._by_port:
            return
        if paused:  # unread messages would wake the loop without end
            self._loop.remove_reader(self._by_port[port].fileno())
        else:
            self._loop.add_reader(self._by_port[port].fileno(), self._drain, port)
            self._soon(port)

    def _sent(self, socket: zmq.Socket[Any], port: int) -> None:
        """Look again after a send: a ZMQ descriptor reports a change only once, and a send, even a failed
        one, may have swallowed it."""
        if _readable(socket):
            self._soon(port)

    def _soon(self, port: int) -> None:
        """Look in the loop's next turn."""
        if port not in self._scheduled:
            self._scheduled.add(port)
            self._loop.call_soon(self._look, port)

    def _look(self, port: int) -> None:
        self._scheduled.discard(port)
        self._drain(port)

    def _drain(self, port: int) -> None:
        socket = self._by_port.get(port)
        if socket is None or (self._paused and port == PORTS[SHELL]):
            return
        for _ in range(_BATCH):
            if not _readable(socket):
                return
            self._took(port, socket, socket.recv_multipart(_NOBLOCK))
        self._soon(port)

    def _took(self, port: int, socket: zmq.Socket[Any], frames: list[bytes]) -> None:
        if port == HEARTBEAT_PORT:
            with contextlib.suppress(zmq.ZMQError):  # that client has left
                socket.send_multipart(frames, zmq.NOBLOCK)
        elif port == PORTS[IOPUB]:
            if frames[0][:1] == b"\x01" and self.subscribed is not None:
                self.subscribed(frames[0][1:])
        else:
            channel = next(channel for channel in _ROUTERS if PORTS[channel] == port)
            self._flush(channel, frames[0])
            self._received(channel, frames)

    def close(self) -> None:
        """Close the sockets and remove their folder."""
        if self._retry is not None:
            self._retry.cancel()
        for socket in self._by_port.values():
            with contextlib.suppress(zmq.ZMQError):
                self._loop.remove_reader(socket.fileno())
            socket.close(linger=0)
        self._by_port.clear()
        self._sockets.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


def _folder() -> Path:
    name = f"k-{secrets.token_hex(4)}"
    folder = runtime_dir() / name
    if len(str(folder)) > _PATH_LIMIT:
        folder = Path(tempfile.mkdtemp(prefix="genops-"))
    return private_dir(folder)


def _readable(socket: zmq.Socket[Any]) -> bool:
    return bool(int(socket.getsockopt(_EVENTS)) & _POLLIN)


def _size(frames: list[bytes]) -> int:
    return sum(map(len, frames))
