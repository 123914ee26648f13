"""Telling the keeper what is safe here: seldom, and soon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_EACH = 256
_AFTER_S = 0.5


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
        if self.acked - self._sent >= _EACH:
            self._tell()
        elif self.acked > self._sent:
            self._later()

    def _later(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(_AFTER_S, self._tell)

    def _tell(self) -> None:
        self._stop()
        if self.acked > self._sent and self._send(self.acked):
            self._sent = self.acked

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
