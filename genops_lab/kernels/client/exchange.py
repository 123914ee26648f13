"""What a kernel on a host and its local clients say to each other: every message exactly once and in order.

The keeper on the host numbers what the kernel says and keeps it until it is acknowledged; here what clients say is
numbered and kept until the keeper has it. After a cut both tell how far they came, and go on there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec
import zmq

from genops_lab.agent.channels import Channel, ChannelReset
from genops_lab.agent.records import (
    ACK,
    CONTROL,
    IOPUB,
    NOTE,
    REQUEST,
    SHELL,
    STDIN,
    Payload,
    record,
    unpack,
)
from genops_lab.agent.wire import Activity

from ...core.errors import Conflict
from .endpoints import Endpoints
from .messages import Running, Speaker, cell_of, ends_at, kind_of, stderr, told_of
from .outbox import Outbox, WaitingRequests
from .pending import PendingStart

_FULL_PAUSE_S = 0.005
#: Who asks in the Lab's own name.
_OWN = b"genops"

#: What a notebook says whose kernel another Lab has.
TAKE_BACK = "To have it here again, click on the target in the notebook's toolbar, then on “Take it back”."

BridgeStateName = Literal["connecting", "connected", "disconnected", "ended", "taken"]

_ACK_EACH = 256
_ACK_AFTER_S = 0.5

log = logging.getLogger("genops_lab")


class Exchange:
    """``state`` gives the bridge's; ``idle_warned`` is called when the kernel is about to be ended for want of work."""

    def __init__(
        self,
        kernel_id: str,
        context: zmq.Context[Any],
        state: Callable[[], BridgeState],
        idle_warned: Callable[[], None],
        waiting: WaitingRequests,
    ) -> None:
        self._kernel_id = kernel_id
        self.endpoints = endpoints = Endpoints(context, self._received)
        endpoints.subscribed = self._subscribed
        self.key = b""
        self.incarnation = ""
        #: the last of the kernel's messages that came, and the last that was there before this process attached
        self.last = 0
        self.backlog = 0
        #: when it will be ended for want of work, once that was warned of; seconds since 1970
        self.idle_ends_at: float | None = None
        self._missed = False
        self._state = state
        self._idle_warned = idle_warned
        self._loop = asyncio.get_running_loop()
        #: while its host is asked for
        self.pending: PendingStart | None = None
        self._channel: Channel | None = None
        self._speaker: Speaker | None = None
        self._running = Running()
        self._statuses = BusyStatus(self._say_status)
        self._said_first: list[str] = []
        self._outbox = Outbox(endpoints.pause, waiting)
        self._taps = MessageListeners(kernel_id)
        self._receipts = Acks(self._send_ack)

    # For everybody

    def add_tap(self, tap: Tap, *, acks: bool = False) -> None:
        """Give each message to ``tap`` too. With ``acks`` messages count as safe when :meth:`ack` says so, not when
        they were handed to the clients."""
        self._taps.add(tap, acks=acks)

    def ack(self, seq: int, incarnation: str = "") -> None:
        """From any thread: the messages up to ``seq`` of this incarnation (or of ``incarnation``, if that is still
        the one) are safe here; the host may drop them."""
        self._loop.call_soon_threadsafe(self._ack, seq, incarnation or self.incarnation)

    def tell_status(self) -> None:
        """From any thread: a client may not have heard that a cell runs, or that the kernel waits for its host."""
        self._loop.call_soon_threadsafe(self._say_how_it_is)

    def say_first(self, texts: list[str]) -> None:
        """From any thread: text for the notebook's first cell, in place of what was to be said there."""
        self._said_first = list(texts)

    # The kernel's life

    def begin(self, incarnation: str, key: bytes, signature_scheme: str) -> None:
        """A kernel was started for these clients: what they said since the last one ended is for it."""
        self._outbox.renumber()
        self.reset(incarnation)
        self.speak(key, signature_scheme)
        self._host_is_there()

    def wait_for_host(
        self, key: bytes, signature_scheme: str, target: str, give_up: Callable[[], None]
    ) -> None:
        """The kernel starts later: until then its clients are answered what they need to be ready, and what else they
        say is kept for it."""
        self.reset("")
        speaker = self.speak(key, signature_scheme)
        self.pending = PendingStart(speaker, self.endpoints, self._outbox, target, give_up)
        self._outbox.keep_waiting()
        self.pending.resumes(self._outbox.waiting())

    def load_waiting(self) -> None:
        """Go on with the requests that waited for this kernel's host when the user's last Lab ended."""
        for frames in self._outbox.load_waiting():
            self._running.asked(frames)

    @property
    def continues(self) -> list[str]:
        """The names of the clients that had the loaded requests before this one."""
        return self._outbox.continues

    def interrupt_waiting(self) -> bool:
        """Take back the cells that wait for the kernel's host; False where it is there."""
        if self.pending is None:
            return False
        self.pending.interrupt()
        self._running.clear()
        return True

    def refuse_waiting(self, text: str) -> None:
        """The kernel does not start: the code that waits for it is not run."""
        if self.pending is not None:
            self.pending.refuse(text)

    def _host_is_there(self) -> None:
        """The kernel answers for itself. It is asked something, so that its clients hear that it is idle."""
        pending, self.pending = self.pending, None
        if pending is not None and self._speaker is not None:
            pending.over()
            self._outbox.keep_waiting(False)
            self._outbox.put(SHELL, self._speaker.request("kernel_info_request", _OWN))

    def reset(self, incarnation: str) -> None:
        """Another kernel counts from 1."""
        self.incarnation = incarnation
        self.last = self.backlog = 0
        self._receipts.reset()
        self._missed = False
        self._running.clear()
        self._statuses.clear()

    def speak(self, key: bytes, signature_scheme: str) -> Speaker:
        """The kernel's messages are signed so, and those in its name."""
        self.key = key
        self._speaker = Speaker(key, signature_scheme, self._kernel_id)
        return self._speaker

    def ended(self) -> None:
        """The kernel has ended; what still waits for it is dropped."""
        self.pending = None
        self._running.clear()
        self._statuses.clear()
        self._outbox.clear()
        self.idle_ends_at = None

    @property
    def all_safe(self) -> bool:
        """Whether all that the kernel said here is acknowledged."""
        return self._receipts.acked >= self.last

    def close(self) -> None:
        """Close the sockets of the clients."""
        self.endpoints.close()

    # A channel to the keeper

    def connect(self, channel: Channel, welcome: dict[str, Any]) -> None:
        """The keeper has welcomed this Lab."""
        incarnation = str(welcome.get("incarnation", ""))
        if self.incarnation and incarnation != self.incarnation:
            self._outbox.clear()
            self._outbox.renumber()
            self.reset(incarnation)
        if not self.incarnation:
            self.incarnation = incarnation
            self.backlog = int(welcome.get("last_seq", 0))
            self.last = int(welcome.get("acked_seq", 0))
        key = str(welcome.get("key", "")).encode()
        self._statuses.follow(welcome)
        self.idle_ends_at = ends_at(welcome.get("idle"))
        if self._speaker is None or (key and key != self.key):
            self.speak(key, str(welcome.get("signature_scheme") or "hmac-sha256"))
        self._host_is_there()
        self._channel = channel
        self._receipts.told(int(welcome.get("acked_seq", 0)))
        self._outbox.connect(channel, int(welcome.get("seen", 0)))
        self._statuses.tell()

    def disconnect(self) -> None:
        """The channel is gone."""
        self._channel = None
        self._outbox.disconnect()

    def seen(self, seq: int) -> None:
        """The keeper has what clients said up to ``seq``."""
        self._outbox.seen(seq)

    async def take(self, seq: int, payload: Payload) -> None:
        """A record of the journal."""
        if seq <= self.last:
            return
        while self._taps.crowded:
            await asyncio.sleep(_FULL_PAUSE_S)
        channel, timestamp, frames = unpack(payload)
        self._missed = self._missed or seq != self.last + 1  # a note says how many, and why
        self.last = seq
        self._taps.give(seq, channel, timestamp, frames)
        old = seq <= self.backlog
        if channel == IOPUB:
            while not old and not self.endpoints.deliver(IOPUB, frames):
                await asyncio.sleep(_FULL_PAUSE_S)
            self._statuses.heard(frames)
        elif channel == NOTE:
            self._note(frames, old)
        elif channel == REQUEST:
            self._requested(frames, old)
        else:
            if channel == SHELL:
                self._running.answered(frames)
            if (not old or channel in (SHELL, STDIN)) and frames[0] != _OWN:
                self.endpoints.deliver(channel, frames)
            if channel in (SHELL, CONTROL):
                self._statuses.answered(frames)
        if not self._taps.ack:
            self._ack(seq, self.incarnation)

    def _note(self, frames: list[bytes], old: bool) -> None:
        note = msgspec.json.decode(frames[0], type=dict[str, Any])
        if note.get("kind") == "ended":
            return  # GONE follows, also for who attaches later
        if note.get("kind") == "idle" and not old:
            self.idle_ends_at = ends_at(note)
            self._idle_warned()
        text = told_of(note, missed=self._missed)
        if note.get("kind") == "cut":
            self._missed = False
        if text:
            self.say(text, to_clients=not old)

    def _requested(self, frames: list[bytes], old: bool) -> None:
        """The journal's copy of a request to run code."""
        if old:
            self._running.asked(frames)
        elif self._said_first and (header := cell_of(frames)):
            texts, self._said_first = self._said_first, []
            for text in texts:
                self.say(text, parent=header)

    # To clients

    def say(self, text: str, *, to_clients: bool = True, parent: dict[str, Any] | None = None) -> None:
        """Text for the notebook: an output of the cell that runs, on stderr."""
        if self._speaker is not None:
            frames = self._speaker.stream(text, self._running.current() if parent is None else parent)
            self._taps.give(0, IOPUB, time.time(), frames)
            if to_clients:
                self.endpoints.deliver(IOPUB, frames)

    def _subscribed(self, topic: bytes) -> None:
        if self._speaker is not None:
            self.endpoints.deliver(IOPUB, self._speaker.welcome(topic))
            self._say_how_it_is()

    def _say_how_it_is(self) -> None:
        if self.pending is None:
            self._statuses.tell()
        else:
            self.pending.say_status()

    def _say_status(self, state: str) -> None:
        if self._speaker is not None:
            self.endpoints.deliver(IOPUB, self._speaker.status(state))

    # From clients

    def _received(self, channel: int, frames: list[bytes]) -> None:
        state = self._state()
        if channel == SHELL and state.state == "taken" and self._refuses(frames, state.reason):
            return
        if state.state == "ended" and channel == CONTROL:
            return  # a shutdown of what has ended must not reach the one that is started in its place
        if self.pending is not None and self.pending.answers(channel, frames):
            return
        if channel == SHELL:
            self._running.asked(frames)
        self._outbox.put(channel, frames)
        if self.pending is not None and channel == SHELL:
            self.pending.waits(frames)

    def _refuses(self, request: list[bytes], reason: str) -> bool:
        """Code that was sent while another Lab has the kernel: to run it later, unasked, would surprise."""
        if self._speaker is None or kind_of(request) != "execute_request":
            return False
        text = f"{reason} This cell was not run. {TAKE_BACK}"
        content = {"status": "error", "ename": "KernelTaken", "evalue": text, "traceback": []}
        published, reply = self._speaker.answer(request, content, {"stream": stderr(text)})
        for frames in published:
            self.endpoints.deliver(IOPUB, frames)
        self.endpoints.deliver(SHELL, reply)
        return True

    # What is safe

    def _ack(self, seq: int, incarnation: str) -> None:
        if incarnation == self.incarnation:
            self._receipts.safe(min(seq, self.last))

    def _send_ack(self, seq: int) -> bool:
        if self._channel is not None:
            with contextlib.suppress(ChannelReset):  # cut: the next one tells it
                self._channel.write(record(ACK, seq))
                return True
        return False


class BridgeState(msgspec.Struct, frozen=True, kw_only=True):
    """A bridge at one moment. ``disconnected``: the kernel runs on as far as anybody knows, and what it says
    comes when the link is back. ``ended``: with its ``exit_code`` and ``reason``. ``taken``: ``other`` has it."""

    state: BridgeStateName = "connecting"
    since: float = msgspec.field(default_factory=time.time)
    reason: str = ""
    exit_code: int | None = None
    other: str = ""


class KernelBusy(Conflict):
    """Another Lab is attached to the kernel. ``details``: client, label."""

    code = "kernel_busy"


def busy(kernel_id: str, target: str, body: dict[str, Any]) -> KernelBusy:
    """The error of a kernel that another Lab has."""
    label = str(body.get("label", "")) or "another Lab"
    return KernelBusy(
        f"The kernel on {target} is attached to {label}.",
        hint="Close it there, or take it over: in the panel, under “Kernels there”, or with"
        f" genops kernels attach {kernel_id} --take-over",
        details={"client": str(body.get("client", "")), "label": label},
    )


def last_words(exit_code: int | None, reason: str, ended_by: str = "") -> str:
    """What the notebook says about a kernel's end; nothing where the code itself ended it."""
    if ended_by:
        return f"{reason} Restart the kernel to go on."
    if exit_code == 0:
        return ""
    if reason:
        return f"The kernel has ended. {reason}"
    if exit_code is None:
        return "The kernel has ended."
    return f"The kernel has ended (exit code {exit_code})."


class Acks:
    """``send(seq)`` acknowledges; False while there is no channel: the next receipt tells it."""

    def __init__(self, send: Callable[[int], bool]) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sent = 0
        self.acked = 0

    def reset(self) -> None:
        """A new kernel counts from 1."""
        self._stop()
        self._sent = self.acked = 0

    def told(self, seq: int) -> None:
        """The keeper has it that the messages up to ``seq`` are safe."""
        self._sent = max(self._sent, seq)
        self.acked = max(self.acked, seq)
        if self.acked > self._sent:
            self._later()

    def safe(self, seq: int) -> None:
        """The messages up to ``seq`` are safe."""
        self.acked = max(self.acked, seq)
        if self.acked - self._sent >= _ACK_EACH:
            self._tell()
        elif self.acked > self._sent:
            self._later()

    def _later(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(_ACK_AFTER_S, self._tell)

    def _tell(self) -> None:
        self._stop()
        if self.acked > self._sent and self._send(self.acked):
            self._sent = self.acked

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class BusyStatus:
    """Clients take the last status for the kernel's, whichever request it was about. While a cell runs and another
    request ends, ``say`` is called with what holds."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._activity = Activity("")
        self._corrected = False

    def follow(self, welcome: dict[str, Any]) -> None:
        """What the keeper knows; one of an earlier version does not tell it."""
        requests = welcome.pop("requests", None)
        if requests is not None:
            self._activity.follow(str(welcome.get("execution_state", "")), requests)

    def heard(self, frames: list[bytes]) -> None:
        """Clients have heard this on iopub."""
        wrong = self._activity.saw(frames)
        if wrong is not None:
            self._corrected = False
        if wrong:
            self.tell()

    def answered(self, frames: list[bytes]) -> None:
        """A reply."""
        self._activity.answered(frames)
        if self._corrected and self._activity.state != "busy":
            self._corrected = False
            self._say("idle")

    def tell(self) -> None:
        """Somebody may not have heard that it is busy."""
        if self._activity.requests:
            self._corrected = True
            self._say("busy")

    def clear(self) -> None:
        """The kernel has ended."""
        self._activity = Activity("")
        self._corrected = False


class Tap(Protocol):
    """Gets all that a kernel says, in the links' thread: be quick, raise nothing.

    ``channel`` is one of ``agent.records``: shell, control, stdin, iopub, note, request. ``seq`` grows by one
    within an ``incarnation`` of the bridge and is 0 for what the Lab says itself (on iopub: its words about
    notes, cuts and the kernel's end). What a Lab finds unacknowledged when it attaches comes here first.
    """

    def record(self, kernel_id: str, seq: int, channel: int, timestamp: float, frames: list[bytes]) -> None:
        """One message."""
        ...

    @property
    def crowded(self) -> bool:
        """Whether the kernel's next messages should wait, on its host."""
        ...


class MessageListeners:
    """The taps of one kernel. ``ack``: whether one of them says what is safe."""

    def __init__(self, kernel_id: str) -> None:
        self._kernel_id = kernel_id
        self._taps: list[Tap] = []
        self.ack = False

    def add(self, tap: Tap, *, acks: bool) -> None:
        """One more."""
        self._taps.append(tap)
        self.ack = self.ack or acks

    @property
    def crowded(self) -> bool:
        """Whether one of them is behind."""
        return any(tap.crowded for tap in self._taps)

    def give(self, seq: int, channel: int, timestamp: float, frames: list[bytes]) -> None:
        """To all of them; one that fails is in nobody's way."""
        for tap in self._taps:
            try:
                tap.record(self._kernel_id, seq, channel, timestamp, frames)
            except Exception:  # the boundary: who listens in is not in the way of the clients
                log.exception("A recorder failed with message %d of kernel %s.", seq, self._kernel_id)
