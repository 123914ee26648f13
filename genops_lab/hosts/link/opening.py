"""The parts of making and ending a link's connection."""

from __future__ import annotations

import asyncio
import importlib
import logging
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genops_lab.agent.frames import PreambleReader, ProtocolError

from .errors import AgentRefused
from .questions import Asker
from .route import Route

if TYPE_CHECKING:
    from .carrier import HostStream

log = logging.getLogger("genops_lab")

CLOSE_S = 2.0
_FIRST_PAUSE_S, _MAX_PAUSE_S, _MAX_PAUSE_AT_FIRST_S, _AT_FIRST_S = 0.05, 30.0, 5.0, 600.0


async def open_it(route: Route, asker: Asker, folder: Path) -> HostStream:
    carrier = await asyncio.to_thread(importlib.import_module, f"{__package__}.carrier")
    opened: HostStream = await carrier.open_carriage(route, asker, folder)
    return opened


async def greeting(carriage: HostStream) -> tuple[dict[str, Any], bytes]:
    preamble = PreambleReader()
    while True:
        data = await carriage.reader.read(65536)
        if not data:
            raise await carriage.why()
        try:
            found = preamble.feed(data)
        except ProtocolError as error:
            raise AgentRefused(
                str(error), hint="See what the login shell's rc files print when no terminal is there."
            ) from error
        if found is not None:
            return found


async def close_soon(carriage: HostStream) -> None:
    try:
        await asyncio.wait_for(carriage.close(), CLOSE_S)
    except asyncio.TimeoutError:
        log.warning("A connection's process did not end within %.0f s.", CLOSE_S)


def pause_after(failures: int, broken_for_s: float) -> float:
    longest = _MAX_PAUSE_AT_FIRST_S if broken_for_s < _AT_FIRST_S else _MAX_PAUSE_S
    return float(min(_FIRST_PAUSE_S * 2 ** min(failures - 1, 16), longest)) * random.uniform(0.8, 1.0)  # noqa: S311
