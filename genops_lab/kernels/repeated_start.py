"""Ask again for a start while cuts hide whether it was done. Hosts and kernels have names, so it stays one start."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from ..core.errors import GenOpsError, Unavailable
from ..hosts.link.connection import HostConnection
from ..hosts.link.errors import LinkError
from ..hosts.link.state import LinkDown, RemoteError

#: Seconds that a request for a host is repeated: before it, nothing runs that a person would lose.
REQUEST_S = 20.0
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)


async def until_known(
    link: HostConnection,
    start: Callable[[], Awaitable[None]],
    tell: Callable[[str], None],
    within_s: float = float("inf"),
) -> None:
    """Call ``start`` until it returns, or raises something other than a cut; ``tell`` gets each reason.

    Raises what ``start`` raises, also a cut after ``within_s`` seconds.
    """
    deadline, failures = time.monotonic() + within_s, 0
    while True:
        try:
            return await start()
        except GenOpsError as error:
            if not _is_cut(error) or time.monotonic() > deadline:
                raise
            tell(f"{error.message} The start is asked for again.")
        pause_s = _PAUSES_S[min(failures, len(_PAUSES_S) - 1)]
        failures += 1
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(link.changed(), pause_s)


def _is_cut(error: GenOpsError) -> bool:
    if isinstance(error, LinkError):
        return error.is_cut
    return isinstance(error, LinkDown | Unavailable) or (
        isinstance(error, RemoteError) and error.code == "gone"
    )
