"""Carry channels over one byte stream, the same on both ends.

Urgent channels are written first. The others take turns, and bulk waits for both. Each channel has a window
of credit: a receiver that is slow with one channel delays no other. Everything here belongs to one asyncio
loop.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional

from .channels import Channel, ChannelReset
from .frames import (
    CREDIT,
    DATA,
    EOF,
    HEADER,
    MAX_PAYLOAD_BYTES,
    OPEN,
    PING,
    PONG,
    RESET,
    FrameReader,
    ProtocolError,
    document,
    frame,
)
from .stream_input import StreamInput

__all__ = ["Channel", "ChannelReset", "Mux", "ProtocolError", "StreamEnded"]

#: Channels that the other side may have open at once.
MAX_CHANNELS = 256
#: Frames that wait to be written before anything else; above this the other side is not read from.
MAX_WAITING = 4096
_READ_BYTES = 262144
_WRITE_BYTES = 131072
_U32 = struct.Struct("!I")


class StreamEnded(Exception):
    """The stream broke, or the other side broke the protocol."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Mux:
    """One end of the stream. ``odd``: whether the channels opened here have odd numbers (the Lab's do).
    ``heard``: the bytes that came with the greeting."""

    def __init__(
        self, reader: Any, writer: Any, *, odd: bool, accept: Callable[[Channel], None], heard: bytes = b""
    ) -> None:
        self._reader = reader
        self._heard = heard
        self._frames = FrameReader()
        self._writer = writer
        self._transport = getattr(writer, "transport", None)
        if self._transport is not None:  # nothing overtakes data in the transport
            self._transport.set_write_buffer_limits(high=_WRITE_BYTES // 2)
        self._accept = accept
        self._next_id = 1 if odd else 2
        self._last_accepted = 0 if odd else -1
        self._channels: Dict[int, Channel] = {}
        self._accepted_open = 0
        self._first: Deque[bytes] = deque()
        self._ready: Deque[Channel] = deque()
        self._ready_urgent: Deque[Channel] = deque()
        self._ready_bulk: Deque[Channel] = deque()
        self._wake = asyncio.Event()
        self._relieved = asyncio.Event()
        self._closed = asyncio.Event()
        self._pings: Dict[bytes, "asyncio.Future[float]"] = {}
        self._ping_number = 0
        self.last_heard = time.monotonic()

    async def run(self) -> None:
        """Serve until the stream ends. Returns at a clean end, raises :class:`StreamEnded` at any other."""
        tasks = [
            asyncio.ensure_future(self._read()),
            asyncio.ensure_future(self._write()),
            asyncio.ensure_future(self._closed.wait()),
        ]
        reason = "cancelled"
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            reason = "closed"
            for task in done:
                error = task.exception()
                if error is not None:
                    reason = str(error) or type(error).__name__
                    raise StreamEnded(reason) from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._end(reason)

    def open(self, service: str, params: Dict[str, Any], urgent: bool = False) -> Channel:
        """Open a channel, which may be written to at once.

        Raises :class:`ChannelReset` when the stream has ended. Raises ValueError for parameters that are too
        large for a frame: the other side would end the stream.
        """
        if self._closed.is_set():
            raise ChannelReset("gone", "The connection has ended.")
        body = json.dumps({**params, "service": service, "urgent": urgent}).encode()
        if len(body) > MAX_PAYLOAD_BYTES:
            raise ValueError(
                f"{len(body)} bytes of parameters for {service} are more than {MAX_PAYLOAD_BYTES}"
            )
        channel = Channel(self, self._next_id, service, params, urgent)
        self._first_frame(OPEN, channel.id, body)
        self._next_id += 2
        self._channels[channel.id] = channel
        return channel

    async def ping(self) -> float:
        """Return the round-trip time in seconds. Raises :class:`ChannelReset` when the stream ends."""
        if self._closed.is_set():
            raise ChannelReset("gone", "The connection has ended.")
        self._ping_number += 1
        token = struct.pack("!Q", self._ping_number)
        answered: "asyncio.Future[float]" = asyncio.get_running_loop().create_future()
        self._pings[token] = answered
        started = time.monotonic()
        try:
            self._first_frame(PING, 0, token)
            return await answered - started
        finally:
            self._pings.pop(token, None)

    def close(self) -> None:
        """End the stream: :meth:`run` returns, every channel is reset with the code "gone"."""
        self._end("closed")

    def _end(self, reason: str) -> None:
        self._closed.set()
        for channel in list(self._channels.values()):
            channel.ended(ChannelReset("gone", f"The connection has ended: {reason}"))
        self._channels.clear()
        for answered in self._pings.values():
            if not answered.done():
                answered.set_exception(ChannelReset("gone", "The connection has ended."))
                answered.exception()  # a ping that nobody awaits any more causes no warning

    # Called by channels

    def _first_frame(self, kind: int, channel: int, payload: bytes = b"") -> None:
        self._first.append(frame(kind, channel, payload))
        self._write_now()

    def channel_ready(self, channel: Channel) -> None:
        """Note that the channel has data to write, and credit for it."""
        ready = self._ready_bulk if channel.bulk else self._ready_urgent if channel.urgent else self._ready
        ready.append(channel)
        self._write_now()

    def channel_credit(self, channel: Channel, size: int) -> None:
        """Return credit: the channel's reader has taken ``size`` bytes."""
        if not self._closed.is_set():
            self._first_frame(CREDIT, channel.id, _U32.pack(size))

    def channel_reset(self, channel: Channel, body: Dict[str, Any]) -> None:
        """End the channel here, and notify the other side."""
        if self._channels.get(channel.id) is channel:
            self._first_frame(RESET, channel.id, json.dumps(body).encode())
            self._forget(channel)

    def channel_done(self, channel: Channel) -> None:
        """Remove a channel: both directions have ended."""
        self._forget(channel)

    def _forget(self, channel: Channel) -> None:
        if self._channels.pop(channel.id, None) is not None and not self._is_mine(channel.id):
            self._accepted_open -= 1

    def _is_mine(self, number: int) -> bool:
        return number % 2 == self._next_id % 2

    # Writing

    def _write_now(self) -> None:
        """Write what is ready and what the stream takes at once; the rest is written later."""
        transport = self._transport
        if transport is not None and not transport.get_write_buffer_size() and not self._closed.is_set():
            portion = self._next_portion()
            if portion:
                self._writer.write(portion)
        if self._first or self._ready_urgent or self._ready or self._ready_bulk:
            self._wake.set()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while True:
                portion = self._next_portion()
                if not portion:
                    break
                self._writer.write(portion)
                await self._writer.drain()

    def _next_portion(self) -> bytes:
        pieces: List[Any] = []
        size = 0
        while size < _WRITE_BYTES:
            if self._first:
                pieces.append(self._first.popleft())
                size += len(pieces[-1])
                self._relieved.set()
            elif self._ready_urgent:
                size += self._from(self._ready_urgent, pieces)
            elif self._ready:
                size += self._from(self._ready, pieces)
            else:
                if not pieces and self._ready_bulk:  # one frame: later data waits for at most one
                    self._from(self._ready_bulk, pieces)
                break
        return b"".join(pieces)

    def _from(self, ready: Deque[Channel], pieces: List[Any]) -> int:
        channel = ready.popleft()
        taken = channel.take()
        if taken is None:
            return 0
        kind, size, payload, more = taken
        if more:
            ready.append(channel)
        pieces.append(HEADER.pack(kind, channel.id, size))
        pieces.extend(payload)
        return HEADER.size + size

    # Reading

    async def _read(self) -> None:
        self._take(self._heard)
        try:
            while True:
                data = await self._reader.read(_READ_BYTES)
                if not data:
                    break
                self._take(data)
                if self._crowded:
                    await self._relief()
                elif len(data) < _READ_BYTES:  # the reader has no more data
                    self._have_taken_by(self._take)
        finally:
            self._have_taken_by(None)
        if not self._frames.empty:
            raise ProtocolError("The stream ended within a frame.")

    def _have_taken_by(self, take: Optional[Callable[[bytes], None]]) -> None:
        if isinstance(self._reader, StreamInput):
            self._reader.take = take

    def _take(self, data: bytes) -> None:
        self.last_heard = time.monotonic()
        for kind, number, payload in self._frames.feed(data):
            self._take_frame(kind, number, payload)
        if self._crowded:
            self._have_taken_by(None)

    @property
    def _crowded(self) -> bool:
        return len(self._first) > MAX_WAITING

    async def _relief(self) -> None:
        while self._crowded:
            self._relieved.clear()
            await self._relieved.wait()

    def _take_frame(self, kind: int, number: int, payload: bytes) -> None:
        if kind == PING:
            self._first_frame(PONG, 0, payload)
        elif kind == PONG:
            answered = self._pings.get(payload)
            if answered is not None and not answered.done():
                answered.set_result(time.monotonic())
        elif kind == OPEN:
            self._opened(number, document(payload))
        else:
            channel = self._channels.get(number)
            if channel is not None:
                self._take_for(channel, kind, payload)
            elif number > (self._next_id - 2 if self._is_mine(number) else self._last_accepted):
                raise ProtocolError(f"A frame names channel {number}, which was never opened.")
            # otherwise sent before the other side knew that the channel had ended

    def _take_for(self, channel: Channel, kind: int, payload: bytes) -> None:
        if kind == DATA:
            channel.received(payload)
        elif kind == EOF:
            channel.received_eof()
        elif kind == CREDIT:
            channel.received_credit(_U32.unpack(payload)[0])
        else:
            body = document(payload)
            self._forget(channel)
            channel.ended(
                ChannelReset(
                    str(body.get("code", "reset")), str(body.get("message", "")), str(body.get("hint", ""))
                )
            )

    def _opened(self, number: int, params: Dict[str, Any]) -> None:
        if self._is_mine(number) or number <= self._last_accepted:
            raise ProtocolError(f"Channel {number} cannot be opened.")
        self._last_accepted = number
        service = params.pop("service", None)
        urgent = params.pop("urgent", False)
        if not isinstance(service, str) or not isinstance(urgent, bool):
            raise ProtocolError("A channel was opened without a service.")
        channel = Channel(self, number, service, params, urgent)
        self._channels[number] = channel
        self._accepted_open += 1
        if self._accepted_open > MAX_CHANNELS:
            channel.reset("busy", f"More than {MAX_CHANNELS} channels are open.")
            return
        self._accept(channel)
