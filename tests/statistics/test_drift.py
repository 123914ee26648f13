"""Drift of columns: beside scipy, its stated errors and its power."""

from __future__ import annotations

import numpy as np
import pytest

from genops_lab.statistics.drift import MOST_CATEGORIES, Drift, categories_drift, numbers_drift

from .simulation import assert_error, trials


def words(codes: np.ndarray) -> np.ndarray:
    found = np.empty(len(codes), object)
    found[:] = [f"c{each}" for each in codes]
    return found


@pytest.mark.parametrize(("n", "m", "decimals"), [(50, 70, 8), (400, 300, 1), (2_000, 5_000, 0)])
def test_the_distance_and_p_of_numbers_are_scipys(n: int, m: int, decimals: int) -> None:
    from scipy import stats

    rng = np.random.default_rng(n)
    one, other = rng.normal(size=n).round(decimals), rng.normal(0.1, size=m).round(decimals)
    theirs = stats.ks_2samp(one, other, method="asymp")
    found = numbers_drift(one, other)
    assert found.distance == pytest.approx(theirs.statistic, abs=1e-12)
    limit = stats.kstwobign.sf(theirs.statistic * np.sqrt(n * m / (n + m)))
    assert found.p == pytest.approx(limit, abs=1e-12)
    assert found.p == pytest.approx(theirs.pvalue, abs=0.05)  # scipy corrects for small n


@pytest.mark.parametrize("k", [2, 5, 40])
def test_the_test_of_categories_is_scipys(k: int) -> None:
    from scipy import stats

    rng = np.random.default_rng(k)
    one, other = rng.integers(0, k, 500), np.minimum(rng.integers(0, k + 1, 800), k - 1)
    table = np.array([np.bincount(each, minlength=k) for each in (one, other)])
    found = categories_drift(words(one), words(other))
    assert found.p == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, abs=1e-12)
    assert found.cramers_v == pytest.approx(stats.contingency.association(table, method="cramer"), abs=1e-12)
    shares = table / table.sum(axis=1, keepdims=True)
    assert found.distance == pytest.approx(np.abs(shares[0] - shares[1]).sum() / 2, abs=1e-12)


def test_missing_values_are_values() -> None:
    half = numbers_drift([1.0] * 100, [1.0, np.nan] * 50)
    assert (half.distance, half.missing) == (0.5, (0.0, 0.5)) and half.p < 1e-6
    texts = np.array(["a", None] * 50, object)
    found = categories_drift(np.array(["a"] * 100, object), texts)
    assert (found.distance, found.missing) == (0.5, (0.0, 0.5))
    assert numbers_drift([np.nan, -np.inf], [-np.inf, -np.inf]).missing == (0.5, 0.0)


def test_data_that_cannot_tell_and_too_many_categories() -> None:
    empty = np.array([], object)
    for found in (numbers_drift([], [1.0]), categories_drift(empty, empty)):
        assert (found.distance, found.high, found.p, found.reason) == (None, None, 1.0, "no values")
        assert found.more(0.1) is None
    assert categories_drift(words(np.zeros(9, int)), words(np.zeros(9, int))).p == 1.0
    ids = words(np.arange(MOST_CATEGORIES + 1))
    with pytest.raises(ValueError, match="201 categories; at most 200"):
        categories_drift(ids, ids)
    with pytest.raises(ValueError, match="must have the shape"):
        numbers_drift(np.zeros((2, 2)), [1.0])


def numbers(rng: np.random.Generator, n: int, shift: float) -> Drift:
    """The true distance is ``shift``: of two uniform distributions."""
    return numbers_drift(rng.random(n), rng.random(n) + shift)


def whole_numbers(rng: np.random.Generator, n: int, shift: float) -> Drift:
    """Numbers with ties, of which a share ``shift`` is missing in one sample."""
    one = np.where(rng.random(n) < shift, np.nan, rng.integers(0, 5, n))
    return numbers_drift(one, rng.integers(0, 5, n))


def categories(rng: np.random.Generator, n: int, shift: float) -> Drift:
    """Categories of unequal shares; a share ``shift`` moves to a new one."""
    shares = np.array([0.5, 0.25, 0.15, 0.07, 0.03])
    moved = np.where(rng.random(n) < shift, 9, rng.choice(5, n, p=shares))
    return categories_drift(words(moved), words(rng.choice(5, n, p=shares)))


@pytest.mark.parametrize("draw", [numbers, whole_numbers, categories])
@pytest.mark.parametrize("n", [100, pytest.param(5_000, marks=pytest.mark.exhaustive)])
def test_stated_errors_hold(draw: object, n: int) -> None:
    rng, number = np.random.default_rng([9, n]), trials(500, 300)
    same = [draw(rng, n, 0.0) for _ in range(number)]  # type: ignore[operator]
    assert_error(sum(each.p <= 0.05 for each in same), number, 0.05)
    moved = [draw(rng, n, 0.3) for _ in range(number)]  # type: ignore[operator]
    assert_error(sum(not each.low <= 0.3 <= each.high for each in moved), number, 0.05)
    # A distance at the bound is shown to be below the bound at most as often as stated.
    assert_error(sum(each.high < 0.3 for each in moved), number, 0.05)


@pytest.mark.parametrize("draw", [numbers, categories])
def test_power_of_both_claims(draw: object) -> None:
    rng = np.random.default_rng(10)
    same = [draw(rng, 2_500, 0.0) for _ in range(40)]  # type: ignore[operator]
    assert np.mean([each.high <= 0.1 for each in same]) >= 0.8
    moved = [draw(rng, 2_500, 0.1) for _ in range(40)]  # type: ignore[operator]
    assert np.mean([each.p <= 0.05 for each in moved]) >= 0.8


def test_more_rows_would_show_it() -> None:
    rng = np.random.default_rng(11)
    one, other = rng.random(400), rng.random(400)
    found = numbers_drift(one, other)
    more = found.more(0.1)
    assert found.distance is not None and found.distance < 0.1 < (found.high or 0) and more
    repeats = -(-(400 + more) // 400)
    again = numbers_drift(np.tile(one, repeats), np.tile(other, repeats))
    assert again.distance == pytest.approx(found.distance) and (again.high or 1) <= 0.1
