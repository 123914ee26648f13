"""Simulations of stated errors: false positives, coverage, looks at any time, power.

The daily run has small n and 1,000 data sets or fewer; ``make test-all`` has 100 to 5,000 examples and up to 20,000.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from genops_lab.statistics import clusters, margins, paired, power, repeats, sequential
from genops_lab.statistics.results import Alternative, Floats, Result

from .simulation import assert_error, trials

Generator = np.random.Generator


def sizes(*daily: int) -> list[Any]:
    """Return numbers of examples: some daily, 100 to 5,000 in all."""
    return [pytest.param(n, marks=() if n in daily else pytest.mark.exhaustive) for n in (100, 1_000, 5_000)]


def answers(
    rng: Generator, n: int, only_candidate: float = 0.05, only_champion: float = 0.05
) -> tuple[Floats, Floats]:
    """Return 0/1 answers of two models on the same rows, each alone right in a share of the rows."""
    draw = rng.random(n)
    both = (draw > 0.3).astype(float)
    one = np.where(draw < only_candidate, 1.0, both)
    other = np.where((draw >= only_candidate) & (draw < only_candidate + only_champion), 1.0, both)
    return one, other


def losses(rng: Generator, n: int) -> tuple[Floats, Floats]:
    """Return skewed losses of two models on the same rows, exchangeable in pairs."""
    shared = rng.exponential(size=n)
    return shared + rng.exponential(0.5, n), shared + rng.exponential(0.5, n)


def shifted(rng: Generator, n: int) -> tuple[Floats, Floats]:
    """Return values whose differences are skewed, with a mean of 0: not exchangeable."""
    return rng.gamma(2.0, size=n), np.full(n, 2.0)


def clustered(rng: Generator, n: int) -> tuple[Floats, Floats]:
    """Return differences with a mean of 0, and their clusters: n / 10 of 5 to 15 rows, with an effect of their own."""
    each = rng.integers(5, 16, max(n // 10, 2))
    labels = np.repeat(np.arange(len(each)), each)
    return rng.normal(size=len(each))[labels] + rng.normal(size=len(labels)), labels.astype(float)


Case = tuple[Callable[..., Result], Callable[[Generator, int], tuple[Floats, Floats]]]

CASES: dict[str, Case] = {
    "mcnemar": (lambda a, b, rng, **more: paired.mcnemar(a, b, **more), answers),
    "paired_t of answers": (lambda a, b, rng, **more: paired.paired_t(a, b, **more), answers),
    "paired_t of losses": (lambda a, b, rng, **more: paired.paired_t(a, b, **more), losses),
    "permutation of losses": (
        lambda a, b, rng, **more: paired.permutation(a, b, rng=rng, resamples=399, **more), losses,
    ),
    "permutation of answers": (
        lambda a, b, rng, **more: paired.permutation(a, b, rng=rng, resamples=399, **more), answers,
    ),
    "bootstrap of losses": (
        lambda a, b, rng, **more: paired.paired_bootstrap(a, b, rng=rng, resamples=399, **more), losses,
    ),
    "bootstrap of answers": (
        lambda a, b, rng, **more: paired.paired_bootstrap(a, b, rng=rng, resamples=999, **more), answers,
    ),
    "bootstrap of a median": (
        lambda a, b, rng, **more: paired.paired_bootstrap(
            a, b, rng=rng, resamples=199, statistic=lambda rows: np.median(rows, axis=1), **more
        ),
        losses,
    ),
    "welch": (lambda a, b, rng, **more: repeats.welch(a, b[: len(b) // 3], **more), losses),
    "cluster_mean": (lambda a, b, rng, **more: clusters.cluster_mean(a, b, **more), clustered),
    "cluster_bootstrap": (
        lambda a, b, rng, **more: clusters.cluster_bootstrap(a, b, rng=rng, resamples=499, **more), clustered,
    ),
    "wild_cluster_bootstrap": (
        lambda a, b, rng, **more: clusters.wild_cluster_bootstrap(a, b, rng=rng, resamples=499, **more), clustered,
    ),
    "mean_sequence": (
        lambda a, b, rng, **more: sequential.mean_sequence(a - b, bounds=(-1, 1), **more), answers,
    ),
}  # fmt: skip
#: The examples of cases that need more than 100, by their docstrings, or whose draws are dear.
SIZES = {"cluster_bootstrap": (400, 5_000), "bootstrap of a median": (300, 1_000)}


def cases() -> list[Any]:
    """Return each case with its numbers of examples: the least daily, all with ``make test-all``."""
    return [
        pytest.param(name, n, marks=() if n == each[0] else pytest.mark.exhaustive)
        for name in CASES
        for each in [SIZES.get(name, (100, 1_000, 5_000))]
        for n in each
    ]


@pytest.mark.parametrize(("name", "n"), cases())
def test_false_positives_and_coverage_are_as_stated(name: str, n: int) -> None:
    test, data = CASES[name]
    rng = np.random.default_rng([1, n])
    dear = any(word in name for word in ("bootstrap", "permutation", "sequence"))
    number = trials(500, 400) if dear else trials(2_000, 1_000)
    false = {"greater": 0, "less": 0, "two-sided": 0}
    outside = 0
    for _ in range(number):
        one, other = data(rng, n)
        both = test(one, other, rng)
        assert both.low is not None and both.high is not None
        false["two-sided"] += both.p <= 0.05
        outside += not both.low <= 0 <= both.high
        # One-sided p is half of a two-sided one: the side is asked for where that can matter.
        if both.p <= 0.2:
            side: Alternative = "greater" if (both.estimate or 0) > 0 else "less"
            false[side] += test(one, other, rng, alternative=side).p <= 0.05
    for events in false.values():
        assert_error(events, number, 0.05)
    assert_error(outside, number, 0.05)


@pytest.mark.parametrize("n", sizes(100))
@pytest.mark.parametrize("share", [0.02, 0.1])
def test_a_candidate_that_is_worse_by_the_margin_is_promoted_at_most_as_stated(n: int, share: float) -> None:
    rng = np.random.default_rng([2, n])
    margin = 0.02
    tables = rng.multinomial(
        n, [(share - margin) / 2, (share + margin) / 2, 1 - share], trials(20_000, 5_000)
    )
    counted, times = np.unique(tables[:, :2], axis=0, return_counts=True)
    promoted = uncovered = 0
    for (b, c), often in zip(counted.tolist(), times.tolist(), strict=True):
        promoted += often * margins.non_inferiority(paired.mcnemar_counts, b, c, n, margin=margin).rejected
        found = paired.mcnemar_counts(b, c, n)
        assert found.low is not None and found.high is not None
        uncovered += often * (not found.low <= -margin <= found.high)
    assert_error(promoted, len(tables), 0.05)
    assert_error(uncovered, len(tables), 0.05)


@pytest.mark.parametrize("groups", [6, 10, 20])
def test_few_clusters_of_unequal_size_keep_the_level(groups: int) -> None:
    rng = np.random.default_rng([3, groups])
    number = trials(1_000, 400)
    naive = robust = wild = 0
    for _ in range(number):
        each = rng.integers(2, 30, groups)
        labels = np.repeat(np.arange(groups), each)
        values = rng.normal(size=groups)[labels] + rng.normal(size=len(labels))
        naive += repeats.mean_t(values).p <= 0.05
        robust += clusters.cluster_mean(values, labels).p <= 0.05
        p = clusters.wild_cluster_bootstrap(values, labels, rng=rng, resamples=399).p
        wild += p <= 0.05
    assert_error(robust, number, 0.05)
    assert_error(wild, number, 0.05)
    with pytest.raises(AssertionError, match="was stated"):
        assert_error(naive, number, 0.05)


@pytest.mark.parametrize("seeds", [(3, 3), (5, 3)])
def test_the_hierarchical_interval_covers_new_seeds_and_new_examples(seeds: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    number, outside, naive = trials(4_000, 1_000), 0, 0
    for _ in range(number):
        example = rng.normal(size=200)
        one, other = (
            0.1 * rng.normal(size=(count, 1)) + example + 0.3 * rng.normal(size=200)
            + 0.5 * rng.normal(size=(count, 200))
            for count in seeds
        )  # fmt: skip
        outside += repeats.hierarchical(one, other).p <= 0.05
        naive += paired.paired_t(one.mean(axis=0), other.mean(axis=0)).p <= 0.05
    assert_error(outside, number, 0.05)
    with pytest.raises(AssertionError, match="was stated"):
        assert_error(naive, number, 0.05)


@pytest.mark.parametrize("n", sizes(100))
@pytest.mark.parametrize(("mean", "spread"), [(0.5, 2.0), (0.05, 20.0), (0.9, 0.0)])
def test_looks_after_every_row_err_as_seldom_as_one(n: int, mean: float, spread: float) -> None:
    """p and the interval of a mean hold the extremes of all looks: a look after each row adds nothing."""
    rng = np.random.default_rng([5, n])
    number, wrong, outside, sided = trials(500, 400), 0, 0, 0
    for _ in range(number):
        x = (
            rng.beta(mean * spread, (1 - mean) * spread, n)
            if spread
            else (rng.random(n) < mean).astype(float)
        )
        found = sequential.mean_sequence(x, null=mean)
        assert found.low is not None and found.high is not None
        wrong += found.p <= 0.05
        outside += not found.low <= mean <= found.high
        sided += sequential.mean_sequence(x, null=mean, alternative="greater").p <= 0.05
    assert_error(wrong, number, 0.05)
    assert_error(outside, number, 0.05)
    assert_error(sided, number, 0.05)


def test_p_of_a_mean_is_the_least_of_its_looks() -> None:
    x = np.random.default_rng(6).random(60)
    looks = [sequential.mean_sequence(x[:n], null=0.3) for n in range(1, 61)]
    assert looks[-1].p == pytest.approx(min(min(1 / look.e_value, 1.0) for look in looks if look.e_value))
    assert looks[-1].low == pytest.approx(max(look.low for look in looks if look.low is not None))
    assert all(before.p >= after.p for before, after in itertools.pairwise(looks))


@pytest.mark.parametrize("n", sizes(100))
@pytest.mark.parametrize("rate", [0.5, 0.02])
def test_rates_and_their_differences_hold_at_every_look(n: int, rate: float) -> None:
    rng = np.random.default_rng([7, n])
    number = 1_000
    draws = rng.random((number, n)) < rate
    counts = np.stack((draws.cumsum(axis=1), (~draws).cumsum(axis=1)), axis=2).astype(float)
    path = sequential._log_evidence(counts, np.array([rate, 1 - rate]), np.array([0.5, 0.5]))
    assert float(path[0, -1]) == pytest.approx(
        math.log(sequential.rate_sequence(int(draws[0].sum()), n, null=rate).e_value or 0)
    )
    assert_error(int((path.max(axis=1) >= math.log(20)).sum()), number, 0.05)
    ratio = sequential._log_evidence(counts, np.array([rate, 1 - rate]), 100 * np.array([rate, 1 - rate]))
    assert_error(int((ratio.max(axis=1) >= math.log(20)).sum()), number, 0.05)
    others = rng.random((number, n)) < rate
    compared = trials(500, 300)
    found = [sequential.two_rates(draws[at], others[at]) for at in range(compared)]
    assert_error(sum(each.p <= 0.05 for each in found), compared, 0.05)
    assert_error(sum(not (each.low or 0) <= 0 <= (each.high or 0) for each in found), compared, 0.05)


@pytest.mark.parametrize("probability", [0.5, 0.95])
@pytest.mark.parametrize("ties", [False, True])
def test_quantiles_hold_at_every_look(probability: float, ties: bool) -> None:
    rng = np.random.default_rng(8)
    n, number = (300, 1_000)
    looks = range(1, n + 1)
    # On the values 1 to n the ends are their own places: the k-th smallest value of any data of that length.
    places = [
        sequential.quantile_sequence(np.arange(1, look + 1.0), probability=probability) for look in looks
    ]
    lows = np.array([place.low for place in places])
    highs = np.array([place.high for place in places])
    draws = rng.random((number, n))
    if ties:  # of the values 0 to 4 the quantile has many
        draws = np.floor(draws * 5)
        quantile = math.floor(probability * 5)
    else:
        quantile = probability
    at_most = (draws <= quantile).cumsum(axis=1)
    below = (draws < quantile).cumsum(axis=1)
    outside = ((at_most < lows) | (below >= highs)).any(axis=1)
    assert_error(int(outside.sum()), number, 0.05)
    assert np.isfinite(highs[-1]) and highs[-1] - lows[-1] < 0.3 * n


def test_looks_that_spend_alpha_err_at_most_as_stated() -> None:
    rng = np.random.default_rng(9)
    number, shares = trials(10_000, 2_000), (0.2, 0.4, 0.6, 0.8, 1.0)
    values = rng.normal(size=(number, 500))
    for kind in ("obrien-fleming", "pocock"):
        wrong, spent = np.zeros(number, bool), 0.0
        for share in shares:
            seen = values[:, : round(500 * share)]
            level = sequential.spent_alpha(share, kind=kind) - spent
            spent += level
            z = np.abs(seen.mean(axis=1)) * math.sqrt(seen.shape[1])
            wrong |= np.array([math.erfc(each / math.sqrt(2)) <= level for each in z])
        assert spent == pytest.approx(0.05)
        assert_error(int(wrong.sum()), number, 0.05)


@pytest.mark.parametrize("arms", [2, 4])
def test_sample_ratio_checks_cry_wolf_at_most_as_stated_and_find_a_lost_percent(arms: int) -> None:
    rng = np.random.default_rng(10)
    shares = np.full(arms, 1 / arms)
    number = trials(5_000, 1_000)
    steps = rng.multinomial(500, shares, (number, 40)).cumsum(axis=1)
    peeked = [sequential.sample_ratio_sequence(looks, shares, alpha=0.05).rejected for looks in steps]
    assert_error(sum(peeked), number, 0.05)
    once = [sequential.sample_ratio(looks[-1], shares, alpha=0.05).rejected for looks in steps]
    assert_error(sum(once), number, 0.05)
    lost = shares.copy()
    lost[0] *= 0.95
    counts = rng.multinomial(100_000, lost / lost.sum())
    assert sequential.sample_ratio(counts, shares).rejected
    assert sequential.sample_ratio_sequence(counts, shares).rejected


def test_needed_examples_reach_their_power() -> None:
    rng = np.random.default_rng(11)
    number = trials(5_000, 1_000)
    for effect in (0.3, 0.1):
        for side in ("two-sided", "greater"):
            n = power.needed_examples(effect, 1.0, alternative=side)
            assert n is not None
            values = rng.normal(effect, 1.0, (number, n))
            hits = sum(repeats.mean_t(row, alternative=side).rejected for row in values)
            assert hits / number == pytest.approx(0.8, abs=0.05)


def test_needed_examples_of_answers_reach_their_power() -> None:
    rng = np.random.default_rng(12)
    only_candidate, only_champion = 0.08, 0.05
    n = power.needed_examples(0.03, power.paired_rate_deviation(only_candidate, only_champion))
    assert n is not None
    number = 5_000
    tables = rng.multinomial(n, [only_candidate, only_champion, 1 - only_candidate - only_champion], number)
    hits = sum(paired.mcnemar_counts(b, c, n).rejected for b, c, _ in tables.tolist())
    # The exact test errs at less than 5 %, which costs some power.
    assert 0.74 < hits / number < 0.83
    reported = paired.mcnemar_counts(round(0.08 * n), round(0.05 * n), n).needed
    assert reported == pytest.approx(n, rel=0.02)


@pytest.mark.parametrize(("name", "least"), [("mean_sequence", 0.35), ("mcnemar", 0.7), ("two_rates", 0.05)])
def test_known_effects_are_found(name: str, least: float) -> None:
    rng = np.random.default_rng(13)
    tests: dict[str, Callable[[Floats, Floats], Result]] = {
        "mean_sequence": lambda a, b: sequential.mean_sequence(a - b, bounds=(-1, 1)),
        "mcnemar": paired.mcnemar,
        "two_rates": sequential.two_rates,
    }
    data = [answers(rng, 1_000, 0.08, 0.04) for _ in range(300)]
    found = sum(tests[name](one, other).verdict == "higher" for one, other in data)
    assert found / 300 >= least
