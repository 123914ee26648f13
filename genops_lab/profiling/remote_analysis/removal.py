"""Traces that kernels wrote on targets are removed there with their profiles, at the latest when it is connected."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict, GenOpsError, NotFound

if TYPE_CHECKING:
    from genops_lab.hosts.service import TargetsService

    from .host_traces import HostTrace, HostTraces

log = logging.getLogger("genops_lab")

_CALL_S = 30.0
#: What the host answers of a file that no kernel of GenOps Lab wrote.
_NOT_OURS = "not_ours"


class Removing:
    """Removes them."""

    def __init__(self, traces: HostTraces, targets: TargetsService) -> None:
        self._traces = traces
        self._targets = targets
        self._lock = asyncio.Lock()

    async def deleted(self, profile_id: str) -> str:
        """Remove the trace of a profile that is deleted; what stays where, and why, empty where nothing does."""
        trace = await asyncio.to_thread(self._traces.deleted, profile_id)
        if trace is None:
            return ""
        place = f"{trace.target}:{trace.path}"
        try:
            await self._remove(trace)
        except Conflict:
            return f"Its trace {place} is removed when {trace.target} is connected next."
        except NotFound:
            return f"Its trace stays: there is no target {trace.target} any more, where it is {trace.path}."
        except GenOpsError as error:
            again = "" if error.code == _NOT_OURS else " It is tried again with the next connection."
            return f"Its trace {place} is still there: {error.message}{again}"
        return ""

    async def connected(self, target: str) -> None:
        """Remove what is left on a target that has just been connected."""
        async with self._lock:
            for trace in await asyncio.to_thread(self._traces.to_remove, target):
                try:
                    await self._remove(trace)
                except GenOpsError as error:
                    log.warning("%s on %s is not removed: %s", trace.path, target, error)

    async def _remove(self, trace: HostTrace) -> None:
        link = await self._targets.connected_link(trace.target)
        call = link.call("traces.remove", {"path": trace.path}, timeout_s=_CALL_S)
        try:
            await self._targets.connections.run(call)
        except GenOpsError as error:
            if error.code == _NOT_OURS:
                await asyncio.to_thread(self._traces.forget, trace.profile_id)
            raise
        await asyncio.to_thread(self._traces.forget, trace.profile_id)
