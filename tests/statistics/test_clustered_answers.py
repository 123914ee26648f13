"""Right and wrong answers in clusters, and metrics that are functions of means: oracles and stated errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from genops_lab.genai.evaluations.report_means import SHARE, Means
from genops_lab.statistics import clusters, paired, rates
from genops_lab.statistics.results import Floats

from .simulation import assert_error, trials


def in_clusters(
    rng: np.random.Generator, groups: int, most: int, shares: Any, alike: float
) -> tuple[Floats, Any]:
    """Return answers 0, 1, ... with these shares, and their clusters of 1 to ``most`` rows.

    alike: the correlation within a cluster, 0 for none.
    """
    labels = np.repeat(np.arange(groups), rng.integers(1, most + 1, groups))
    shares = np.asarray(shares, float)
    own = rng.dirichlet(shares * (1 - alike) / alike, groups) if alike else np.tile(shares, (groups, 1))
    draws = rng.random(len(labels))[:, None] > own.cumsum(axis=1)[labels][:, :-1]
    return draws.sum(axis=1).astype(float), labels


def test_rows_that_are_their_own_cluster_are_the_exact_tests() -> None:
    rng = np.random.default_rng(1)
    right = (rng.random(200) < 0.9).astype(float)
    other = (rng.random(200) < 0.8).astype(float)
    for side in ("greater", "less", "two-sided"):
        options: dict[str, Any] = {"null": 0.85, "alternative": side}
        ours = clusters.cluster_rate(right, np.arange(200), **options)
        exact = rates.binomial(int(right.sum()), 200, **options)
        assert (ours.low, ours.high, ours.p) == pytest.approx((exact.low, exact.high, exact.p), rel=1e-6)
        for null in (0.0, -0.02):
            ours = clusters.cluster_mcnemar(right, other, np.arange(200), null=null, alternative=side)
            exact = paired.mcnemar(right, other, null=null, alternative=side)
            assert (ours.low, ours.high, ours.p) == pytest.approx((exact.low, exact.high, exact.p), rel=1e-6)
            assert ours.needed == pytest.approx(exact.needed, abs=1)


def test_rows_that_repeat_their_cluster_count_once() -> None:
    """Ten copies of each row tell what one does; the interval is a little wider for Student's t."""
    rng = np.random.default_rng(2)
    right = (rng.random(300) < 0.8).astype(float)
    other = (rng.random(300) < 0.7).astype(float)
    users = np.repeat(np.arange(300), 10)
    once = rates.binomial(int(right.sum()), 300)
    ours = clusters.cluster_rate(np.repeat(right, 10), users)
    assert ours.n == 300 and (ours.low, ours.high) == pytest.approx((once.low, once.high), abs=0.003)
    both = clusters.cluster_mcnemar(np.repeat(right, 10), np.repeat(other, 10), users)
    rows = paired.mcnemar(right, other)
    assert (both.low, both.high) == pytest.approx((rows.low, rows.high), abs=0.003)
    assert both.p == pytest.approx(rows.p, abs=0.02)


def test_a_metric_of_means_is_that_of_the_rows() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.exponential(size=(2, 150)) ** 2
    ours = paired.paired_bootstrap_of_means(
        one[:, None], other[:, None], rng=rng, of_means=lambda means: np.sqrt(means[:, 0])
    )
    rows = paired.paired_bootstrap(one, other, rng=rng, statistic=lambda drawn: np.sqrt(drawn.mean(axis=1)))
    assert ours.estimate == pytest.approx(rows.estimate)
    assert (ours.low, ours.high, ours.p) == pytest.approx((rows.low, rows.high, rows.p), abs=0.05)
    users = np.repeat(np.arange(50), 3)
    drawn = paired.paired_bootstrap_of_means(
        one[:, None], other[:, None], users, rng=rng, of_means=lambda means: means[:, 0]
    )
    mean = clusters.cluster_bootstrap(one - other, users, rng=rng)
    assert drawn.n == 50 and (drawn.low, drawn.high) == pytest.approx((mean.low, mean.high), abs=0.1)


def test_few_different_rows_are_drawn_as_counts_with_the_same_distribution() -> None:
    rng = np.random.default_rng(4)
    rows = rng.integers(0, 2, (200, 2)).astype(float)
    continuous = rows + rng.normal(0, 1e-9, rows.shape)
    ends = [
        paired.paired_bootstrap_of_means(
            each, np.zeros_like(each), rng=rng, of_means=lambda means: means[:, 0] / (means[:, 0] + means[:, 1])
            if means.any() else means[:, 0],
        )
        for each in (rows, continuous)
    ]  # fmt: skip
    assert (ends[0].low, ends[0].high) == pytest.approx((ends[1].low, ends[1].high), abs=0.01)


@pytest.mark.parametrize(
    ("groups", "most", "rate", "alike"),
    [(20, 15, 0.97, 0.1), (40, 30, 0.95, 0.3), (200, 5, 0.99, 0.5), (40, 15, 0.6, 0.3)],
)
def test_a_rate_in_clusters_errs_at_most_as_stated(groups: int, most: int, rate: float, alike: float) -> None:
    rng, number = np.random.default_rng([5, groups]), trials(4_000, 600)
    above = below = outside = naive = 0
    for _ in range(number):
        values, labels = in_clusters(rng, groups, most, (1 - rate, rate), alike)
        found = clusters.cluster_rate(values, labels, null=rate, alternative="greater")
        above += found.p <= 0.05
        below += clusters.cluster_rate(values, labels, null=rate, alternative="less").p <= 0.05
        outside += not (found.low or 0) <= rate <= (found.high or 0)
        naive += clusters.cluster_mean(values, labels, null=rate, alternative="greater").p <= 0.05
    for events in (above, below, outside):
        assert_error(events, number, 0.05)
    if rate > 0.9:  # the t-test of clusters errs far too often near 1
        with pytest.raises(AssertionError, match="was stated"):
            assert_error(naive, number, 0.05)


@pytest.mark.parametrize(
    ("groups", "most", "share", "alike", "margin"),
    [
        (20, 15, 0.05, 0.1, 0.03),
        (100, 30, 0.03, 0.3, 0.02),
        (100, 5, 0.1, 0.3, 0.0),
        (300, 3, 0.06, 0.5, 0.02),
    ],
)
def test_a_difference_of_answers_in_clusters_errs_at_most_as_stated(
    groups: int, most: int, share: float, alike: float, margin: float
) -> None:
    """The candidate is worse by the margin in the mean of all users, and more or less so for each user."""
    rng, number = np.random.default_rng([6, groups]), trials(4_000, 600)
    wrong = outside = 0
    for _ in range(number):
        parts = ((share - margin) / 2, (share + margin) / 2, 1 - share)
        values, labels = in_clusters(rng, groups, most, parts, alike)
        one, other = (values == 0).astype(float), (values == 1).astype(float)
        found = clusters.cluster_mcnemar(one, other, labels, null=-margin, alternative="greater")
        wrong += found.p <= 0.05
        outside += not (found.low or 0) <= -margin <= (found.high or 0)
    assert_error(wrong, number, 0.05)
    assert_error(outside, number, 0.05)


@pytest.mark.parametrize("groups", [40, pytest.param(200, marks=pytest.mark.exhaustive)])
def test_metrics_of_means_in_clusters_err_at_most_as_stated(groups: int) -> None:
    rng, number, wrong = np.random.default_rng([7, groups]), trials(2_000, 300), 0
    for _ in range(number):
        users = np.repeat(np.arange(groups), rng.integers(5, 16, groups))
        one, other = (
            (rng.exponential(size=groups)[users] + rng.exponential(size=len(users)))[:, None] ** 2
            for _ in range(2)
        )
        wrong += (
            paired.paired_bootstrap_of_means(
                one, other, users, rng=rng, resamples=399, of_means=lambda means: np.sqrt(means[:, 0])
            ).p
            <= 0.05
        )
    assert_error(wrong, number, 0.05)


@pytest.mark.parametrize("kind", ["rates", "marks", "rare failures"])
@pytest.mark.parametrize("groups", [5, pytest.param(12, marks=pytest.mark.exhaustive)])
def test_means_of_answers_cover_from_five_clusters_on(groups: int, kind: str) -> None:
    """Clusters of 2 to 14 rows with a rate of their own; the t-interval of clusters errs far too often near 1."""
    rng, number, outside, apart, naive = np.random.default_rng([8, groups]), trials(2_000, 150), 0, 0, 0
    rate = 0.9
    true = {"rates": rate, "marks": rate, "rare failures": 0.95 * rate}[kind]

    def drawn(labels: np.ndarray) -> np.ndarray:
        chance = rng.beta(rate * 3, (1 - rate) * 3, groups)[labels]
        if kind == "marks":
            return np.asarray(rng.binomial(4, chance) / 4)
        passed = rng.random(len(labels)) < chance
        return np.where(passed, 0.9 + 0.1 * rng.random(len(labels)), 0.0) if kind != "rates" else passed * 1.0

    for _ in range(number):
        labels = np.repeat(np.arange(groups), rng.integers(2, 15, groups))
        ids = [str(at) for at in range(len(labels))]
        one, other = (dict(zip(ids, drawn(labels).tolist(), strict=True)) for _ in range(2))
        means = Means(dict(zip(ids, map(str, labels), strict=True)))
        found, difference = means.mean(one, SHARE), means.difference(one, other, SHARE)
        assert None not in (found.low, found.high, difference.low, difference.high)
        outside += not (found.low or 0) <= true <= (found.high or 0)
        apart += not (difference.low or 0) <= 0 <= (difference.high or 0)
        student = clusters.cluster_mean(list(one.values()), labels)
        naive += student.low is None or not student.low <= true <= (student.high or 0)
    assert_error(outside, number, 0.05)
    assert_error(apart, number, 0.05)
    with pytest.raises(AssertionError, match="was stated"):
        assert_error(naive, number, 0.05)
