"""Sweeps: started, followed, stopped, and taken up again after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, Unavailable
from genops_lab.core.locks import FileLock
from genops_lab.core.services import Service

from .models import MetricSummary, NewSweep, RepeatedRuns, Sweep, SweepQuery, Trial

if TYPE_CHECKING:
    from genops_lab.core.events import EventBus
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.experiments.tracking import TrackingService
    from genops_lab.jobs.kernels import FreshKernels

    from .ledger import Code, Record
    from .runner import SweepRunner

MAX_WAIT_S = 30.0
MAX_REPEATS = 1000
#: A kernel of a server that was killed notices it within a second or two.
_GONE_WITHIN_S = 30.0

log = logging.getLogger("genops_lab")


class SweepsService(Service):
    """Runs the sweeps of this user that this server has: one server at a time each, by a lock."""

    def __init__(
        self,
        settings: Settings,
        store: LocalStore,
        events: EventBus,
        mlflow: MlflowConnection,
        tracking: TrackingService,
        kernels: FreshKernels | None,
    ) -> None:
        # The routes' table needs this class alone; SQLAlchemy costs 135 ms.
        from genops_lab.core.worker import Worker

        from .ledger import SweepLedger

        self._ledger = SweepLedger(store, settings.data_dir)
        self._events, self._mlflow, self._tracking = events, mlflow, tracking
        self._worker = Worker("Sweeps", {}, env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
        self._kernels = kernels
        self._conductors: dict[str, SweepRunner] = {}
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._taking_up: asyncio.Task[None] | None = None
        #: ended sweeps change no more: a list of all is asked for at each change of one
        self._listed_before: dict[str, Sweep] = {}

    async def ready(self) -> None:
        """Go on with the sweeps whose server is gone."""
        if self._kernels is None:
            return
        self._taking_up = asyncio.create_task(self._take_up_all())

    async def start_sweep(self, body: NewSweep) -> Sweep:
        """Start a sweep; it goes on by itself."""
        from .ledger import Code, Record
        from .planning import plan_of

        kernels = self._fresh_kernels()
        plan = await plan_of(body, kernels)
        record = Record(id=secrets.token_hex(4), state="running", plan=plan, created_at=time.time())
        code = Code(cell=body.code, setup=body.setup)
        lock = FileLock(await asyncio.to_thread(self._ledger.lock_path, record.id))
        lock.try_acquire()
        await asyncio.to_thread(self._ledger.add, record, code)
        deadline = time.time() + plan.hours * 3600 if plan.hours else None
        conductor = self._conductor(record, code, [])
        self._begin(conductor, lock, deadline)
        return conductor.shown()

    async def list_sweeps(self) -> list[Sweep]:
        """The latest sweeps without their trials, the newest first."""
        records = await asyncio.to_thread(self._ledger.all)
        return [await self._listed(record) for record in records]

    async def _listed(self, record: Record) -> Sweep:
        known = self._listed_before.get(record.id)
        if known is not None and (known.state, known.ended_at) == (record.state, record.ended_at):
            return known
        found = msgspec.structs.replace(await self._shown(record), trials=[])
        if found.ended_at is not None:
            self._listed_before[record.id] = found
        return found

    async def get_sweep(self, sweep_id: str, query: SweepQuery) -> Sweep:
        """A sweep with its trials, at once or when there is something new; the id may be a unique prefix, or
        ``latest``."""
        from .ledger import ENDED

        record = await asyncio.to_thread(self._ledger.find, sweep_id)
        conductor = self._conductors.get(record.id)
        if conductor is not None and query.wait_s > 0 and conductor.record.state not in ENDED:
            if conductor.version <= query.after:
                changed = conductor.changed
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(changed.wait(), min(query.wait_s, MAX_WAIT_S))
            return conductor.shown()
        if query.wait_s > 0 and record.state not in ENDED:
            await asyncio.sleep(min(query.wait_s, 2.0))  # another server runs it, or none yet
        return await self._shown(record)

    async def stop_sweep(self, sweep_id: str) -> Sweep:
        """Interrupt the trials that run and start no more."""
        from .ledger import ENDED

        record = await asyncio.to_thread(self._ledger.find, sweep_id)
        conductor = self._conductors.get(record.id)
        if conductor is not None and record.id in self._jobs:
            conductor.stop("It was stopped by hand.")
            return conductor.shown()
        if record.state in ENDED:
            raise Conflict(f"The sweep {record.id} has ended already ({record.state}).")
        lock = FileLock(await asyncio.to_thread(self._ledger.lock_path, record.id))
        if not lock.try_acquire():
            raise Conflict(
                f"The sweep {record.id} is run by another JupyterLab of yours.", hint="Stop it there."
            )
        try:
            stopped = msgspec.structs.replace(
                record, state="stopped", message="It was stopped by hand.", ended_at=time.time()
            )
            await asyncio.to_thread(self._ledger.change, stopped)
        finally:
            lock.release()
        self._events.emit("sweep", record.id)
        return await self._shown(stopped)

    async def resume_sweep(self, sweep_id: str) -> Sweep:
        """Go on with a sweep that was stopped or failed, or whose server is gone."""
        record = await asyncio.to_thread(self._ledger.find, sweep_id)
        self._fresh_kernels()
        if record.state == "done":
            raise Conflict(f"The sweep {record.id} is done.", hint="Start another from its cell.")
        if record.id in self._jobs or not await self._take_up(record, by_hand=True):
            raise Conflict(f"The sweep {record.id} is under way already.", hint="See `genops sweep show`.")
        return self._conductors[record.id].shown()

    async def summarize_repeats(self, body: RepeatedRuns) -> list[MetricSummary]:
        """Mean and 95 % interval of each metric over runs that are repeats."""
        from .backends.outcomes import MlflowTrials

        if not 2 <= len(body.run_ids) <= MAX_REPEATS:
            raise InvalidRequest(f"{len(body.run_ids)} runs were named.", hint=f"Name 2 to {MAX_REPEATS}.")
        return await self._mlflow.call(MlflowTrials.summary, body.run_ids)

    async def close(self) -> None:
        """Leave the sweeps to the next server."""
        jobs = list(self._jobs.values())
        if self._taking_up is not None:
            jobs.append(self._taking_up)
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs, timeout=5)
        await self._worker.stop()

    # Inside

    def _fresh_kernels(self) -> FreshKernels:
        if self._kernels is None:
            raise Unavailable(
                "Trials run in kernels of JupyterLab, and none is running.",
                hint="Start JupyterLab on this machine, as this user, and try again.",
            )
        return self._kernels

    async def _shown(self, record: Record) -> Sweep:
        from .ledger import shown

        conductor = self._conductors.get(record.id)
        if conductor is not None:
            return conductor.shown()
        trials = await asyncio.to_thread(self._ledger.trials, record.id)
        attended = False
        if record.state in ("running", "stopping"):
            lock = FileLock(await asyncio.to_thread(self._ledger.lock_path, record.id))
            attended = not lock.try_acquire()
            lock.release()
        return shown(record, trials, attended=attended)

    def _conductor(self, record: Record, code: Code, trials: list[Trial]) -> SweepRunner:
        from .next_trial import Proposals
        from .runner import SweepRunner

        return SweepRunner(
            record,
            code,
            trials,
            ledger=self._ledger,
            events=self._events,
            mlflow=self._mlflow,
            tracking=self._tracking,
            kernels=self._fresh_kernels(),
            proposals=Proposals(self._worker),
        )

    def _begin(self, conductor: SweepRunner, lock: FileLock, deadline: float | None) -> None:
        sweep_id = conductor.record.id
        self._conductors[sweep_id] = conductor

        async def work() -> None:
            try:
                await conductor.run(deadline=deadline)
            finally:
                self._jobs.pop(sweep_id, None)
                self._conductors.pop(sweep_id, None)
                lock.release()

        self._jobs[sweep_id] = asyncio.create_task(work())
        self._events.emit("sweep", sweep_id)

    async def _take_up_all(self) -> None:
        await asyncio.to_thread(self._ledger.forget_old_code)
        for record in await asyncio.to_thread(self._ledger.all):
            if record.state not in ("running", "stopping"):
                continue
            try:
                await self._take_up(record, by_hand=False)
            except GenOpsError as error:
                log.warning("The sweep %s could not be taken up: %s %s", record.id, error.message, error.hint)

    async def _take_up(self, record: Record, *, by_hand: bool) -> bool:
        from .backends.outcomes import MlflowTrials

        lock = FileLock(await asyncio.to_thread(self._ledger.lock_path, record.id))
        if not lock.try_acquire():
            return False
        try:
            code = await asyncio.to_thread(self._ledger.code, record.id)
            trials = await asyncio.to_thread(self._ledger.trials, record.id)
            began = time.time() if by_hand else record.created_at
            record = msgspec.structs.replace(record, state="running", message="", hint="", ended_at=None)
            conductor = self._conductor(record, code, trials)
            await self._mlflow.ensure()
            await self._until_gone({trial.kernel_id for trial in trials if trial.state == "running"})
            outcomes = await self._mlflow.worker.call(MlflowTrials.outcomes, record.id, record.plan.metric)
            await conductor.take_up(outcomes)
            await asyncio.to_thread(self._ledger.change, record)
        except BaseException:
            lock.release()
            raise
        hours = record.plan.hours
        self._begin(conductor, lock, began + hours * 3600 if hours else None)
        log.info("The sweep %s goes on.", record.id)
        return True

    async def _until_gone(self, kernel_ids: set[str]) -> None:
        """What kernels of the last server logged on this machine shall be in MLflow before one asks it."""
        kernel_ids -= set(self._fresh_kernels().ids())
        until = time.monotonic() + _GONE_WITHIN_S
        while kernel_ids and time.monotonic() < until:
            runs = await self._tracking.open_runs_at("")
            if not kernel_ids & {run.process.kernel_id for run in runs}:
                return
            await asyncio.sleep(0.5)
