"""Find out that the other side of a stream is gone when no error says so (a black hole, a sleeping laptop)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from genops_lab.agent.mux import ChannelReset, Mux

#: Seconds between pings while kernels are attached, and otherwise.
ATTENTIVE_S, RELAXED_S = 1.0, 15.0
#: The connection is broken after this many pings in a row without a byte from the other side.
MISSED = 3


class Keepalive:
    """Sends pings. ``measured`` gets each round-trip time in seconds."""

    def __init__(self, mux: Mux, measured: Callable[[float], None], *, attentive: bool) -> None:
        self._mux = mux
        self._measured = measured
        self._interval_s = ATTENTIVE_S if attentive else RELAXED_S
        self._changed = asyncio.Event()
        self._ping: asyncio.Task[None] | None = None

    def attend(self, attentive: bool) -> None:
        """Ping each second, or each 15 s."""
        interval_s = ATTENTIVE_S if attentive else RELAXED_S
        if interval_s != self._interval_s:
            self._interval_s = interval_s
            self._changed.set()

    async def run(self) -> None:
        """Return when the other side is silent.

        Any byte counts as a sign of life. A time in which this loop did not run, or the machine slept, does
        not count: bytes that came meanwhile were not read yet.
        """
        missed = 0
        try:
            while missed < MISSED:
                if self._ping is None or self._ping.done():
                    self._ping = asyncio.ensure_future(self._measure())
                heard, started, interval = self._mux.last_heard, time.monotonic(), self._interval_s
                self._changed.clear()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), interval)
                    continue
                if self._mux.last_heard != heard:
                    missed = 0
                elif time.monotonic() - started < 2 * interval:
                    missed += 1
        finally:
            if self._ping is not None:
                self._ping.cancel()

    async def _measure(self) -> None:
        with contextlib.suppress(ChannelReset):
            self._measured(await self._mux.ping())
