"""Carry the messages between a kernel on a host and its local clients: each exactly once and in order.

The keeper on the host numbers the kernel's messages and keeps them until they are acknowledged. This side
numbers the clients' messages and keeps them until the keeper has them. After a cut both sides send their last
numbers, and continue from these.
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
from .messages import Running, Speaker, cell_of, ends_at, kind_of, note_text, stderr
from .outbox import Outbox, WaitingRequests
from .pending import PendingStart

_FULL_PAUSE_S = 0.005
#: The identity of the Lab's own requests.
_OWN = b"genops"

#: Shown in a notebook whose kernel another Lab has.
TAKE_BACK = (
    "To use the kernel here again, click on the target in the notebook's toolbar, then on “Take it back”."
)

BridgeStateName = Literal["connecting", "connected", "disconnected", "ended", "taken"]

_ACK_EACH = 256
_ACK_AFTER_S = 0.5

log = logging.getLogger("genops_lab")


class Exchange:
    """``state`` returns the kernel client's state; ``idle_warned`` is called when the kernel is about to be
    stopped because it is idle."""

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
        #: the kernel's last message that arrived, and its last one before this process attached
        self.last = 0
        self.backlog = 0
        #: when the idle kernel will be stopped, once it was warned; seconds since 1970
        self.idle_ends_at: float | None = None
        self._missed = False
        self._state = state
        self._idle_warned = idle_warned
        self._loop = asyncio.get_running_loop()
        #: set while the kernel's host is requested
        self.pending: PendingStart | None = None
        self._channel: Channel | None = None
        self._speaker: Speaker | None = None
        self._running = Running()
        self._statuses = BusyStatus(self._say_status)
        self._said_first: list[str] = []
        self._outbox = Outbox(endpoints.pause, waiting)
        self._taps = MessageListeners(kernel_id)
        self._receipts = Acks(self._send_ack)

    # For any caller

    def add_tap(self, tap: Tap, *, acks: bool = False) -> None:
        """Pass each message to ``tap`` too. With ``acks`` messages count as saved when :meth:`ack` is called,
        not when the clients got them."""
        self._taps.add(tap, acks=acks)

    def ack(self, seq: int, incarnation: str = "") -> None:
        """From any thread: acknowledge the messages up to ``seq`` of this incarnation (or of ``incarnation``,
        if that is still the present one); the host may drop them."""
        self._loop.call_soon_threadsafe(self._ack, seq, incarnation or self.incarnation)

    def tell_status(self) -> None:
        """From any thread: send the status again, for a client that missed that a cell runs, or that the
        kernel waits for its host."""
        self._loop.call_soon_threadsafe(self._say_how_it_is)

    def say_first(self, texts: list[str]) -> None:
        """From any thread: set the text for the notebook's first cell; replaces an earlier one."""
        self._said_first = list(texts)

    # The kernel's life

    def begin(self, incarnation: str, key: bytes, signature_scheme: str) -> None:
        """Take a kernel that was started for these clients: their messages since the end of the last one are
        for it."""
        self._outbox.renumber()
        self.reset(incarnation)
        self.speak(key, signature_scheme)
        self._host_is_there()

    def wait_for_host(
        self, key: bytes, signature_scheme: str, target: str, give_up: Callable[[], None]
    ) -> None:
        """Prepare for a kernel that starts later: until then answer what its clients need to be ready, and
        keep their other messages."""
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
        """Remove the cells that wait for the kernel's host; False where the host runs."""
        if self.pending is None:
            return False
        self.pending.interrupt()
        self._running.clear()
        return True

    def refuse_waiting(self, text: str) -> None:
        """Refuse the waiting code: the kernel does not start."""
        if self.pending is not None:
            self.pending.refuse(text)

    def _host_is_there(self) -> None:
        """The kernel now answers itself. Ask it something, so that its clients see that it is idle."""
        pending, self.pending = self.pending, None
        if pending is not None and self._speaker is not None:
            pending.over()
            self._outbox.keep_waiting(False)
            self._outbox.put(SHELL, self._speaker.request("kernel_info_request", _OWN))

    def reset(self, incarnation: str) -> None:
        """Count from 1 for another kernel."""
        self.incarnation = incarnation
        self.last = self.backlog = 0
        self._receipts.reset()
        self._missed = False
        self._running.clear()
        self._statuses.clear()

    def speak(self, key: bytes, signature_scheme: str) -> Speaker:
        """Return the maker of signed messages: the kernel's own, and those in its name."""
        self.key = key
        self._speaker = Speaker(key, signature_scheme, self._kernel_id)
        return self._speaker

    def ended(self) -> None:
        """Handle the kernel's end; waiting messages are dropped."""
        self.pending = None
        self._running.clear()
        self._statuses.clear()
        self._outbox.clear()
        self.idle_ends_at = None

    @property
    def all_safe(self) -> bool:
        """Return whether all of the kernel's messages are acknowledged."""
        return self._receipts.acked >= self.last

    def close(self) -> None:
        """Close the sockets of the clients."""
        self.endpoints.close()

    # A channel to the keeper

    def connect(self, channel: Channel, welcome: dict[str, Any]) -> None:
        """Use a channel on which the keeper has welcomed this Lab."""
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
        self._receipts.sent_up_to(int(welcome.get("acked_seq", 0)))
        self._outbox.connect(channel, int(welcome.get("seen", 0)))
        self._statuses.tell()

    def disconnect(self) -> None:
        """Handle the end of the channel."""
        self._channel = None
        self._outbox.disconnect()

    def seen(self, seq: int) -> None:
        """Drop the clients' messages up to ``seq``: the keeper has them."""
        self._outbox.seen(seq)

    async def take(self, seq: int, payload: Payload) -> None:
        """Handle a record of the journal."""
        if seq <= self.last:
            return
        while self._taps.crowded:
            await asyncio.sleep(_FULL_PAUSE_S)
        channel, timestamp, frames = unpack(payload)
        self._missed = self._missed or seq != self.last + 1  # a note reports the number and the reason
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
            return  # GONE follows, also for a Lab that attaches later
        if note.get("kind") == "idle" and not old:
            self.idle_ends_at = ends_at(note)
            self._idle_warned()
        text = note_text(note, missed=self._missed)
        if note.get("kind") == "cut":
            self._missed = False
        if text:
            self.say(text, to_clients=not old)

    def _requested(self, frames: list[bytes], old: bool) -> None:
        """Handle the journal's copy of a request to run code."""
        if old:
            self._running.asked(frames)
        elif self._said_first and (header := cell_of(frames)):
            texts, self._said_first = self._said_first, []
            for text in texts:
                self.say(text, parent=header)

    # To clients

    def say(self, text: str, *, to_clients: bool = True, parent: dict[str, Any] | None = None) -> None:
        """Send a text to the notebook: an output of the running cell, on stderr."""
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
            return  # a shutdown of an ended kernel must not reach its successor
        if self.pending is not None and self.pending.answers(channel, frames):
            return
        if channel == SHELL:
            self._running.asked(frames)
        self._outbox.put(channel, frames)
        if self.pending is not None and channel == SHELL:
            self.pending.waits(frames)

    def _refuses(self, request: list[bytes], reason: str) -> bool:
        """Refuse code that was sent while another Lab has the kernel: running it later would surprise the
        user."""
        if self._speaker is None or kind_of(request) != "execute_request":
            return False
        text = f"{reason} This cell was not run. {TAKE_BACK}"
        content = {"status": "error", "ename": "KernelTaken", "evalue": text, "traceback": []}
        published, reply = self._speaker.answer(request, content, {"stream": stderr(text)})
        for frames in published:
            self.endpoints.deliver(IOPUB, frames)
        self.endpoints.deliver(SHELL, reply)
        return True

    # Acknowledgements

    def _ack(self, seq: int, incarnation: str) -> None:
        if incarnation == self.incarnation:
            self._receipts.safe(min(seq, self.last))

    def _send_ack(self, seq: int) -> bool:
        if self._channel is not None:
            with contextlib.suppress(ChannelReset):  # cut: the next channel repeats it
                self._channel.write(record(ACK, seq))
                return True
        return False


class BridgeState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a kernel client at one moment.

    ``disconnected``: the kernel is assumed to run, and its messages come when the connection is back.
    ``ended``: with its ``exit_code`` and ``reason``. ``taken``: ``other`` has it.
    """

    state: BridgeStateName = "connecting"
    since: float = msgspec.field(default_factory=time.time)
    reason: str = ""
    exit_code: int | None = None
    other: str = ""


class KernelBusy(Conflict):
    """Another Lab is attached to the kernel. ``details``: client, label."""

    code = "kernel_busy"


def busy(kernel_id: str, target: str, body: dict[str, Any]) -> KernelBusy:
    """Return the error for a kernel that another Lab has."""
    label = str(body.get("label", "")) or "another Lab"
    return KernelBusy(
        f"The kernel on {target} is attached to {label}.",
        hint="Close it in the other Lab, or take it over: in the panel, under “Running kernels”, or "
        f"with genops kernels attach {kernel_id} --take-over",
        details={"client": str(body.get("client", "")), "label": label},
    )


def last_words(exit_code: int | None, reason: str, ended_by: str = "") -> str:
    """Return the notebook's sentence about a kernel's end; empty where the code itself ended the kernel."""
    if ended_by:
        return f"{reason} Restart the kernel to continue."
    if exit_code == 0:
        return ""
    if reason:
        return f"The kernel has ended. {reason}"
    if exit_code is None:
        return "The kernel has ended."
    return f"The kernel has ended (exit code {exit_code})."


class Acks:
    """Acknowledges messages. ``send(seq)`` returns False while there is no channel: the next receipt repeats
    it."""

    def __init__(self, send: Callable[[int], bool]) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sent = 0
        self.acked = 0

    def reset(self) -> None:
        """Count from 1 for a new kernel."""
        self._stop()
        self._sent = self.acked = 0

    def sent_up_to(self, seq: int) -> None:
        """Note that the keeper has the acknowledgement of the messages up to ``seq``."""
        self._sent = max(self._sent, seq)
        self.acked = max(self.acked, seq)
        if self.acked > self._sent:
            self._later()

    def safe(self, seq: int) -> None:
        """Acknowledge the messages up to ``seq``."""
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
    """Corrects the status that clients see: they take the last one for the kernel's, whichever request it was
    about. When another request ends while a cell runs, ``say`` is called with the right status."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._activity = Activity("")
        self._corrected = False

    def follow(self, welcome: dict[str, Any]) -> None:
        """Take the keeper's state; a keeper of an earlier version does not send it."""
        requests = welcome.pop("requests", None)
        if requests is not None:
            self._activity.follow(str(welcome.get("execution_state", "")), requests)

    def heard(self, frames: list[bytes]) -> None:
        """Note what clients got on iopub."""
        wrong = self._activity.saw(frames)
        if wrong is not None:
            self._corrected = False
        if wrong:
            self.tell()

    def answered(self, frames: list[bytes]) -> None:
        """Note a reply."""
        self._activity.answered(frames)
        if self._corrected and self._activity.state != "busy":
            self._corrected = False
            self._say("idle")

    def tell(self) -> None:
        """Send the busy status again, for clients that missed it."""
        if self._activity.requests:
            self._corrected = True
            self._say("busy")

    def clear(self) -> None:
        """Reset after the kernel's end."""
        self._activity = Activity("")
        self._corrected = False


class Tap(Protocol):
    """Receives all messages of a kernel, in the connections' thread: be quick, raise nothing.

    ``channel`` is one of ``agent.records``: shell, control, stdin, iopub, note, request. ``seq`` grows by one
    within an ``incarnation`` of the kernel client. It is 0 for the Lab's own messages (on iopub: sentences
    about notes, cuts and the kernel's end). The unacknowledged messages at an attachment come here first.
    """

    def record(self, kernel_id: str, seq: int, channel: int, timestamp: float, frames: list[bytes]) -> None:
        """Take one message."""
        ...

    @property
    def crowded(self) -> bool:
        """Return whether the kernel's next messages should wait on its host."""
        ...


class MessageListeners:
    """The message listeners of one kernel. ``ack``: whether one of them acknowledges."""

    def __init__(self, kernel_id: str) -> None:
        self._kernel_id = kernel_id
        self._taps: list[Tap] = []
        self.ack = False

    def add(self, tap: Tap, *, acks: bool) -> None:
        """Add a listener."""
        self._taps.append(tap)
        self.ack = self.ack or acks

    @property
    def crowded(self) -> bool:
        """Return whether a listener has fallen behind."""
        return any(tap.crowded for tap in self._taps)

    def give(self, seq: int, channel: int, timestamp: float, frames: list[bytes]) -> None:
        """Call all listeners; a failed one does not stop the others."""
        for tap in self._taps:
            try:
                tap.record(self._kernel_id, seq, channel, timestamp, frames)
            except Exception:  # the boundary: a failed listener must not stop the clients
                log.exception("A recorder failed with message %d of kernel %s.", seq, self._kernel_id)
