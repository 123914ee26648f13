"""Run a trial: prepare its kernel, collect its metrics and decide whether to prune it."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import GenOpsError
from genops_lab.experiments.limits import number as as_number
from genops_lab.jobs.attempt import Attempt
from genops_lab.jobs.kernels import CellFailed, JobKernel

from .backends.outcomes import ATTEMPT_TAG, SWEEP_TAG, TRIAL_TAG
from .models import Direction, Objective, Trial

if TYPE_CHECKING:
    from genops_lab.experiments.models import TrackingEvent

    from .ledger import Code, Record

log = logging.getLogger("genops_lab")

#: Time after the trial's cell for its metrics to arrive in MLflow.
SAFE_WITHIN_S = 60.0
_MODULE = "genops_lab.kernel.trial"


class SetupFailed(GenOpsError):
    """A setup cell failed. It runs before each trial, so all trials would fail."""

    code = "setup_failed"


class Live(Attempt):
    """A trial that has a kernel or is about to get one."""

    def __init__(self, trial: Trial, *, adopted: bool = False) -> None:
        super().__init__(trial.number, adopted=adopted)
        #: Whether the trial's run may have begun.
        self.begun = bool(trial.run_id)
        self.safe = asyncio.Event()
        self.steps: list[int] = []
        self.values: list[float] = []
        self._considering: asyncio.Task[None] | None = None
        self._news = False

    def is_at(self, kernel_id: str) -> bool:
        """Return whether this trial runs in that kernel."""
        return self.kernel is not None and self.kernel.kernel_id == kernel_id

    def take(self, events: list[TrackingEvent], metric: str) -> bool:
        """Take the values of ``metric`` and the run's end from events. Return whether a value is new."""
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
        """Return the objective so far. The trial must have a value."""
        if objective == "last":
            return self.values[-1]
        return min(self.values) if direction == "minimize" else max(self.values)

    def consider(self, judge: Callable[[], Awaitable[None]]) -> None:
        """Call ``judge``, which may prune the trial: one call at a time, and again after new values."""
        self._news = True
        if self._considering is None or self._considering.done():
            self._considering = asyncio.create_task(self._judged(judge))

    async def _judged(self, judge: Callable[[], Awaitable[None]]) -> None:
        while self._news and self.reason is None:
            self._news = False
            try:
                await judge()
            except GenOpsError as error:  # the trial continues
                log.warning("Cannot decide whether to prune a trial: %s", error.message)

    def close(self) -> None:
        """End the trial."""
        super().close()
        if self._considering is not None:
            self._considering.cancel()


def waiting(trial: Trial, attempt: int) -> Trial:
    """Return the trial as waiting for its next attempt."""
    return Trial(number=trial.number, state="waiting", params=trial.params, attempt=attempt)


async def prepared(live: Live, kernel: JobKernel, trial: Trial, record: Record, code: Code) -> str:
    """Run the setup in the kernel and open the run. Return the trial's cell with its values. Raises SetupFailed."""
    plan = record.plan

    async def ask(function: str, given: dict[str, Any]) -> Any:
        return await kernel.ask(_MODULE, function, given)

    await ask("begin", {"cwd": plan.cwd})
    for one in code.setup:
        if live.reason is not None:
            raise CellFailed(live.reason[1])
        try:
            await kernel.run(one.source)
        except CellFailed as error:
            if live.reason is not None:
                raise
            raise SetupFailed(
                f"{' '.join(filter(None, ['The setup cell', one.label]))} failed: {error.message}",
                hint="Correct the cell, or choose other setup cells with --setup.",
            ) from error
    optional = ["seed"] if plan.method == "repeat" else []
    given = {"code": code.cell, "params": trial.params, "optional": optional}
    try:
        placed = await ask("prepare", given)
    except CellFailed as error:
        if live.reason is not None:
            raise
        raise SetupFailed(
            error.message, hint=error.hint or "Correct the cell or the names of the sweep."
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
    await ask("open_run", run)
    return str(placed["cell"])
