"""Choose the best run of an experiment by a metric, and say of how many."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.experiments.columns.backend import RunMirror
from genops_lab.experiments.columns.models import RunTableQuery

from .origins import Chosen, Origin

if TYPE_CHECKING:
    from genops_lab.experiments.mlflow import MlflowConnection

_WINDOW = 1000
_WAIT_S = 60.0
_PREFIX = "metrics."


class Candidate(NamedTuple):
    """A run with its status and its value; NaN and infinities as texts."""

    run: str
    status: str
    value: float | str | None


async def best_run(mlflow: MlflowConnection, experiment: str, metric: str, *, largest: bool) -> Origin:
    """Return the best finished run of an experiment, with the number of runs compared.

    Raises InvalidRequest, and NotFound if no finished run has a number.
    """
    name = metric.removeprefix(_PREFIX)
    if not name.strip() or not experiment.strip():
        raise InvalidRequest(
            "The best run needs a metric and an experiment.",
            hint="Such as: --best metrics.accuracy --experiment digits",
        )
    column, candidates = _PREFIX + name, list[Candidate]()
    while True:
        found = await mlflow.call_columns(
            RunMirror.table,
            RunTableQuery(
                experiments=[experiment],
                columns=["status", column],
                limit=_WINDOW,
                offset=len(candidates),
                wait_s=_WAIT_S,
            ),
        )
        values = {each.column: each.values for each in found.columns}
        empty: list[float | str | None] = [None] * len(found.run_ids)
        candidates += map(
            Candidate, found.run_ids, map(str, values.get("status", empty)), values.get(column, empty)
        )
        if not found.run_ids or len(candidates) >= found.matched:
            break
    return choose(candidates, experiment, name, largest=largest)


def choose(candidates: Iterable[Candidate], experiment: str, metric: str, *, largest: bool) -> Origin:
    """Return the best of the finished runs. Equal runs: the first one. Raises NotFound.

    >>> runs = [Candidate("a", "FINISHED", 0.9), Candidate("b", "FINISHED", "NaN"), Candidate("c", "RUNNING", 1.0)]
    >>> found = choose(runs, "digits", "accuracy", largest=True)
    >>> found.run, found.chosen_by.runs, found.chosen_by.left_out, found.chosen_by.unfinished
    ('a', 1, 1, 1)
    """
    everything = list(candidates)
    finished = [each for each in everything if each.status == "FINISHED"]
    numbers = [
        (each.value, each.run)
        for each in finished
        if isinstance(each.value, int | float) and math.isfinite(each.value)
    ]
    if not numbers:
        raise NotFound(
            f"No finished run of {experiment!r} has a number for the metric {metric!r}.",
            hint=f"The experiment has {len(everything)} runs, {len(finished)} of them finished. "
            "See their metrics: genops runs list",
        )
    value, run = (max if largest else min)(numbers, key=lambda each: each[0])
    return Origin(
        kind="best",
        run=run,
        chosen_by=Chosen(
            metric=metric,
            largest=largest,
            value=value,
            runs=len(numbers),
            experiment=experiment,
            left_out=len(finished) - len(numbers),
            unfinished=len(everything) - len(finished),
        ),
    )
