"""Supervise runs of kernels on other hosts: keep their gateways open, and finish what ended processes left.

The host's agent is asked whether a run's process still exists, because pids mean nothing elsewhere, and a
lost connection says nothing about a process. It is asked when the connection comes up and when a kernel is
admitted or ends. While a run is open on the host, it is asked every two seconds.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from genops_lab.core.errors import GenOpsError

if TYPE_CHECKING:
    from genops_lab.experiments.models import TrackedRun
    from genops_lab.experiments.tracking import TrackingService

SYNC = "lab.sync"
LOOK_EVERY_S = 2.0
_AGAIN_AFTER_TROUBLE_S = 5.0
#: The parameters of a call are one frame; of more runs, some are asked for each time.
_RUNS_AT_ONCE = 300

log = logging.getLogger("genops_lab")


class Host(Protocol):
    """The agent of one target."""

    def is_up(self) -> bool:
        """Return whether it can be asked now."""
        ...

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Ask it. Raises GenOpsError."""
        ...


class KernelRuns(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's answer about one kernel: runs whose process has ended, and runs with unread events on the
    host."""

    gone: list[str] = []
    spooled: list[str] = []


class SyncAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's answer to ``lab.sync``, by kernel."""

    kernels: dict[str, KernelRuns]


class PlaceSupervisor:
    """Supervises the runs on one target."""

    def __init__(
        self,
        place: str,
        host: Host,
        tracking: TrackingService,
        kernels: Callable[[], Awaitable[set[str]]],
    ) -> None:
        self._place = place
        self._host = host
        self._tracking = tracking
        self._kernels = kernels
        self._look_now = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def look(self) -> None:
        """Look at once: something has changed on the target. To be called in this object's loop."""
        self._look_now.set()

    async def close(self) -> None:
        """Stop looking."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            self._look_now.clear()
            again_s: float | None = None
            if self._host.is_up():
                try:
                    again_s = LOOK_EVERY_S if await self._look() else None
                except (GenOpsError, msgspec.ValidationError) as error:
                    log.info("The runs on %s could not be checked: %s", self._place, error)
                    again_s = _AGAIN_AFTER_TROUBLE_S
                except Exception:  # the boundary: supervision continues
                    log.exception("The runs on %s could not be checked", self._place)
                    again_s = _AGAIN_AFTER_TROUBLE_S
            try:
                await asyncio.wait_for(self._look_now.wait(), again_s)
            except asyncio.TimeoutError:
                continue

    async def _look(self) -> bool:
        """Look; return whether to look again soon."""
        runs = await self._tracking.open_runs_at(self._place)
        by_kernel: dict[str, dict[str, TrackedRun]] = defaultdict(dict)
        for run in runs:
            by_kernel[run.process.kernel_id][run.run_key] = run
        asked = await self._kernels()
        chosen = {run.run_key for run in random.sample(runs, min(len(runs), _RUNS_AT_ONCE))}
        params = {
            kernel_id: [
                {"run_key": run.run_key, "pid": run.process.pid, "created": run.process.created}
                for run in by_kernel[kernel_id].values()
                if run.run_key in chosen
            ]
            for kernel_id in asked
        }
        answer = msgspec.convert(await self._host.call(SYNC, {"kernels": params}), SyncAnswer)
        left = False
        for kernel_id in asked:
            known = answer.kernels.get(kernel_id, KernelRuns())
            left = left or bool(known.spooled)
            for run_key in set(known.gone) & set(by_kernel[kernel_id]) - set(known.spooled):
                await self._tracking.process_ended(run_key)
        still_open = await self._tracking.open_runs_at(self._place)
        return left or any(run.process.kernel_id in asked for run in still_open)
