"""Two arms of a stream: the stated errors by simulation, and what the numpy functions say about the same rows."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from benchmarks.rollouts import World, simulate
from genops_lab.statistics import sequential
from genops_lab.statistics.streams import Difference, Latencies, LatencyRatio, nearest, rows_to_exclude

from .simulation import assert_error, trials

ALPHA = 0.05
MARGINS = (-0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2)


def stream(
    rng: np.random.Generator, n: int, share: float, champion: float, difference: float, drift: float = 0.0
) -> Difference:
    """Return what is known after n answers in groups of 20; both rates move by ``drift`` and back."""
    found = Difference(MARGINS)
    for at in range(0, n, 20):
        moved = champion + drift * math.sin(at / n * 2 * math.pi)
        arms = rng.random(20) < share
        failed = rng.random(20) < np.where(arms, moved + difference, moved)
        found.add(zip(arms.tolist(), failed.astype(float).tolist(), strict=True), share)
    return found


@pytest.mark.parametrize(
    ("share", "champion", "difference", "drift"),
    [(0.5, 0.3, 0.0, 0.0), (0.1, 0.05, 0.0, 0.0), (0.1, 0.4, 0.1, 0.0), (0.3, 0.4, 0.0, 0.35)],
)
def test_an_interval_misses_the_difference_at_most_as_often_as_stated(
    share: float, champion: float, difference: float, drift: float
) -> None:
    rng, n = np.random.default_rng(1), trials(4_000, 400)
    above = below = 0
    for _ in range(n):
        found = stream(rng, 600, share, champion, difference, drift)
        above += found.p_above(difference) <= ALPHA
        below += found.p_below(difference) <= ALPHA
    assert_error(above, n, ALPHA)
    assert_error(below, n, ALPHA)


def test_values_between_0_and_1_keep_the_error_too() -> None:
    rng, n = np.random.default_rng(2), trials(4_000, 400)
    wrong = 0
    for _ in range(n):
        found = Difference([0.0])
        for _ in range(30):
            arms = rng.random(10) < 0.2
            # The same mean, and another spread.
            values = np.where(arms, rng.beta(0.2, 1.8, 10), rng.beta(2, 18, 10))
            found.add(zip(arms.tolist(), values.tolist(), strict=True), 0.2)
        wrong += found.p_above(0.0) <= ALPHA
    assert_error(wrong, n, ALPHA)


def test_a_latency_that_is_the_same_is_rarely_called_slower() -> None:
    rng, n = np.random.default_rng(3), trials(2_000, 200)
    wrong = 0
    for _ in range(n):
        found = LatencyRatio(0.9, [0.8, 1.0, 1.2])
        for _ in range(40):
            arms = rng.random(20) < 0.3
            found.add([(bool(a), [s]) for a, s in zip(arms, rng.lognormal(size=20), strict=True)], 0.3)
        wrong += found.p_above(1.0) <= ALPHA
    assert_error(wrong, n, ALPHA)


def test_a_slower_candidate_is_found_and_an_equal_one_excluded() -> None:
    rng = np.random.default_rng(4)
    slow, equal = LatencyRatio(0.95, [1.0, 1.2, 1.5, 2.0]), LatencyRatio(0.95, [1.0, 1.2, 1.5, 2.0])
    for _ in range(300):
        arms, times = rng.random(20) < 0.5, rng.lognormal(-3, 0.4, 20)
        slow.add([(bool(a), [s * (1.7 if a else 1)]) for a, s in zip(arms, times, strict=True)], 0.5)
        equal.add([(bool(a), [s]) for a, s in zip(arms, times, strict=True)], 0.5)
    assert slow.interval(0.01) == (1.5, 2.0)
    low, high = equal.interval(0.01)
    assert low < 1 and high <= 1.2


def test_the_answer_is_about_that_of_the_safe_test_of_two_rates() -> None:
    """Another e-process of the same null on the same rows: within a factor of the looks that each needs."""
    rng = np.random.default_rng(5)
    ours, other = [], []
    for _ in range(20):
        candidate, champion = (rng.random(2_000) < rate for rate in (0.12, 0.06))
        found, at = Difference([0.0]), 0
        while at < 2_000 and found.p_above(0.0) > 0.01:
            rows = slice(at, at + 10)
            found.add([(True, float(each)) for each in candidate[rows]], 0.5)
            found.add([(False, float(each)) for each in champion[rows]], 0.5)
            at += 10
        ours.append(at)
        looks = range(10, 2_001, 10)
        other.append(
            next(
                (n for n in looks if sequential.two_rates(candidate[:n], champion[:n]).p <= 0.01),
                2_000,
            )
        )
    assert 0.5 < np.median(ours) / np.median(other) < 1.2, (ours, other)


def test_the_nearest_rates_of_the_null_are_those_that_a_search_finds() -> None:
    from scipy.optimize import minimize_scalar
    from scipy.special import rel_entr

    def divergence(p: float, q: float) -> float:
        return float(rel_entr(p, q) + rel_entr(1 - p, 1 - q))

    cases = (
        *((0.3, 0.1, 0.05, 0.1), (0.9, 0.02, -0.5, 0.7), (0.5, 0.001, 0.4, 0.01), (0.3, 0.1, 0.0, 0.1)),
        (0.82, 1 - 1e-8, -0.5, 0.99),  # the nearest one is at the edge
    )
    for one, other, margin, share in cases:
        found = minimize_scalar(
            lambda a, one=one, other=other, margin=margin, share=share: (
                share * divergence(one, a) + (1 - share) * divergence(other, a - margin)
            ),
            bounds=(max(margin, 0) + 1e-9, min(1, 1 + margin) - 1e-9),
            method="bounded",
            options={"xatol": 1e-12},
        )
        assert nearest(one, other, margin, share)[0] == pytest.approx(found.x, abs=1e-5)


def test_the_state_goes_through_json_and_on() -> None:
    import json

    rng = np.random.default_rng(6)
    one = stream(rng, 200, 0.3, 0.2, 0.1)
    again = Difference.of(json.loads(json.dumps(one.state())))
    for each in (one, again):
        each.add([(True, 1.0), (False, 0.5)], 0.3)
    assert again.state() == one.state() and again.estimate == one.estimate
    with pytest.raises(ValueError, match="share must be"):
        one.add([(True, 1.0)], 1.0)
    with pytest.raises(ValueError, match="numbers, not"):
        Difference.of({**one.state(), "above": [0.0]})
    times = Latencies()
    assert times.quantile(0.5) is None
    times.add(0.0)
    times.add(2.0)
    assert times.quantile(0.99) == pytest.approx(2.0, rel=0.02)


def test_the_rows_that_are_promised_are_about_those_that_are_needed() -> None:
    rng, needed = np.random.default_rng(7), []
    for _ in range(20):
        found, n = Difference([0.05]), 0
        while found.p_below(0.05) > 0.01:
            arms = rng.random(20) < 0.3
            failed = rng.random(20) < 0.05
            found.add(zip(arms.tolist(), failed.astype(float).tolist(), strict=True), 0.3)
            n += 20
        needed.append(n)
    assert 0.5 < np.median(needed) / rows_to_exclude(0.05, 0.05, 0.3, 0.01) < 2


def test_the_module_needs_no_numpy() -> None:
    code = "import sys, genops_lab.statistics.streams; print(*({'numpy', 'scipy'} & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == ""


@pytest.mark.parametrize(
    "world",
    [
        World(requests=trials(6_000, 3_000), look=trials(50, 150)),
        World(users=300, traffic=(10.0, 50.0), failures=(0.0, 0.0), requests=trials(6_000, 3_000)),
    ],
    ids=["requests", "users"],
)
def test_a_rollout_of_a_candidate_that_is_no_worse_is_rarely_rolled_back(world: World) -> None:
    n = trials(1_000, 120)
    ends = Counter(simulate(world, seed).state for seed in range(n))
    assert_error(ends["rolled back"], n, 0.01)


def test_harm_is_stopped_within_2_000_requests_in_most_rollouts() -> None:
    world = World(failures=(0.01, 0.05), traffic=(10.0,), requests=10_000, look=10)
    ends = [simulate(world, seed) for seed in range(trials(200, 31))]
    assert {each.state for each in ends} == {"rolled back"}
    assert np.median([each.requests for each in ends]) <= 2_000
