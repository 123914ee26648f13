"""Receive runs from kernels and scripts."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import (
    Conflict,
    Failed,
    GenOpsError,
    InvalidRequest,
    NotAllowed,
    NotFound,
    Unavailable,
)
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub
from genops_lab.core.paging import FIRST
from genops_lab.core.services import Service
from genops_lab.runtime.history import DIVERGED

from .backends.runs import MlflowRuns
from .backends.writing import MlflowWriter
from .limits import is_run_key, moment, portable
from .mlflow import MlflowConnection
from .models import (
    ENDED,
    FAILED,
    OPEN,
    KernelTracking,
    KernelTrackingQuery,
    OwnModel,
    ResumableRun,
    ResumeRequest,
    Started,
    TrackedProcess,
    TrackedRun,
    TrackingAck,
    TrackingBatch,
    TrackingEvent,
)
from .resumptions import Resumptions, RunClaims, named, still_written
from .spool import Leftover, file_of, is_gone, is_spooled, leftovers, set_aside

if TYPE_CHECKING:
    from genops_lab.core.store import LocalStore

KERNEL_ENDED = "The kernel ended before the run did"
_LOOK_EVERY_S = 1.0
_LONGEST_PAUSE_S = 15.0
_DIGEST = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger("genops_lab")


class TrackingService(Service):
    """Writes spooled events of kernels into MLflow, each once."""

    def __init__(self, mlflow: MlflowConnection, store: LocalStore, events: EventBus, live: LiveHub) -> None:
        # The routes need only this class; SQLAlchemy costs 135 ms.
        from .ledger import TrackedRuns

        self._mlflow = mlflow
        self._runs = TrackedRuns(store)
        self._events = events
        self._live = live
        self._claims = RunClaims(mlflow.data_dir / "tracking.lock")
        self._resumptions = Resumptions(mlflow.data_dir / "resuming", mlflow.spool, self._runs, self._claims)
        self._watchers: list[Callable[[TrackedRun, list[TrackingEvent]], None]] = []

    def watch(self, watcher: Callable[[TrackedRun, list[TrackingEvent]], None]) -> Callable[[], None]:
        """Call ``watcher`` with each run's start, and with its events once they are in MLflow; the result
        stops that.
        """
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def track(self, body: TrackingBatch) -> TrackingAck:
        """Write the events of a run that are not in MLflow yet."""
        if not is_run_key(body.run_key):
            raise InvalidRequest(
                f"{body.run_key[:60]!r} is not a run's key.",
                hint="Use 1 to 64 letters, digits, '_' or '-'.",
            )
        body = msgspec.structs.replace(body, events=[_usable(event) for event in body.events])
        await self._mlflow.ensure()
        async with self._claims.claim(body.run_key):
            known = await asyncio.to_thread(self._runs.find, body.run_key)
            if known is not None and not _same_owner(known.process, body.process):
                raise NotAllowed(
                    f"The run {body.run_key} belongs to another kernel.",
                    hint="A kernel on another host writes only its own runs. Start a run in this kernel.",
                )
            run = await self._apply_once(known or await self._started(body), body)
        return TrackingAck(
            run_id=run.run_id,
            experiment_id=run.experiment_id,
            name=run.name,
            acked_seq=run.acked_seq,
            tracking_uri=self._mlflow.shown_uri,
        )

    async def resume(self, body: ResumeRequest) -> ResumableRun:
        """Return the run that a process may continue.

        Raises Conflict for a run that is deleted or still written, or that another process is about to
        continue. Raises NotAllowed for another user's run.
        """
        await self._mlflow.ensure()
        worker, place = self._mlflow.worker, body.process.place
        if place:
            found = await worker.call(MlflowRuns.resolve_at, body.run, place)
        else:
            found = await worker.call(MlflowRuns.resolve, body.run)
        await self._once_begun(found.run_id)
        for session in await asyncio.to_thread(self._runs.sessions, found.run_id):
            if session.state == OPEN and not session.process.place:
                await self._settle(session)
            known = await asyncio.to_thread(self._runs.find, session.run_key)
            if known is not None and known.state == OPEN:
                raise still_written(found.name, known.process)
        async with self._resumptions.claim(found.run_id):
            other = await self._resumptions.other_than(body.process, found.run_id)
            if other is not None:
                raise still_written(found.name, other)
            resumable = await self._mlflow.worker.call(MlflowWriter.resumable, found.run_id, body.process)
            await self._resumptions.promise(body.process, found.run_id)
        return resumable

    async def _once_begun(self, run_id: str) -> None:
        """Wait for the start of a run that is being written: MLflow has it before the ledger knows its owner."""
        run_key = await self._mlflow.worker.call(MlflowWriter.key_of, run_id)
        if is_run_key(run_key):
            async with self._claims.claim(run_key):
                return

    async def _settle(self, run: TrackedRun) -> None:
        """Import the remaining events of a run whose process has ended."""
        if not await asyncio.to_thread(is_gone, run.process, file_of(self._mlflow.spool, run.run_key)):
            return
        for leftover in await asyncio.to_thread(leftovers, self._mlflow.spool):
            if leftover.header.run_key == run.run_key:
                await self._take_over(leftover)
        await self.process_ended(run.run_key)

    async def wake(self) -> None:
        """Start the MLflow worker, which takes seconds, before a cell waits for it."""
        await self._mlflow.call(MlflowRuns.list_experiments, FIRST)

    async def open_runs_at(self, place: str) -> list[TrackedRun]:
        """Return the runs of kernels on the target ``place`` that have not ended."""
        return await asyncio.to_thread(self._runs.open_runs, place)

    async def owner_of(self, run_id: str) -> TrackedProcess | None:
        """Return the process that tracks the run of this id, if the run came through the Lab."""
        run = await asyncio.to_thread(self._runs.with_id, run_id)
        return None if run is None else run.process

    async def kernel_tracking(self, query: KernelTrackingQuery) -> KernelTracking:
        """Return where the user's own ``mlflow.*`` calls in a kernel must go."""
        return await self._mlflow.kernel_tracking(query.mlflow_version)

    async def remember_model(self, body: OwnModel) -> None:
        """Remember the files of a model that a process of this user logged, so that they load without a
        question.
        """
        if not _DIGEST.fullmatch(body.digest):
            raise InvalidRequest(
                f"{body.digest[:70]!r} is not a digest of a model.", hint="Send 64 hexadecimal digits."
            )
        await asyncio.to_thread(self._runs.remember_digest, body.run_id, body.name, body.digest)
        self._events.emit("model", body.name)

    async def supervise(self) -> None:
        """Import the spools of ended processes, and end their runs, in an endless loop."""
        pause_s = _LOOK_EVERY_S
        while True:
            try:
                await self._look_after()
                pause_s = _LOOK_EVERY_S
            except (Unavailable, Failed) as error:
                if pause_s == _LOOK_EVERY_S:
                    log.warning("Runs of ended kernels wait: %s %s", error.message, error.hint)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            except Exception:  # the boundary: one failed import must not block the others for ever
                log.exception("Runs of ended kernels could not be imported")
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)

    async def _look_after(self) -> None:
        for leftover in await asyncio.to_thread(leftovers, self._mlflow.spool):
            await self._take_over(leftover)
        # Other hosts judge their own processes: genops_lab.kernels.runs.
        for run in await asyncio.to_thread(self._runs.open_runs):
            if await asyncio.to_thread(is_gone, run.process, file_of(self._mlflow.spool, run.run_key)):
                await self.process_ended(run.run_key)

    async def _take_over(self, leftover: Leftover) -> None:
        try:
            await self._replay_and_end(leftover)
        except FileNotFoundError:
            # A process that continues the run, or another Lab, was faster: its events have arrived.
            log.info("%s was imported by another process", leftover.path.name)

    async def _replay_and_end(self, leftover: Leftover) -> None:
        run_key = leftover.header.run_key
        try:
            try:
                await self._replay(leftover)
            except Conflict as error:
                if error.details.get("acked_seq") != 0:
                    raise
                await self._replay(leftover)  # MLflow lost the run: the file has all of it
        except (Unavailable, Failed):
            raise
        except (GenOpsError, ValueError) as error:
            reason = error.message if isinstance(error, GenOpsError) else str(error)
            await asyncio.to_thread(set_aside, leftover.path, reason)
            await self.process_ended(run_key)
            return
        await self.process_ended(run_key, spooled=True)
        await asyncio.to_thread(leftover.delete, self._mlflow.spool)

    async def _replay(self, leftover: Leftover) -> None:
        header, batches = leftover.header, leftover.batches()
        while (events := await asyncio.to_thread(next, batches, None)) is not None:
            await self.track(TrackingBatch(run_key=header.run_key, process=header.process, events=events))

    async def process_ended(self, run_key: str, *, spooled: bool = False) -> None:
        """Set the run of an ended process to FAILED, unless the run has ended or its end may still be in the
        spool.

        ``spooled``: the events came from the spool.
        """
        async with self._claims.claim(run_key):
            run = await asyncio.to_thread(self._runs.find, run_key)
            if run is None or run.state != OPEN:
                return
            if not spooled and await asyncio.to_thread(is_spooled, self._mlflow.spool, run_key):
                return
            try:
                await self._mlflow.call(MlflowWriter.fail, run.run_id, KERNEL_ENDED, time.time())
            except (NotFound, InvalidRequest) as error:  # deleted by now
                log.info("The run %s is left as it is: %s", run.run_id, error.message)
            await asyncio.to_thread(self._runs.acknowledge, run_key, run.acked_seq, FAILED)
        self._events.emit("run", run.run_id)

    async def _started(self, body: TrackingBatch) -> TrackedRun:
        first = min(body.events, key=lambda event: event.seq, default=None)
        if first is not None and first.kind == "start" and first.seq == 1:
            parent, resumed = await self._named_by(first, body.process)
            if not resumed:
                return await self._begin(body, first, parent)
            async with self._resumptions.claim(resumed):
                other = await self._resumptions.other_than(body.process, resumed)
                run = await self._begin(body, first, parent, resumed, other)
                if other is None:
                    await self._resumptions.begun(resumed)
                return run
        # The Lab's store was lost, MLflow was not: the kernel's remaining events follow.
        started = await self._mlflow.worker.call(MlflowWriter.find, body.run_key, body.process)
        if started is None:
            raise Conflict(
                f"The run {body.run_key} is unknown here and its first event is missing.",
                hint="Send all events from the first one.",
                details={"acked_seq": 0},
            )
        return await self._remember(body, started, first.seq - 1 if first is not None else 0)

    async def _begin(
        self,
        body: TrackingBatch,
        start: TrackingEvent,
        parent: str,
        resumed: str = "",
        other: TrackedProcess | None = None,
    ) -> TrackedRun:
        """Begin a run. ``other`` is the process that continues ``resumed``, so that this session becomes its
        own run.
        """
        why = "" if other is None else f"which the process {named(other)} continues"
        on_a_host = bool(body.process.place)
        trial = await asyncio.to_thread(self._runs.trial_tags, body.process.kernel_id) if on_a_host else {}
        started = await self._mlflow.worker.call(
            MlflowWriter.start, body.run_key, body.process, start, parent, resumed, why, trial
        )
        return await self._remember(body, started, 1)

    async def _remember(self, body: TrackingBatch, started: Started, acked_seq: int) -> TrackedRun:
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
        self._events.emit("run", run.run_id)
        for watcher in tuple(self._watchers):
            watcher(run, [])
        return run

    async def _named_by(self, start: TrackingEvent, process: TrackedProcess) -> tuple[str, str]:
        """Return the ids of the parent run and of the run to continue; empty for none, or for unknown ones."""
        parent = start.data.get("parent")
        resume = start.data.get("resume")
        above = await self._id_of(parent, process) if isinstance(parent, str) else ""
        if not isinstance(resume, dict):
            return above, ""
        run_id = str(resume.get("run_id") or "") or await self._id_of(
            str(resume.get("run_key") or ""), process
        )
        if run_id:
            try:  # a kernel on another host may send an id that it was never given
                await self._mlflow.worker.call(MlflowWriter.resumable, run_id, process)
            except (Conflict, NotAllowed, NotFound, InvalidRequest) as error:
                log.warning("A run has no parent or continues no run: %s", error.message)
                run_id = ""
        return above, run_id

    async def _id_of(self, run_key: str, process: TrackedProcess) -> str:
        """Return MLflow's id of an earlier run of the same owner. Raises Unavailable while that run is in the
        spool.
        """
        if not is_run_key(run_key):
            return ""
        known = await asyncio.to_thread(self._runs.find, run_key)
        if known is not None:
            return known.run_id if _same_owner(known.process, process) else ""
        found = await self._mlflow.worker.call(MlflowWriter.find, run_key, process)
        if found is not None:
            return found.run_id
        if not process.place and await asyncio.to_thread(is_spooled, self._mlflow.spool, run_key):
            raise Unavailable(
                "The earlier run that this one needs has not arrived yet.",
                hint="GenOps Lab tries again by itself.",
            )
        return ""

    async def _apply_once(self, run: TrackedRun, body: TrackingBatch) -> TrackedRun:
        """Write the events and return the run's new state. A run that MLflow lost is forgotten and requested
        again.
        """
        try:
            return await self._apply(run, body)
        except NotFound:
            if await self._mlflow.worker.call(MlflowWriter.has, run.run_id):
                raise
        await asyncio.to_thread(self._runs.forget, run.run_key)
        log.warning("The run %s is not in MLflow any more: it is written again.", run.run_id)
        raise Conflict(
            f"The run {run.name!r} is not in MLflow any more. It is written again.",
            hint="Send all events from the first one.",
            details={"acked_seq": 0},
        )

    async def _apply(self, run: TrackedRun, body: TrackingBatch) -> TrackedRun:
        fresh = sorted(
            (event for event in body.events if event.seq > run.acked_seq), key=lambda event: event.seq
        )
        if not fresh:
            return run
        if [event.seq for event in fresh] != list(range(run.acked_seq + 1, run.acked_seq + 1 + len(fresh))):
            raise Conflict(
                f"The run {run.name!r} is acknowledged up to event {run.acked_seq}, and a later event is "
                "missing.",
                hint="Send all events after the acknowledged one, each once.",
                details={"acked_seq": run.acked_seq},
            )
        applied = await self._mlflow.worker.call(MlflowWriter.apply, run.run_id, fresh, run.process.place)
        for note in applied.notes:
            log.info("run %s: %s", run.run_id, note)
        for event in fresh:
            if event.kind == "model":
                await self._remember_models_of(run, event)
            elif event.kind == "tags" and DIVERGED in event.data:
                self._events.emit("divergence", run.run_id)
        state = ENDED if applied.ended else run.state
        await asyncio.to_thread(self._runs.acknowledge, run.run_key, fresh[-1].seq, state)
        topic = f"run:{run.run_id}"
        if applied.points and self._live.wanted(topic):
            points = msgspec.to_builtins(applied.points)
            self._live.publish(topic, {"run_id": run.run_id, "points": points})
        self._events.emit("run", run.run_id)
        for watcher in tuple(self._watchers):
            watcher(run, fresh)
        return msgspec.structs.replace(run, acked_seq=fresh[-1].seq, state=state)

    async def _remember_models_of(self, run: TrackedRun, event: TrackingEvent) -> None:
        """Remember digests of models; without one a deployment asks its user.

        Digests from a kernel on another host do not count: loading such a model would run its code here.
        """
        if run.process.place:
            return
        try:
            model = msgspec.convert(
                {**event.data, "run_id": event.data.get("run_id") or run.run_id}, OwnModel
            )
            await self.remember_model(model)
        except (msgspec.ValidationError, InvalidRequest) as error:
            log.warning("A model of run %s is not remembered: %s", run.run_id, error)


def _usable(event: TrackingEvent) -> TrackingEvent:
    at = moment(event.timestamp)
    return msgspec.structs.replace(
        event, data=portable(event.data), timestamp=time.time() if at is None else at
    )


def _same_owner(one: TrackedProcess, other: TrackedProcess) -> bool:
    """Return whether both have the same owner: on other hosts the same kernel, on this machine always."""
    return one.place == other.place and (not one.place or one.kernel_id == other.kernel_id)
