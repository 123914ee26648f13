"""What to try next, and whether to go on with a trial."""

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
    """Of one sweep. A grid and a random search need nobody; TPE and pruning are asked of Optuna in ``worker``."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._curves: dict[int, tuple[list[int], list[float]]] = {}

    def remember(self, number: int, outcome: Outcome) -> None:
        """The curve of a trial that has ended."""
        self._curves[number] = (outcome.steps, outcome.values)

    async def params(self, plan: Plan, known: Known, number: int) -> dict[str, Value]:
        """What trial ``number`` shall try."""
        if plan.method in ("grid", "repeat"):
            return grid_point(plan.space, number)
        if plan.method == "random":
            return random_point(plan.space, plan.seed, number)
        return await self._worker.call(
            Suggestions.suggest, plan.space, plan.direction, self._told(known), plan.seed, number
        )

    async def should_prune(self, plan: Plan, known: Known, number: int) -> bool:
        """Whether the trial does worse than the others did."""
        return await self._worker.call(
            Suggestions.should_prune, plan.space, plan.direction, self._told(known), number, plan.prune
        )

    def _told(self, known: Known) -> list[KnownTrial]:
        told = []
        for trial, live in known:
            steps, values = (
                (live.steps, live.values) if live is not None else self._curves.get(trial.number, ([], []))
            )
            curve = dict(
                zip(steps, values, strict=True)
            )  # a step that was logged twice counts once, as it was last
            state = _STATES.get(trial.state, "running")
            if state == "complete" and trial.value is None:
                state = "fail"
            if state == "pruned" and not curve:
                state = "fail"
            told.append(
                KnownTrial(
                    number=trial.number,
                    state=state,
                    params=trial.params,
                    value=trial.value if state in ("complete", "pruned") else None,
                    steps=list(curve),
                    values=list(curve.values()),
                )
            )
        return told
