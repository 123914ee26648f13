"""Follow a build on a host over as many connections as it takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from genops_lab.agent.channels import ChannelReset

from .calls import answer_of
from .state import LinkDown, RemoteError

if TYPE_CHECKING:
    from .connection import HostConnection

_PIECE_BYTES = 65536
_PAUSE_S = 0.05

OnEvent = Callable[[dict[str, Any]], None]


async def build(link: HostConnection, order: dict[str, Any], on_event: OnEvent) -> dict[str, Any]:
    """Have the host carry out an order; return its end.

    Calls ``on_event`` with each event: ``id`` (for a cancel), ``step`` and ``share``, or ``line``. A build
    belongs to no connection: when the connection breaks, this waits until it is back and calls ``on_event`` with
    ``away`` and ``back``.

    Raises RemoteError. Raises LinkDown when nobody connects again: the build continues on the host.
    """
    at, away = 0, False

    def progress(event: dict[str, Any]) -> None:
        nonlocal at
        at = int(event.get("at", at))
        on_event(event)

    while True:
        await link.ready()
        try:
            channel = link.open("build", {"after": at})
            if away:
                away = False
                on_event({"back": True})
            data = json.dumps(order).encode()
            for start in range(0, len(data), _PIECE_BYTES):
                channel.write(data[start : start + _PIECE_BYTES])
                await channel.drain()
            end: dict[str, Any] = await answer_of(channel, "build", progress)
        except LinkDown:  # the connection broke between the two lines
            await asyncio.sleep(_PAUSE_S)
        except ChannelReset as reset:
            if reset.code != "gone":
                raise RemoteError(reset.code, reset.message or "The build failed.", reset.hint) from None
            if not away:
                away = True
                on_event({"away": True})
            await asyncio.sleep(_PAUSE_S)  # the connection may not have seen yet that it is down
        else:
            link.proved()
            return end
