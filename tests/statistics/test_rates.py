"""One rate or quantile against a bound: beside scipy, and its stated errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from genops_lab.statistics.rates import binomial, quantile
from genops_lab.statistics.results import Alternative

from .simulation import assert_error, trials

TOLD = json.loads(Path(__file__).with_name("oracles.json").read_text())
SIDES: tuple[Alternative, ...] = ("greater", "less", "two-sided")


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (37, 400), (90, 100), (1, 1)])
def test_binomial_is_scipys_exact_test(successes: int, n: int) -> None:
    from scipy import stats

    for null in (0.1, 0.5, 0.9):
        for side in ("greater", "less"):
            theirs = stats.binomtest(successes, n, null, alternative=side)
            ours = binomial(successes, n, null=null, alternative=side)
            assert ours.p == pytest.approx(theirs.pvalue, abs=1e-12)
        ends = stats.binomtest(successes, n).proportion_ci(0.95, method="exact")
        assert (ours.low, ours.high) == pytest.approx((ends.low, ends.high), abs=1e-12)


def test_binomials_interval_is_that_of_statsmodels() -> None:
    each = TOLD["rate"]
    found = binomial(each["inputs"]["successes"], each["inputs"]["n"])
    assert [found.low, found.high] == pytest.approx(each["value"], abs=1e-12)


@pytest.mark.parametrize("n", [1, 5, 40, 300])
@pytest.mark.parametrize("probability", [0.5, 0.9, 0.95])
def test_quantile_is_scipys_test(n: int, probability: float) -> None:
    from scipy import stats

    values = np.random.default_rng(n).exponential(size=n).round(1)  # with ties
    for null in (0.5, float(values[0]), 2.5):
        for side in SIDES:
            theirs = stats.quantile_test(values, q=null, p=probability, alternative=side)
            ours = quantile(values, probability, null=null, alternative=side)
            assert ours.p == pytest.approx(theirs.pvalue, abs=1e-12)
    ends = theirs.confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx(
        (-np.inf if np.isnan(ends.low) else ends.low, np.inf if np.isnan(ends.high) else ends.high)
    )


def test_data_that_cannot_tell_and_wrong_arguments() -> None:
    assert (binomial(0, 0).reason, quantile([], 0.5).reason) == ("no values", "no values")
    assert quantile([1.0, np.nan], 0.5).left_out == 1
    for wrong in (lambda: binomial(2, 1), lambda: binomial(1, 2, null=2), lambda: quantile([1], 1.0)):
        with pytest.raises(ValueError, match="must be between"):
            wrong()


@pytest.mark.parametrize("n", [100, pytest.param(5_000, marks=pytest.mark.exhaustive)])
def test_a_bound_that_is_missed_is_passed_at_most_as_stated(n: int) -> None:
    rng, number = np.random.default_rng([8, n]), trials(20_000, 2_000)
    counts, times = np.unique(rng.binomial(n, 0.9, number), return_counts=True)
    found = [binomial(int(each), n, null=0.9, alternative="greater") for each in counts]
    passed = sum(int(k) for each, k in zip(found, times, strict=True) if each.rejected)
    outside = sum(
        int(k) for each, k in zip(found, times, strict=True) if not (each.low or 0) <= 0.9 <= (each.high or 0)
    )
    assert_error(passed, number, 0.05)
    assert_error(outside, number, 0.05)
    slow = [rng.gamma(5, 0.01, n) for _ in range(trials(1_000, 300))]
    true = 0.0915  # the 0.95 quantile of that distribution is 0.09154
    false = sum(quantile(each, 0.95, null=true, alternative="less").rejected for each in slow)
    assert_error(false, len(slow), 0.05)
