"""A trial under way: what it has logged, whether to go on with it, and what its kernel runs before its cell."""

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

#: After the trial's cell: until what it logged is safe in MLflow.
SAFE_WITHIN_S = 60.0
_MODULE = "genops_lab.kernel.trial"


class SetupFailed(GenOpsError):
    """What runs before every trial fails: so would all of them."""

    code = "setup_failed"


class Live(Attempt):
    """A trial that has, or is about to get, a kernel."""

    def __init__(self, trial: Trial, *, adopted: bool = False) -> None:
        super().__init__(trial.number, adopted=adopted)
        #: whether its run may have been opened
        self.begun = bool(trial.run_id)
        self.safe = asyncio.Event()
        self.steps: list[int] = []
        self.values: list[float] = []
        self._considering: asyncio.Task[None] | None = None
        self._news = False

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

    def close(self) -> None:
        """The trial is over."""
        super().close()
        if self._considering is not None:
            self._considering.cancel()


def waiting(trial: Trial, attempt: int) -> Trial:
    """The trial before its next attempt."""
    return Trial(number=trial.number, state="waiting", params=trial.params, attempt=attempt)


async def prepared(live: Live, kernel: JobKernel, trial: Trial, record: Record, code: Code) -> str:
    """Have the kernel run all that comes before the trial's cell; the cell as it shall run. Raises SetupFailed."""
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
                f"The cell {one.label or 'before the sweep'}, which each trial runs first, failed: {error.message}",
                hint="Correct it, or leave it out with --setup.",
            ) from error
    optional = ["seed"] if plan.method == "repeat" else []
    given = {"code": code.cell, "params": trial.params, "optional": optional}
    try:
        placed = await ask("prepare", given)
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
    await ask("open_run", run)
    return str(placed["cell"])
