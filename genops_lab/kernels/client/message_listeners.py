"""Who gets all that a kernel says beside its clients: recorders."""

from __future__ import annotations

import logging
from typing import Protocol

log = logging.getLogger("genops_lab")


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
