"""One attempt at a job: its kernel, why it is interrupted, and its course from the first cell to the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from genops_lab.core.errors import GenOpsError

from .kernels import CellFailed, KernelDied

if TYPE_CHECKING:
    from .kernels import JobKernel

#: ``pruned``: interrupted since it promised too little.
JobEnd = Literal["finished", "failed", "pruned", "stopped"]
#: Until it is judged that a kernel hears no interrupt.
INTERRUPT_S = 20.0


class Attempt:
    """A job that has, or is about to get, a kernel. ``adopted``: its cell runs already, since before this server."""

    def __init__(self, number: int, *, adopted: bool = False) -> None:
        self.number = number
        self.adopted = adopted
        self.kernel: JobKernel | None = None
        #: why it was interrupted: the job's end, and words
        self.reason: tuple[JobEnd, str] | None = None
        #: whether its kernel was left to the next server
        self.left = False
        self._interrupting: asyncio.Task[None] | None = None

    def interrupt(self, end: JobEnd, why: str) -> None:
        """Interrupt it, once; a kernel that hears nothing is ended."""
        if self.reason is None:
            self.reason = (end, why)
            if self.kernel is not None:
                self._interrupting = asyncio.create_task(self._interrupted(self.kernel))

    async def run(
        self,
        kernel: JobKernel,
        prepare: Callable[[], Awaitable[str]],
        *,
        settled: Callable[[], Awaitable[object]],
        limit_s: float,
    ) -> tuple[JobEnd, str]:
        """Run the job to its end; what became of it, and what there is to say.

        ``prepare`` has the kernel run what comes before, and returns the cell. ``settled`` is waited for once that has
        run well. ``limit_s`` of 0 is none. Raises what ``prepare`` raises but CellFailed and KernelDied.
        """
        timer, end, message = None, "finished", ""
        try:
            cell = "" if self.adopted else await prepare()
            if self.reason is not None and not self.adopted:
                return self.reason
            if limit_s:
                words = f"It took longer than {limit_s:g} s."
                timer = asyncio.get_running_loop().call_later(limit_s, self.interrupt, "failed", words)
            await (kernel.idle() if self.adopted else kernel.run(cell))
            if not self.adopted:
                await settled()
        except CellFailed as error:
            end, message = "failed", error.message
            if error.details.get("interrupted"):
                end, message = "stopped", "It was interrupted."
        except KernelDied as error:
            end, message = "failed", error.message
        finally:
            if timer is not None:
                timer.cancel()
        return self.reason or (end, message)  # type: ignore[return-value] # literals are widened

    def close(self) -> None:
        """The attempt is over."""
        if self._interrupting is not None:
            self._interrupting.cancel()

    async def _interrupted(self, kernel: JobKernel) -> None:
        with contextlib.suppress(GenOpsError):  # its host is away: the kernel is ended as soon as it is back
            await kernel.interrupt()
        await asyncio.sleep(INTERRUPT_S)
        await kernel.shutdown()
