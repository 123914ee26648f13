"""A TCP proxy on loopback that does to connections what networks do: delay, cut, swallow, slice, throttle.

    with FaultProxy(target_port, latency_s=0.1) as proxy:
        ...connect to 127.0.0.1:proxy.port...
        proxy.hole()          # a black hole: nothing moves, nobody is told
        proxy.heal()          # what was held goes on, as TCP would after its retransmissions
        proxy.reset()         # every connection ends by RST
        proxy.set(latency_s=0.02, slice_bytes=7, bytes_per_s=1e6)
        proxy.status()["turns"]   # how often the direction changed: two a round trip

It runs as a process of its own (a busy test does not delay the bytes) and ends with its stdin, so also with
a test process that is killed. Commands are answered before the call returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Bytes held for delayed delivery, each way and connection.
HELD_BYTES = 32 << 20


class FaultProxy:
    """The test's handle. ``latency_s`` is added each way; a round trip costs twice that."""

    def __init__(self, target_port: int, **settings: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(target_port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._lock = threading.Lock()
        assert self._process.stdout is not None
        self.port: int = json.loads(self._process.stdout.readline())["port"]
        if settings:
            self.set(**settings)

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell(self, command: str, **arguments: Any) -> dict[str, Any]:
        with self._lock:
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.stdin.write(json.dumps({"command": command, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
            return answer

    def set(self, **settings: float) -> None:
        """Change any of ``latency_s``, ``slice_bytes`` (0: whole), ``bytes_per_s`` (0: unlimited) and ``held_bytes``
        (what the line takes before it is delivered), for all connections from now on."""
        self._tell("set", **settings)

    def hole(self, *, existing: bool = True, new: bool = True) -> None:
        """Bytes stop moving on connections that exist and/or on those made from now on (which are accepted)."""
        self._tell("hole", existing=existing, new=new)

    def heal(self) -> None:
        """What was held moves on, in order."""
        self._tell("heal")

    def reset(self) -> int:
        """End all connections by RST, holes too. Returns how many there were."""
        return int(self._tell("reset")["connections"])

    def reset_after(self, count: int, *, way: str = "down", every: bool = False) -> None:
        """The next connection that has carried ``count`` bytes (``up`` to the target or ``down`` from it) is reset
        there, mid-stream; once, or ``every`` one from now on."""
        self._tell("reset_after", count=count, way=way, every=every)

    def retarget(self, port: int) -> None:
        """Connections made from now on go to another port."""
        self._tell("retarget", port=port)

    def status(self) -> dict[str, Any]:
        """``accepted``, ``connections`` (now open), ``up_bytes``, ``down_bytes``, ``turns``: since the start."""
        return self._tell("status")

    def close(self) -> None:
        """End the proxy and its connections."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of loopback on which nothing listens: a connection is refused at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextmanager
def unanswered_port() -> Iterator[int]:
    """A port whose SYNs are dropped, as behind a firewall that drops: a connection attempt hangs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(64):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.3)
            try:
                filler.connect(listener.getsockname())
            except TimeoutError:
                break
        yield listener.getsockname()[1]


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that accepts and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


# --- the process ------------------------------------------------------------------------------------------


class _Connection:
    def __init__(self, proxy: _Proxy, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.proxy = proxy
        self.near, self.far = near, far
        self.open = asyncio.Event()
        self.open.set()
        self.carried = {"up": 0, "down": 0}
        self.last_way = ""

    def abort(self) -> None:
        for writer in (self.near, self.far):
            found = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def carry(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxy = self.proxy
        loop = asyncio.get_running_loop()
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        room = asyncio.Event()
        room.set()
        waiting = 0

        async def deliver() -> None:
            nonlocal waiting
            free_at = 0.0
            while True:
                due, data = await held.get()
                free_at = max(due, free_at)
                if proxy.bytes_per_s:
                    free_at += len(data) / proxy.bytes_per_s
                if (pause := free_at - loop.time()) > 0:
                    await asyncio.sleep(pause)
                await self.open.wait()
                if not data:
                    with contextlib.suppress(OSError):
                        writer.write_eof()
                    return
                step = int(proxy.slice_bytes) or len(data)
                for start in range(0, len(data), step):
                    writer.write(data[start : start + step])
                    await writer.drain()
                    if proxy.slice_bytes:
                        await asyncio.sleep(0)
                waiting -= len(data)
                if waiting < proxy.held_bytes:
                    room.set()

        delivery = asyncio.create_task(deliver())
        try:
            while True:
                await room.wait()
                data = await reader.read(1 << 17)
                await self.open.wait()
                if data and way != self.last_way:
                    self.last_way = way
                    proxy.turns += 1
                proxy.bytes[way] += len(data)
                self.carried[way] += len(data)
                waiting += len(data)
                if waiting >= proxy.held_bytes:
                    room.clear()
                if (
                    data
                    and proxy.reset_at
                    and proxy.reset_at[0] == way
                    and self.carried[way] >= proxy.reset_at[1]
                ):
                    keep = len(data) - (self.carried[way] - proxy.reset_at[1])
                    if not proxy.resets_every:
                        proxy.reset_at = None
                    writer.write(data[:keep])
                    await asyncio.sleep(proxy.latency_s)
                    self.abort()
                    return
                held.put_nowait((loop.time() + proxy.latency_s, data))
                if not data:
                    await delivery
                    return
        finally:
            delivery.cancel()


class _Proxy:
    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.latency_s = self.slice_bytes = self.bytes_per_s = 0.0
        self.held_bytes: float = HELD_BYTES
        self.hole_new = False
        self.connections: set[_Connection] = set()
        self.accepted = self.turns = 0
        self.bytes = {"up": 0, "down": 0}
        self.reset_at: tuple[str, int] | None = None
        self.resets_every = False

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        for each in (writer, far_writer):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.held_bytes < HELD_BYTES:  # else the system's buffers take megabytes at once
                each.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection = _Connection(self, writer, far_writer)
        if self.hole_new:
            connection.open.clear()
        self.connections.add(connection)
        try:
            await asyncio.gather(
                connection.carry("up", reader, far_writer), connection.carry("down", far_reader, writer)
            )
        except OSError:
            connection.abort()
        finally:
            self.connections.discard(connection)
            writer.close()
            far_writer.close()

    def obey(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        count = len(self.connections)
        if command == "set":
            for name, value in arguments.items():
                assert name in ("latency_s", "slice_bytes", "bytes_per_s", "held_bytes"), name
                setattr(self, name, value)
        elif command == "hole":
            self.hole_new = arguments["new"]
            for connection in self.connections if arguments["existing"] else ():
                connection.open.clear()
        elif command == "heal":
            self.hole_new = False
            for connection in self.connections:
                connection.open.set()
        elif command == "reset":
            for connection in self.connections:
                connection.abort()
                connection.open.set()
        elif command == "reset_after":
            self.reset_at = (arguments["way"], arguments["count"])
            self.resets_every = arguments["every"]
        elif command == "retarget":
            self.target_port = arguments["port"]
        return {
            "accepted": self.accepted,
            "connections": count,
            "turns": self.turns,
            "up_bytes": self.bytes["up"],
            "down_bytes": self.bytes["down"],
        }


async def _serve(target_port: int) -> None:
    proxy = _Proxy(target_port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0, backlog=1000)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    while line := await commands.readline():
        arguments = json.loads(line)
        print(json.dumps(proxy.obey(arguments.pop("command"), arguments)), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1])))
