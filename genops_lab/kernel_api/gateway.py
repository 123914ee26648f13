"""Lead a kernel on another host to the Lab's operations: those that admit it, with its own authority.

The kernel sends HTTP to a socket in its own folder; each connection becomes a channel ``lab`` that the host
opens. Here tornado answers over a pair of sockets that has no name. The host is not trusted: the channel's
connection, and the kernels that the Lab started on it, decide which kernel speaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tornado import web
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from genops_lab.agent.mux import Channel, ChannelReset
from genops_lab.core.api import MAX_BODY_BYTES, ServiceGate, SocketHandler, socket_handlers
from genops_lab.core.errors import InvalidRequest, NotAllowed
from genops_lab.core.operations import Operation
from genops_lab.core.principals import Principal
from genops_lab.core.services import Services
from genops_lab.experiments.tracking import TrackingService
from genops_lab.profiling.service import ProfilesService

from .authority import KernelAuthority
from .uploads import IncomingFiles

SERVICE = "lab"
MAX_CONNECTIONS = 16
MAX_HEADER_BYTES = 16 * 1024
IDLE_S = 300.0
_HEADER_WITHIN_S = 60.0
_PIECE_BYTES = 65536
_FILES_PATH = "/genops/tracking/files/([0-9a-f]{32})"

log = logging.getLogger("genops_lab")


class KernelGateway:
    """Answers the channels of admitted kernels. Belongs to the loop in which it is made; ``serve`` runs in
    the connections' loop.

    ``operations`` are those that admit kernels, ``services`` those of the application. Calls ``started`` with
    a kernel that starts a run.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        services: Services,
        started: Callable[[Principal], None] = lambda _kernel: None,
    ) -> None:
        self._operations = operations
        self._services = ServiceGate(services)
        self._tracking = services.get(TrackingService)
        self._profiles_dir = services.get(ProfilesService).root
        self._files = services.get(IncomingFiles)
        self._started = started
        self._loop = asyncio.get_running_loop()
        self._admitted: set[Principal] = set()
        self._servers: dict[Principal, HTTPServer] = {}
        self._open: Counter[Principal] = Counter()

    def admit(self, place: str, kernel_id: str) -> None:
        """Answer the channels of this kernel: it runs at ``place``, as the Lab itself knows."""
        self._admitted.add(Principal("kernel", kernel_id, place))

    def dismiss(self, place: str, kernel_id: str) -> None:
        """Answer this kernel no more."""
        self._admitted.discard(Principal("kernel", kernel_id, place))

    def admitted(self, place: str) -> set[str]:
        """Return the admitted kernels at ``place``."""
        return {kernel.name for kernel in self._admitted.copy() if kernel.target == place}

    async def serve(self, place: str, channel: Channel) -> None:
        """Serve one connection of a kernel to its end. Called in the connections' loop."""
        kernel = Principal("kernel", str(channel.params.get("kernel_id")), place)
        if kernel not in self._admitted:
            channel.reset("not_allowed", f"No kernel {kernel.name[:64]!r} of this Lab runs on {place}.")
            return
        if self._open[kernel] >= MAX_CONNECTIONS:
            channel.reset("busy", f"The kernel already has {MAX_CONNECTIONS} connections.", "Close some.")
            return
        ours, theirs = socket.socketpair()
        self._open[kernel] += 1
        try:
            ours.setblocking(False)
            try:
                self._loop.call_soon_threadsafe(self._accept, kernel, theirs)
            except RuntimeError:
                theirs.close()
                channel.reset("gone", "The Lab is stopping.")
                return
            await _carry(channel, ours)
        except ChannelReset as reset:
            log.debug("A connection of kernel %s on %s ended: %s", kernel.name, place, reset)
        except OSError as error:
            channel.reset("gone", f"The Lab's end of the connection broke: {error}.")
        finally:
            self._open[kernel] -= 1
            ours.close()

    def _accept(self, kernel: Principal, connection: socket.socket) -> None:
        server = self._servers.get(kernel)
        if server is None:
            server = self._servers[kernel] = self._server(kernel)
        stream = IOStream(connection, max_buffer_size=MAX_BODY_BYTES + MAX_HEADER_BYTES + _PIECE_BYTES)
        server.handle_stream(stream, ("", 0))

    def _server(self, kernel: Principal) -> HTTPServer:
        authority = KernelAuthority(kernel, self._tracking, self._profiles_dir, self._files, self._started)
        handlers: list[Any] = socket_handlers(self._operations, self._services, kernel, authority.call)
        handlers.append((_FILES_PATH, _FileHandler, {"kernel": kernel, "files": self._files}))
        application = web.Application(
            handlers, default_handler_class=_Refusal, log_function=lambda _handler: None
        )
        return HTTPServer(
            application,
            max_header_size=MAX_HEADER_BYTES,
            max_body_size=MAX_BODY_BYTES,
            idle_connection_timeout=_HEADER_WITHIN_S,
        )

    async def close(self) -> None:
        """End the connections."""
        self._admitted.clear()
        for server in self._servers.values():
            await server.close_all_connections()
        self._servers.clear()
        await asyncio.to_thread(self._files.close)


class _Refusal(SocketHandler):
    """Refuses everything else."""

    def prepare(self) -> None:
        raise NotAllowed(
            f"Kernels on other hosts may not use {self.request.method} {self.request.path[:80]}.",
            hint="Use the panel, or `genops` in a terminal of the Lab.",
        )


@web.stream_request_body
class _FileHandler(SocketHandler):
    """Writes a file's bytes as they arrive."""

    SUPPORTED_METHODS = ("PUT",)

    def initialize(self, kernel: Principal, files: IncomingFiles) -> None:
        self._kernel = kernel
        self._files = files
        self._descriptor = -1
        self._left = 0

    async def prepare(self) -> None:  # type: ignore[override]
        ticket = self.path_args[0]
        if self.request.method != "PUT":
            raise web.HTTPError(405)
        self._left = await asyncio.to_thread(self._files.expected, self._kernel, ticket)
        given = self.request.headers.get("Content-Length", "")
        if given != str(self._left):
            raise InvalidRequest(
                f"The request announces {given[:20] or 'no'} bytes; {self._left} were offered.",
                hint="Send the offered size as Content-Length.",
            )
        connection: Any = self.request.connection
        connection.set_max_body_size(self._left)
        self._descriptor = await asyncio.to_thread(self._files.create, self._kernel, ticket)

    async def data_received(self, chunk: bytes) -> None:
        if self._descriptor >= 0:
            self._left -= len(chunk)
            await asyncio.to_thread(_write_all, self._descriptor, chunk)

    async def put(self, ticket: str) -> None:
        self._close()
        await asyncio.to_thread(self._files.arrived, self._kernel, ticket)
        self.set_status(204)

    def on_connection_close(self) -> None:
        if self._descriptor >= 0:
            # The kernel offers it again: the first part would only take space.
            self._close()
            self._files.discard(self._kernel, self.path_args[0])

    def on_finish(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


async def _carry(channel: Channel, connection: socket.socket) -> None:
    """Carry bytes both ways until the Lab's side has ended, or nothing moved for ``IDLE_S``."""
    loop = asyncio.get_running_loop()
    moved = 0

    async def inward() -> None:
        nonlocal moved
        while data := await channel.read(_PIECE_BYTES):
            moved += 1
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # answered before all was read
                await loop.sock_sendall(connection, data)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)

    async def outward() -> None:
        nonlocal moved
        # A server that closes before it has read all resets the connection, after its answer.
        with contextlib.suppress(ConnectionResetError):
            while data := await loop.sock_recv(connection, _PIECE_BYTES):
                moved += 1
                channel.write(data)
                await channel.drain()
        channel.write_eof()

    coming, going = asyncio.ensure_future(inward()), asyncio.ensure_future(outward())
    tasks = {coming, going}
    try:
        while tasks:
            before = moved
            done, tasks = await asyncio.wait(tasks, timeout=IDLE_S, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if not done and moved == before:
                channel.reset("idle", f"The connection was idle for {IDLE_S:.0f} s.")
                return
    finally:
        for task in (coming, going):
            task.cancel()
        await asyncio.gather(coming, going, return_exceptions=True)
