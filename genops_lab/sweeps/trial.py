"""A trial under way: what it has logged, why it is interrupted, and its course in its kernel."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import GenOpsError
from genops_lab.experiments.limits import number as as_number

from .backends.outcomes import ATTEMPT_TAG, SWEEP_TAG, TRIAL_TAG
from .fresh_kernels import INTERRUPT_S, CellFailed, KernelDied
from .models import Direction, Objective, Trial, TrialState

if TYPE_CHECKING:
    from genops_lab.experiments.models import TrackingEvent

    from .fresh_kernels import TrialKernel
    from .ledger import Code, Record

log = logging.getLogger("genops_lab")

#: After the trial's cell: until what it logged is safe in MLflow.
SAFE_WITHIN_S = 60.0


class SetupFailed(GenOpsError):
    """What runs before every trial fails: so would all of them."""

    code = "setup_failed"


class Live:
    """A trial that has, or is about to get, a kernel."""

    def __init__(self, trial: Trial, kernel: TrialKernel | None) -> None:
        self.trial = trial
        self.kernel = kernel
        #: why it was interrupted: the trial's state, and words
        self.reason: tuple[TrialState, str] | None = None
        #: whether its run may have been opened
        self.begun = bool(trial.run_id)
        #: whether its kernel was left to the next server
        self.left = False
        self.safe = asyncio.Event()
        self.steps: list[int] = []
        self.values: list[float] = []
        self._considering: asyncio.Task[None] | None = None
        self._news = False
        self._interrupting: asyncio.Task[None] | None = None

    def is_at(self, kernel_id: str) -> bool:
        """Whether this is the trial of that kernel."""
        return self.kernel is not None and self.kernel.kernel_id == kernel_id

    def take(self, events: list[TrackingEvent], metric: str) -> bool:
        """Whether the events bring the metric (none of that name: they are looked at for the run's end alone)."""
        before = len(self.values)
        for event in events:
            values = event.data.get("values")
            if event.kind == "end":
                self.safe.set()
            if event.kind != "metrics" or not isinstance(values, dict) or metric not in values:
                continue
            value = as_number(values[metric])
            if value is not None and math.isfinite(value):
                self.steps.append(int(event.data.get("step") or 0))
                self.values.append(value)
        return len(self.values) > before

    def objective(self, objective: Objective, direction: Direction) -> float:
        """The value that counts so far; there must be one."""
        if objective == "last":
            return self.values[-1]
        return min(self.values) if direction == "minimize" else max(self.values)

    def consider(self, judge: Callable[[], Awaitable[None]]) -> None:
        """Have it judged whether to go on: one judge at a time, who looks again when there was news meanwhile."""
        self._news = True
        if self._considering is None or self._considering.done():
            self._considering = asyncio.create_task(self._judged(judge))

    async def _judged(self, judge: Callable[[], Awaitable[None]]) -> None:
        while self._news and self.reason is None:
            self._news = False
            try:
                await judge()
            except GenOpsError as error:  # the trial goes on, unpruned
                log.warning("A trial could not be judged: %s", error.message)

    def interrupt(self, state: TrialState, why: str) -> None:
        """Interrupt it, once; a kernel that hears nothing is ended."""
        if self.reason is None:
            self.reason = (state, why)
            if self.kernel is not None:
                self._interrupting = asyncio.create_task(self._interrupted(self.kernel))

    async def _interrupted(self, kernel: TrialKernel) -> None:
        with contextlib.suppress(GenOpsError):  # its host is away: the kernel is ended as soon as it is back
            await kernel.interrupt()
        await asyncio.sleep(INTERRUPT_S)
        await kernel.shutdown()

    def close(self) -> None:
        """The trial is over."""
        for task in (self._considering, self._interrupting):
            if task is not None:
                task.cancel()


def waiting(trial: Trial, attempt: int) -> Trial:
    """The trial before its next attempt."""
    return Trial(number=trial.number, state="waiting", params=trial.params, attempt=attempt)


async def tried(
    live: Live,
    kernel: TrialKernel,
    record: Record,
    code: Code,
    *,
    running: Callable[[], Awaitable[None]],
    adopted: bool,
) -> tuple[TrialState, str]:
    """Run the trial to its end; its state then, and what there is to say. Raises SetupFailed.

    ``adopted``: its cell runs already.
    """
    limit = record.plan.timeout_s
    timer = None
    try:
        if not adopted:
            cell = await _prepared(live, kernel, record, code)
            await running()
            if live.reason is not None:  # its run is open: the run's end is the kernel's
                return live.reason
        if limit:
            words = f"It took longer than {limit:g} s."
            timer = asyncio.get_running_loop().call_later(limit, live.interrupt, "failed", words)
        await (kernel.idle() if adopted else kernel.run(cell))
        state, message = ("finished", "")
        if adopted:
            return live.reason or ("finished", "")
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(live.safe.wait(), SAFE_WITHIN_S)
    except CellFailed as error:
        state, message = ("failed", error.message)
        if error.details.get("interrupted"):
            state, message = ("stopped", "It was interrupted.")
    except KernelDied as error:
        state, message = ("failed", error.message)
    finally:
        if timer is not None:
            timer.cancel()
    return live.reason or (state, message)  # type: ignore[return-value] # literals are widened


async def _prepared(live: Live, kernel: TrialKernel, record: Record, code: Code) -> str:
    """Have the kernel run all that comes before the trial's cell; the cell as it shall run."""
    plan, trial = record.plan, live.trial
    await kernel.ask("begin", {"cwd": plan.cwd})
    for one in code.setup:
        if live.reason is not None:
            raise CellFailed(live.reason[1])
        try:
            await kernel.run(one.source)
        except CellFailed as error:
            if live.reason is not None:
                raise
            raise SetupFailed(
                f"The cell {one.label or 'before the sweep'}, which each trial runs first, failed: {error.message}",
                hint="Correct it, or leave it out with --setup.",
            ) from error
    optional = ["seed"] if plan.method == "repeat" else []
    given = {"code": code.cell, "params": trial.params, "optional": optional}
    try:
        placed = await kernel.ask("prepare", given)
    except CellFailed as error:
        if live.reason is not None:
            raise
        raise SetupFailed(
            error.message, hint=error.hint or "Correct the cell, or the names of the sweep."
        ) from error
    if placed["before"]:
        await kernel.run(placed["before"])
    tags = {**plan.tags, SWEEP_TAG: record.id, TRIAL_TAG: str(trial.number), ATTEMPT_TAG: str(trial.attempt)}
    if plan.method == "repeat":
        tags["genops.repeat"] = record.id
    run = {
        "name": f"{plan.name} {trial.number}",
        "experiment": plan.experiment,
        "tags": tags,
        "params": {**plan.params, **trial.params},
        "cell": placed["cell"],
        "seed": trial.params["seed"] if plan.method == "repeat" else None,
        "track": msgspec.to_builtins(plan.track),
    }
    live.begun = True
    await kernel.ask("open_run", run)
    return str(placed["cell"])
