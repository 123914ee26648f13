"""Run commands on hosts: the host's agent keeps any program as it keeps kernels.

A command belongs to its host. It outlives the connection, this process and the login, until it ends, is
stopped, or its lease runs out. The caller chooses the id; a second start with the same id finds the first
command. All methods may be used in any event loop.

Example::

    commands = HostCommands(connections, route, client=a_name_that_this_lab_keeps)
    await commands.start("job-7", CommandOrder(argv=["python", "train.py"], cwd="project"))
    async with commands.attach("job-7", after=last_seq) as output:
        async for event in output:        # Output, LeftOut, at last CommandEnd
            output.acknowledge(event.seq) # what is saved here may be dropped on the host
    await commands.forget("job-7")
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal as signals
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import msgspec

from genops_lab.agent.channels import Channel, ChannelReset
from genops_lab.agent.frames import ProtocolError
from genops_lab.agent.records import (
    ACK,
    BUSY,
    GONE,
    HELLO,
    NOTE,
    RECORD,
    SEEN,
    STDERR,
    STDOUT,
    TAKEN,
    WELCOME,
    Payload,
    RecordReader,
    body,
    json_record,
    record,
    unpack,
)

from ...core.errors import Conflict, InvalidRequest
from .connection import HostConnection
from .connections import HostConnections
from .route import Route
from .state import LinkDown, RemoteError

_READ_BYTES = 262144
#: The agent allows a keeper 60 s to start.
_START_S = 75.0
_ANSWER_S = 30.0
#: A call has one frame.
_ORDER_BYTES = 60_000
#: Seconds between attempts to reach a keeper over a working connection.
_PAUSES_S = (0.0, 0.05, 0.2, 1.0, 2.0)
_LASTED_S = 5.0
_STREAMS: dict[int, Literal["stdout", "stderr"]] = {STDOUT: "stdout", STDERR: "stderr"}
_WHY_LEFT_OUT = {
    "size": "the output was larger than the host's journal",
    "age": "the host keeps it for 14 days",
    "disk_full": "the host's disk was full",
}


#: Exceptions that a host's malformed data may raise.
_UNREADABLE = (ProtocolError, msgspec.MsgspecError, ValueError, KeyError, TypeError, IndexError)


class CommandOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A program for a host to run.

    ``argv`` is started without a shell; ``python`` is the target's interpreter. ``cwd`` is relative to the
    home. ``name`` is shown in lists. ``lease_s`` is how long the command may run with no Lab attached, 0 for
    ever. Then it has ``lease_grace_s`` from SIGTERM to SIGKILL. ``journal_max_bytes`` is how much output the
    host keeps, 64 KiB to 512 MiB.

    ``env`` is added to the login's variables and may have secrets: it goes over the connection to the command
    alone, and into no record, log or command line.
    """

    argv: list[str]
    cwd: str = ""
    env: dict[str, str] = {}
    name: str = ""
    owner: str = ""
    lease_s: float = 0.0
    lease_grace_s: float = 15.0
    journal_max_bytes: int = 512 * 1024 * 1024


class HostUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel or a command that a host's agent keeps. Times are in seconds since 1970.

    ``exit_code`` is None while it runs, and where nobody saw it end. A negative one is a signal. ``last_seq``
    is the number of its last record, ``acked_seq`` the last that a Lab has saved.
    """

    kind: Literal["kernel", "command"]
    unit_id: str
    state: Literal["running", "ended"]
    incarnation: str = ""
    name: str = ""
    owner: str = ""
    program: str = ""
    pid: int | None = None
    exit_code: int | None = None
    reason: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    lease_until: float | None = None
    first_seq: int = 0
    last_seq: int = 0
    acked_seq: int = 0
    journal_bytes: int = 0

    @property
    def signal(self) -> str:
        """Return the name of the signal that ended the unit, or ""."""
        return signal_name(self.exit_code)


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a command's output; it may end within a line."""

    seq: int
    at: float
    stream: Literal["stdout", "stderr"]
    data: bytes


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """Output that the host no longer has.

    ``records`` pieces of about ``bytes`` bytes are missing between ``first_seq`` and ``last_seq``. This event
    may come after output that follows them.
    """

    seq: int
    first_seq: int
    last_seq: int
    records: int
    bytes: int
    reason: str

    @property
    def text(self) -> str:
        """Return a sentence for users, with size and reason."""
        why = _WHY_LEFT_OUT.get(self.reason, self.reason)
        size = f"{self.bytes / 1024**2:.1f} MiB" if self.bytes >= 1024**2 else f"{self.bytes / 1024:.0f} KiB"
        return f"About {size} of output are missing: {why}."


class CommandEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A command has ended, and all its output has arrived. ``exit_code`` is as in :class:`HostUnit`.

    ``ended_by`` is ``host`` where the host asked it to end, as a shutdown does.
    """

    seq: int
    exit_code: int | None
    reason: str
    ended_at: float | None = None
    ended_by: str = ""

    @property
    def signal(self) -> str:
        """Return the name of the signal that ended the command, or ""."""
        return signal_name(self.exit_code)


Event = Output | LeftOut | CommandEnd


def signal_name(exit_code: int | None) -> str:
    """Return ``SIGTERM`` for -15; "" for a command that ended by itself."""
    if exit_code is None or exit_code >= 0:
        return ""
    try:
        return signals.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"


class HostCommands:
    """The commands of one host.

    ``client`` names this Lab to the host, also after a restart. ``label`` names it to users of another Lab.
    When a connection breaks, methods wait until it is back. They raise RemoteError, LinkDown where the host
    is not connected, and Unavailable where it does not answer.
    """

    def __init__(self, connections: HostConnections, route: Route, *, client: str, label: str = "") -> None:
        self._connections = connections
        self._route = route
        self._hello = {"client": client, "label": label}
        self._attached: set[str] = set()

    async def start(self, command_id: str, order: CommandOrder) -> HostUnit:
        """Start a command; return the existing one with this id, which may have ended.

        An id has up to 64 letters, digits, ``.``, ``_`` and ``-``. Raises InvalidRequest for an order of more
        than 60,000 bytes.
        """
        params = {
            **msgspec.to_builtins(order),
            "lease": {"seconds": order.lease_s, "grace_s": order.lease_grace_s},
        }
        size = len(json.dumps(params))
        if size > _ORDER_BYTES:
            raise InvalidRequest(
                f"The command {command_id} with its variables has {size} bytes; a host accepts at most "
                f"{_ORDER_BYTES}.",
                hint="Put large data into a file on the host.",
            )
        return await self._ask("start", command_id, _START_S, **params)

    async def list(self) -> list[HostUnit]:
        """Return all units that the host's agent keeps, with kernels and with those that ended within the
        last 7 days."""
        return [_unit(each) for each in await self._call("units.list", {})]

    async def info(self, command_id: str) -> HostUnit:
        """Return one command."""
        return await self._ask("info", command_id)

    async def stop(self, command_id: str, grace_s: float = 10.0) -> HostUnit:
        """Stop the command with all its processes: SIGTERM, then SIGKILL after ``grace_s`` seconds.

        Returns when it has ended; harmless when repeated.
        """
        return await self._ask("stop", command_id, grace_s + _ANSWER_S, grace_s=grace_s)

    async def signal(self, command_id: str, number: int) -> HostUnit:
        """Send a signal to all processes of the command."""
        return await self._ask("signal", command_id, signal=number)

    async def renew(self, command_id: str, lease_s: float) -> HostUnit:
        """Start the lease again, with a new length in seconds; 0: for ever."""
        return await self._ask("lease", command_id, seconds=lease_s)

    async def forget(self, command_id: str) -> None:
        """Remove the host's records of a command that has ended; harmless when repeated."""
        try:
            await self._call("commands.forget", {"command_id": command_id})
        except RemoteError as error:
            if error.code != "not_found":
                raise

    @contextlib.asynccontextmanager
    async def attach(
        self, command_id: str, *, after: int = 0, incarnation: str = "", take_over: bool = False
    ) -> AsyncIterator[Attachment]:
        """Attach to a command: its output after the sequence number ``after`` (of ``incarnation``, where one
        is named).

        The lease does not run while attached. The iteration continues over each connection that comes back.
        It raises RemoteError with the code "busy" where another Lab is attached or takes the command over.
        Raises Conflict where this object is already attached.
        """
        if command_id in self._attached:
            raise Conflict(
                f"The output of {command_id} is already being read.", hint="Read it in one place only."
            )
        follower = _Follower(
            self._link(),
            command_id,
            after,
            {**self._hello, "incarnation": incarnation, "takeover": take_over},
        )
        self._attached.add(command_id)
        try:
            yield Attachment(self._connections, follower)
        finally:
            self._attached.discard(command_id)
            self._connections.soon(follower.close)

    def _link(self) -> HostConnection:
        return self._connections.link(self._route)

    async def _call(self, method: str, params: dict[str, Any], timeout_s: float = _ANSWER_S) -> Any:
        return await self._connections.run(self._link().call(method, params, timeout_s))

    async def _ask(
        self, method: str, command_id: str, timeout_s: float = _ANSWER_S, **params: Any
    ) -> HostUnit:
        found = await self._call(f"commands.{method}", {"command_id": command_id, **params}, timeout_s)
        return _unit({"kind": "command", **found})


def _unit(info: dict[str, Any]) -> HostUnit:
    return msgspec.convert({**info, "unit_id": info[f"{info['kind']}_id"]}, HostUnit, strict=False)


class Attachment:
    """The events of a command, in order and each once; the last is its :class:`CommandEnd`."""

    def __init__(self, connections: HostConnections, follower: _Follower) -> None:
        self._connections = connections
        self._follower = follower
        self._over = False

    def __aiter__(self) -> Attachment:
        return self

    async def __anext__(self) -> Event:
        """Return the next event; a cancelled wait loses none."""
        if self._over:
            raise StopAsyncIteration
        if not self._follower.events:
            await self._connections.run(self._follower.wait())
        event = self._follower.events.popleft()
        self._over = isinstance(event, CommandEnd)
        return event

    def acknowledge(self, seq: int) -> None:
        """Confirm that the events up to ``seq`` are saved: the host may drop them."""
        self._connections.soon(lambda: self._follower.acknowledge(seq))


class _Follower:
    """The same in the connections' loop: stays attached when the connection breaks. ``events`` is a queue."""

    def __init__(self, link: HostConnection, command_id: str, after: int, hello: dict[str, Any]) -> None:
        self.events: deque[Event] = deque()
        self._link = link
        self._command_id = command_id
        self._last = after
        self._hello = hello
        self._acked = 0
        self._gaps: list[tuple[int, int]] = []
        self._refusal: RemoteError | None = None
        self._channel: Channel | None = None
        self._reader = RecordReader(())
        self._release: Callable[[], None] | None = None
        self._failures = 0
        self._began = 0.0

    async def wait(self) -> None:
        """Wait until there are events. Raises LinkDown, RemoteError."""
        while not self.events:
            if self._refusal is not None:
                raise self._refusal
            channel = self._channel or await self._open()
            try:
                data = await channel.read(_READ_BYTES)
            except ChannelReset as reset:
                self._leave()
                if reset.code != "gone":
                    raise RemoteError(reset.code, reset.message, reset.hint) from None
                await asyncio.sleep(0)  # the connection learns of it in the same turn
                continue
            if data:
                self._received(data)
            else:  # the keeper has exited: another one serves its journal
                self._leave()
                self._failures = 0 if time.monotonic() - self._began > _LASTED_S else self._failures + 1
                await asyncio.sleep(_PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)])

    async def _open(self) -> Channel:
        self._release = self._release or self._link.hold()
        while True:
            await self._link.ready()
            try:
                channel = self._link.open("command", {"command_id": self._command_id})
                channel.write(json_record(HELLO, {**self._hello, "after": self._last}))
            except (ChannelReset, LinkDown):  # the connection broke between the two lines
                await asyncio.sleep(0)
                continue
            self._channel, self._began = channel, time.monotonic()
            self._reader = RecordReader((WELCOME, RECORD, SEEN, GONE, TAKEN, BUSY))
            return channel

    def _received(self, data: bytes) -> None:
        try:
            for kind, seq, payload in self._reader.feed(data):
                self._take(kind, seq, payload)
        except _UNREADABLE as error:
            self._refuse("broken", f"The host sent invalid data about {self._command_id}: {error}")

    def _refuse(self, code: str, message: str, hint: str = "Attach again.") -> None:
        """Store an error, to be raised after the events before it."""
        self._refusal = RemoteError(code, message, hint)
        self.close()

    def _take(self, kind: int, seq: int, payload: Payload) -> None:
        if kind == RECORD and seq > self._last:
            self._record(seq, payload)
        elif kind == WELCOME:
            self._welcomed(body(payload))
        elif kind == GONE:
            given = body(payload)
            final = {name: given.get(name) for name in ("exit_code", "reason", "ended_at")}
            final["ended_by"] = given.get("ended_by") or ""
            self.events.append(msgspec.convert({**final, "seq": self._last}, CommandEnd))
            self.close()
        elif kind in (TAKEN, BUSY):
            other = str(body(payload).get("label") or "") or "another Lab"
            message = f"The command {self._command_id} on {self._link.route.target} is attached to {other}."
            self._refuse(
                "busy",
                message,
                "The other Lab receives its output. To receive it here, attach with take_over.",
            )

    def _welcomed(self, welcome: dict[str, Any]) -> None:
        incarnation = str(welcome["incarnation"])
        if incarnation != (self._hello["incarnation"] or incarnation):
            self._refuse("not_found", f"The id {self._command_id} now belongs to another command.")
            return
        self._hello = {**self._hello, "incarnation": incarnation, "takeover": False}
        self._link.proved()
        self.acknowledge(self._acked)

    def _record(self, seq: int, payload: Payload) -> None:
        if seq > self._last + 1:
            self._gaps.append((self._last + 1, seq - 1))
        self._last = seq
        channel, at, frames = unpack(payload)
        if channel in _STREAMS:
            self.events.append(Output(seq=seq, at=at, stream=_STREAMS[channel], data=frames[0]))
        elif channel == NOTE:
            self._note(seq, msgspec.json.decode(frames[0], type=dict[str, Any]))

    def _note(self, seq: int, note: dict[str, Any]) -> None:
        """Queue a note about missing output once. A note counts all that is missing since the last
        acknowledgement, and a later note replaces it when more is missing."""
        if note.get("kind") != "cut":
            return
        first, last = int(note["from_seq"]), int(note["to_seq"])
        within = [gap for gap in self._gaps if first <= gap[1] <= last]
        if not within:
            return
        self._gaps = [gap for gap in self._gaps if gap not in within]
        self.events.append(
            LeftOut(
                seq=seq,
                first_seq=first,
                last_seq=last,
                records=int(note["messages"]),
                bytes=int(note["bytes"]),
                reason=str(note["reason"]),
            )
        )

    def acknowledge(self, seq: int) -> None:
        """Confirm that the events up to ``seq`` are saved; sent again over the next channel."""
        self._acked = max(self._acked, seq)
        if self._acked and self._channel is not None:
            with contextlib.suppress(ChannelReset):
                self._channel.write(record(ACK, self._acked))

    def _leave(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.reset("left", "The Lab has left.")

    def close(self) -> None:
        """Detach; the command keeps running."""
        self._leave()
        release, self._release = self._release, None
        if release is not None:
            release()
