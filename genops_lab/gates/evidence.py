"""The evidence that rules judge, and the way from a test to a verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genops_lab.evaluations.predictions import Predictions
from genops_lab.statistics.results import Codes, Floats, Result
from genops_lab.statistics.sequential import spent_alpha

from .metric_kinds import METRICS, called
from .metrics import MIN_ROWS, CannotBeChecked, enough, least_clusters, used
from .models import RuleVerdict, Verdict
from .plan import Label

MOST_EXAMPLES = 20


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The evidence of one data set.

    - candidate, champion: predictions of the same rows. If one is None, ``problem`` or ``problem_against`` says why.
    - together: both were measured in one session.
    - recorded: metrics that the evaluation's run recorded, each with all its values.
    - chosen_by: how this data also chose the candidate.
    - look, looks: the how manieth look this is, of how many.
    """

    candidate: Predictions | None = None
    champion: Predictions | None = None
    problem: str = "there is no evaluation"
    problem_against: str = "there is no version to compare with"
    hint: str = ""
    hint_against: str = ""
    together: bool = False
    recorded: dict[str, list[float]] = field(default_factory=dict)
    chosen_by: str = ""
    name: str = ""
    positive: Label = 1
    against: str = ""
    look: int = 1
    looks: int = 1

    def one(self) -> Predictions:
        """Return the candidate's predictions. Raises CannotBeChecked."""
        if self.candidate is None:
            raise CannotBeChecked(self.problem, self.hint)
        return self.candidate

    def both(self) -> tuple[Predictions, Predictions]:
        """Return the predictions of both versions, on the same rows. Raises CannotBeChecked."""
        one = self.one()
        if self.champion is None:
            raise CannotBeChecked(self.problem_against, self.hint_against)
        return one, self.champion


def level(alpha: float, look: int, looks: int) -> float:
    """Return the part of alpha that a planned look may spend; the looks together spend alpha (O'Brien-Fleming).

    >>> level(0.05, 1, 1)
    0.05
    """
    if looks == 1:
        return alpha
    before = spent_alpha((look - 1) / looks, alpha)
    return max(spent_alpha(look / looks, alpha) - before, 1e-12)


def verdict_of(verdict: Verdict, clause: str, detail: str = "", **more: Any) -> RuleVerdict:
    return RuleVerdict(name="", rule="", verdict=verdict, clause=clause, detail=detail, **more)


def decided(found: Result) -> Verdict:
    """A test of a claim: shown, contradicted by the estimate, or neither."""
    if found.rejected and not found.reason:
        return "pass"
    if found.estimate is None:
        return "not_enough_data"
    right = (
        found.estimate > found.null if found.alternative == "greater" else found.estimate < found.null
    ) or bool(found.reason)
    return "not_enough_data" if right else "fail"


def numbers(found: Result, alpha: float) -> dict[str, Any]:
    return {
        "estimate": found.estimate, "low": finite(found.low), "high": finite(found.high), "p": found.p,
        "confidence": round(1 - 2 * alpha, 12), "n": found.n, "left_out": found.left_out, "method": found.method,
        "more": found.more, "bound": found.null,
    }  # fmt: skip


def finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def clustered(cluster: str, clusters: Codes | None, rows: Floats) -> dict[str, Any]:
    """Return what a verdict says of dependent rows: ``n`` counts rows, ``clusters`` the clusters."""
    if clusters is None:
        return {}
    there = used(rows)
    return {"cluster": cluster, "clusters": len(np.unique(clusters[there])), "n": int(there.sum())}


def too_few(
    metric: str, rows: Floats, cluster: str = "", clusters: Codes | None = None
) -> RuleVerdict | None:
    """A mean of few rows, a metric of all rows of few, or of few clusters, cannot be tested."""
    more = enough(metric, rows, clusters)
    if not more:
        return None
    if clusters is not None:
        have = clustered(cluster, clusters, rows)
        return verdict_of(
            "not_enough_data", f"{called(metric)} needs {least_clusters(metric)} clusters of {cluster}",
            f"There are {have['n']:,} rows in {have['clusters']:,}.", more=more, **have,
        )  # fmt: skip
    least = (
        f"{called(metric)} needs {MIN_ROWS} rows with labels"
        if len(rows) and more < MIN_ROWS
        else f"no row has a label for {called(metric)}"
    )
    return verdict_of("not_enough_data", least, f"There are {len(rows):,} rows.", n=len(rows), more=more)


def worsened(found: Predictions, rows: Floats, against: Floats, metric: str) -> list[str]:
    """Return the ids of the rows that the candidate made worse most, at most 20."""
    if rows.ndim > 1:
        return []
    harm = against - rows if METRICS[metric].better == "higher" else rows - against
    harm = np.where(np.isnan(harm), 0.0, harm)
    order = np.argsort(-harm, kind="stable")[:MOST_EXAMPLES]
    return [str(each) for each in found.ids[order[harm[order] > 0]]]
