"""What a kernel on a host and its local clients say to each other: every message exactly once and in order.

The keeper on the host numbers what the kernel says and keeps it until it is acknowledged; here what clients say is
numbered and kept until the keeper has it. After a cut both tell how far they came, and go on there.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

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

from .acks import Acks
from .busy_status import BusyStatus
from .endpoints import Endpoints
from .keeper_notes import ends_at, told_of
from .message_listeners import MessageListeners, Tap
from .messages import Running, Speaker, cell_of
from .outbox import Outbox
from .state import TAKE_BACK, BridgeState

_FULL_PAUSE_S = 0.005


class Exchange:
    """``state`` gives the bridge's; ``idle_warned`` is called when the kernel is about to be ended for want of work."""

    def __init__(
        self,
        kernel_id: str,
        context: zmq.Context[Any],
        state: Callable[[], BridgeState],
        idle_warned: Callable[[], None],
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
        self._answers_meanwhile = False
        self._channel: Channel | None = None
        self._speaker: Speaker | None = None
        self._running = Running()
        self._statuses = BusyStatus(self._say_status)
        self._said_first: list[str] = []
        self._outbox = Outbox(endpoints.pause)
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
        """From any thread: a client may not have heard that a cell runs."""
        self._loop.call_soon_threadsafe(self._statuses.tell)

    def say_first(self, texts: list[str]) -> None:
        """From any thread: text for the notebook's first cell, in place of what was to be said there."""
        self._said_first = list(texts)

    # The kernel's life

    def begin(self, incarnation: str, key: bytes, signature_scheme: str) -> None:
        """A kernel was started for these clients: what they said since the last one ended is for it."""
        self._answers_meanwhile = False
        self._outbox.renumber()
        self.reset(incarnation)
        self.speak(key, signature_scheme)

    def wait_for_host(self, key: bytes, signature_scheme: str) -> None:
        """The kernel starts later: until then its clients are answered what they need to be ready, and what else they
        say is kept for it."""
        self.reset("")
        self.speak(key, signature_scheme)
        self._answers_meanwhile = True

    def refuse_waiting(self, text: str) -> None:
        """The kernel does not start: the code that waits for it is not run."""
        for channel, frames in self._outbox.waiting():
            if channel == SHELL:
                self._refuse(frames, text, "KernelNotStarted")

    def reset(self, incarnation: str) -> None:
        """Another kernel counts from 1."""
        self.incarnation = incarnation
        self.last = self.backlog = 0
        self._receipts.reset()
        self._missed = False
        self._running.clear()
        self._statuses.clear()

    def speak(self, key: bytes, signature_scheme: str) -> None:
        """The kernel's messages are signed so, and those in its name."""
        self.key = key
        self._speaker = Speaker(key, signature_scheme, self._kernel_id)

    def ended(self) -> None:
        """The kernel has ended; what still waits for it is dropped."""
        self._answers_meanwhile = False
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
            if not old or channel in (SHELL, STDIN):
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
            self._statuses.tell()

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
        if self._answers_meanwhile and self._answered(channel, frames):
            return
        if channel == SHELL:
            self._running.asked(frames)
        self._outbox.put(channel, frames)

    def _answered(self, channel: int, frames: list[bytes]) -> bool:
        """What clients ask before they run anything, of a kernel that waits for its host."""
        told = self._speaker and self._speaker.presence(frames)
        if not told:
            return False
        busy, reply, idle = told
        self.endpoints.deliver(IOPUB, busy)
        self.endpoints.deliver(channel, reply)
        self.endpoints.deliver(IOPUB, idle)
        return True

    def _refuses(self, request: list[bytes], reason: str) -> bool:
        """Code that was sent while another Lab has the kernel: to run it later, unasked, would surprise."""
        return self._refuse(request, f"{reason} This cell was not run. {TAKE_BACK}", "KernelTaken")

    def _refuse(self, request: list[bytes], text: str, name: str) -> bool:
        told = self._speaker and self._speaker.refusal(request, text, name)
        if not told:
            return False
        published, reply = told
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
