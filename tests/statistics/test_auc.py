"""AUC beside scikit-learn, DeLong's variance beside its definition and a bootstrap, and the stated errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genops_lab.statistics.auc import auc, auc_difference
from genops_lab.statistics.margins import non_inferiority
from genops_lab.statistics.results import Floats

from .simulation import assert_error, trials


def scored(rng: np.random.Generator, n: int, gain: float = 1.0, share: float = 0.3) -> tuple[Floats, Floats]:
    """Return labels and rounded scores, so that some are tied."""
    labels = (rng.random(n) < share).astype(float)
    return labels, np.round(gain * labels + rng.normal(size=n), 1)


def shares(scores: Floats, labels: Floats) -> tuple[Floats, Floats]:
    """The structural components by their definition: all pairs, one by one."""
    one, other = scores[labels == 1], scores[labels == 0]
    wins = (one[:, None] > other) + (one[:, None] == other) / 2
    return wins.mean(axis=1), wins.mean(axis=0)


@pytest.mark.parametrize("n", [20, 300])
def test_the_area_is_that_of_scikit_learn(n: int) -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    labels, scores = scored(rng, n)
    other = scored(rng, n)[1]
    assert auc(scores, labels).estimate == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    expected = roc_auc_score(labels, scores) - roc_auc_score(labels, other)
    assert auc_difference(scores, other, labels).estimate == pytest.approx(expected, abs=1e-12)


def test_the_variance_of_a_difference_is_delongs() -> None:
    """DeLong's covariance matrix of two areas, and the t of Satterthwaite from its two parts."""
    from scipy import stats

    rng = np.random.default_rng(2)
    labels, one = scored(rng, 200)
    other = np.round(one + rng.normal(size=200), 1)
    (up, down), (up2, down2) = shares(one, labels), shares(other, labels)
    contrast = np.array([1.0, -1.0])
    parts = [
        float(contrast @ np.cov(np.stack(pair)) @ contrast) / len(pair[0])
        for pair in ((up, up2), (down, down2))
    ]
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(each) - 1) for part, each in zip(parts, (up, down), strict=True)
    )
    gap, error = up.mean() - up2.mean(), math.sqrt(sum(parts))
    found = auc_difference(one, other, labels, null=0.05)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(gap - 0.05) / error, freedom))
    assert (found.high or 0) - gap == pytest.approx(stats.t.ppf(0.975, freedom) * error)
    assert (
        non_inferiority(auc_difference, one, other, labels, margin=0.1).p
        == auc_difference(one, other, labels, null=-0.1, alternative="greater").p
    )


def test_the_error_is_that_of_a_bootstrap_of_rows_and_of_clusters() -> None:
    rng = np.random.default_rng(3)
    users = np.repeat(np.arange(120), rng.integers(1, 8, 120))
    n = len(users)
    labels = (rng.random(n) < rng.beta(0.3, 0.7, 120)[users]).astype(float)
    one, other = (labels + rng.normal(size=120)[users] + rng.normal(size=n) for _ in range(2))

    def drawn(units: np.ndarray) -> float:
        rows = [np.flatnonzero(units == each) for each in range(units.max() + 1)]
        found = []
        for _ in range(500):
            picked = np.concatenate([rows[at] for at in rng.integers(0, len(rows), len(rows))])
            (up, _), (up2, _) = (shares(each[picked], labels[picked]) for each in (one, other))
            found.append(up.mean() - up2.mean())
        return float(np.std(found))

    def error(clusters: np.ndarray | None) -> float:
        found = auc_difference(one, other, labels, clusters, confidence=0.6826894921370859)
        return found.half_width or 0.0

    assert error(None) == pytest.approx(drawn(np.arange(n)), rel=0.12)
    assert error(users) == pytest.approx(drawn(users), rel=0.15)
    assert error(users) > 1.3 * error(None)


def test_clusters_of_one_row_are_rows_and_the_order_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    labels, scores = scored(rng, 100)
    other = scored(rng, 100)[1]
    rows = auc_difference(scores, other, labels)
    single = auc_difference(scores, other, labels, rng.permutation(100))
    assert (single.low, single.high, single.p, single.n) == pytest.approx((rows.low, rows.high, rows.p, 100))
    mirrored = auc_difference(-scores, -other, 1 - labels)
    assert (mirrored.estimate, mirrored.p) == pytest.approx((rows.estimate, rows.p))
    holed = auc(np.append(scores, [np.nan, 1.0]), np.append(labels, [1.0, np.nan]))
    assert (holed.left_out, holed.n, holed.low) == (2, 100, auc(scores, labels).low)


def test_areas_without_an_interval_and_perfect_ones() -> None:
    labels = np.array([0.0, 1.0] * 60)
    perfect = auc(labels, labels, null=0.9, alternative="greater")
    assert perfect.rejected and perfect.high == 1 and 0.95 < (perfect.low or 0) < 1
    assert auc(labels[:4], labels[:4], null=0.9, alternative="greater").p > 0.1
    assert auc(np.ones(10), np.ones(10)).reason == "one class"
    assert auc([], []).reason == "no values"
    assert auc([1, 2], [0, 1]).reason == "one value"
    assert auc(labels, labels, np.zeros(120)).reason == "one cluster"
    same = auc_difference(labels, labels, labels)
    assert (same.estimate, same.p, same.reason) == (0, 1, "no spread")
    for wrong in (
        lambda: auc([1, np.inf], [0, 1]), lambda: auc([1, 2], [0, 2]), lambda: auc([1, 2], [0, 1], null=1),
        lambda: auc([1, 2, 3], [0, 1]), lambda: auc([[1], [2]], [0, 1]),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            wrong()


@pytest.mark.parametrize(
    ("n", "share", "wide"),
    [
        (100, 0.1, False),
        (100, 0.5, True),
        pytest.param(1_000, 0.02, True, marks=pytest.mark.exhaustive),
        pytest.param(5_000, 0.3, False, marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.parametrize("area", [0.7, 0.9, 0.97])
def test_a_bound_of_an_area_errs_at_most_as_stated(n: int, share: float, wide: bool, area: float) -> None:
    """``wide``: the scores of positive rows spread three times as far, where the usual variance is too small."""
    from scipy.stats import norm

    rng, number = np.random.default_rng([5, n]), trials(2_000, 400)
    spread = 3.0 if wide else 1.0
    labels = (np.arange(n) < round(share * n)).astype(float)
    above = below = outside = 0
    for _ in range(number):
        noise = rng.normal(size=n) * np.where(labels == 1, spread, 1)
        scores = math.sqrt(1 + spread**2) * norm.ppf(area) * labels + noise
        found = auc(scores, labels, null=area, alternative="greater")
        above += found.p <= 0.05
        below += auc(scores, labels, null=area, alternative="less").p <= 0.05
        outside += not (found.low or 0) <= area <= (found.high or 0)
    for events in (above, below, outside):
        assert_error(events, number, 0.05)


@pytest.mark.parametrize("clusters", [0, 10, 40])
def test_equal_areas_differ_at_most_as_often_as_stated(clusters: int) -> None:
    """Users have labels and scores of their own: independent rows would find a difference too often."""
    rng, number = np.random.default_rng([6, clusters]), trials(2_000, 500)
    wrong = naive = outside = 0
    for _ in range(number):
        users = np.repeat(np.arange(clusters), rng.integers(5, 16, clusters)) if clusters else np.arange(200)
        share = rng.beta(0.3, 0.7, clusters)[users] if clusters else 0.3
        labels = (rng.random(len(users)) < share).astype(float)
        shift = [rng.normal(size=len(users))[users] if clusters else 0.0 for _ in range(2)]
        one, other = (labels + each + rng.normal(size=len(users)) for each in shift)
        found = auc_difference(one, other, labels, users if clusters else None)
        wrong += found.p <= 0.05
        naive += auc_difference(one, other, labels).p <= 0.05
        outside += not (found.low or 0) <= 0 <= (found.high or 0)
    assert_error(wrong, number, 0.05)
    assert_error(outside, number, 0.05)
    if clusters == 40:
        with pytest.raises(AssertionError, match="was stated"):
            assert_error(naive, number, 0.05)
