"""Carry connections of a socket of this machine to a service of a host, over the link that is there already."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.socket_forwarding import pipe

from ...core.errors import GenOpsError
from .connection import HostConnection
from .state import RemoteError

#: Most connections at once: a gateway of deployments takes as many.
MAX_CONNECTIONS = 512


def _nobody(_reason: GenOpsError) -> None:
    """Tell nobody."""


async def forward(
    listener: socket.socket,
    link: HostConnection,
    service: str,
    params: dict[str, Any],
    closed: Callable[[], object],
    *,
    refused: Callable[[GenOpsError], None] = _nobody,
    patience_s: float = 0.0,
) -> None:
    """Carry each connection to ``service`` until this is cancelled; then call ``closed``.

    A connection that cannot be carried is closed, as by a server that is not there, and ``refused`` hears the reason.
    A link that is down may come back within ``patience_s``.
    """
    loop, carrying = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    async def carry(connection: socket.socket) -> None:
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if patience_s:
                await link.ready(patience_s)
            channel = link.open(service, params)
            try:
                await pipe(channel, connection)
            finally:
                channel.reset("left", "The caller has left.")
        except ChannelReset as reset:
            refused(RemoteError(reset.code, reset.message, reset.hint))
        except GenOpsError as error:
            refused(error)
        except OSError:
            return  # the caller has left
        finally:
            connection.close()

    try:
        while True:
            connection, _ = await loop.sock_accept(listener)
            if len(carrying) >= MAX_CONNECTIONS:
                connection.close()
                continue
            task = loop.create_task(carry(connection))
            carrying.add(task)
            task.add_done_callback(carrying.discard)
    finally:
        listener.close()
        for task in carrying:
            task.cancel()
        closed()
