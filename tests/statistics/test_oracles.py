"""Each function beside another program: scipy here, and others by the numbers that ``oracles.py`` wrote."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genops_lab.statistics import clusters, margins, multiple, paired, power, repeats, resampling, sequential

TOLD: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("oracles.json").read_text())
A = np.array([0.91, 0.88, 0.93, 0.90, 0.97, 0.82, 0.9, 0.95])
B = np.array([0.90, 0.86, 0.94, 0.85, 0.96, 0.80, 0.9, 0.91])


def cases(begins: str) -> list[dict[str, Any]]:
    found = [each for name, each in TOLD.items() if name.startswith(begins)]
    assert found, begins
    return found


def test_mcnemar_is_statsmodels() -> None:
    for each in cases("mcnemar"):
        given = each["inputs"]
        ours = paired.mcnemar_counts(given["b"], given["c"], given["n"])
        assert ours.p == pytest.approx(each["value"], abs=1e-12)
        rows = np.repeat(
            [[1, 0], [0, 1], [1, 1]], [given["b"], given["c"], 100 - given["b"] - given["c"]], axis=0
        )
        assert paired.mcnemar(rows[:, 0], rows[:, 1]) == ours


def test_one_sided_mcnemar_is_scipys_binomial_test() -> None:
    from scipy import stats

    for b, c in ((9, 2), (0, 5), (3, 3)):
        for side in ("greater", "less"):
            theirs = stats.binomtest(b, b + c, alternative=side).pvalue
            assert paired.mcnemar_counts(b, c, 50, alternative=side).p == pytest.approx(theirs)


@pytest.mark.parametrize(("b", "c", "n"), [(9, 2, 44), (0, 1, 44), (0, 0, 50), (30, 10, 100), (5, 5, 20)])
def test_tangos_interval_has_the_constrained_likelihood_of_a_numeric_search(b: int, c: int, n: int) -> None:
    """The oracle maximises the likelihood under a fixed difference by a search, without the closed form."""
    from scipy.optimize import minimize_scalar
    from scipy.special import xlogy

    def score(null: float) -> float:
        least = max(0.0, -null)
        found = minimize_scalar(
            lambda q: -(xlogy(b, q + null) + xlogy(c, q) + xlogy(n - b - c, 1 - 2 * q - null)),
            bounds=(least, (1 - null) / 2), method="bounded", options={"xatol": 1e-12},
        )  # fmt: skip
        gap = b - c - n * null
        return (abs(gap) - 0.5) / math.sqrt(n * (2 * found.x + null * (1 - null)))

    ours = paired.mcnemar_counts(b, c, n)
    for end in (ours.low, ours.high):
        assert end is not None
        assert score(end) == pytest.approx(1.959964, abs=2e-3)
    tested = paired.mcnemar_counts(b, c, n, null=ours.low + 1e-9, alternative="greater")
    assert tested.p == pytest.approx(0.025, abs=1e-3)


def test_t_tests_are_scipys() -> None:
    from scipy import stats

    for side in ("two-sided", "greater", "less"):
        theirs = stats.ttest_rel(A, B, alternative=side)
        assert paired.paired_t(A, B, alternative=side).p == pytest.approx(theirs.pvalue)
        assert repeats.mean_t(A, null=0.9, alternative=side).p == pytest.approx(
            stats.ttest_1samp(A, 0.9, alternative=side).pvalue
        )
    interval = stats.ttest_rel(A, B).confidence_interval(0.9)
    ours = paired.paired_t(A, B, confidence=0.9)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))


def test_extreme_values_keep_their_interval() -> None:
    from scipy import stats

    for values in ([1e-300, 3e-300, 2e-300], [1e307, 1.5e307, -1e307], [-5.0, 5.0]):
        ours = repeats.mean_t(values)
        scale = max(map(abs, values))
        scaled = [value / scale for value in values]
        low, high = stats.t.interval(0.95, len(values) - 1, loc=0.0, scale=stats.sem(scaled))
        if ours.low is None:  # the end is above the largest double
            assert ours.reason == "not finite" and scale * high > 1e307
            continue
        assert ours.high is not None and ours.estimate is not None
        assert (ours.high - ours.low) / scale == pytest.approx(high - low)
        assert ours.estimate / scale == pytest.approx(sum(scaled) / len(scaled), abs=1e-12)


def test_welch_is_statsmodels() -> None:
    for each in cases("welch 0"):
        given = each["inputs"]
        ours = repeats.welch(
            given["one"], given["other"], null=given["null"], alternative=given["alternative"]
        )
        assert ours.p == pytest.approx(each["value"])
    (each,) = cases("welch interval")
    ours = repeats.welch(each["inputs"]["one"], each["inputs"]["other"])
    assert [ours.low, ours.high] == pytest.approx(each["value"])


def test_the_hierarchical_variance_is_that_of_its_parts() -> None:
    """With one part alone, it is Welch's test of the seeds, or the paired test of the examples."""
    seeds = np.repeat([[1.0], [1.3], [0.8]], 50, axis=1), np.repeat([[0.9], [1.1], [0.7], [1.2]], 50, axis=1)
    ours, theirs = repeats.hierarchical(*seeds), repeats.welch(seeds[0][:, 0], seeds[1][:, 0])
    assert (ours.low, ours.high, ours.p) == pytest.approx((theirs.low, theirs.high, theirs.p))
    examples = np.tile(A, (3, 1)), np.tile(B, (4, 1))
    ours, theirs = repeats.hierarchical(*examples), paired.paired_t(A, B)
    assert (ours.low, ours.high, ours.p) == pytest.approx((theirs.low, theirs.high, theirs.p))


@pytest.mark.parametrize("side", ["two-sided", "greater", "less"])
def test_the_permutation_test_is_scipys_over_all_signs(side: Any) -> None:
    from scipy import stats

    theirs = stats.permutation_test(
        (A, B), lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples", vectorized=True,
        alternative=side, n_resamples=np.inf,
    )  # fmt: skip
    ours = paired.permutation(A, B, alternative=side, rng=np.random.default_rng(0))
    assert ours.p == pytest.approx(theirs.pvalue)


def test_random_signs_agree_with_all_of_them() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.normal(0.4, 1, 12), rng.normal(size=12)
    exact = paired.permutation(one, other, rng=rng, resamples=4_095)
    drawn = paired.permutation(one, other, rng=rng, resamples=4_094)
    assert drawn.p == pytest.approx(exact.p, abs=0.03)
    assert (drawn.low, drawn.high) == pytest.approx((exact.low, exact.high), abs=0.1)


def test_the_ends_of_the_permutation_interval_are_margins_on_the_edge() -> None:
    rng = np.random.default_rng(5)
    one, other = rng.normal(0.4, 1, 12), rng.normal(size=12)
    found = paired.permutation(one, other, rng=rng)
    assert found.low is not None and found.high is not None
    for null, above in ((found.low - 1e-6, True), (found.low + 1e-6, False)):
        p = paired.permutation(one, other, rng=rng, null=null, alternative="greater").p
        assert (p <= 0.025) is above
    for null, below in ((found.high + 1e-6, True), (found.high - 1e-6, False)):
        p = paired.permutation(one, other, rng=rng, null=null, alternative="less").p
        assert (p <= 0.025) is below


def test_the_bootstrap_draws_what_scipys_draws() -> None:
    from scipy import stats
    from scipy.special import ndtr, stdtrit

    rng = np.random.default_rng(6)
    one, other = rng.gamma(2, size=200), rng.gamma(2, size=200)
    ours = paired.paired_bootstrap(one, other, rng=rng, resamples=20_000)
    tail = ndtr(math.sqrt(200 / 199) * stdtrit(199, 0.025))
    theirs = stats.bootstrap(
        (one - other,), np.mean, n_resamples=20_000, confidence_level=1 - 2 * tail, method="percentile", rng=rng,
    ).confidence_interval  # fmt: skip
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)
    by_rows = paired.paired_bootstrap(
        one, other, rng=rng, resamples=20_000, statistic=lambda rows: rows.mean(axis=1)
    )
    assert (by_rows.low, by_rows.high) == pytest.approx((ours.low, ours.high), abs=0.01)
    assert by_rows.p == pytest.approx(ours.p, abs=0.02)


def test_few_values_are_drawn_as_counts_with_the_same_distribution() -> None:
    rng = np.random.default_rng(7)
    values = rng.integers(-1, 2, 100).astype(float)
    counted = resampling.resampled_means(values, 5_000, rng)
    drawn = np.concatenate([values[rows].mean(axis=1) for rows in resampling.resampled_rows(100, 5_000, rng)])
    assert counted.mean() == pytest.approx(drawn.mean(), abs=0.01)
    assert counted.std() == pytest.approx(drawn.std(), rel=0.05)


def test_cr2_is_the_general_formula_with_matrices() -> None:
    rng = np.random.default_rng(8)
    labels = np.repeat(np.arange(7), rng.integers(1, 9, 7))
    y = rng.normal(size=len(labels)) + rng.normal(size=7)[labels]
    n, x = len(y), np.ones((len(y), 1))
    bread = np.linalg.inv(x.T @ x)
    hat = x @ bread @ x.T
    residual = y - hat @ y
    variance, columns = 0.0, []
    for each in range(7):
        own = labels == each
        values, vectors = np.linalg.eigh(np.eye(own.sum()) - hat[np.ix_(own, own)])
        adjust = vectors @ np.diag(values**-0.5) @ vectors.T
        variance += float((bread @ x[own].T @ adjust @ residual[own]).item() ** 2)
        columns.append((np.eye(n) - hat)[:, own] @ adjust @ x[own] @ bread)
    g = np.hstack(columns)
    eigenvalues = np.linalg.eigvalsh(g.T @ g)
    freedom = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    from scipy.special import stdtrit

    ours = clusters.cluster_mean(y, labels)
    assert ours.high is not None and ours.estimate is not None
    assert ours.high - ours.estimate == pytest.approx(stdtrit(freedom, 0.975) * math.sqrt(variance))


def test_clusters_of_one_row_are_students_t() -> None:
    ours, theirs = clusters.cluster_mean(A, np.arange(8)), repeats.mean_t(A)
    assert (ours.low, ours.high, ours.p, ours.n) == pytest.approx((theirs.low, theirs.high, theirs.p, 8))


def test_the_wild_bootstrap_is_wildboottests() -> None:
    for each in cases("wild"):
        ours = clusters.wild_cluster_bootstrap(
            each["inputs"]["values"], each["inputs"]["clusters"], rng=np.random.default_rng(0)
        )
        # It does not count ties with the sample, which are the sample and its mirror: 2 of 2^9 signs.
        assert ours.p == pytest.approx(each["value"], abs=2.01 / 2**9)


def test_the_wild_bootstrap_is_the_literal_one_over_all_signs() -> None:
    rng = np.random.default_rng(9)
    labels = np.repeat(np.arange(6), [3, 5, 2, 4, 6, 3])
    y = rng.normal(0.5, 1, len(labels))

    def t(values: np.ndarray[Any, Any]) -> float:
        residual = values - values.mean()
        return float(values.mean() / math.sqrt(sum(residual[labels == g].sum() ** 2 for g in range(6))))

    signs = np.array(list(itertools.product((1, -1), repeat=6)))
    found = np.array([t(y * each[labels]) for each in signs])
    greater = float((found >= t(y) - 1e-9).mean())
    ours = clusters.wild_cluster_bootstrap(y, labels, alternative="greater", rng=rng)
    assert ours.p == pytest.approx(greater)
    both = clusters.wild_cluster_bootstrap(y, labels, rng=rng)
    assert both.low is not None and both.high is not None
    for null, side in ((both.low, "greater"), (both.high, "less")):
        if math.isfinite(null):
            edge = [
                clusters.wild_cluster_bootstrap(y, labels, null=null + shift, alternative=side, rng=rng).p
                for shift in (-1e-4, 1e-4)
            ]
            assert min(edge) <= 0.025 < max(edge)


def test_the_cluster_bootstrap_of_single_rows_is_the_bootstrap_of_rows() -> None:
    rng = np.random.default_rng(10)
    values = rng.normal(size=80)
    ours = clusters.cluster_bootstrap(values, np.arange(80), rng=rng)
    rows = paired.paired_bootstrap(values, np.zeros(80), rng=rng)
    assert (ours.low, ours.high) == pytest.approx((rows.low, rows.high), abs=0.02)


def test_holm_is_statsmodels() -> None:
    (each,) = cases("holm")
    assert multiple.holm(each["inputs"]["p"]).tolist() == pytest.approx(each["value"])
    with_gap = multiple.holm([0.01, math.nan, 0.04])
    assert with_gap[[0, 2]].tolist() == pytest.approx([0.02, 0.04]) and math.isnan(with_gap[1])


def test_needed_examples_are_statsmodels() -> None:
    for each in cases("needed"):
        given = each["inputs"]
        ours = power.needed_examples(given["effect"], 1.0, alternative=given["alternative"])
        assert ours is not None and abs(ours - math.ceil(each["value"])) <= 1, each
        back = power.smallest_effect(ours, 1.0, alternative=given["alternative"])
        assert back is not None and back <= given["effect"] < back * 1.06


def test_the_capital_of_bets_is_confseqs() -> None:
    for each in cases("capital"):
        ours = sequential.mean_sequence(each["inputs"]["x"], null=each["inputs"]["null"])
        assert ours.e_value == pytest.approx(each["value"], rel=1e-9)
    for each in cases("betting"):
        ours = sequential.mean_sequence(each["inputs"]["x"])
        assert [ours.low, ours.high] == pytest.approx(each["value"], abs=1 / 20_000 + 1e-9)


def test_two_rates_is_expectations() -> None:
    (each,) = cases("two rates")
    ours = sequential.two_rates(each["inputs"]["one"], each["inputs"]["other"])
    assert ours.e_value == pytest.approx(math.exp(each["value"]))


def test_one_sided_mixtures_of_quantiles_are_expectations() -> None:
    for each in cases("one-sided"):
        given = each["inputs"]
        ours = sequential._log_one_sided(
            np.array([given["successes"]]), given["n"], given["rate"], given["concentration"]
        )
        assert float(ours[0]) == pytest.approx(each["value"], abs=1e-8)


def test_a_rates_evidence_is_scipys_beta_binomial() -> None:
    from scipy import stats

    for successes, n, null in ((7, 20, 0.5), (0, 10, 0.2), (40, 40, 0.9)):
        ours = sequential.rate_sequence(successes, n, null=null)
        theirs = stats.betabinom.pmf(successes, n, 0.5, 0.5) / stats.binom.pmf(successes, n, null)
        assert ours.e_value == pytest.approx(theirs)
        for end in (ours.low, ours.high):
            if end not in (0.0, 1.0):
                assert sequential.rate_sequence(successes, n, null=end).e_value == pytest.approx(20, rel=1e-6)


def test_a_confidence_sequence_is_wider_than_an_interval_at_one_look() -> None:
    (each,) = cases("rate")
    ours = sequential.rate_sequence(each["inputs"]["successes"], each["inputs"]["n"])
    low, high = each["value"]
    assert ours.low is not None and ours.high is not None
    assert ours.low < low < high < ours.high
    assert ours.high - ours.low < 2 * (high - low)


def test_sample_ratio_checks_are_scipys() -> None:
    from scipy import stats

    counts, shares = [480, 530, 240], [2, 2, 1]
    expected = np.array(shares) / 5 * sum(counts)
    assert sequential.sample_ratio(counts, shares).p == pytest.approx(
        stats.chisquare(counts, expected).pvalue
    )
    mixture = stats.dirichlet_multinomial(100 * np.array(shares) / 5, sum(counts)).pmf(counts)
    theirs = mixture / stats.multinomial(sum(counts), np.array(shares) / 5).pmf(counts)
    assert sequential.sample_ratio_sequence(counts, shares).e_value == pytest.approx(theirs)


def test_alpha_is_spent_as_lan_and_demets_say() -> None:
    from scipy import stats

    for share in (0.1, 0.3, 0.7, 1.0):
        by_hand = 2 - 2 * stats.norm.cdf(stats.norm.ppf(0.975) / math.sqrt(share))
        assert sequential.spent_alpha(share) == pytest.approx(by_hand)
        assert sequential.spent_alpha(share, kind="pocock") == pytest.approx(
            0.05 * math.log(1 + (math.e - 1) * share)
        )
    assert sequential.spent_alpha(0.0) == 0.0
    assert sequential.spent_alpha(2.0) == pytest.approx(0.05)


def test_margins_move_the_null() -> None:
    from scipy import stats

    found = margins.non_inferiority(paired.paired_t, A, B, margin=0.01)
    assert found.p == pytest.approx(stats.ttest_1samp(A - B, -0.01, alternative="greater").pvalue)
    loss = margins.non_inferiority(paired.paired_t, A, B, margin=0.01, better="lower")
    assert loss.p == pytest.approx(stats.ttest_1samp(A - B, 0.01, alternative="less").pvalue)
    better = margins.superiority(paired.paired_t, A, B, margin=0.005)
    assert better.p == pytest.approx(stats.ttest_1samp(A - B, 0.005, alternative="greater").pvalue)
    same = margins.equivalence(paired.paired_t, A, B, margin=0.05)
    assert same.p == pytest.approx(
        max(
            stats.ttest_1samp(A - B, -0.05, alternative="greater").pvalue,
            stats.ttest_1samp(A - B, 0.05, alternative="less").pvalue,
        )
    )
