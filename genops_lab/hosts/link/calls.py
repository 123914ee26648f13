"""Call a host's agent: JSON lines over a channel per call."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from genops_lab.agent.mux import Channel, ChannelReset

from ...core.errors import Unavailable
from .state import LinkDown, RemoteError

if TYPE_CHECKING:
    from .connection import HostConnection

#: Safe to repeat: sent again when the connection breaks meanwhile.
_REPEATABLE = frozenset(
    {
        "probe",
        "readings",
        "storage.list",
        "storage.measure",
        "storage.sweep",
        "kernels.list",
        "kernels.info",
        "kernels.log",
        "kernels.lease",
        "kernels.stop",
        "kernels.forget",
        "commands.start",
        "commands.info",
        "commands.lease",
        "commands.stop",
        "commands.forget",
        "units.list",
        "ports.list",
        "ports.check",
        "lab.sync",
        "builds.cancel",
        "traces.remove",
        "deployments",
        "folders.marker",
    }
)
#: Large answers. Every other call has priority over the bulk.
_BULK = frozenset({"kernels.log"})
_MAX_ANSWER_BYTES = 16 * 1024 * 1024


async def call(
    link: HostConnection,
    method: str,
    params: dict[str, Any],
    timeout_s: float,
    progress: Callable[[Any], None] | None,
) -> Any:
    """See :meth:`HostConnection.call`."""
    deadline = time.monotonic() + timeout_s
    while True:
        await link.ready(deadline - time.monotonic())
        try:
            channel = link.open("call", {"method": method, "params": params}, method not in _BULK)
        except (ChannelReset, LinkDown):  # the connection broke between the two lines
            await asyncio.sleep(0)
            continue
        try:
            left = max(deadline - time.monotonic(), 0.0)
            answer = await asyncio.wait_for(answer_of(channel, method, progress), left)
        except asyncio.TimeoutError:
            channel.reset("timeout", "The Lab has stopped waiting.")
            raise Unavailable(
                f"{link.route.target} did not answer {method} within {timeout_s:g} s.",
                hint="The host may be overloaded. Try again.",
                code="timeout",
            ) from None
        except asyncio.CancelledError:
            channel.reset("cancelled", "The Lab has stopped waiting.")
            raise
        except ChannelReset as reset:
            if reset.code == "gone" and method in _REPEATABLE:
                await asyncio.sleep(0)
                continue
            raise RemoteError(reset.code, reset.message or f"{method} failed.", reset.hint) from None
        else:
            link.proved()
            return answer


async def answer_of(channel: Channel, method: str, progress: Callable[[Any], None] | None) -> Any:
    """Return the host's answer on a channel, and pass its progress events on. Raises ChannelReset,
    RemoteError."""
    channel.write_eof()
    pending = bytearray()
    while True:
        data = await channel.read()
        pending += data
        while (end := pending.find(b"\n")) >= 0 or (not data and pending):
            line = bytes(pending[:end] if end >= 0 else pending)
            del pending[: len(line) + 1]
            found = _document(line, method)
            if "result" in found:
                return found["result"]
            if progress is not None and "progress" in found:
                progress(found["progress"])
        if not data:
            raise RemoteError("broken", f"The host's answer to {method} is incomplete.")
        if len(pending) > _MAX_ANSWER_BYTES:
            channel.reset("too_long", "The answer is too long.")
            raise RemoteError("broken", f"The host's answer to {method} is too long.")


def _document(line: bytes, method: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RemoteError("broken", f"The host's answer to {method} cannot be read.")
    return found
