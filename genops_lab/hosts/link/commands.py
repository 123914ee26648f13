"""Commands on hosts: any program, which the host's agent keeps as it keeps kernels.

    commands = HostCommands(connections, route, client=a_name_that_this_lab_keeps)
    await commands.start("job-7", CommandOrder(argv=["python", "train.py"], cwd="project"))
    async with commands.attach("job-7", after=last_seq) as output:
        async for event in output:        # Output, LeftOut, at last CommandEnd
            output.acknowledge(event.seq) # what is in safety here may go there
    await commands.forget("job-7")

A command belongs to its host: it outlives the link, this process and the login, until it ends, somebody stops it, or
its lease runs out. Its id is the caller's: to start it again is to find it. All may be used in any event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal as signals
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import msgspec

from genops_lab.agent.channels import Channel, ChannelReset
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

from ...core.errors import Conflict
from .connection import HostConnection
from .connections import HostConnections
from .route import Route
from .state import LinkDown, RemoteError

_READ_BYTES = 262144
#: The agent gives a keeper 60 s to start.
_START_S = 75.0
_ANSWER_S = 30.0
#: Between attempts to reach a keeper over a link that is up.
_PAUSES_S = (0.0, 0.05, 0.2, 1.0, 2.0)
_LASTED_S = 5.0
_STREAMS: dict[int, Literal["stdout", "stderr"]] = {STDOUT: "stdout", STDERR: "stderr"}
_WHY_LEFT_OUT = {
    "size": "the host keeps no more of it than its journal's bound",
    "age": "the host keeps it for 14 days",
    "disk_full": "the host's disk was full",
}


class CommandOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a host shall run.

    ``argv`` is started without a shell; ``python`` is the target's interpreter. ``cwd`` counts from the home. ``env``
    (64 KiB at most) is set on top of the login's variables and is where secrets belong: it goes to the command alone,
    over the link, and into no record, log or command line. ``name`` is for lists. ``lease_s``: how long it may run with
    nobody attached, 0 for ever; then it has ``lease_grace_s`` from SIGTERM to SIGKILL. ``journal_max_bytes``: how much
    of its output the host keeps, 64 KiB to 512 MiB.
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
    """What a host's agent keeps: a kernel or a command. Times in seconds since 1970.

    ``exit_code`` is None while it runs, and where nobody saw its end; negative: the signal. ``last_seq`` and
    ``acked_seq`` count what it said and what a Lab has in safety.
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
        """The name of the signal that ended it, or ""."""
        return signal_name(self.exit_code)


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of what a command printed; it may end within a line."""

    seq: int
    at: float
    stream: Literal["stdout", "stderr"]
    data: bytes


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """Output that the host no longer has: ``records`` pieces of about ``bytes`` bytes, between ``first_seq`` and
    ``last_seq``. It may come behind output that follows them."""

    seq: int
    first_seq: int
    last_seq: int
    records: int
    bytes: int
    reason: str

    @property
    def text(self) -> str:
        """The same for people."""
        why = _WHY_LEFT_OUT.get(self.reason, self.reason)
        size = f"{self.bytes / 1024**2:.1f} MiB" if self.bytes >= 1024**2 else f"{self.bytes / 1024:.0f} KiB"
        return f"About {size} of output are missing: {why}."


class CommandEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A command has ended, and all that it said has come. ``exit_code`` as in :class:`HostUnit`."""

    seq: int
    exit_code: int | None
    reason: str
    ended_at: float | None = None

    @property
    def signal(self) -> str:
        """The name of the signal that ended it, or ""."""
        return signal_name(self.exit_code)


Event = Output | LeftOut | CommandEnd


def signal_name(exit_code: int | None) -> str:
    """``SIGTERM`` for -15; "" for a command that ended by itself."""
    if exit_code is None or exit_code >= 0:
        return ""
    try:
        return signals.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"


class HostCommands:
    """The commands of one host. ``client`` names this Lab to the host, also after a restart; ``label`` names it to
    people at another one. Methods raise RemoteError, LinkDown where the host is not connected, and Unavailable where it
    does not answer; a link that comes back meanwhile is waited for."""

    def __init__(self, connections: HostConnections, route: Route, *, client: str, label: str = "") -> None:
        self._connections = connections
        self._route = route
        self._hello = {"client": client, "label": label}
        self._attached: set[str] = set()

    async def start(self, command_id: str, order: CommandOrder) -> HostUnit:
        """Have the command run; the one with this id, where it was started before (it may have ended). An id has
        letters, digits, ``.``, ``_`` and ``-``, up to 64."""
        lease = {"seconds": order.lease_s, "grace_s": order.lease_grace_s}
        return await self._ask("start", command_id, _START_S, lease=lease, **msgspec.to_builtins(order))

    async def list(self) -> list[HostUnit]:
        """All that the host's agent keeps, kernels too, with what has ended within the last 7 days."""
        return [_unit(each) for each in await self._call("units.list", {})]

    async def info(self, command_id: str) -> HostUnit:
        """One command."""
        return await self._ask("info", command_id)

    async def stop(self, command_id: str, grace_s: float = 10.0) -> HostUnit:
        """End the command with all that it has started: SIGTERM, ``grace_s`` seconds later SIGKILL. Answers when it has
        ended; harmless when repeated."""
        return await self._ask("stop", command_id, grace_s + _ANSWER_S, grace_s=grace_s)

    async def signal(self, command_id: str, number: int) -> HostUnit:
        """Send a signal to all processes of the command."""
        return await self._ask("signal", command_id, signal=number)

    async def renew(self, command_id: str, lease_s: float) -> HostUnit:
        """Have the lease count anew, with this length; 0: for ever."""
        return await self._ask("lease", command_id, seconds=lease_s)

    async def forget(self, command_id: str) -> None:
        """Remove what the host has of a command that has ended; harmless when repeated."""
        try:
            await self._call("commands.forget", {"command_id": command_id})
        except RemoteError as error:
            if error.code != "not_found":
                raise

    @contextlib.asynccontextmanager
    async def attach(
        self, command_id: str, *, after: int = 0, incarnation: str = "", take_over: bool = False
    ) -> AsyncIterator[Attachment]:
        """What the command said behind the sequence number ``after`` (of this ``incarnation``, where one is named), and
        what it says. While it lasts the lease does not run. Raises Conflict where this object is attached already.

        Iterating goes on over each link that comes back, and raises Conflict where another Lab is attached, or takes
        the command over.
        """
        if command_id in self._attached:
            raise Conflict(f"The output of {command_id} is read already.", hint="Read it in one place.")
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
    """What a command says, in its order and once; ends with its :class:`CommandEnd`."""

    def __init__(self, connections: HostConnections, follower: _Follower) -> None:
        self._connections = connections
        self._follower = follower
        self._over = False

    def __aiter__(self) -> Attachment:
        return self

    async def __anext__(self) -> Event:
        """The next event; a wait that is cancelled loses none."""
        if self._over:
            raise StopAsyncIteration
        if not self._follower.events:
            await self._connections.run(self._follower.wait())
        event = self._follower.events.popleft()
        self._over = isinstance(event, CommandEnd)
        return event

    def acknowledge(self, seq: int) -> None:
        """What came up to ``seq`` is in safety here: the host may drop it."""
        self._connections.soon(lambda: self._follower.acknowledge(seq))


class _Follower:
    """The same in the links' loop: stays attached over the breaks of the link. ``events`` waits to be taken."""

    def __init__(self, link: HostConnection, command_id: str, after: int, hello: dict[str, Any]) -> None:
        self.events: deque[Event] = deque()
        self._link = link
        self._command_id = command_id
        self._last = after
        self._hello = hello
        self._acked = 0
        self._gaps: list[tuple[int, int]] = []
        self._channel: Channel | None = None
        self._reader = RecordReader(())
        self._release: Callable[[], None] | None = None
        self._failures = 0
        self._began = 0.0

    async def wait(self) -> None:
        """Until there are events. Raises LinkDown, RemoteError, Conflict."""
        while not self.events:
            if self._channel is None:
                await self._open()
            channel = self._channel
            assert channel is not None
            try:
                data = await channel.read(_READ_BYTES)
            except ChannelReset as reset:
                self._leave()
                if reset.code != "gone":
                    raise RemoteError(reset.code, reset.message, reset.hint) from None
                await asyncio.sleep(0)  # the link learns of it in the same turn
                continue
            if data:
                for kind, seq, payload in self._reader.feed(data):
                    self._take(kind, seq, payload)
            else:  # its keeper has gone: another one serves what it left
                self._leave()
                self._failures = 0 if time.monotonic() - self._began > _LASTED_S else self._failures + 1
                await asyncio.sleep(_PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)])

    async def _open(self) -> None:
        self._release = self._release or self._link.hold()
        while self._channel is None:
            await self._link.ready()
            try:
                channel = self._link.open("command", {"command_id": self._command_id})
                channel.write(json_record(HELLO, {**self._hello, "after": self._last}))
            except (ChannelReset, LinkDown):  # it broke between the two lines
                await asyncio.sleep(0)
                continue
            self._channel, self._began = channel, time.monotonic()
            self._reader = RecordReader((WELCOME, RECORD, SEEN, GONE, TAKEN, BUSY))

    def _take(self, kind: int, seq: int, payload: Payload) -> None:
        if kind == RECORD and seq > self._last:
            self._record(seq, payload)
        elif kind == WELCOME:
            self._welcomed(body(payload))
        elif kind == GONE:
            told = {name: body(payload).get(name) for name in ("exit_code", "reason", "ended_at")}
            self.events.append(msgspec.convert({**told, "seq": self._last}, CommandEnd))
            self.close()
        elif kind in (TAKEN, BUSY):
            self.close()
            other = str(body(payload).get("label") or "") or "another Lab"
            raise Conflict(
                f"The command {self._command_id} on {self._link.route.target} is attached to {other}.",
                hint="Its output goes there. Attach to it with take_over to have it here.",
                code="command_busy",
            )

    def _welcomed(self, welcome: dict[str, Any]) -> None:
        incarnation = str(welcome["incarnation"])
        if incarnation != (self._hello["incarnation"] or incarnation):
            self.close()
            raise RemoteError(
                "not_found", f"{self._command_id} is another command now.", "Attach to it anew."
            )
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
        """A note counts all that is missing since the last acknowledgement, and another follows where more is: what did
        not come here is said once, by the note that has all of it."""
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
        """What came up to ``seq`` may go; told again over the next channel."""
        self._acked = max(self._acked, seq)
        if self._acked and self._channel is not None:
            with contextlib.suppress(ChannelReset):
                self._channel.write(record(ACK, self._acked))

    def _leave(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.reset("left", "The Lab has left.")

    def close(self) -> None:
        """Leave the command as it is."""
        self._leave()
        release, self._release = self._release, None
        if release is not None:
            release()
