"""Run the jobs of one client in slots: choose the next job, and handle kernels that do not start."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Generic, Protocol, TypeVar

from genops_lab.core.errors import GenOpsError

from .attempt import Attempt, JobEnd
from .kernels import FreshKernels, Start

log = logging.getLogger("genops_lab")
A = TypeVar("A", bound=Attempt)

#: Failed starts in a row after which a slot is given up.
STARTS_IN_A_ROW = 3
_AGAIN_AFTER_S = 2.0
_RESUME = "The log of JupyterLab has the details. You can resume the remaining work."


class JobClient(Protocol[A]):
    """The owner of the jobs. It identifies jobs by number and records their results."""

    async def attempt(self, number: int | None, kernel_name: str) -> A | None:
        """Return the next attempt of a job (None: of a new job), or None if there is no new job."""
        ...

    def start(self, attempt: A) -> Start:
        """Return the start of the attempt's kernel."""
        ...

    async def started(self, attempt: A) -> None:
        """Called when the attempt has its kernel."""
        ...

    async def not_started(self, attempt: A, error: GenOpsError) -> None:
        """Called when the kernel did not start. The job waits for another kernel, or has ended."""
        ...

    async def run_job(self, attempt: A) -> tuple[JobEnd, str] | None:
        """Run the job in its kernel. Return its end and a message, or None if the result is already recorded."""
        ...

    async def ended(self, attempt: A, end: JobEnd, message: str) -> None:
        """Called after the job and its kernel have ended."""
        ...

    def stop(self, why: str, hint: str, *, failed: bool) -> None:
        """Called at an error that concerns all jobs."""
        ...


class Scheduler(Generic[A]):
    """Run the jobs of a client. ``live`` has the running jobs, ``troubles`` the errors of slots that were given up."""

    def __init__(self, client: JobClient[A], kernels: FreshKernels, name: str) -> None:
        self.live: dict[int, A] = {}
        self.troubles: list[GenOpsError] = []
        self._client, self._kernels, self._name = client, kernels, name
        self._over = ""
        #: Waiting jobs, each with the kernelspecs that did not start for it.
        self._again: dict[int, set[str]] = {}
        self._adopted: list[tuple[str, A]] = []
        self._slots: Counter[str] = Counter()
        self._turn = asyncio.Condition()

    def retry(self, number: int) -> None:
        """Queue a job to run again."""
        self._again[number] = set()

    async def adopt(self, attempt: A, kernel_name: str, kernel_id: str) -> bool:
        """Continue an attempt of an earlier server. Return False if its kernel has ended."""
        attempt.kernel = await self._kernels.attach(kernel_id)
        if attempt.kernel is None:
            return False
        self._adopted.append((kernel_name, attempt))
        return True

    async def run(self, slots: list[str]) -> None:
        """Run all jobs, one at a time in each slot. A cancellation leaves the kernels to the next server."""
        free, tasks = Counter(slots), []
        for name, attempt in self._adopted:
            free[name] -= 1
            self._slots[name] += 1
            self.live[attempt.number] = attempt
            tasks.append(self._slot(name, attempt))
        for name in (+free).elements():
            self._slots[name] += 1
            tasks.append(self._slot(name, None))
        running = [asyncio.ensure_future(task) for task in tasks]
        try:
            for done in asyncio.as_completed(running):
                try:
                    await done
                except GenOpsError as error:
                    self._client.stop(error.message, error.hint, failed=True)
                except Exception as error:  # a boundary: an unexpected error ends the jobs
                    log.exception("Jobs of %s failed", self._name)
                    why = f"Unexpected {type(error).__name__}: {error}"
                    self._client.stop(why, _RESUME, failed=True)
        except asyncio.CancelledError:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            raise

    def stop(self, why: str) -> None:
        """Start no more jobs, and interrupt the running ones."""
        self._over = self._over or why
        for attempt in self.live.values():
            attempt.interrupt("stopped", why)
        self._wake()

    async def _slot(self, name: str, adopted: A | None) -> None:
        failed_starts = 0
        if adopted is not None:
            await self._follow(adopted)
        while (attempt := await self._next(name)) is not None:
            try:
                attempt.kernel = await self._kernels.start(name, self._client.start(attempt))
                await self._client.started(attempt)
            except GenOpsError as error:
                failed_starts += 1
                given_up = failed_starts >= STARTS_IN_A_ROW
                await self._put_back(attempt, name, error, given_up=given_up)
                if given_up:
                    return
                await asyncio.sleep(_AGAIN_AFTER_S)
                continue
            failed_starts = 0
            await self._follow(attempt)

    async def _next(self, name: str) -> A | None:
        """Wait for the next attempt for a kernel ``name``; None if no job is left."""
        async with self._turn:
            while not self._over:
                number = next((number for number in sorted(self._again) if self._may_try(number, name)), None)
                if number is not None:
                    del self._again[number]
                attempt = await self._client.attempt(number, name)
                if attempt is not None:
                    self.live[attempt.number] = attempt
                    return attempt
                if not self.live and not self._again:
                    return None
                await self._turn.wait()
        return None

    def _may_try(self, number: int, name: str) -> bool:
        failed_on = self._again[number]
        return name not in failed_on or not any(other not in failed_on for other in +self._slots)

    async def _put_back(self, attempt: A, name: str, error: GenOpsError, *, given_up: bool) -> None:
        log.warning("The kernel for a job of %s did not start: %s", self._name, error.message)
        self.live.pop(attempt.number, None)
        await self._client.not_started(attempt, error)
        self._again.setdefault(attempt.number, set()).add(name)
        if given_up:
            self.troubles.append(error)
            self._slots[name] -= 1
            if not +self._slots:
                self._again.clear()
        self._wake()

    async def _follow(self, attempt: A) -> None:
        kernel = attempt.kernel
        assert kernel is not None
        try:
            if self._over:
                attempt.interrupt("stopped", self._over)
            end = await self._client.run_job(attempt)
        except asyncio.CancelledError:  # the server stops: the next one may adopt the kernel and the job
            attempt.left = True
            await asyncio.shield(kernel.let_go())
            raise
        finally:
            self.live.pop(attempt.number, None)
            attempt.close()
            if not attempt.left:
                await asyncio.shield(kernel.shutdown())
        if end is not None:
            await self._client.ended(attempt, *end)
            self._wake()

    def _wake(self) -> None:
        async def wake() -> None:
            async with self._turn:
                self._turn.notify_all()

        self._waking = asyncio.ensure_future(wake())
