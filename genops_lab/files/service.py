"""The files of hosts, for the file browser of JupyterLab."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from genops_lab.agent.channels import Channel, ChannelReset
from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, NotFound, Unavailable
from genops_lab.hosts.link.state import RemoteError
from genops_lab.kernels.named_hosts import host_named

from .models import FilesQuery, HostFiles

if TYPE_CHECKING:
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.service import TargetsService
    from genops_lab.kernels.remote_service import RemoteKernelsService

_PORTION_BYTES = 262144
_KINDS: Mapping[str, type[GenOpsError]] = {
    "not_found": NotFound,
    "exists": Conflict,
    "refused": InvalidRequest,
}
#: Portions of a download that wait for a slow reader.
_AHEAD = 4


class FilesService:
    """Asks the agents of connected hosts for files. Paths are relative to the home of the host."""

    def __init__(self, targets: TargetsService, kernels: RemoteKernelsService) -> None:
        self._targets = targets
        self._kernels = kernels

    async def find_files(self, query: FilesQuery) -> HostFiles:
        """Return the name under which the files of a target or kernel are served. Raises Conflict, NotFound."""
        link, _ = await host_named(self._targets, self._kernels, query.where)
        found = await self.call(link, {"op": "look", "path": ""})
        route = link.route
        drive = f"{route.target},{route.host_id}" if route.host_id else route.target
        return HostFiles(
            drive=drive, target=route.target, host_id=route.host_id, writable=bool(found["writable"])
        )

    async def link(self, drive: str) -> HostConnection:
        """Return the connection of a drive's host. Raises NotFound, Conflict."""
        target, _, host_id = drive.partition(",")
        links = await self._targets.connected_links(target, host_id)
        if len(links) > 1:
            raise Conflict(f"{target} has several hosts.", hint="Open the files of one of its kernels.")
        return links[0]

    async def call(self, link: HostConnection, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the agent's answer. Raises NotFound, Conflict, InvalidRequest, Unavailable."""
        try:
            answer: dict[str, Any] = await self._targets.connections.run(link.call("files", dict(params)))
        except RemoteError as error:
            raise _error(link, error.code, error.message, error.hint) from error
        return answer

    async def read(self, link: HostConnection, path: str) -> AsyncIterator[bytes]:
        """Yield a file in portions; nothing more is asked of the host while the caller is slow."""
        portions: asyncio.Queue[bytes | GenOpsError] = asyncio.Queue(_AHEAD)
        here = asyncio.get_running_loop()

        async def put(portion: bytes | GenOpsError) -> None:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(portions.put(portion), here))

        async def carry() -> None:
            channel = link.open("file", {"op": "read", "path": path})
            try:
                channel.write_eof()
                while data := await channel.read(_PORTION_BYTES):
                    await put(data)
                await put(b"")
            except ChannelReset as reset:
                await put(_error(link, reset.code, reset.message, reset.hint))
            finally:
                channel.reset("left", "The reader has left.")

        carrying = self._targets.connections.links.submit(carry())
        try:
            while portion := await _next(portions, carrying):
                if isinstance(portion, GenOpsError):
                    raise portion
                yield portion
        finally:
            carrying.cancel()

    async def write(
        self, link: HostConnection, path: str, content: bytes, *, start: int = 0, last: bool = True
    ) -> dict[str, Any]:
        """Write a file, or one of its portions at ``start``. The file is complete with ``last``."""

        async def carry() -> dict[str, Any]:
            channel = link.open("file", {"op": "write", "path": path, "start": start, "last": last})
            try:
                for at in range(0, len(content), _PORTION_BYTES):
                    channel.write(content[at : at + _PORTION_BYTES])
                    await channel.drain()
                channel.write_eof()
                answer: dict[str, Any] = json.loads(await _rest(channel))
                return answer
            except ChannelReset as reset:
                raise _error(link, reset.code, reset.message, reset.hint) from reset
            finally:
                channel.reset("left", "The writer has left.")

        return await self._targets.connections.run(carry())


async def _next(portions: asyncio.Queue[bytes | GenOpsError], carrying: Any) -> bytes | GenOpsError:
    """Return the next portion. Raises what ended the carrying before."""
    getting = asyncio.ensure_future(portions.get())
    ended = asyncio.wrap_future(carrying)
    try:
        await asyncio.wait([getting, ended], return_when=asyncio.FIRST_COMPLETED)
        if not getting.done() and portions.empty():
            await ended  # raises
        return await getting
    finally:
        getting.cancel()


async def _rest(channel: Channel) -> bytes:
    pieces = []
    while data := await channel.read():
        pieces.append(data)
    return b"".join(pieces)


def _error(link: HostConnection, code: str, message: str, hint: str) -> GenOpsError:
    kind = _KINDS.get(code, Unavailable)
    return kind(f"{link.route.target}: {message}", hint=hint or "Check it on the host.", code=code)
