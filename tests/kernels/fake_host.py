"""The host's end of a stream inside the test's own process, for what no real host does on demand."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from genops_lab.agent.frames import preamble
from genops_lab.agent.mux import Channel, ChannelReset, Mux, StreamEnded
from genops_lab.hosts.link.carrier import End, HostStream
from genops_lab.hosts.link.errors import CarrierEnded, LinkError
from genops_lab.hosts.link.questions import Asker, Question
from genops_lab.hosts.link.route import Route


class FakeCarriage(HostStream):
    """One end of a socket pair."""

    carrier = "fake"

    def __init__(self, route: Route, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(route)
        self.reader, self.writer = reader, writer

    async def end(self) -> End:
        return End(None, "")

    async def why(self, patience_s: float = 2.0) -> LinkError:
        return CarrierEnded("The connection was cut.")

    async def close(self) -> None:
        self.writer.close()


class FakeHost:
    """``open`` is an Opener. ``question``: what each attempt asks first; ``error``: what it raises.
    ``impatient``: so many attempts end when their question is answered.
    ``answer`` answers calls, ``kernel`` serves what a bridge opens."""

    def __init__(self) -> None:
        self.question: Question | None = None
        self.expected: str | None = None
        self.errors: list[Exception] = []
        self.opened = 0
        self.impatient = 0
        self.stuck = False
        self.greets = True
        self.muxes: list[Mux] = []
        self.answer: Callable[[str, dict[str, Any]], Any] = lambda method, params: {
            "method": method,
            **params,
        }
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: list[socket.socket] = []
        self.kernel: Callable[[Channel], Awaitable[None]] | None = None

    async def open(self, route: Route, asker: Asker, folder: Path) -> HostStream:
        self.opened += 1
        if self.errors:
            raise self.errors.pop(0)
        if self.stuck:
            await asyncio.Event().wait()
        if self.question is not None:
            answer = await asker.ask(self.question)
            if self.impatient:
                self.impatient -= 1
                raise CarrierEnded("It ended.")
            if answer != self.expected:
                raise LinkError.of("authentication_failed" if answer else "question_unanswered", "No.")
        near, far = socket.socketpair()
        self._sockets.append(far)
        reader, writer = await asyncio.open_connection(sock=near)
        far_reader, far_writer = await asyncio.open_connection(sock=far)
        if self.greets:
            far_writer.write(b"Welcome!\r\n" + preamble({"version": "1", "boot_id": "b"}))
            mux = Mux(far_reader, far_writer, odd=False, accept=self._accept)
            self.muxes.append(mux)
            self._later(self._run(mux))
        return FakeCarriage(route, reader, writer)

    async def cut(self) -> None:
        """Break the newest connection."""
        self.muxes[-1].close()
        self._sockets[-1].shutdown(socket.SHUT_RDWR)

    async def _run(self, mux: Mux) -> None:
        try:
            await mux.run()
        except StreamEnded:
            return

    def _accept(self, channel: Channel) -> None:
        self._later(self._call(channel) if channel.service == "call" else self._kernel(channel))

    async def _kernel(self, channel: Channel) -> None:
        assert self.kernel is not None
        try:
            await self.kernel(channel)
        except ChannelReset:
            return

    async def _call(self, channel: Channel) -> None:
        found = self.answer(channel.params["method"], channel.params["params"])
        if isinstance(found, Exception):
            channel.reset("not_found", str(found), "Look elsewhere.")
            return
        if found is None:
            return
        channel.write(json.dumps({"progress": 1}).encode() + b"\n")
        channel.write(json.dumps({"result": found}).encode() + b"\n")
        channel.write_eof()

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
