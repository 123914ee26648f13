"""Carry the bytes of a socket over a channel. The Lab and the agent use this alike."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Optional

from .channels import Channel, ChannelReset

_PORTION_BYTES = 262144


async def pipe(channel: Channel, sock: socket.socket) -> None:
    """Carry bytes both ways until both directions have ended, or one broke. Raises :class:`ChannelReset`."""
    loop = asyncio.get_running_loop()
    transport, outlet = await loop.create_connection(lambda: _Outlet(channel), sock=sock)
    try:
        while data := await channel.read(_PORTION_BYTES):
            transport.write(data)
            await outlet.writable.wait()
        transport.write_eof()
        await outlet.ended
    finally:
        transport.abort()


class _Outlet(asyncio.BufferedProtocol):
    """Writes the socket's bytes into the channel; reads nothing while much waits in the channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._buffer = memoryview(bytearray(_PORTION_BYTES))
        self._transport: Any = None
        self._draining: "Optional[asyncio.Future[None]]" = None
        self.writable = asyncio.Event()
        self.writable.set()
        #: Done when the socket has sent all, or is gone.
        self.ended: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self._channel.write(bytes(self._buffer[:nbytes]))
        except ChannelReset:
            self._transport.abort()
            return
        if self._channel.crowded:
            self._transport.pause_reading()
            self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        try:
            await self._channel.drain()
        except ChannelReset:
            self._transport.abort()
        else:
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        self._channel.write_eof()
        self._end()
        return True

    def connection_lost(self, exc: Optional[Exception]) -> None:
        if self._draining is not None:
            self._draining.cancel()
        self._channel.write_eof()
        self._end()
        self.writable.set()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()
