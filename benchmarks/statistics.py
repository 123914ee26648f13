"""Fairness by group beside Fairlearn, and tests of 5,000 paired examples, without a server, in CPU seconds.

Fairlearn comes with the extra ``test``.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from genops_lab.statistics import clusters, groups, paired, sequential

from .figure import Figure

ROWS = 1_000_000
EXAMPLES = 5_000
RESAMPLES = 10_000


def figures() -> Iterator[Figure]:
    yield from fairness()
    yield from tests()


def fairness() -> Iterator[Figure]:
    from fairlearn import metrics

    rng = np.random.default_rng(1)
    truth, predicted, group = (rng.integers(0, most, ROWS) for most in (2, 2, 8))
    names = np.array([f"group {number}" for number in range(8)], object)[group]

    def ours(labels: Any) -> dict[str, float | None]:
        counts = groups.GroupCounts.of(truth, predicted, labels)
        return {
            "demographic parity": counts.difference("demographic_parity"),
            "equalized odds": counts.difference("equalized_odds"),
        }

    def theirs(labels: Any) -> dict[str, float | None]:
        features = {"sensitive_features": labels}
        return {
            "demographic parity": metrics.demographic_parity_difference(truth, predicted, **features),
            "equalized odds": metrics.equalized_odds_difference(truth, predicted, **features),
        }

    ours(names)  # imports
    for name, labels in (("integers", group), ("texts", names)):
        one = ours(labels)
        began = time.process_time()
        other = theirs(labels)
        fairlearn = time.process_time() - began
        yield Figure(
            name=f"statistics fairness of 1,000,000 rows, groups as {name}",
            unit="CPU s",
            values=_seconds(functools.partial(ours, labels), 5),
            target=0.2,
            baseline="Fairlearn",
            baseline_values=[fairlearn],
            notes={"off_by": max(abs((one[key] or 0) - (other[key] or 0)) for key in one)},
        )
    counts = groups.GroupCounts.of(truth, predicted, group)
    yield Figure(
        name="statistics interval of the gap of 8 groups",
        unit="CPU s",
        values=_seconds(lambda: counts.gap("selection_rate", rng=rng), 5),
    )


def tests() -> Iterator[Figure]:
    from scipy import stats

    rng = np.random.default_rng(2)
    one = rng.normal(size=EXAMPLES)
    other = one + rng.normal(scale=0.3, size=EXAMPLES)
    more: dict[str, Any] = {"rng": rng, "resamples": RESAMPLES}
    label = np.arange(EXAMPLES) // 10
    differences = one - other
    bounded = np.clip(differences, -1, 1)
    yield Figure(
        name="statistics paired bootstrap of 5,000 examples, 10,000 draws",
        unit="CPU s",
        values=_seconds(lambda: paired.paired_bootstrap(one, other, **more), 5),
        target=1.0,
        baseline="scipy.stats.bootstrap",
        baseline_values=_seconds(
            lambda: stats.bootstrap(
                (differences,), np.mean, n_resamples=RESAMPLES, method="percentile", batch=500, rng=rng
            ),
            2,
        ),
    )
    yield Figure(
        name="statistics permutation test of 5,000 examples, 10,000 draws",
        unit="CPU s",
        values=_seconds(lambda: paired.permutation(one, other, **more), 5),
        target=1.0,
    )
    yield Figure(
        name="statistics wild bootstrap of 500 clusters, 10,000 draws",
        unit="CPU s",
        values=_seconds(lambda: clusters.wild_cluster_bootstrap(differences, label, **more), 5),
    )
    yield Figure(
        name="statistics confidence sequence of a mean after 5,000 examples",
        unit="CPU s",
        values=_seconds(lambda: sequential.mean_sequence(bounded, bounds=(-1, 1)), 5),
    )


def _seconds(call: Callable[[], object], often: int) -> Sequence[float]:
    """Return the CPU seconds of calls after a first one, which imports."""
    call()
    found = []
    for _ in range(often):
        began = time.process_time()
        call()
        found.append(time.process_time() - began)
    return found
