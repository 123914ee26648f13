"""One sweep under way: which trial runs next, in which kernel, and what becomes of it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import GenOpsError

from .backends.outcomes import MlflowTrials, Outcome
from .ledger import ENDED, Code, Record, SweepLedger, shown
from .models import Sweep, SweepState, Trial, TrialState
from .next_trial import Proposals
from .retry import RetryingMlflow
from .trial import Live, SetupFailed, tried, waiting

if TYPE_CHECKING:
    from genops_lab.core.events import EventBus
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.experiments.models import TrackingEvent
    from genops_lab.experiments.tracked import TrackedRun
    from genops_lab.experiments.tracking import TrackingService

    from .fresh_kernels import FreshKernels, TrialKernel

log = logging.getLogger("genops_lab")
#: So many failed trials, or starts of one kernel, in a row are no accident.
FAILURES_IN_A_ROW = 3
_AGAIN_AFTER_S = 2.0
_LOG_HINT = "The server's log has the details; `genops sweep resume` goes on with it."
#: Until a trial that ended while no server was there has its end in MLflow.
_SETTLED_WITHIN_S = 60.0
_ENDS: dict[str, TrialState] = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "stopped"}


class SweepRunner:
    """Runs one sweep to its end. ``told`` hears of each change; ``changed`` is set at the next one."""

    def __init__(
        self,
        record: Record,
        code: Code,
        trials: list[Trial],
        *,
        ledger: SweepLedger,
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
        self._ledger, self._events = ledger, events
        self._mlflow, self._tracking = RetryingMlflow(mlflow), tracking
        self._kernels, self._proposals = kernels, proposals
        self._live: dict[int, Live] = {}
        #: trials that wait for a kernel, with the kernels that did not start for them
        self._again: dict[int, set[str]] = {}
        self._adopted: list[tuple[Trial, TrialKernel]] = []
        self._slots: dict[str, int] = {}
        self._troubles: list[GenOpsError] = []
        self._failures = 0
        self._over = ""
        self._turn = asyncio.Condition()

    def shown(self) -> Sweep:
        """The sweep as it is now."""
        trials = [self._trials[number] for number in sorted(self._trials)]
        return shown(self.record, trials, attended=True, version=self.version)

    # The whole

    async def run(self, *, deadline: float | None) -> None:
        """Run what is left, until ``deadline`` (seconds since 1970) at most. Cancelled: the next server goes on."""
        unwatch = self._tracking.watch(self._hear)
        timer = None
        if deadline is not None:
            wait_s = max(0.0, deadline - time.time())
            timer = asyncio.get_running_loop().call_later(wait_s, self.stop, "Its time is over.")
        try:
            await self._run_slots()
            await self._conclude()
        except GenOpsError as error:
            log.warning("The sweep %s failed: %s", self.record.id, error.message)
            await self._set("failed", error.message, error.hint)
        except Exception:  # a boundary: the next server, or `genops sweep resume`, goes on with it
            log.exception("The sweep %s is left as it is", self.record.id)
        finally:
            if timer is not None:
                timer.cancel()
            unwatch()

    def stop(self, why: str = "", hint: str = "", *, failed: bool = False) -> None:
        """Start no further trial, and interrupt those that run."""
        if not self._over:
            self._over = "failed" if failed else "stopped"
            self.record = msgspec.structs.replace(self.record, state="stopping", message=why, hint=hint)
            self._tell()
        for live in self._live.values():
            live.interrupt("stopped", why or "The sweep was stopped.")
        self._wake()

    async def take_up(self, outcomes: list[Outcome]) -> None:
        """After another server's end: trials that MLflow has as finished count, kernels that live on are adopted, and
        the rest runs again."""
        runs = {(outcome.number, outcome.attempt): outcome for outcome in outcomes}
        for trial in list(self._trials.values()):
            if trial.state not in ("waiting", "starting", "running", "stopped"):
                continue
            outcome = runs.get((trial.number, trial.attempt))
            if (
                trial.state == "running"
                and (kernel := await self._kernels.attach(trial.kernel_id)) is not None
            ):
                self._adopted.append((trial, kernel))
            elif outcome is not None and outcome.status == "FINISHED" and trial.state != "stopped":
                await self._ended(trial, outcome, "finished", "")
            else:
                attempt = trial.attempt + (trial.state != "waiting")
                await self._put(waiting(trial, attempt))
                self._again[trial.number] = set()
        counted = {(trial.number, trial.attempt) for trial in self._trials.values()}
        for key, outcome in runs.items():
            if key not in counted:
                await self._mlflow.ask(MlflowTrials.supersede, outcome.run_id, self.record.id)

    async def _run_slots(self) -> None:
        slots = list(self.record.plan.slots)
        tasks = []
        for trial, kernel in self._adopted:
            if trial.kernel_name in slots:
                slots.remove(trial.kernel_name)
            tasks.append(self._slot(trial.kernel_name, (trial, kernel)))
            self._live[trial.number] = Live(trial, kernel)
        tasks += [self._slot(name, None) for name in slots]
        for name in [trial.kernel_name for trial, _ in self._adopted] + slots:
            self._slots[name] = self._slots.get(name, 0) + 1
        running = [asyncio.ensure_future(task) for task in tasks]
        try:
            for done in asyncio.as_completed(running):
                try:
                    await done
                except GenOpsError as error:
                    self.stop(error.message, error.hint, failed=True)
                except Exception as error:  # a boundary: no sweep goes on for ever because of a fault of ours
                    log.exception("The sweep %s failed", self.record.id)
                    self.stop(f"Unexpected {type(error).__name__}: {error}", _LOG_HINT, failed=True)
        except asyncio.CancelledError:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            raise

    async def _conclude(self) -> None:
        if self._over:
            hint = self.record.hint or "`genops sweep resume` goes on with it."
            await self._set("failed" if self._over == "failed" else "stopped", self.record.message, hint)
            return
        plan = self.record.plan
        left = plan.planned - sum(
            trial.state not in ("waiting", "stopped") for trial in self._trials.values()
        )
        if left > 0 and self._troubles:
            raise self._troubles[-1]
        counted = [trial for trial in self._trials.values() if trial.state == "finished"]
        if plan.method == "repeat" and counted:
            ids = [trial.run_id for trial in counted]
            summary = await self._mlflow.ask(MlflowTrials.summary, ids)
            self.record = msgspec.structs.replace(self.record, summary=summary)
        without = plan.metric and counted and all(trial.value is None for trial in counted)
        message = f"No trial logged {plan.metric!r}: there is no best one." if without else ""
        await self._set("done", message, f'Log it: genops.log({{"{plan.metric}": ...}}).' if without else "")
        await asyncio.to_thread(self._ledger.forget_code, self.record.id)

    # Slots

    async def _slot(self, name: str, adopted: tuple[Trial, TrialKernel] | None) -> None:
        failed_starts = 0
        if adopted is not None:
            await self._follow(self._live[adopted[0].number], adopted=True)
        while (trial := await self._next(name)) is not None:
            try:
                live = await self._started(trial, name)
            except GenOpsError as error:
                failed_starts += 1
                given_up = failed_starts >= FAILURES_IN_A_ROW
                await self._put_back(trial, name, error, given_up=given_up)
                if given_up:
                    return
                await asyncio.sleep(_AGAIN_AFTER_S)
                continue
            failed_starts = 0
            await self._follow(live)

    async def _next(self, name: str) -> Trial | None:
        """The trial to run next in a kernel ``name``; None when there is none any more."""
        async with self._turn:
            while not self._over:
                number = next((number for number in sorted(self._again) if self._may_try(number, name)), None)
                if number is not None:
                    del self._again[number]
                    trial = self._trials[number]
                elif len(self._trials) < self.record.plan.planned:
                    number = len(self._trials)
                    params = await self._proposals.params(self.record.plan, self._known(), number)
                    trial = Trial(number=number, state="waiting", params=params)
                elif self._live or self._again:
                    await self._turn.wait()
                    continue
                else:
                    return None
                trial = msgspec.structs.replace(
                    trial, state="starting", kernel_name=name, started_at=time.time(), message=""
                )
                self._live[trial.number] = Live(trial, None)
                await self._put(trial)
                return trial
        return None

    def _may_try(self, number: int, name: str) -> bool:
        failed_on = self._again[number]
        return name not in failed_on or not any(other not in failed_on for other in self._slots)

    async def _started(self, trial: Trial, name: str) -> Live:
        plan = self.record.plan
        variables = {"GENOPS_TRIAL": f"{self.record.id}:{trial.number}"}
        if plan.method == "repeat":
            variables["PYTHONHASHSEED"] = str(int(trial.params["seed"] or 0) % 2**32)
        kernel = await self._kernels.start(name, cwd=plan.cwd, notebook=plan.notebook, variables=variables)
        live = self._live[trial.number]
        live.kernel = kernel
        await self._put(msgspec.structs.replace(trial, kernel_id=kernel.kernel_id))
        return live

    async def _put_back(self, trial: Trial, name: str, error: GenOpsError, *, given_up: bool) -> None:
        log.warning("A kernel for a trial of sweep %s did not start: %s", self.record.id, error.message)
        self._live.pop(trial.number, None)
        state: TrialState = "stopped" if self._over else "waiting"
        await self._put(msgspec.structs.replace(trial, state=state, message=error.message, started_at=None))
        self._again.setdefault(trial.number, set()).add(name)
        if given_up:
            self._troubles.append(error)
            self._slots[name] -= 1
            if not self._slots[name]:
                del self._slots[name]
            if not self._slots:
                self._again.clear()
        self._wake()

    async def _follow(self, live: Live, *, adopted: bool = False) -> None:
        """Run the trial in its kernel, and say what became of it."""
        number, kernel = live.trial.number, live.kernel
        assert kernel is not None
        try:
            if self._over:
                live.interrupt("stopped", "The sweep was stopped.")
            state, message = await tried(
                live,
                kernel,
                self.record,
                self.code,
                running=lambda: self._put(msgspec.structs.replace(self._trials[number], state="running")),
                adopted=adopted,
            )
        except SetupFailed as error:
            self.stop(error.message, error.hint, failed=True)
            await self._put(
                msgspec.structs.replace(self._trials[number], state="stopped", ended_at=time.time())
            )
            return
        except asyncio.CancelledError:  # the server stops: the next one may find the kernel, and the trial
            live.left = True
            await asyncio.shield(kernel.let_go())
            raise
        finally:
            self._live.pop(number, None)
            live.close()
            if not live.left:
                await asyncio.shield(kernel.shutdown())
        if adopted and state == "finished":
            await self._adopted_ended(number)
        else:
            await self._ended(self._trials[number], await self._outcome(number), state, message)
        self._wake()

    async def _outcome(self, number: int) -> Outcome | None:
        trial, metric = self._trials[number], self.record.plan.metric
        if trial.run_id:
            return await self._mlflow.ask(MlflowTrials.outcome, trial.run_id, metric)
        outcomes = await self._mlflow.ask(MlflowTrials.outcomes, self.record.id, metric)
        return next((one for one in outcomes if (one.number, one.attempt) == (number, trial.attempt)), None)

    async def _adopted_ended(self, number: int) -> None:
        """A trial that was adopted is over: MLflow alone says how it went. One whose cell never ran runs again."""
        until = time.monotonic() + _SETTLED_WITHIN_S
        while (outcome := await self._outcome(number)) is not None and outcome.status == "RUNNING":
            if time.monotonic() > until:
                break
            await asyncio.sleep(1.0)
        trial = self._trials[number]
        state = None if outcome is None else _ENDS.get(outcome.status)
        if state is not None:
            await self._ended(
                trial, outcome, state, "" if state == "finished" else "No server saw how it ended."
            )
            return
        if outcome is not None:
            await self._mlflow.ask(MlflowTrials.supersede, outcome.run_id, self.record.id)
        await self._put(waiting(trial, trial.attempt + 1))
        self._again[number] = set()

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
        await self._put(
            msgspec.structs.replace(
                trial, state=state, value=value, run_id=run_id, message=message, ended_at=time.time()
            )
        )
        if state == "failed":
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW and not self._over:
                why = f"{self._failures} trials in a row failed, the last one so: {message}"
                self.stop(why, "Correct the cell and start the sweep anew.", failed=True)
        elif state in ("finished", "pruned"):
            self._failures = 0

    # What trials log

    def _hear(self, run: TrackedRun, events: list[TrackingEvent]) -> None:
        live = next((one for one in self._live.values() if one.is_at(run.process.kernel_id)), None)
        if live is None:
            return
        plan, trial = self.record.plan, self._trials[live.trial.number]
        if live.begun and not trial.run_id:
            trial = self._trials[trial.number] = msgspec.structs.replace(trial, run_id=run.run_id)
            self._tell()
        if trial.run_id == run.run_id and live.take(events, plan.metric):
            value = live.objective(plan.objective, plan.direction)
            self._trials[trial.number] = msgspec.structs.replace(trial, value=value)
            self._tell()
            if plan.prune:
                live.consider(lambda: self._consider(live))

    async def _consider(self, live: Live) -> None:
        if await self._proposals.should_prune(self.record.plan, self._known(), live.trial.number):
            live.interrupt("pruned", f"Pruned at step {live.steps[-1]}.")

    def _known(self) -> list[tuple[Trial, Live | None]]:
        return [(trial, self._live.get(number)) for number, trial in sorted(self._trials.items())]

    # Telling

    async def _put(self, trial: Trial) -> None:
        self._trials[trial.number] = trial
        if trial.number in self._live:
            self._live[trial.number].trial = trial
        self._tell()
        await asyncio.to_thread(self._ledger.put, self.record.id, trial)

    async def _set(self, state: SweepState, message: str, hint: str = "") -> None:
        ended = time.time() if state in ENDED else None
        self.record = msgspec.structs.replace(
            self.record, state=state, message=message, hint=hint, ended_at=ended
        )
        await asyncio.to_thread(self._ledger.change, self.record)
        self._tell()

    def _tell(self) -> None:
        self.version += 1
        self.changed.set()
        self.changed = asyncio.Event()
        self._events.emit("sweep", self.record.id)

    def _wake(self) -> None:
        async def wake() -> None:
            async with self._turn:
                self._turn.notify_all()

        self._waking = asyncio.ensure_future(wake())
