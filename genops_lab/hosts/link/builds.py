"""A build on a host, followed over all the connections that it takes."""

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

Told = Callable[[dict[str, Any]], None]


async def build(link: HostConnection, order: dict[str, Any], told: Told) -> dict[str, Any]:
    """Have the host carry out an order; its end. ``told`` hears of each event: ``id`` (what to cancel it by),
    ``step`` and ``share``, or ``line``.

    The build belongs to no connection: a link that comes back is waited for, and ``told`` hears of that
    (``away``, ``back``). Raises RemoteError; LinkDown when nobody brings the link back: the build goes on there.
    """
    at, away = 0, False

    def progress(event: dict[str, Any]) -> None:
        nonlocal at
        at = int(event.get("at", at))
        told(event)

    while True:
        await link.ready()
        try:
            channel = link.open("build", {"after": at})
            if away:
                away = False
                told({"back": True})
            data = json.dumps(order).encode()
            for start in range(0, len(data), _PIECE_BYTES):
                channel.write(data[start : start + _PIECE_BYTES])
                await channel.drain()
            end: dict[str, Any] = await answer_of(channel, "build", progress)
        except LinkDown:  # it broke between the two lines
            await asyncio.sleep(_PAUSE_S)
        except ChannelReset as reset:
            if reset.code != "gone":
                raise RemoteError(reset.code, reset.message or "The build failed.", reset.hint) from None
            if not away:
                away = True
                told({"away": True})
            await asyncio.sleep(_PAUSE_S)  # the link may not have seen yet that it is down
        else:
            link.proved()
            return end
