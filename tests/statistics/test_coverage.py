"""Intervals of 30 examples or more cover in 93 to 97 %, but for discrete extremes; plans of looks say what looks do."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from genops_lab.genai.evaluations import report_means
from genops_lab.genai.evaluations.report import verdict
from genops_lab.genai.evaluations.report_means import SHARE, Means
from genops_lab.genai.evaluations.stopping import looks
from genops_lab.statistics.bounded import bounded_mean
from genops_lab.statistics.clusters import cluster_rate
from genops_lab.statistics.power import smallest_effect
from genops_lab.statistics.results import Floats
from genops_lab.statistics.sequential import finite_mean_sequence, mean_sequence
from genops_lab.statistics.sequential_power import early_stop, smallest_shown

from .simulation import assert_error, trials, upper_bound

RATES = np.round(np.arange(0.03, 0.971, 0.01), 2)


def coverage(n: int, mid: float) -> Floats:
    """Return the exact coverage of a rate's interval at each of RATES."""
    from scipy.stats import binom

    right = np.arange(n + 1)
    found = [cluster_rate(np.arange(n) < k, np.arange(n), mid=mid) for k in right]
    ends = np.array([(each.low, each.high) for each in found])
    inside = (ends[:, :1] <= RATES) & (ends[:, 1:] >= RATES)
    covered: Floats = (inside * binom.pmf(right[:, None], n, RATES)).sum(axis=0)
    return covered


@pytest.mark.parametrize("n", [30, 50, 103])
def test_a_rate_is_covered_in_93_to_97_percent_from_ten_answers_of_the_rarer_kind_on(n: int) -> None:
    rarer = n * np.minimum(RATES, 1 - RATES)
    found, exact = coverage(n, report_means._MID), coverage(n, 0.0)
    assert found.min() >= 0.93 and exact.min() >= 0.95
    assert found[rarer >= 10].max() <= 0.975 and found[rarer >= 10].mean() <= 0.965
    assert (found[rarer < 3] > 0.96).all(), "what cannot be had is not promised: a rate that was hardly seen"
    assert found.mean() < exact.mean() - 0.005
    if n == 103:
        assert coverage(n, 0.5).min() < 0.93, "mid-P leaves out too much for a rate"


def test_the_draws_of_a_bounded_mean_have_the_ends_of_a_rate() -> None:
    values = np.arange(40) < 36
    drawn = bounded_mean(values * 1.0, rng=np.random.default_rng(1), null=0.7, mid=1 / 3, resamples=200_000)
    exact = cluster_rate(values, np.arange(40), null=0.7, mid=1 / 3)
    assert (drawn.low, drawn.high) == pytest.approx((exact.low, exact.high), abs=0.003)
    assert drawn.p == pytest.approx(exact.p, abs=0.003)


def repeated(rng: np.random.Generator, n: int, k: int, rate: float) -> Floats:
    """Return means of k answers to examples of different difficulty."""
    chances = rng.beta(2 * rate, 2 * (1 - rate), n)
    found: Floats = rng.binomial(k, chances) / k
    return found


#: Draws of two models, with the true mean of the first and the true difference, and whether the rule promises 97 %:
#: the squared deviations add up to 10 or more, with the distance to the farther bound as 1.
FAMILIES: dict[str, tuple[Callable[[Any], tuple[Floats, Floats]], float, float, bool, bool]] = {
    "5 answers, 60": (lambda rng: (repeated(rng, 60, 5, 0.4), repeated(rng, 60, 5, 0.4)), 0.4, 0.0, True, True),
    "3 answers, 100": (lambda rng: (repeated(rng, 100, 3, 0.7), repeated(rng, 100, 3, 0.5)), 0.7, 0.2, True, True),
    "marks, 40": (
        lambda rng: (rng.choice([0, 0.5, 1.0], 40, p=[0.2, 0.3, 0.5]), rng.random(40).round()), 0.65, 0.15, True, True,
    ),
    "narrow, 40": (lambda rng: (rng.beta(50, 50, 40), rng.beta(50, 50, 40)), 0.5, 0.0, False, False),
    "rare failures, 40": (
        lambda rng: (0.9 * (rng.random(40) > 0.05), 0.9 * (rng.random(40) > 0.05)), 0.855, 0.0, False, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_scores_and_differences_of_30_examples_on_are_covered_in_93_to_97_percent(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, mean, apart, *spread = FAMILIES[name]
    monkeypatch.setattr(report_means, "bounded_mean", partial(bounded_mean, resamples=499))
    rng, number = np.random.default_rng([11, len(name)]), trials(2_000, 400)
    outside = np.zeros(2)
    for _ in range(number):
        one, other = (dict(enumerate(each.tolist())) for each in draw(rng))
        for at, (found, true) in enumerate(
            ((Means().mean(one, SHARE), mean), (Means().difference(one, other, SHARE), apart))  # type: ignore[arg-type]
        ):
            outside[at] += not (found.low or 0) <= true <= (found.high or 0)
    for events, promised in zip(outside.astype(int).tolist(), spread, strict=True):
        assert_error(events, number, 0.05)
        if promised:
            assert upper_bound(events, number) >= 0.03
        else:
            assert events / number < 0.03, "rare bad answers may not have been seen: the rule says so"


def test_29_examples_keep_the_exact_interval() -> None:
    for n, mid in ((29, 0.0), (30, report_means._MID)):
        values = {str(at): float(at < n - 4) for at in range(n)}
        exact = cluster_rate(list(values.values()), np.arange(n), mid=mid)
        assert Means().mean(values, SHARE).low == pytest.approx(exact.low, abs=0.01)
        assert Means({"0": "0"}).mean(values, SHARE).low == pytest.approx(exact.low)


# Plans of looks


def really(
    at: list[int], differing: float, difference: float, margin: float, is_finite: bool, number: int
) -> tuple[float, float]:
    """Return how often the real rule shows the difference, and the rows that it asks on average."""
    rng, n = np.random.default_rng(12), at[-1]
    chances = (differing + difference) / 2, (differing - difference) / 2
    shown = asked = 0
    for _ in range(number):
        values = np.repeat([1.0, -1.0, 0.0], [round(chances[0] * n), round(chances[1] * n), n])[:n]
        if is_finite:
            rng.shuffle(values)
        else:
            values = rng.choice([1.0, -1.0, 0.0], n, p=[*chances, 1 - differing])
        for count in at:
            found = (
                finite_mean_sequence(values[:count], n, bounds=(-1, 1))
                if is_finite
                else mean_sequence(values[:count], bounds=(-1, 1))
            )
            said = verdict(found, found.p, margin)
            if said != "within chance":
                break
        shown += said == "better" and (count < n or not is_finite)
        asked += count
    return shown / number, asked / number


@pytest.mark.parametrize(
    ("n", "differing", "difference", "margin", "is_finite"),
    [(300, 0.2, 0.1, 0.0, False), (400, 0.05, 0.0, 0.05, False), (200, 0.3, 0.09, 0.0, True)],
)
def test_the_power_of_looks_is_that_of_the_real_rule(
    n: int, differing: float, difference: float, margin: float, is_finite: bool
) -> None:
    at, number = list(looks([str(each) for each in range(n)], {})), trials(2_000, 120)
    planned = early_stop(at, differing, difference, margin=margin, is_finite=is_finite, paths=2_000)
    power, asked = really(at, differing, difference, margin, is_finite, number)
    assert planned.power == pytest.approx(power, abs=0.03 + 3 * math.sqrt(0.25 / number))
    assert planned.examples == pytest.approx(asked, rel=0.06 + 1.5 / math.sqrt(number))


def test_looks_need_a_larger_difference_than_one_look_and_spare_rows() -> None:
    at = list(looks([str(each) for each in range(1_000)], {}))
    found, once = smallest_shown(at, 0.1), smallest_effect(1_000, math.sqrt(0.1))
    assert found is not None and once is not None
    assert 1.2 * once < found.difference < 2 * once and found.examples < 750
    more = smallest_shown(at, 0.1, alpha=0.05 / 8)
    assert more is not None and more.difference > found.difference
    here = smallest_shown(at, 0.1, is_finite=True)
    assert here is not None and here.difference < found.difference
    assert smallest_shown([40, 60], 0.05) is None
    assert smallest_shown(at, 0.1) == found
    assert early_stop(at, 0.1, 0.0).power < 0.05
