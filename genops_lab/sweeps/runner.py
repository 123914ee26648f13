"""Run one sweep: start its trials as jobs and record their results."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import msgspec

from genops_lab.core.errors import GenOpsError, Unavailable
from genops_lab.core.store.work import OldToken
from genops_lab.jobs.attempt import JobEnd
from genops_lab.jobs.kernels import Start
from genops_lab.jobs.scheduler import Scheduler

from .backends.outcomes import MlflowTrials, Outcome
from .ledger import ENDED, Code, Fence, Record, SweepLedger, shown
from .models import Sweep, SweepState, Trial, TrialState
from .next_trial import Proposals
from .trial import SAFE_WITHIN_S, Live, SetupFailed, prepared, waiting

if TYPE_CHECKING:
    from genops_lab.core.events import EventBus
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.experiments.models import TrackedRun, TrackingEvent
    from genops_lab.experiments.tracking import TrackingService
    from genops_lab.jobs.kernels import FreshKernels

log = logging.getLogger("genops_lab")
#: Failed trials in a row after which the sweep ends.
FAILURES_IN_A_ROW = 3
#: Time for the end of a trial to arrive in MLflow, if it ended while no server ran.
_SETTLED_WITHIN_S = 60.0
_ENDS: dict[str, TrialState] = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "stopped"}

P = ParamSpec("P")
R = TypeVar("R")

_RETRY_AFTER_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


class SweepRunner:
    """Run a sweep to its end. ``changed`` is set at the next change; ``holds`` raises if another Lab runs it."""

    def __init__(
        self,
        record: Record,
        code: Code,
        trials: list[Trial],
        *,
        ledger: SweepLedger,
        holds: Fence,
        events: EventBus,
        mlflow: MlflowConnection,
        tracking: TrackingService,
        kernels: FreshKernels,
        proposals: Proposals,
    ) -> None:
        self.record = record
        self.code = code
        self.version = 0
        self.changed = asyncio.Event()
        self._trials = {trial.number: trial for trial in trials}
        self._ledger, self._holds, self._events = ledger, holds, events
        self._mlflow, self._tracking = RetryingMlflow(mlflow), tracking
        self._proposals = proposals
        self._jobs: Scheduler[Live] = Scheduler(self, kernels, f"the sweep {record.id}")
        self._failures = 0
        self._over = ""

    def shown(self) -> Sweep:
        """Return the current state of the sweep."""
        trials = [self._trials[number] for number in sorted(self._trials)]
        return shown(self.record, trials, attended=True, version=self.version)

    # Run, stop and take over

    async def run(self, *, deadline: float | None) -> None:
        """Run the remaining trials, at most until ``deadline`` (seconds since 1970).

        After a cancellation the next server continues.
        """
        unwatch = self._tracking.watch(self._hear)
        timer = None
        if deadline is not None:
            wait_s = max(0.0, deadline - time.time())
            timer = asyncio.get_running_loop().call_later(
                wait_s, self.stop, "The sweep reached its time limit."
            )
        try:
            await self._jobs.run(self.record.plan.slots)
            await self._conclude()
        except GenOpsError as error:
            log.warning("The sweep %s failed: %s", self.record.id, error.message)
            await self._set("failed", error.message, error.hint)
        finally:
            if timer is not None:
                timer.cancel()
            unwatch()

    def stop(self, why: str = "", hint: str = "", *, failed: bool = False) -> None:
        """Start no more trials, and interrupt the running ones."""
        if not self._over:
            self._over = "failed" if failed else "stopped"
            self.record = msgspec.structs.replace(self.record, state="stopping", message=why, hint=hint)
            self._announce()
        self._jobs.stop(why or "The sweep was stopped.")

    async def take_up(self, outcomes: list[Outcome]) -> None:
        """Take over from a server that ended.

        Trials that are finished in MLflow count, living kernels are adopted, and the other trials run again.
        """
        runs = {(outcome.number, outcome.attempt): outcome for outcome in outcomes}
        for trial in list(self._trials.values()):
            if trial.state not in ("waiting", "starting", "running", "stopped"):
                continue
            outcome = runs.get((trial.number, trial.attempt))
            live = Live(trial, adopted=True)
            if trial.state == "running" and await self._jobs.adopt(live, trial.kernel_name, trial.kernel_id):
                continue
            if outcome is not None and outcome.status == "FINISHED" and trial.state != "stopped":
                await self._ended(trial, outcome, "finished", "")
            else:
                attempt = trial.attempt + (trial.state != "waiting")
                await self._put(waiting(trial, attempt))
                self._jobs.retry(trial.number)
        counted = {(trial.number, trial.attempt) for trial in self._trials.values()}
        for key, outcome in runs.items():
            if key not in counted:
                await self._mlflow.ask(MlflowTrials.supersede, outcome.run_id, self.record.id)

    async def _conclude(self) -> None:
        if self._over:
            hint = self.record.hint or f"Continue it: `genops sweeps resume {self.record.id}`"
            await self._set("failed" if self._over == "failed" else "stopped", self.record.message, hint)
            return
        plan = self.record.plan
        left = plan.planned - sum(
            trial.state not in ("waiting", "stopped") for trial in self._trials.values()
        )
        if left > 0 and self._jobs.troubles:
            raise self._jobs.troubles[-1]
        counted = [trial for trial in self._trials.values() if trial.state == "finished"]
        if plan.method == "repeat" and counted:
            ids = [trial.run_id for trial in counted]
            summary = await self._mlflow.ask(MlflowTrials.summary, ids)
            self.record = msgspec.structs.replace(self.record, summary=summary)
        without = plan.metric and counted and all(trial.value is None for trial in counted)
        message = f"No trial logged {plan.metric!r}, so no trial is the best." if without else ""
        await self._set(
            "done", message, f'Log the metric: genops.log({{"{plan.metric}": ...}})' if without else ""
        )

    # The client of the scheduler

    async def attempt(self, number: int | None, kernel_name: str) -> Live | None:
        """Return the next attempt of a trial, or the first attempt of the next trial."""
        plan = self.record.plan
        if number is not None:
            trial = self._trials[number]
        elif len(self._trials) < plan.planned:
            number = len(self._trials)
            params = await self._proposals.params(plan, self._known(), number)
            trial = Trial(number=number, state="waiting", params=params)
        else:
            return None
        await self._put(trial, state="starting", kernel_name=kernel_name, started_at=time.time(), message="")
        return Live(trial)

    def start(self, live: Live) -> Start:
        """Return the start of the trial's kernel: the sweep's folder and the trial's variables."""
        plan = self.record.plan
        variables = {"GENOPS_TRIAL": f"{self.record.id}:{live.number}"}
        if plan.method == "repeat":
            seed = self._trials[live.number].params["seed"]
            variables["PYTHONHASHSEED"] = str(int(seed or 0) % 2**32)
        return Start(plan.cwd, plan.notebook, variables)

    async def started(self, live: Live) -> None:
        """Store the kernel's id, so that a next server can adopt the kernel."""
        assert live.kernel is not None
        await self._put(self._trials[live.number], kernel_id=live.kernel.kernel_id)

    async def not_started(self, live: Live, error: GenOpsError) -> None:
        """Store why the kernel did not start."""
        state: TrialState = "stopped" if self._over else "waiting"
        await self._put(self._trials[live.number], state=state, message=error.message, started_at=None)

    async def run_job(self, live: Live) -> tuple[JobEnd, str] | None:
        """Run the trial in its kernel. A failed setup cell ends the sweep."""
        number, kernel = live.number, live.kernel
        assert kernel is not None

        async def prepare() -> str:
            cell = await prepared(live, kernel, self._trials[number], self.record, self.code)
            await self._put(self._trials[number], state="running")
            return cell

        async def settled() -> None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(live.safe.wait(), SAFE_WITHIN_S)

        try:
            return await live.run(kernel, prepare, settled=settled, limit_s=self.record.plan.timeout_s)
        except SetupFailed as error:
            self.stop(error.message, error.hint, failed=True)
            await self._put(self._trials[number], state="stopped", ended_at=time.time())
            return None

    async def ended(self, live: Live, end: JobEnd, message: str) -> None:
        """Record the result of a trial."""
        if live.adopted and end == "finished":
            await self._adopted_ended(live.number)
        else:
            await self._ended(self._trials[live.number], await self._outcome(live.number), end, message)

    async def _outcome(self, number: int) -> Outcome | None:
        trial, metric = self._trials[number], self.record.plan.metric
        if trial.run_id:
            return await self._mlflow.ask(MlflowTrials.outcome, trial.run_id, metric)
        outcomes = await self._mlflow.ask(MlflowTrials.outcomes, self.record.id, metric)
        return next((one for one in outcomes if (one.number, one.attempt) == (number, trial.attempt)), None)

    async def _adopted_ended(self, number: int) -> None:
        """Record the result of an adopted trial from its run in MLflow; run it again if its cell never ran."""
        until = time.monotonic() + _SETTLED_WITHIN_S
        while (outcome := await self._outcome(number)) is not None and outcome.status == "RUNNING":
            if time.monotonic() > until:
                break
            await asyncio.sleep(1.0)
        trial = self._trials[number]
        state = None if outcome is None else _ENDS.get(outcome.status)
        if state is not None:
            await self._ended(
                trial,
                outcome,
                state,
                "" if state == "finished" else "The trial ended while JupyterLab was restarting.",
            )
            return
        if outcome is not None:
            await self._mlflow.ask(MlflowTrials.supersede, outcome.run_id, self.record.id)
        await self._put(waiting(trial, trial.attempt + 1))
        self._jobs.retry(number)

    async def _ended(self, trial: Trial, outcome: Outcome | None, state: TrialState, message: str) -> None:
        plan = self.record.plan
        value = None
        if outcome is not None:
            value = outcome.objective(plan.objective, plan.direction)
            self._proposals.remember(trial.number, outcome)
            status = {"finished": "FINISHED", "failed": "FAILED"}.get(state, "KILLED")
            await self._mlflow.ask(
                MlflowTrials.finish,
                outcome.run_id,
                status,
                {"genops.pruned": "true"} if state == "pruned" else {},
            )
            self._events.emit("run", outcome.run_id)
        run_id = outcome.run_id if outcome is not None else trial.run_id
        await self._put(trial, state=state, value=value, run_id=run_id, message=message, ended_at=time.time())
        if state == "failed":
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW and not self._over:
                why = f"{self._failures} trials in a row failed. The last error: {message}"
                self.stop(why, "Correct the cell and start a new sweep.", failed=True)
        elif state in ("finished", "pruned"):
            self._failures = 0

    # Metrics of trials

    def _hear(self, run: TrackedRun, events: list[TrackingEvent]) -> None:
        live = next((one for one in self._jobs.live.values() if one.is_at(run.process.kernel_id)), None)
        if live is None:
            return
        plan, trial = self.record.plan, self._trials[live.number]
        if live.begun and not trial.run_id:
            trial = self._trials[trial.number] = msgspec.structs.replace(trial, run_id=run.run_id)
            self._announce()
        if trial.run_id == run.run_id and live.take(events, plan.metric):
            value = live.objective(plan.objective, plan.direction)
            self._trials[trial.number] = msgspec.structs.replace(trial, value=value)
            self._announce()
            if plan.prune:
                live.consider(lambda: self._consider(live))

    async def _consider(self, live: Live) -> None:
        if await self._proposals.should_prune(self.record.plan, self._known(), live.number):
            live.interrupt("pruned", f"Pruned at step {live.steps[-1]}.")

    def _known(self) -> list[tuple[Trial, Live | None]]:
        return [(trial, self._jobs.live.get(number)) for number, trial in sorted(self._trials.items())]

    # Storing and announcing changes

    async def _put(self, trial: Trial, **changes: Any) -> None:
        trial = self._trials[trial.number] = msgspec.structs.replace(trial, **changes)
        self._announce()
        await self._write(self._ledger.put, self.record.id, trial)

    async def _set(self, state: SweepState, message: str, hint: str = "") -> None:
        ended = time.time() if state in ENDED else None
        record = msgspec.structs.replace(self.record, state=state, message=message, hint=hint, ended_at=ended)
        await self._write(self._ledger.change, record)
        self.record = record  # only now: who reads the end acts on it, and the store must have it
        self._announce()

    async def _write(self, write: Callable[..., None], *what: Any) -> None:
        try:
            await asyncio.to_thread(write, *what, self._holds)
        except OldToken:  # another Lab runs the sweep: end as if this one was stopped
            raise asyncio.CancelledError from None

    def _announce(self) -> None:
        self.version += 1
        self.changed.set()
        self.changed = asyncio.Event()
        self._events.emit("sweep", self.record.id)


class RetryingMlflow:
    """Retry calls of MLflow for a minute, so that the result of a trial is not lost."""

    def __init__(self, mlflow: MlflowConnection) -> None:
        self._mlflow = mlflow

    async def ask(
        self, method: Callable[Concatenate[MlflowTrials, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Return the answer of the MLflow worker. Raises Unavailable after the last retry."""
        for wait_s in (*_RETRY_AFTER_S, None):
            try:
                return await self._mlflow.call(method, *args, **kwargs)
            except Unavailable:
                if wait_s is None:
                    raise
                await asyncio.sleep(wait_s)
        raise AssertionError
