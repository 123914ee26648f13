"""Start, follow, stop and resume sweeps, also after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, Unavailable
from genops_lab.core.paging import FIRST, Page, PageQuery
from genops_lab.core.services import Service

from .models import MetricSummary, NewSweep, RepeatedRuns, Sweep, SweepQuery

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from genops_lab.core.events import EventBus
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore
    from genops_lab.core.store.work import Work, WorkTable
    from genops_lab.core.tasks import TaskHandle
    from genops_lab.core.work import WorkService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.experiments.tracking import TrackingService
    from genops_lab.jobs.kernels import FreshKernels

    from .ledger import Record
    from .runner import SweepRunner

#: The kind of durable work that runs a sweep; its subject is ``sweep:<id>``.
KIND = "sweep"
MAX_WAIT_S = 30.0
#: Interval and number of looks for a runner of this server.
_LOOK_S, _LOOKS = 0.1, 20
MAX_REPEATS = 1000
#: Time for the work of a sweep to end after the sweep: one write in the store.
_WORK_ENDS_WITHIN_S = 15.0
#: Time for the kernels of a killed server to end; they notice it within 2 s.
_GONE_WITHIN_S = 30.0

_UNDER_WAY = ("running", "stopping")
_BY_HAND = "Stopped by the user."


class SweepsService(Service):
    """Run sweeps as durable work.

    A server takes over the sweeps of ended servers when it starts, because it then finds the kernels of trials again.
    """

    def __init__(
        self,
        settings: Settings,
        store: LocalStore,
        events: EventBus,
        mlflow: MlflowConnection,
        tracking: TrackingService,
        kernels: FreshKernels | None,
        work: WorkService,
        works: WorkTable,
    ) -> None:
        # Imported late: the table of routes needs only this class, and SQLAlchemy costs 135 ms.
        from genops_lab.core.work import WorkKind
        from genops_lab.core.worker import Worker

        from .ledger import SweepLedger

        self._ledger = SweepLedger(store, settings.data_dir)
        self._events, self._mlflow, self._tracking = events, mlflow, tracking
        self._worker = Worker("Sweeps", {}, env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
        self._kernels = kernels
        self._runners: dict[str, SweepRunner] = {}
        self._work, self._works = work, works
        if kernels is not None:
            work.register(WorkKind(KIND, {"run": self._run}, self._take_back, left_to_starts=True))
        self._taking_up: asyncio.Task[None] | None = None
        #: Ended sweeps, which no longer change; a list is fetched at each change of a sweep.
        self._listed_before: dict[str, Sweep] = {}

    async def ready(self) -> None:
        """Take over the sweeps of servers that have ended."""
        if self._kernels is None:
            return
        self._taking_up = asyncio.create_task(self._take_up_left())

    async def start_sweep(self, body: NewSweep) -> Sweep:
        """Start a sweep; it runs in the background."""
        from .ledger import Code, Record, shown
        from .planning import plan_of

        plan = await plan_of(body, self._fresh_kernels())
        record = Record(id=secrets.token_hex(4), state="running", plan=plan, created_at=time.time())
        code = Code(cell=body.code, setup=body.setup)
        await self._begin(record, record.created_at, lambda store: self._ledger.add(store, record, code))
        return shown(record, [], attended=True)

    async def list_sweeps(self, query: PageQuery = FIRST) -> Page[Sweep]:
        """List sweeps without their trials, newest first."""
        page = await asyncio.to_thread(self._ledger.page, query)
        return Page(items=[await self._listed(record) for record in page.items], next=page.next)

    async def _listed(self, record: Record) -> Sweep:
        known = self._listed_before.get(record.id)
        if known is not None and (known.state, known.ended_at) == (record.state, record.ended_at):
            return known
        found = msgspec.structs.replace(await self._shown(record), trials=[])
        if found.ended_at is not None:
            self._listed_before[record.id] = found
        return found

    async def get_sweep(self, sweep_id: str, query: SweepQuery) -> Sweep:
        """Return a sweep with its trials, at once or at its next change.

        The id may be a unique prefix or ``latest``.
        """
        from .ledger import ENDED

        record = await asyncio.to_thread(self._ledger.find, sweep_id)
        looks = _LOOKS if query.wait_s > 0 and record.state not in ENDED else 0
        while (runner := self._runners.get(record.id)) is None and looks > 0:
            looks -= 1
            await asyncio.sleep(_LOOK_S)  # another server runs it, or none yet
        if runner is not None and query.wait_s > 0 and runner.record.state not in ENDED:
            if runner.version <= query.after:
                changed = runner.changed
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(changed.wait(), min(query.wait_s, MAX_WAIT_S))
            return runner.shown()
        return await self._shown(await asyncio.to_thread(self._ledger.find, record.id))

    async def stop_sweep(self, sweep_id: str) -> Sweep:
        """Interrupt the running trials and start no more."""
        from .ledger import ENDED

        record = await asyncio.to_thread(self._ledger.find, sweep_id)
        runner = self._runners.get(record.id)
        if runner is not None:
            record = runner.record
        if record.state in ENDED:
            raise Conflict(f"The sweep {record.id} has already ended ({record.state}).")
        if runner is not None:
            runner.stop(_BY_HAND)
            return runner.shown()
        running = False
        for work in await self._running(record.id):
            await asyncio.to_thread(self._works.cancel, work.id)
            running = running or await self._work.is_held(work)
            if not running and self._kernels is not None:
                running = await self._work.take_up(work)
        record = await asyncio.to_thread(self._ledger.find, record.id)  # it may have ended meanwhile
        if not running and record.state not in ENDED:
            stopped = msgspec.structs.replace(record, state="stopped", message=_BY_HAND, ended_at=time.time())
            await asyncio.to_thread(self._ledger.change, stopped)
            self._events.emit("sweep", record.id)
        return await self._shown(await asyncio.to_thread(self._ledger.find, record.id))

    async def resume_sweep(self, sweep_id: str) -> Sweep:
        """Continue a sweep that was stopped or failed, or whose server has ended."""
        from .ledger import ENDED, shown

        record = await asyncio.to_thread(self._ledger.find, sweep_id)
        self._fresh_kernels()
        if record.state == "done":
            raise Conflict(f"The sweep {record.id} is done.", hint="Start a new sweep from its cell.")
        # The sweep tells its end before its work does.
        until = time.monotonic() + (_WORK_ENDS_WITHIN_S if record.state in ENDED else 0)
        while (works := await self._running(record.id)) and not await self._work.take_up(works[0]):
            if time.monotonic() >= until:
                raise Conflict(
                    f"The sweep {record.id} is already running.",
                    hint=f"Show it: `genops sweeps show {record.id}`",
                )
            await asyncio.sleep(_LOOK_S)
        if not works:
            await asyncio.to_thread(self._ledger.code, record.id)  # raises if the code was removed
            await asyncio.to_thread(self._ledger.change, _again(record))
            await self._begin(record, time.time())
        trials = await asyncio.to_thread(self._ledger.trials, record.id)
        return shown(_again(record), trials, attended=True)

    async def delete_sweep(self, sweep_id: str) -> Sweep:
        """Delete a sweep that has ended, for good. Its runs stay in MLflow. Returns what it was.

        Raises NotFound, and Conflict while the sweep runs.
        """
        record = await asyncio.to_thread(self._ledger.find, sweep_id)
        found = await self._shown(record)
        if not await asyncio.to_thread(self._ledger.delete_ended, record.id):
            raise Conflict(
                f"The sweep {record.id} is {record.state}.",
                hint=f"Stop it first: genops sweeps stop {record.id}",
            )
        self._listed_before.pop(record.id, None)
        self._events.emit("sweep", record.id)
        return found

    async def summarize_repeats(self, body: RepeatedRuns) -> list[MetricSummary]:
        """Return mean and 95 % interval of each metric over runs that repeat each other."""
        from .backends.outcomes import MlflowTrials

        if not 2 <= len(body.run_ids) <= MAX_REPEATS:
            raise InvalidRequest(f"{len(body.run_ids)} run ids were given.", hint=f"Give 2 to {MAX_REPEATS}.")
        return await self._mlflow.call(MlflowTrials.summary, body.run_ids)

    async def close(self) -> None:
        """Stop the worker. The sweeps themselves are left to the next server."""
        if self._taking_up is not None:
            self._taking_up.cancel()
            await asyncio.wait([self._taking_up])
        await self._worker.stop()

    # Inside

    def _fresh_kernels(self) -> FreshKernels:
        if self._kernels is None:
            raise Unavailable(
                "A sweep needs a running JupyterLab, whose kernels run the trials.",
                hint="Start JupyterLab on this machine as this user, then try again.",
            )
        return self._kernels

    async def _shown(self, record: Record) -> Sweep:
        from .ledger import shown

        runner = self._runners.get(record.id)
        if runner is not None:
            return runner.shown()
        trials = await asyncio.to_thread(self._ledger.trials, record.id)
        attended = False
        if record.state in _UNDER_WAY:
            attended = any([await self._work.is_held(each) for each in await self._running(record.id)])
        return shown(record, trials, attended=attended)

    async def _running(self, sweep_id: str) -> list[Work]:
        return await asyncio.to_thread(self._works.running, KIND, f"sweep:{sweep_id}")

    async def _begin(
        self, record: Record, began: float, also: Callable[[Connection], None] | None = None
    ) -> None:
        plan = {"sweep": record.id, "began": began}
        title, subject = f"Sweep {record.plan.name}", f"sweep:{record.id}"
        await self._work.begin(KIND, plan, title=title, subject=subject, also=also)
        self._events.emit("sweep", record.id)

    async def _take_up_left(self) -> None:
        await asyncio.to_thread(self._ledger.forget_old_code)
        for record in await asyncio.to_thread(self._ledger.unfinished):
            # A sweep without work: an older GenOps Lab began it, or its work failed unexpectedly.
            if await self._running(record.id):
                continue
            if not await asyncio.to_thread(self._ledger.is_held_by_a_former_lab, record.id):
                await self._begin(record, record.created_at)
        await self._work.take_left(KIND)

    # The work

    async def _run(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> dict[str, Any]:
        record = await asyncio.to_thread(self._ledger.find, plan["sweep"])
        if record.state == "done":  # its server was killed before it wrote the end of the work
            return {"message": record.message}
        runner = await self._taken_up(handle, plan)
        hours = runner.record.plan.hours
        deadline = plan["began"] + hours * 3600 if hours else None
        running = asyncio.create_task(runner.run(deadline=deadline))
        reporting = asyncio.create_task(_report_progress(handle, runner))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            if await self._work.is_cancelled(handle):
                runner.stop(_BY_HAND)
                await running
            raise
        finally:
            reporting.cancel()
            running.cancel()
            await asyncio.wait([running])
            del self._runners[plan["sweep"]]
        record = runner.record
        if record.state == "failed":
            raise Failed(record.message, hint=record.hint)
        return {"message": record.message or f"{_progress(runner)[0]}: {record.state}."}

    async def _take_back(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> None:
        """Stop a sweep, with the trials that another server started."""
        record = await asyncio.to_thread(self._ledger.find, plan["sweep"])
        if record.state in _UNDER_WAY:
            runner = await self._taken_up(handle, plan)
            try:
                runner.stop(_BY_HAND)
                await runner.run(deadline=None)
            finally:
                del self._runners[record.id]

    async def _taken_up(self, handle: TaskHandle, plan: dict[str, Any]) -> SweepRunner:
        """Return the runner of a sweep, with the results of the trials that another server started."""
        from .backends.outcomes import MlflowTrials
        from .next_trial import Proposals
        from .runner import SweepRunner

        record = await asyncio.to_thread(self._ledger.find, plan["sweep"])
        holds = self._work.fence(handle)
        try:
            code = await asyncio.to_thread(self._ledger.code, record.id)
            trials = await asyncio.to_thread(self._ledger.trials, record.id)
            runner = SweepRunner(
                _again(record),
                code,
                trials,
                ledger=self._ledger,
                holds=holds,
                events=self._events,
                mlflow=self._mlflow,
                tracking=self._tracking,
                kernels=self._fresh_kernels(),
                proposals=Proposals(self._worker),
            )
            if trials:
                await self._mlflow.ensure()
                await self._until_gone({trial.kernel_id for trial in trials if trial.state == "running"})
                metric = record.plan.metric
                await runner.take_up(await self._mlflow.worker.call(MlflowTrials.outcomes, record.id, metric))
        except GenOpsError as error:
            failed = msgspec.structs.replace(
                record, state="failed", message=error.message, hint=error.hint, ended_at=time.time()
            )
            await asyncio.to_thread(self._ledger.change, failed, holds)
            self._events.emit("sweep", record.id)
            raise
        await asyncio.to_thread(self._ledger.change, runner.record, holds)
        self._runners[record.id] = runner
        self._events.emit("sweep", record.id)
        return runner

    async def _until_gone(self, kernel_ids: set[str]) -> None:
        """Wait until the ended kernels of the last server on this machine have sent their metrics to MLflow."""
        kernel_ids -= set(self._fresh_kernels().ids())
        until = time.monotonic() + _GONE_WITHIN_S
        while kernel_ids and time.monotonic() < until:
            runs = await self._tracking.open_runs_at("")
            if not kernel_ids & {run.process.kernel_id for run in runs}:
                return
            await asyncio.sleep(0.5)


def _again(record: Record) -> Record:
    """Return the record of a sweep that runs again."""
    return msgspec.structs.replace(record, state="running", message="", hint="", ended_at=None)


def _progress(runner: SweepRunner) -> tuple[str, float]:
    found = runner.shown()
    ended = sum(found.counts.get(state, 0) for state in ("finished", "failed", "pruned"))
    return f"{ended} of {found.planned} trials", ended / max(1, found.planned)


async def _report_progress(handle: TaskHandle, runner: SweepRunner) -> None:
    last = ""
    while True:
        changed = runner.changed
        words, share = _progress(runner)
        if words != last:
            handle.progress(words, share)
            last = words
        await changed.wait()
