"""Messages of clients on their way to a kernel: numbered, kept until the keeper has them, sent again after a cut."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable

from genops_lab.agent.channels import Channel, ChannelReset
from genops_lab.agent.records import MESSAGE, pack, record, unpack

#: While more than this waits, nothing is taken from the clients.
_MUCH_BYTES = 256 * 1024 * 1024
_DRAIN_ABOVE_BYTES = 65536


class Outbox:
    """``crowded(bool)`` is called when much begins, or ceases, to wait."""

    def __init__(self, crowded: Callable[[bool], None]) -> None:
        self._crowded = crowded
        self._kept: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._full = False
        self._last = 0
        self._sent = 0
        self._channel: Channel | None = None
        self._sending: asyncio.Task[None] | None = None

    def put(self, channel: int, frames: list[bytes]) -> None:
        """Take a message; send it if that can be done now."""
        payload = pack(channel, time.time(), frames)
        self._last += 1
        self._kept.append((self._last, payload))
        self._bytes += len(payload)
        self._look_at_size()
        if self._channel is None or self._sending is not None:
            return
        if self._sent == self._last - 1 and len(payload) <= _DRAIN_ABOVE_BYTES:
            self._sent = self._last
            with contextlib.suppress(ChannelReset):  # cut: sent again on the next channel
                self._channel.write(record(MESSAGE, self._last, payload))
        else:
            self._sending = asyncio.get_running_loop().create_task(self._send(self._channel))

    def connect(self, channel: Channel, seen: int) -> None:
        """A channel to the keeper, which has the messages up to ``seen``."""
        self.disconnect()
        self.seen(seen)
        self._channel = channel
        self._sent = seen
        if self._waits:
            self._sending = asyncio.get_running_loop().create_task(self._send(channel))

    def disconnect(self) -> None:
        """The channel is gone."""
        self._channel = None
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def seen(self, seq: int) -> None:
        """The keeper has the messages up to ``seq``."""
        while self._kept and self._kept[0][0] <= seq:
            self._bytes -= len(self._kept.popleft()[1])
        self._look_at_size()

    def clear(self) -> None:
        """What waits was meant for a kernel that has ended."""
        self.disconnect()
        self._kept.clear()
        self._bytes = 0
        self._look_at_size()

    def waiting(self) -> list[tuple[int, list[bytes]]]:
        """What no keeper has: channels and frames, in their order."""
        return [(channel, frames) for channel, _, frames in (unpack(payload) for _, payload in self._kept)]

    def renumber(self) -> None:
        """A new kernel counts from 1; what came since the old one ended is for it."""
        self.disconnect()
        self._kept = deque((number, payload) for number, (_, payload) in enumerate(self._kept, start=1))
        self._last = len(self._kept)
        self._sent = 0

    @property
    def _waits(self) -> bool:
        """Whether anything is to be sent. One that was taken by a keeper that was killed then is kept no more."""
        return bool(self._kept) and self._kept[-1][0] > self._sent

    async def _send(self, channel: Channel) -> None:
        try:
            while self._waits:
                first = self._kept[0][0]
                seq, payload = self._kept[max(self._sent + 1 - first, 0)]
                self._sent = seq
                channel.write(record(MESSAGE, seq, payload))
                await channel.drain()
        except ChannelReset:
            return  # cut: sent again on the next channel
        finally:
            if self._channel is channel:
                self._sending = None

    def _look_at_size(self) -> None:
        full = self._bytes > _MUCH_BYTES
        if full != self._full:
            self._full = full
            self._crowded(full)
