"""Run one attempt of a job in its kernel, with interrupts and a time limit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from genops_lab.core.errors import GenOpsError

from .kernels import CellFailed, KernelDied

if TYPE_CHECKING:
    from .kernels import JobKernel

#: ``pruned``: interrupted because its results were worse than those of others.
JobEnd = Literal["finished", "failed", "pruned", "stopped"]
#: Time for a kernel to react to an interrupt before it is shut down.
INTERRUPT_S = 20.0


class Attempt:
    """A job with a kernel, or about to get one. ``adopted``: an earlier server started it and its cell already runs."""

    def __init__(self, number: int, *, adopted: bool = False) -> None:
        self.number = number
        self.adopted = adopted
        self.kernel: JobKernel | None = None
        #: The reason of the interrupt: the job's end and a message.
        self.reason: tuple[JobEnd, str] | None = None
        #: Whether the kernel was left to the next server.
        self.left = False
        self._interrupting: asyncio.Task[None] | None = None

    def interrupt(self, end: JobEnd, why: str) -> None:
        """Interrupt the job, once; shut down a kernel that does not react within 20 s."""
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
        """Run the job to its end. Return how it ended, with a message.

        ``prepare`` runs the setup in the kernel and returns the job's cell. ``settled`` is awaited after the cell has
        succeeded. ``limit_s`` bounds the time in seconds; 0 means no limit. Raises the errors of ``prepare`` except
        CellFailed and KernelDied.
        """
        timer, end, message = None, "finished", ""
        try:
            cell = "" if self.adopted else await prepare()
            if self.reason is not None and not self.adopted:
                return self.reason
            if limit_s:
                words = f"Stopped at the time limit of {limit_s:g} s."
                timer = asyncio.get_running_loop().call_later(limit_s, self.interrupt, "failed", words)
            await (kernel.idle() if self.adopted else kernel.run(cell))
            if not self.adopted:
                await settled()
        except CellFailed as error:
            end, message = "failed", error.message
            if error.details.get("interrupted"):
                end, message = "stopped", "Interrupted."
        except KernelDied as error:
            end, message = "failed", error.message
        finally:
            if timer is not None:
                timer.cancel()
        return self.reason or (end, message)  # type: ignore[return-value] # literals are widened

    def close(self) -> None:
        """End the attempt."""
        if self._interrupting is not None:
            self._interrupting.cancel()

    async def _interrupted(self, kernel: JobKernel) -> None:
        with contextlib.suppress(
            GenOpsError
        ):  # the host is unreachable: the kernel is shut down after a reconnect
            await kernel.interrupt()
        await asyncio.sleep(INTERRUPT_S)
        await kernel.shutdown()
