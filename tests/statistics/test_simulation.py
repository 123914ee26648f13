"""The check of stated errors finds wrong tests."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genops_lab.statistics.repeats import mean_t

from .simulation import assert_error, upper_bound


def test_the_check_separates_tests_that_err_at_5_and_at_10_percent() -> None:
    draws = np.random.default_rng(1).binomial(1_000, [[0.05], [0.1]], (2, 500))

    def passes(events: int) -> bool:
        try:
            assert_error(events, 1_000, 0.05)
        except AssertionError:
            return False
        return True

    right, wrong = ([passes(int(events)) for events in row] for row in draws)
    assert sum(right) >= 0.99 * 500
    assert sum(wrong) <= 0.01 * 500


def test_the_bound_is_scipys() -> None:
    from scipy import stats

    for events, n in ((0, 50), (3, 50), (50, 50)):
        theirs = stats.binomtest(events, n, alternative="less").proportion_ci(0.99, method="exact").high
        assert upper_bound(events, n) == pytest.approx(theirs)


def test_a_t_test_that_is_peeked_at_fails_the_check() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(1_000, 500))
    looks = [values[:, :n] for n in range(50, 501, 50)]
    from scipy.special import stdtr

    p = [
        2 * stdtr(x.shape[1] - 1, -np.abs(x.mean(axis=1) / (x.std(axis=1, ddof=1) / math.sqrt(x.shape[1]))))
        for x in looks
    ]
    found = int((np.min(p, axis=0) <= 0.05).sum())
    assert p[-1][0] == pytest.approx(mean_t(values[0]).p)
    with pytest.raises(AssertionError, match="was stated"):
        assert_error(found, 1_000, 0.05)


def test_an_interval_of_three_values_by_the_normal_distribution_fails_the_check() -> None:
    values = np.random.default_rng(3).normal(size=(1_000, 3))
    half = 1.96 * values.std(axis=1, ddof=1) / math.sqrt(3)
    with pytest.raises(AssertionError, match="was stated"):
        assert_error(int((np.abs(values.mean(axis=1)) > half).sum()), 1_000, 0.05)
