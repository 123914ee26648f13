"""Runs as kernels and scripts send them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotAllowed, Unavailable
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub

from .backends.runs import MlflowRuns
from .backends.writing import MlflowWriter, Started
from .limits import is_run_key, moment, portable
from .mlflow import MlflowConnection
from .models import (
    KernelTracking,
    KernelTrackingQuery,
    TrackedProcess,
    TrackingAck,
    TrackingBatch,
    TrackingEvent,
)
from .own_models import OwnModels
from .processes import is_gone
from .spool import Leftover, leftovers
from .tracked import ENDED, FAILED, OPEN, TrackedRun

if TYPE_CHECKING:
    from genops_lab.core.store import Store

KERNEL_ENDED = "The kernel ended before the run did"
_LOOK_EVERY_S = 1.0
_LONGEST_PAUSE_S = 15.0

log = logging.getLogger("genops_lab")


class TrackingService:
    """Writes what kernels spool into MLflow, each event once."""

    def __init__(self, mlflow: MlflowConnection, store: Store, events: EventBus, live: LiveHub) -> None:
        # The routes' table needs this class alone; SQLAlchemy costs 135 ms.
        from .ledger import TrackedRuns

        self._mlflow = mlflow
        self._runs = TrackedRuns(store)
        self._own_models = OwnModels(mlflow, self._runs)
        self._events = events
        self._live = live
        self._locks: dict[str, asyncio.Lock] = {}
        self._watchers: list[Callable[[TrackedRun, list[TrackingEvent]], None]] = []

    def watch(self, watcher: Callable[[TrackedRun, list[TrackingEvent]], None]) -> Callable[[], None]:
        """Tell ``watcher`` of each run's start, and of its events once they are in MLflow; a function that ends it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def track(self, body: TrackingBatch) -> TrackingAck:
        """Take the events of a run that are not there yet."""
        if not is_run_key(body.run_key):
            raise InvalidRequest(
                f"{body.run_key[:60]!r} cannot be a run's key.", hint="Use 1 to 64 letters, digits, '_', '-'."
            )
        body = msgspec.structs.replace(body, events=[_usable(event) for event in body.events])
        async with self._alone(body.run_key):
            await self._mlflow.ensure()
            known = await asyncio.to_thread(self._runs.find, body.run_key)
            if known is not None and not _same_owner(known.process, body.process):
                raise NotAllowed(
                    f"The run {body.run_key} belongs to another kernel.",
                    hint="A kernel on another host writes its own runs only: start a run in this kernel.",
                )
            run = await self._apply(known or await self._started(body), body)
        return TrackingAck(
            run_id=run.run_id,
            experiment_id=run.experiment_id,
            name=run.name,
            acked_seq=run.acked_seq,
            tracking_uri=self._mlflow.shown_uri,
        )

    async def wake(self) -> None:
        """Start what answers for MLflow, which takes seconds, before a cell waits for it."""
        await self._mlflow.ensure()
        await self._mlflow.worker.call(MlflowRuns.list_experiments)

    async def open_runs_at(self, place: str) -> list[TrackedRun]:
        """The runs of kernels on the target ``place`` that have not ended."""
        return await asyncio.to_thread(self._runs.open_runs, place)

    async def owner_of(self, run_id: str) -> TrackedProcess | None:
        """The process that tracks the run of this id, where it came through the Lab."""
        run = await asyncio.to_thread(self._runs.with_id, run_id)
        return None if run is None else run.process

    async def process_ended(self, run_key: str) -> None:
        """The process of this run is gone: the run failed, unless it has ended."""
        await self._fail(run_key)

    async def kernel_tracking(self, query: KernelTrackingQuery) -> KernelTracking:
        """Where the user's own ``mlflow.*`` calls in a kernel shall go."""
        return await self._mlflow.kernel_tracking(query.mlflow_version)

    async def supervise(self) -> None:
        """Take over what ended processes left, and end their runs; for ever."""
        pause_s = _LOOK_EVERY_S
        while True:
            try:
                await self._look_after()
                pause_s = _LOOK_EVERY_S
            except (Unavailable, Failed) as error:
                if pause_s == _LOOK_EVERY_S:
                    log.warning("Runs of ended kernels wait: %s %s", error.message, error.hint)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)

    async def _look_after(self) -> None:
        for leftover in await asyncio.to_thread(leftovers, self._mlflow.spool):
            await self._take_over(leftover)
        # Those of other hosts are judged there: genops_lab.remote.runs.
        for run in await asyncio.to_thread(self._runs.open_runs):
            if await asyncio.to_thread(is_gone, run.process):
                await self._fail(run.run_key)
        await self._own_models.look()

    async def _take_over(self, leftover: Leftover) -> None:
        batches = leftover.batches()
        try:
            while (events := await asyncio.to_thread(next, batches, None)) is not None:
                header = leftover.header
                await self.track(TrackingBatch(run_key=header.run_key, process=header.process, events=events))
        except (Conflict, InvalidRequest) as error:
            await asyncio.to_thread(leftover.set_aside, error.message)
            await self._fail(leftover.header.run_key)
            return
        await self._fail(leftover.header.run_key)
        await asyncio.to_thread(leftover.delete, self._mlflow.spool)

    async def _fail(self, run_key: str) -> None:
        """End a run whose process is gone, unless it has ended."""
        async with self._alone(run_key):
            run = await asyncio.to_thread(self._runs.find, run_key)
            if run is None or run.state != OPEN:
                return
            await self._mlflow.ensure()
            await self._mlflow.worker.call(MlflowWriter.fail, run.run_id, KERNEL_ENDED, time.time())
            await self._remember_models(run)
            await asyncio.to_thread(self._runs.acknowledge, run_key, run.acked_seq, FAILED)
        self._tell(run)

    async def _started(self, body: TrackingBatch) -> TrackedRun:
        first = min(body.events, key=lambda event: event.seq, default=None)
        started: Started | None
        if first is not None and first.kind == "start" and first.seq == 1:
            started = await self._mlflow.worker.call(MlflowWriter.start, body.run_key, body.process, first)
            acked_seq = 1
        else:
            # The store was lost, MLflow was not: what the kernel still has is what follows.
            started = await self._mlflow.worker.call(MlflowWriter.find, body.run_key, body.process)
            acked_seq = first.seq - 1 if first is not None else 0
        if started is None:
            raise Conflict(
                f"The run {body.run_key} is not known here and its first event is missing.",
                hint="Send all events from the first one.",
                details={"acked_seq": 0},
            )
        run = TrackedRun(
            run_key=body.run_key,
            run_id=started.run_id,
            experiment_id=started.experiment_id,
            name=started.name,
            state=OPEN,
            acked_seq=acked_seq,
            process=body.process,
        )
        await asyncio.to_thread(self._runs.add, run)
        self._events.emit("experiment", run.experiment_id)
        self._tell(run)
        for watcher in tuple(self._watchers):
            watcher(run, [])
        return run

    async def _apply(self, run: TrackedRun, body: TrackingBatch) -> TrackedRun:
        fresh = sorted(
            (event for event in body.events if event.seq > run.acked_seq), key=lambda event: event.seq
        )
        if not fresh:
            return run
        if [event.seq for event in fresh] != list(range(run.acked_seq + 1, run.acked_seq + 1 + len(fresh))):
            raise Conflict(
                f"The run {run.name!r} is acknowledged up to event {run.acked_seq}; one that follows is missing.",
                hint="Send all events after the acknowledged one, each once.",
                details={"acked_seq": run.acked_seq},
            )
        applied = await self._mlflow.worker.call(MlflowWriter.apply, run.run_id, fresh)
        for note in applied.notes:
            log.info("run %s: %s", run.run_id, note)
        if applied.ended:
            await self._remember_models(run)
        state = ENDED if applied.ended else run.state
        await asyncio.to_thread(self._runs.acknowledge, run.run_key, fresh[-1].seq, state)
        topic = f"run:{run.run_id}"
        if applied.points and self._live.wanted(topic):
            points = msgspec.to_builtins(applied.points)
            self._live.publish(topic, {"run_id": run.run_id, "points": points})
        self._tell(run)
        for watcher in tuple(self._watchers):
            watcher(run, fresh)
        return msgspec.structs.replace(run, acked_seq=fresh[-1].seq, state=state)

    async def _remember_models(self, run: TrackedRun) -> None:
        """Without a remembered digest a deployment asks its user, so a failure here costs one question.

        Models that come from another host are never remembered: loading one unasked would run its code here.
        """
        if run.process.place:
            return
        try:
            found = await self._mlflow.worker.call(MlflowWriter.model_digests, run.run_id)
        except GenOpsError as error:
            log.warning("The models of run %s could not be remembered: %s", run.run_id, error.message)
            return
        for missing in found.missing:
            log.warning("A model of run %s could not be remembered: %s", run.run_id, missing)
        await asyncio.to_thread(self._runs.remember_digests, run.run_id, found.digests)
        for name in found.digests:
            self._events.emit("model", name)

    def _tell(self, run: TrackedRun) -> None:
        self._events.emit("run", run.run_id)

    @asynccontextmanager
    async def _alone(self, run_key: str) -> AsyncIterator[None]:
        """One at a time for each run."""
        lock = self._locks.setdefault(run_key, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and not lock._waiters:
                self._locks.pop(run_key, None)


def _usable(event: TrackingEvent) -> TrackingEvent:
    at = moment(event.timestamp)
    return msgspec.structs.replace(
        event, data=portable(event.data), timestamp=time.time() if at is None else at
    )


def _same_owner(one: TrackedProcess, other: TrackedProcess) -> bool:
    """Between hosts the kernel counts; on this machine all processes are this user's."""
    return one.place == other.place and (not one.place or one.kernel_id == other.kernel_id)
