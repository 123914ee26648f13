"""Choose the parameters of the next trial, and decide whether to prune a running one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.worker import Worker

from .backends.suggestions import KnownTrial, Suggestions
from .models import Trial
from .space import Value, grid_point, random_point

if TYPE_CHECKING:
    from .backends.outcomes import Outcome
    from .ledger import Plan
    from .trial import Live

_STATES = {"finished": "complete", "pruned": "pruned", "failed": "fail", "stopped": "fail"}

Known = list[tuple[Trial, "Live | None"]]


class Proposals:
    """The proposals of one sweep. Optuna in ``worker`` does TPE and pruning; grid and random search need no worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._curves: dict[int, tuple[list[int], list[float]]] = {}

    def remember(self, number: int, outcome: Outcome) -> None:
        """Keep the curve of a trial that has ended."""
        self._curves[number] = (outcome.steps, outcome.values)

    async def params(self, plan: Plan, known: Known, number: int) -> dict[str, Value]:
        """Return the parameters of trial ``number``."""
        if plan.method in ("grid", "repeat"):
            return grid_point(plan.space, number)
        if plan.method == "random":
            return random_point(plan.space, plan.seed, number)
        return await self._worker.call(
            Suggestions.suggest, plan.space, plan.direction, self._known_trials(known), plan.seed, number
        )

    async def should_prune(self, plan: Plan, known: Known, number: int) -> bool:
        """Return whether trial ``number`` is worse than the others at its step."""
        return await self._worker.call(
            Suggestions.should_prune,
            plan.space,
            plan.direction,
            self._known_trials(known),
            number,
            plan.prune,
        )

    def _known_trials(self, known: Known) -> list[KnownTrial]:
        found = []
        for trial, live in known:
            steps, values = (
                (live.steps, live.values) if live is not None else self._curves.get(trial.number, ([], []))
            )
            curve = dict(zip(steps, values, strict=True))  # the latest value of each step
            state = _STATES.get(trial.state, "running")
            if state == "complete" and trial.value is None:
                state = "fail"
            if state == "pruned" and not curve:
                state = "fail"
            found.append(
                KnownTrial(
                    number=trial.number,
                    state=state,
                    params=trial.params,
                    value=trial.value if state in ("complete", "pruned") else None,
                    steps=list(curve),
                    values=list(curve.values()),
                )
            )
        return found
