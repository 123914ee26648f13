"""Call Optuna in a worker process. Each call sends the known trials, so MLflow stays the only database of results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.sweeps.models import Direction, Pruning
from genops_lab.sweeps.space import Dimension, Value

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution


class KnownTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A trial for Optuna. ``state`` is running, complete, pruned or fail; ``steps`` and ``values`` are in order."""

    number: int
    state: str
    params: dict[str, Value]
    value: float | None = None
    steps: list[int] = []
    values: list[float] = []


class Suggestions:
    """Suggestions of Optuna. All methods block."""

    def __init__(self, **_others: Any) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna

    def suggest(
        self, space: list[Dimension], direction: Direction, known: list[KnownTrial], seed: int, number: int
    ) -> dict[str, Value]:
        """Return the parameters of trial ``number`` by TPE, from the seed, the number and the known trials only."""
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constant_liar warns that it is experimental
            # Each trial needs its own seed: a fresh sampler would draw the same numbers for all.
            sampler = self._optuna.samplers.TPESampler(
                seed=(seed * 1_000_003 + number) % 2**32, constant_liar=True
            )
        study = self._study(space, direction, known, sampler=sampler)
        trial = study.ask(_distributions(space))
        return {
            dimension.name: dimension.values[int(trial.params[dimension.name])]
            if dimension.kind == "choice"
            else trial.params[dimension.name]
            for dimension in space
        }

    def should_prune(
        self,
        space: list[Dimension],
        direction: Direction,
        known: list[KnownTrial],
        number: int,
        pruning: Pruning,
    ) -> bool:
        """Return whether trial ``number`` is worse than the others at its step."""
        pruners = self._optuna.pruners
        pruner: optuna.pruners.BasePruner = (
            pruners.HyperbandPruner() if pruning == "hyperband" else pruners.MedianPruner(n_startup_trials=3)
        )
        study = self._study(space, direction, known, pruner=pruner)
        trial = next(trial for trial in study.get_trials(deepcopy=False) if trial.number == number)
        return bool(pruner.prune(study, trial))

    def _study(
        self, space: list[Dimension], direction: Direction, known: list[KnownTrial], **parts: Any
    ) -> Any:
        study = self._optuna.create_study(direction=direction, study_name="genops", **parts)
        distributions = _distributions(space)
        states = self._optuna.trial.TrialState
        by_name = {
            "running": states.RUNNING,
            "complete": states.COMPLETE,
            "pruned": states.PRUNED,
            "fail": states.FAIL,
        }
        # Optuna numbers trials by position: add them in order, without gaps.
        for trial in sorted(known, key=lambda trial: trial.number):
            study.add_trial(
                self._optuna.trial.create_trial(
                    state=by_name[trial.state],
                    value=trial.value if trial.state in ("complete", "pruned") else None,
                    params=_inside(space, trial.params),
                    distributions=distributions,
                    intermediate_values=dict(zip(trial.steps, trial.values, strict=True)),
                )
            )
        return study


def _distributions(space: list[Dimension]) -> dict[str, BaseDistribution]:
    """Return Optuna's distributions. Choices are given by position: Optuna treats 1, 1.0 and True as equal."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for one in space:
        if one.kind == "choice":
            found[one.name] = CategoricalDistribution(list(range(len(one.values))))
        elif one.is_whole:
            low, high = int(one.low), int(one.high)
            step = int(one.step) or 1
            found[one.name] = IntDistribution(low, high, log=one.kind == "logint", step=step)
        else:
            found[one.name] = FloatDistribution(
                one.low, one.high, log=one.kind == "loguniform", step=one.step or None
            )
    return found


def _inside(space: list[Dimension], params: dict[str, Value]) -> dict[str, Any]:
    return {
        one.name: _position(one, params[one.name]) if one.kind == "choice" else params[one.name]
        for one in space
    }


def _position(one: Dimension, value: Value) -> int:
    return next(index for index, known in enumerate(one.values) if repr(known) == repr(value))
