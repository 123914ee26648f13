"""Hosts that answer calls, at the other end of real links: a Links with its thread, muxes over socket pairs."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genops_lab.agent.frames import preamble
from genops_lab.agent.mux import Channel, Mux, StreamEnded
from genops_lab.hosts.link.carrier import End, HostStream
from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.providers import route_of

#: (target, method) -> result
Answers = Callable[[str, str], Awaitable[Any]]


class Hosts:
    """What the hosts saw. ``opened`` counts connections, ``calls`` the calls by target."""

    def __init__(self, answers: Answers, folder: Path) -> None:
        self.opened: list[str] = []
        self.calls: list[str] = []
        self._answers = answers
        self._carriages: dict[str, _Carriage] = {}
        self.links = HostConnections(folder, _nobody, opener=self._open)

    async def connect(self, *targets: str) -> None:
        """Connect these targets, as a person does."""
        links = [self.links.link(route_of(target=target, host=target)) for target in targets]
        await self.links.run(_up(links))

    async def cut(self, target: str) -> None:
        """The connection of a target breaks."""
        self.links.soon(self._carriages[target].mine.close)

    async def _open(self, route: Route, _asker: Any, _folder: Path) -> HostStream:
        self.opened.append(route.target)
        carriage = _Carriage(route)
        await carriage.start(self._serve)
        self._carriages[route.target] = carriage
        return carriage

    async def _serve(self, target: str, channel: Channel) -> None:
        method = channel.params["method"]
        self.calls.append(target)
        try:
            result = await self._answers(target, method)
        except Refused as error:
            channel.reset("refused", str(error))
            return
        channel.write(json.dumps({"result": result}).encode() + b"\n")
        channel.write_eof()


class Refused(Exception):
    """The host's answer is an error."""


@contextmanager
def hosts(answers: Answers, folder: Path) -> Iterator[Hosts]:
    """Hosts for a test."""
    made = Hosts(answers, folder)
    try:
        yield made
    finally:
        made.links.close()


class _Nobody:
    async def ask(self, _question: Any) -> str | None:
        raise AssertionError("a look asks nobody")


_nobody = _Nobody()


async def _up(links: list[Any]) -> None:
    await asyncio.gather(*(link.up() for link in links))


class _Carriage(HostStream):
    carrier = "paramiko"

    async def start(self, serve: Callable[[str, Channel], Awaitable[None]]) -> None:
        near, far = socket.socketpair()
        self.reader, self.writer = await asyncio.open_connection(sock=near)
        host_reader, self.mine = await asyncio.open_connection(sock=far)
        self.mine.write(preamble({"version": "1", "python": "3", "pid": 1, "nonce": "n", "hostname": "h"}))
        self._tasks: set[asyncio.Task[Any]] = set()

        def accept(channel: Channel) -> None:
            self._keep(asyncio.ensure_future(_quietly(serve(self.route.target, channel))))

        self.mux = Mux(host_reader, self.mine, odd=False, accept=accept)
        self.running = asyncio.ensure_future(_quietly(self.mux.run()))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> End:
        await self.running
        return End(0, "")

    async def close(self) -> None:
        for task in [*self._tasks, self.running]:
            task.cancel()
        for writer in (self.writer, self.mine):
            writer.close()


async def _quietly(work: Awaitable[Any]) -> None:
    try:
        await work
    except (StreamEnded, OSError):
        return  # the connection is gone, which is what a test wanted
