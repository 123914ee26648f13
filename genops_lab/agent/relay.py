"""Connect the keeper to the kernel's sockets.

Each message of the kernel is taken at once, whatever the clients do: the kernel's own queue drops messages
that nobody takes. Requests wait until the subscription to iopub works, so that none of their outputs can be
missed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import struct
import time
from collections import deque
from typing import Any, Callable, Collection, Deque, Dict, List, Optional, Set, Tuple

import zmq

from .journal import Message
from .records import CONTROL, IOPUB, SHELL, STDIN
from .wire import Signer, after_delimiter, msg_type

_PORTS = {IOPUB: 2, SHELL: 1, CONTROL: 5, STDIN: 3}
_BATCH_MESSAGES = 256
_BATCH_BYTES = 8 * 1024 * 1024
#: Seconds between two tries of an unanswered subscription.
_NUDGE_S = 0.05
_LOOK_S = 0.004
_LOOK_LATER_S = 0.1
_SOON_S = 30.0
#: Milliseconds of silence after the kernel's end until all was taken, with and without its connections.
_QUIET_MS, _LAST_MS = 300, 20
_IDENTITY = b"genops-keeper"
#: A monitor's event: its number and a value. zmq.utils.monitor would import asyncio for it: 0.06 s of CPU per
#: keeper.
_EVENT = struct.Struct("=hi")
#: As plain numbers: pyzmq's enumerations cost more than the calls.
_EVENTS, _POLLIN, _NOBLOCK = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.NOBLOCK)


class Relay:
    """``prefix``: the path before ``-PORT`` of the kernel's ipc sockets.

    ``poller`` watches their descriptors. Such a descriptor reports a change only once, and a send may swallow
    the report. So a socket is read after each report and each send, until it has nothing more.
    """

    def __init__(self, prefix: str, signer: Signer, poller: Any) -> None:
        self._prefix = prefix
        self._signer = signer
        self._poller = poller
        self._context: "zmq.Context[Any]" = zmq.Context()
        self._sockets: Dict[int, "zmq.Socket[bytes]"] = {}
        self._descriptors: Dict[int, int] = {}
        self._unread: Set[int] = set(_PORTS)
        self._monitors: Dict[int, Any] = {}
        self._connected: Set[int] = set()
        self._live: Set[int] = set()
        self._began = time.monotonic()
        self._subscribed = False
        self._nudge_at = 0.0
        self._nudges = 0
        #: The last replies to the keeper's own requests.
        self._answers: Deque[List[bytes]] = deque(maxlen=8)
        self._held: Deque[Tuple[int, List[bytes]]] = deque()
        self.held_bytes = 0
        for channel in _PORTS:
            self._make(channel)

    def _make(self, channel: int) -> None:
        kind = zmq.SUB if channel == IOPUB else zmq.DEALER
        sock = self._context.socket(kind)
        for option, value in (
            (zmq.RCVHWM, 0),
            (zmq.SNDHWM, 0),
            (zmq.LINGER, 0),
            (zmq.RECONNECT_IVL, 5),
            (zmq.RECONNECT_IVL_MAX, 200),
        ):
            sock.setsockopt(option, value)
        if channel == IOPUB:
            sock.setsockopt(zmq.SUBSCRIBE, b"")
        else:
            sock.setsockopt(zmq.IDENTITY, _IDENTITY)
        events = zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED
        self._monitors[channel] = sock.get_monitor_socket(events)
        self._sockets[channel] = sock
        self._descriptors[channel] = sock.fileno()
        self._poller.register(sock.fileno(), select.POLLIN)

    # Start

    def look(self) -> Optional[float]:
        """Connect to the sockets that the kernel has bound by now. Returns when to look again (monotonic),
        None: never."""
        now = time.monotonic()
        waiting = [channel for channel in _PORTS if channel not in self._connected]
        for channel in waiting:
            path = f"{self._prefix}-{_PORTS[channel]}"
            if os.path.exists(path):
                self._sockets[channel].connect(f"ipc://{path}")
                self._connected.add(channel)
        if len(self._connected) < len(_PORTS):
            return now + (_LOOK_S if now - self._began < _SOON_S else _LOOK_LATER_S)
        if self._subscribed:
            return None
        if now >= self._nudge_at:
            self._nudges += 1
            self._nudge_at = now + _NUDGE_S * min(self._nudges, 40)
            self._send(SHELL, self._signer.request("kernel_info_request", {}))
        return self._nudge_at

    # To the kernel

    def send(self, channel: int, frames: List[bytes]) -> None:
        """Send a client's message. Control passes at once, where the kernel already listens: without a peer
        ZMQ would wait, and the keeper with it."""
        if self._subscribed or (channel != SHELL and channel in self._connected):
            self._send(channel, frames)
        else:
            self._held.append((channel, frames))
            self.held_bytes += sum(map(len, frames))

    def _send(self, channel: int, frames: List[bytes]) -> None:
        self._sockets[channel].send_multipart(frames)
        self._unread.add(channel)

    @property
    def ready(self) -> bool:
        """Whether the kernel listens and each of its messages is received."""
        return self._subscribed

    def request_shutdown(self) -> None:
        """Ask the kernel to end, as Jupyter does; a kernel that does not listen yet only gets signals."""
        if CONTROL in self._connected:
            self.send(CONTROL, self._signer.request("shutdown_request", {"restart": False}))

    def ask(self, expression: str) -> None:
        """Let the kernel evaluate an expression without output; :meth:`answers` returns the reply."""
        self._answers.clear()
        content = {
            "code": "",
            "silent": True,
            "store_history": False,
            "user_expressions": {"genops": expression},
        }
        content.update(allow_stdin=False, stop_on_error=False)
        self._send(SHELL, self._signer.request("execute_request", content))

    def answers(self) -> List[Dict[str, Any]]:
        """Return the replies to :meth:`ask` so far."""
        found = []
        while self._answers:
            frames = self._answers.popleft()
            start = after_delimiter(frames)
            if start is not None and msg_type(frames[start]) == b"execute_reply":
                found.append(json.loads(frames[start + 3]))
        return found

    def _open_gate(self) -> None:
        self._subscribed = True
        while self._held:
            self.send(*self._held.popleft())
        self.held_bytes = 0

    # From the kernel

    @property
    def unread(self) -> bool:
        """Whether there may be data to receive that the poller does not report."""
        return bool(self._unread)

    def receive(self, ready: Collection[int]) -> List[Message]:
        """Return the kernel's messages, a limited portion of each channel among the poller's ``ready``."""
        found: List[Message] = []
        for channel, descriptor in self._descriptors.items():
            if descriptor in ready or channel in self._unread:
                self._receive(channel, found)
        return found

    def _receive(self, channel: int, found: List[Message]) -> None:
        sock, size = self._sockets[channel], 0
        self._unread.add(channel)
        for _ in range(_BATCH_MESSAGES):
            if not int(sock.getsockopt(_EVENTS)) & _POLLIN:
                self._unread.discard(channel)
                return
            frames = sock.recv_multipart(_NOBLOCK)
            if channel == IOPUB and not self._subscribed:
                self._open_gate()
            if not self._is_own(channel, frames):
                found.append((channel, time.time(), frames))
            elif channel == SHELL:
                self._answers.append(frames)
            size += sum(map(len, frames))
            if size > _BATCH_BYTES:
                return

    def _is_own(self, channel: int, frames: List[bytes]) -> bool:
        """Return whether clients must not see a message: an answer to this keeper's own request or
        subscription."""
        if self._nudges and self._signer.is_mine(frames):
            return True
        start = after_delimiter(frames) if channel == IOPUB else None
        return start is not None and msg_type(frames[start]) == b"iopub_welcome"

    def _note_connections(self) -> bool:
        """Handle the monitors' events; return whether there were any."""
        changed = False
        for channel, monitor in self._monitors.items():
            with contextlib.suppress(zmq.Again):
                while True:
                    event = _EVENT.unpack_from(monitor.recv_multipart(zmq.NOBLOCK)[0])[0]
                    changed = True
                    if event == zmq.EVENT_DISCONNECTED:
                        self._live.discard(channel)
                    elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                        self._live.add(channel)
        return changed

    def drain(self, take: Callable[[List[Message]], None], limit_s: float = 3.0) -> None:
        """Take the last messages of an ended kernel. Its children may keep its connections open."""
        poller = select.poll()
        for descriptor in (*self._descriptors.values(), *(each.fileno() for each in self._monitors.values())):
            poller.register(descriptor, select.POLLIN)
        deadline = time.monotonic() + limit_s
        ready_now: Collection[Any] = (True,)
        while time.monotonic() < deadline:
            changed = self._note_connections()
            self._unread.update(_PORTS)
            messages = self.receive(())
            take(messages)
            if not (messages or changed or ready_now):
                return
            ready_now = poller.poll(_QUIET_MS if self._live else _LAST_MS)

    def close(self) -> None:
        """Close the sockets."""
        for channel, sock in self._sockets.items():
            self._poller.unregister(self._descriptors[channel])
            sock.disable_monitor()
            sock.close(0)
        self._sockets.clear()
        self._descriptors.clear()
        self._monitors.clear()
        self._context.destroy(0)
