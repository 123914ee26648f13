"""Manage the connections to a keeper: one client of the unit at a time, and calls of this host's ``attach``."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Set

from . import records
from .connection import Connection, peer_is_own
from .frames import ProtocolError
from .logs import log

if TYPE_CHECKING:
    from .keeper import Keeper

_MAX_CONNECTIONS = 64
_MAX_CLIENTS = 256
_MAX_HELD_BYTES = 8 * 1024 * 1024
#: Seconds at most until a client gets the acknowledgement of its message: usually the unit sends something
#: before.
_SEEN_AFTER_S = 0.005


class Attachments:
    """``seen`` has the last message number of each client, so that no message is taken twice."""

    def __init__(self, keeper: "Keeper", listener: socket.socket, seen: Dict[str, int]) -> None:
        self._keeper = keeper
        self._listener = listener
        self.seen = seen
        self._connections: Dict[int, Connection] = {}
        self._masks: Dict[int, int] = {}
        self._due_seen: Set[int] = set()
        #: When to acknowledge the client's messages (monotonic), if the unit sends nothing before.
        self.tell_at: Optional[float] = None
        self._waiting_for_end: List[Connection] = []
        #: The unit's client.
        self.client: Optional[Connection] = None

    def __len__(self) -> int:
        return len(self._connections)

    def __contains__(self, number: object) -> bool:
        return number in self._connections

    def unit_ended(self) -> None:
        """Answer the calls that wait for the unit's end."""
        for connection in self._waiting_for_end:
            connection.answer(self._keeper.info())
        self._waiting_for_end.clear()

    def pump(self, *, said: bool) -> None:
        """Send to every connection what it can take. ``said``: the unit has sent something."""
        waits = not said and self.tell_at is not None and time.monotonic() < self.tell_at
        for connection in list(self._connections.values()):
            if not waits or connection is not self.client or self._masks[connection.number] & select.POLLOUT:
                self._pump(connection)
        if not waits:
            self.tell_at = None

    def close(self) -> None:
        """Close all connections."""
        for connection in list(self._connections.values()):
            self._drop(connection)

    def accept(self) -> None:
        """Accept a connection."""
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        if len(self._connections) >= _MAX_CONNECTIONS or not peer_is_own(sock, os.getuid()):
            sock.close()
            return
        connection = Connection(sock)
        self._connections[connection.number] = connection
        self._register(connection, select.POLLIN)

    def _register(self, connection: Connection, mask: int) -> None:
        if self._masks.get(connection.number) != mask:
            self._masks[connection.number] = mask
            self._keeper.poller.register(connection.number, mask)

    def receive(self, number: int) -> None:
        """Handle data on the connection with this descriptor."""
        connection = self._connections[number]
        try:
            received = connection.receive()
            if received is None:
                self._drop(connection)
                return
            for kind, seq, payload in received:
                self._handle(connection, kind, seq, payload)
        except (ProtocolError, ValueError, TypeError) as error:
            log(f"A client broke the protocol: {error}")
            self._drop(connection)

    def _handle(self, connection: Connection, kind: int, seq: int, payload: records.Payload) -> None:
        if connection.closing:
            return
        if kind == records.HELLO:
            self._hello(connection, records.body(payload))
        elif kind == records.CALL:
            self._call(connection, records.body(payload))
        elif connection is not self.client:
            raise ProtocolError("A record came before the client had sent its name.")
        elif kind == records.ACK:
            self._keeper.journal.acknowledge(seq)
        else:
            self._message(connection, seq, payload)

    def _hello(self, connection: Connection, body: Dict[str, Any]) -> None:
        if connection.client:
            raise ProtocolError("A client sent its name twice.")
        client = str(body.get("client") or "")[:64]
        after = int(body.get("after") or 0)
        if not client or after < 0:
            raise ProtocolError("A client did not send its name.")
        if body.get("incarnation") and body["incarnation"] != self._keeper.state["incarnation"]:
            after = 0
        holder = self.client
        if holder is not None:
            if holder.client == client:  # its old connection is dead, which this host has not noticed
                self._drop(holder)
            elif not body.get("takeover"):
                who = {"client": holder.client, "label": holder.label, "since": holder.since}
                connection.send(records.json_record(records.BUSY, who))
                connection.closing = True
                return
            else:
                self._take_over(holder, client, str(body.get("label") or ""))
        connection.client, connection.label = client, str(body.get("label") or "")[:200]
        connection.since = time.time()
        self.client = connection
        self._keeper.lease.attached(True)
        self._keeper.journal.skip_to(after)
        # A Lab that ended may have sent a part of what the next one goes on with.
        names = (client, *(str(name)[:64] for name in body.get("continues") or ()))
        self._remember(client, max(self.seen.get(name, 0) for name in names))
        welcome = {**self._keeper.info(), "seen": self.seen[client], **self._keeper.unit.welcome()}
        connection.send(records.json_record(records.WELCOME, welcome))
        connection.follow(self._keeper.journal, after)

    def _take_over(self, holder: Connection, client: str, label: str) -> None:
        holder.leave_journal()
        holder.send(records.json_record(records.TAKEN, {"client": client, "label": label}))
        holder.closing = True
        self.client = None

    def _remember(self, client: str, seq: int) -> None:
        self.seen.pop(client, None)
        self.seen[client] = seq
        while len(self.seen) > _MAX_CLIENTS:
            del self.seen[next(iter(self.seen))]

    def _message(self, connection: Connection, seq: int, payload: records.Payload) -> None:
        channel, timestamp, frames = records.unpack(payload)
        if channel not in self._keeper.unit.inputs:
            raise ProtocolError(f"A client wrote to channel {channel}.")
        self._due_seen.add(connection.number)
        self.tell_at = self.tell_at or time.monotonic() + _SEEN_AFTER_S
        if seq <= self.seen[connection.client]:
            return
        self.seen[connection.client] = seq
        self._keeper.unit.take(channel, timestamp, frames)

    def _pump(self, connection: Connection) -> None:
        if connection.number in self._due_seen:
            self._due_seen.discard(connection.number)
            connection.send(records.record(records.SEEN, self.seen[connection.client]))
        if not self._keeper.runs and connection.attached and connection.delivered and not connection.closing:
            gone = {
                key: self._keeper.state.get(key) for key in ("exit_code", "reason", "ended_at", "ended_by")
            }
            connection.send(records.json_record(records.GONE, gone))
            connection.closing = True
        more = connection.pump()
        if more is None:
            self._drop(connection)
            return
        full = self._keeper.unit.held_bytes > _MAX_HELD_BYTES
        self._register(connection, (0 if full else select.POLLIN) | (select.POLLOUT if more else 0))

    def _drop(self, connection: Connection) -> None:
        if self._connections.pop(connection.number, None) is None:
            return
        if self._masks.pop(connection.number, None) is not None:
            self._keeper.poller.unregister(connection.number)
        self._due_seen.discard(connection.number)
        if connection in self._waiting_for_end:
            self._waiting_for_end.remove(connection)
        connection.close()
        if connection is self.client:
            self.client = None
            self._keeper.lease.attached(False)
            self._keeper.save()

    # Calls of this host's attach

    def _call(self, connection: Connection, body: Dict[str, Any]) -> None:
        name, params = str(body.get("method")), dict(body.get("params") or {})
        method, of_kind = _CALLS.get(name), self._keeper.unit.calls.get(name)
        if method is not None:
            method(self, connection, params)
        elif of_kind is not None:
            of_kind(params)
            connection.answer(self._keeper.info())
        else:
            connection.refuse("unknown_method", f"This keeper has no method {body.get('method')!r}.")

    def _call_info(self, connection: Connection, params: Dict[str, Any]) -> None:
        connection.answer(self._keeper.info())

    def _call_signal(self, connection: Connection, params: Dict[str, Any]) -> None:
        process = self._keeper.unit.process
        if process is None:
            connection.refuse("ended", f"The {self._keeper.unit.kind} has ended.")
            return
        number = int(params["signal"])
        if process.signal(number) and number in (signal.SIGTERM, signal.SIGKILL):
            log(f"signal {number} on request")
        connection.answer(self._keeper.info())

    def _call_stop(self, connection: Connection, params: Dict[str, Any]) -> None:
        if not self._keeper.runs:
            connection.answer(self._keeper.info())
            return
        self._waiting_for_end.append(connection)
        self._keeper.stop(float(params.get("grace_s", 5.0)), "It was stopped on request.")

    def _call_lease(self, connection: Connection, params: Dict[str, Any]) -> None:
        self._keeper.lease.renew(float(params["seconds"]))
        connection.answer(self._keeper.info())

    def _call_forget(self, connection: Connection, params: Dict[str, Any]) -> None:
        if self._keeper.runs:
            connection.refuse("running", f"The {self._keeper.unit.kind} is running.", "Stop it first.")
            return
        self._keeper.forget()
        connection.answer({})
        connection.pump()


_CALLS: Dict[str, Callable[[Attachments, Connection, Dict[str, Any]], None]] = {
    "info": Attachments._call_info,
    "signal": Attachments._call_signal,
    "stop": Attachments._call_stop,
    "lease": Attachments._call_lease,
    "forget": Attachments._call_forget,
}
