"""Thinned histories show what the whole ones show."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genops_lab.experiments.charts.drawing import bucket_width, chosen
from genops_lab.experiments.charts.history import Floats, moving_average, running_mean, smoothed
from genops_lab.experiments.charts.models import Smoothing

VALUES = st.one_of(st.floats(-1e300, 1e300), st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1.0, 1e30]))
LINES = st.lists(st.tuples(st.floats(-1e9, 1e9), VALUES), max_size=300).map(
    lambda points: (
        np.array(sorted(x for x, _ in points)),
        np.array([y for _, y in points]),
    )
)


@given(line=LINES, buckets=st.integers(16, 200))
def test_each_bucket_keeps_its_ends_its_peaks_and_what_is_no_number(
    line: tuple[Floats, Floats], buckets: int
) -> None:
    x, y = line
    width = bucket_width(float(x[-1] - x[0]) if len(x) else 0.0, buckets)
    kept = chosen(x, y, width)
    assert list(kept) == sorted(set(kept))
    inside = np.floor(x / width)
    for bucket in np.unique(inside):
        places = np.flatnonzero(inside == bucket)
        here = [place for place in kept if inside[place] == bucket]
        assert len(here) <= 7
        assert {places[0], places[-1]} <= set(here)
        values, seen = y[places], y[here]
        finite = values[np.isfinite(values)]
        if len(finite):
            assert finite.min() in seen
            assert finite.max() in seen
        for special in (np.isnan, np.isposinf, np.isneginf):
            assert special(values).any() == special(seen).any()


@given(span=st.floats(1e-9, 1e12), buckets=st.integers(16, 4000))
def test_no_more_buckets_than_asked_for_and_no_less_than_half(span: float, buckets: int) -> None:
    width = bucket_width(span, buckets)
    assert buckets / 2 <= span / width <= buckets
    assert math.frexp(width)[0] == 0.5


def test_a_spike_among_a_hundred_thousand_points_is_there() -> None:
    y = np.sin(np.arange(100_000) / 500)
    y[61_803] = 40.0
    x = np.arange(100_000.0)
    kept = chosen(x, y, bucket_width(100_000, 600))
    assert 61_803 in kept
    assert len(kept) <= 600 * 4


def _written_out(values: list[float], weight: float) -> list[float]:
    """The definition: all points so far, each weighing ``weight`` times the next."""
    averages = []
    for end in range(1, len(values) + 1):
        weights = [weight ** (end - 1 - place) for place in range(end)]
        weighed = zip(weights, values, strict=False)
        averages.append(sum(each * value for each, value in weighed) / sum(weights))
    return averages


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), weight=st.floats(0, 0.99))
def test_the_moving_average_is_that_of_its_definition(values: list[float], weight: float) -> None:
    expected = _written_out(values, weight)
    assert moving_average(np.array(values), weight) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_what_is_no_number_counts_for_nothing() -> None:
    y = np.array([1.0, math.nan, 3.0, math.inf, 5.0])
    averaged = moving_average(y, 0.5)
    assert list(np.isnan(averaged)) == [False, True, False, True, False]
    assert list(averaged[[0, 2, 4]]) == pytest.approx(_written_out([1.0, 3.0, 5.0], 0.5))
    assert list(running_mean(y, 3)[[0, 2, 4]]) == [1.0, 3.0, 5.0]


def test_a_running_mean_after_a_huge_value_is_as_exact_as_before() -> None:
    y = np.array([1.0, 2.0, 1e30, 1.0, 2.0, 3.0])
    assert running_mean(y, 3)[4] == 2.0
    assert list(smoothed(y, Smoothing(kind="mean", amount=1))) == list(y)
