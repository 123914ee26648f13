"""Defined answers for missing, empty and constant input, and what does not change an answer."""

from __future__ import annotations

import doctest
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.statistics import clusters, groups, margins, multiple, paired, power, repeats, sequential
from genops_lab.statistics.results import Result
from tests.support.exhaustive import examples

#: A file that an earlier test left open is collected at any time: its ResourceWarning is not about these sums.
pytestmark = pytest.mark.filterwarnings("error", "default::ResourceWarning")

Test = Callable[..., Result]


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def of_pairs(test: Callable[..., Result], **options: Any) -> Test:
    """Return a test of two arrays that makes its own generator."""
    return lambda one, other, **more: test(one, other, **options, **more)


def drawn(test: Callable[..., Result], **options: Any) -> Test:
    return lambda one, other, **more: test(one, other, rng=rng(), resamples=499, **options, **more)


def of_differences(test: Test) -> Test:
    """Return a test of two arrays from one of values and clusters of three rows."""

    def run(one: Any, other: Any, **options: Any) -> Result:
        values = np.asarray(one, float) - np.asarray(other, float)
        return test(values, np.arange(len(values)) // 3, **options)

    return run


#: Tests of two models on the same rows.
PAIRED: dict[str, Test] = {
    "paired_t": paired.paired_t,
    "permutation": drawn(paired.permutation),
    "paired_bootstrap": drawn(paired.paired_bootstrap),
    "bootstrap of a statistic": drawn(
        paired.paired_bootstrap, statistic=lambda rows: np.median(rows, axis=1)
    ),
    "cluster_mean": of_differences(clusters.cluster_mean),
    "cluster_bootstrap": of_differences(drawn(clusters.cluster_bootstrap)),
    "wild_cluster_bootstrap": of_differences(drawn(clusters.wild_cluster_bootstrap)),
}
RATES: dict[str, Test] = {"mcnemar": paired.mcnemar, "two_rates": sequential.two_rates}
WELCH: dict[str, Test] = {"welch": repeats.welch}
ALL = {**PAIRED, **RATES, **WELCH}
#: Those that have an answer for constant differences, which is exact.
EXACT = {"mcnemar", "two_rates", "permutation"}


def assert_no_nan(found: Result) -> None:
    for field in fields(found):
        value = getattr(found, field.name)
        assert not (isinstance(value, float) and math.isnan(value)), field.name
        assert not isinstance(value, np.generic), field.name
    assert 0 <= found.p <= 1


@pytest.mark.parametrize("name", ALL)
def test_empty_input_has_no_estimate_and_p_1(name: str) -> None:
    for empty in ([], [math.nan, math.nan]):
        found = ALL[name](empty, empty)
        assert_no_nan(found)
        assert (found.estimate, found.low, found.high, found.p, found.n) == (None, None, None, 1.0, 0)
        assert found.reason == "no values"
        assert found.verdict == "within chance" and found.more is None


@pytest.mark.parametrize("name", ALL)
def test_one_row_has_an_estimate_and_no_proof(name: str) -> None:
    found = ALL[name]([1.0], [0.0])
    assert_no_nan(found)
    assert found.estimate == 1.0
    assert found.p > 0.3
    assert not found.rejected


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_models_have_a_difference_of_0_within_chance(name: str, value: float) -> None:
    same = np.full(30, value)
    found = ALL[name](same, same)
    assert_no_nan(found)
    assert (found.estimate, found.p) == (0.0, 1.0)
    if name in EXACT - {"permutation"}:
        assert found.low is not None and found.high is not None
        assert found.low < 0 < found.high
    else:
        assert (found.low, found.high, found.reason) == (None, None, "no spread")


@pytest.mark.parametrize("name", [*PAIRED, *WELCH])
def test_constant_differences_have_no_interval_also_behind_rounding(name: str) -> None:
    one = np.linspace(0.1, 0.9, 30) if name not in WELCH else np.full(30, 0.7)
    found = ALL[name](one + 0.1, one)
    assert_no_nan(found)
    assert found.estimate == pytest.approx(0.1)
    assert (found.low, found.high, found.reason) == (None, None, "no spread")
    assert (found.p < 0.01) is (name in EXACT)


@pytest.mark.parametrize("name", ALL)
def test_rows_with_nan_are_left_out_and_counted(name: str) -> None:
    values = rng().integers(0, 2, (2, 33)).astype(float)
    one, other = values
    if name in WELCH:
        missing = np.concatenate((one, [math.nan])), np.concatenate((other, [math.nan]))
    else:
        missing = np.concatenate((one, [math.nan, 1.0])), np.concatenate((other, [1.0, math.nan]))
    found, alone = ALL[name](*missing), ALL[name](one, other)
    assert_no_nan(found)
    assert found.left_out == 2 and alone.left_out == 0
    assert (found.estimate, found.low, found.high, found.p, found.n) == pytest.approx(
        (alone.estimate, alone.low, alone.high, alone.p, alone.n)
    )


@pytest.mark.parametrize("name", [name for name in ALL if name not in WELCH])
def test_lengths_that_differ_are_named(name: str) -> None:
    if "cluster" in name:
        function = getattr(clusters, name)
        more = {} if name == "cluster_mean" else {"rng": rng()}
        with pytest.raises(ValueError, match="values has 3, clusters has 2"):
            function([1.0, 2.0, 3.0], [1, 2], **more)
        return
    with pytest.raises(ValueError, match="candidate has 3, champion has 2"):
        ALL[name]([1.0, 0.0, 1.0], [1.0, 0.0])


@pytest.mark.parametrize("name", ["paired_t", "permutation", "paired_bootstrap", "welch", "cluster_mean"])
def test_infinite_values_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="infinite"):
        ALL[name]([1.0, math.inf, 0.0], [0.0, 0.0, 0.0])


def test_other_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        paired.mcnemar([0.5], [1])
    with pytest.raises(ValueError, match="together at most n"):
        paired.mcnemar_counts(5, 6, 10)
    with pytest.raises(ValueError, match="confidence must be between 0 and 1"):
        repeats.mean_t([1.0, 2.0], confidence=95)
    with pytest.raises(ValueError, match=r"within the bounds 0\.0 to 1\.0"):
        sequential.mean_sequence([0.2, 1.5])
    with pytest.raises(ValueError, match="null must lie within"):
        sequential.mean_sequence([0.2], null=2.0)
    with pytest.raises(ValueError, match="no count may become smaller"):
        sequential.sample_ratio_sequence([[5, 5], [4, 7]], [1, 1])
    with pytest.raises(ValueError, match="planned share"):
        sequential.sample_ratio([5, 5], [1, 0])
    with pytest.raises(ValueError, match="successes must be"):
        sequential.rate_sequence(5, 4)
    with pytest.raises(ValueError, match="p-values must be"):
        multiple.holm([1.2])
    with pytest.raises(ValueError, match="the same examples"):
        repeats.hierarchical(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="alpha and power"):
        power.needed_examples(0.1, 1.0, power=1.0)


def test_sequential_answers_of_nothing() -> None:
    for found in (
        sequential.rate_sequence(0, 0),
        sequential.mean_sequence([]),
        sequential.quantile_sequence([math.nan]),
        sequential.sample_ratio([0, 0], [1, 1]),
        sequential.sample_ratio_sequence([0, 0], [1, 1]),
        repeats.hierarchical(np.ones((2, 0)), np.ones((2, 0))),
        repeats.mean_t([]),
    ):
        assert_no_nan(found)
        assert (found.estimate, found.p, found.n, found.reason) == (None, 1.0, 0, "no values")


def test_sequential_answers_of_constant_values() -> None:
    for value in (0.0, 0.4, 1.0):
        found = sequential.mean_sequence(np.full(200, value), null=0.5)
        assert_no_nan(found)
        assert found.low is not None and found.high is not None
        assert found.low <= value + 1e-9 and value - 1e-9 <= found.high
        assert found.high - found.low < 0.2
    found = sequential.quantile_sequence(np.full(500, 3.0))
    assert (found.low, found.estimate, found.high) == (3.0, 3.0, 3.0)
    few = sequential.quantile_sequence([1.0, 2.0], probability=0.99)
    assert (few.low, few.high) == (-math.inf, math.inf)
    for successes in (0, 50):
        found = sequential.rate_sequence(successes, 50, null=0.5)
        assert_no_nan(found)
        assert (found.low, found.high)[successes // 50] == successes / 50 or found.low == 0.0
        assert found.p < 1e-9
    impossible = sequential.rate_sequence(3, 5, null=0.0)
    assert_no_nan(impossible)
    assert impossible.p == 0.0


def test_a_metric_that_draws_cannot_have_gives_no_interval() -> None:
    found = paired.paired_bootstrap(
        np.arange(9.0),
        np.zeros(9),
        rng=rng(),
        resamples=99,
        statistic=lambda rows: np.full(len(rows), math.nan),
    )
    assert_no_nan(found)
    assert (found.estimate, found.low, found.p, found.reason) == (None, None, 1.0, "not finite")


def test_many_rows_are_flipped_in_parts() -> None:
    one = rng().normal(0.02, 1, 40_000)
    found = paired.permutation(one, np.zeros(40_000), rng=rng(), resamples=499)
    theirs = paired.paired_t(one, np.zeros(40_000))
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_seeds_and_examples_without_a_repeat_cannot_tell() -> None:
    values = rng().random((1, 20))
    found = repeats.hierarchical(values, values)
    assert (found.reason, found.p) == ("few seeds", 1.0)
    same = np.ones((3, 20))
    assert repeats.hierarchical(same, same).reason == "no spread"
    rows = rng().random((3, 20))
    rows[0, 4] = math.nan
    assert (found := repeats.hierarchical(rows, rng().random((3, 20)))).left_out == 1
    assert found.n == 19


@pytest.mark.parametrize(
    "name", ["permutation", "paired_bootstrap", "cluster_bootstrap", "wild_cluster_bootstrap"]
)
def test_a_seed_gives_the_same_answer_again(name: str) -> None:
    one, other = rng().random((2, 60))
    assert PAIRED[name](one, other) == PAIRED[name](one, other)


pairs = st.lists(
    st.tuples(st.integers(-50, 50).map(lambda x: x / 8), st.integers(-50, 50).map(lambda x: x / 8)),
    min_size=3,
    max_size=12,
)


@settings(max_examples=examples(400), deadline=None)
@given(pairs)
def test_swapping_the_models_turns_the_answer_round(rows: list[tuple[float, float]]) -> None:
    one, other = np.array(rows).T
    tests = (
        paired.paired_t,
        repeats.welch,
        lambda a, b, **more: paired.permutation(a, b, rng=rng(), **more),
        of_differences(clusters.cluster_mean),
        of_differences(drawn(clusters.wild_cluster_bootstrap)),
    )
    for test in tests:
        found, turned = test(one, other), test(other, one)
        assert_no_nan(found)
        assert found.p == pytest.approx(turned.p, abs=1e-9)
        assert found.estimate == pytest.approx(-turned.estimate, abs=1e-12)
        if found.low is not None:
            assert (found.low, found.high) == pytest.approx((-turned.high, -turned.low), rel=1e-6, abs=1e-9)
        greater, less = test(one, other, alternative="greater"), test(other, one, alternative="less")
        assert greater.p == pytest.approx(less.p, abs=1e-9)


@settings(max_examples=examples(400), deadline=None)
@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows: list[tuple[float, float]], random: Any) -> None:
    moved = random.sample(rows, len(rows))
    for test in (paired.paired_t, repeats.welch, lambda a, b: paired.permutation(a, b, rng=rng())):
        found, again = test(*np.array(rows).T), test(*np.array(moved).T)
        assert found.p == pytest.approx(again.p, abs=1e-9)
        assert found.reason == again.reason
        if found.low is not None:
            assert (found.low, found.high) == pytest.approx((again.low, again.high), abs=1e-9)


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60))
def test_mcnemar_turns_round_and_agrees_with_its_interval(rows: list[tuple[int, int]]) -> None:
    one, other = np.array(rows).T
    found, turned = paired.mcnemar(one, other), paired.mcnemar(other, one)
    assert_no_nan(found)
    assert found.p == turned.p
    assert found.low is not None and found.high is not None and found.estimate is not None
    assert (found.low, found.high) == pytest.approx((-turned.high, -turned.low), abs=1e-9)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    if found.low > -1 + 1e-6:
        for shift, rejected in ((-1e-6, True), (1e-6, False)):
            null = found.low + shift
            if null:
                p = paired.mcnemar(one, other, null=null, alternative="greater").p
                assert (p <= 0.025) is rejected


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0, 1))
def test_a_betting_interval_turns_round_with_its_values(values: list[float], null: float) -> None:
    x = np.array(values)
    found, turned = sequential.mean_sequence(x, null=null), sequential.mean_sequence(1 - x, null=1 - null)
    assert_no_nan(found)
    assert (found.low, found.high) == pytest.approx((1 - turned.high, 1 - turned.low), abs=1e-6)
    assert found.p == pytest.approx(turned.p, rel=1e-6)


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_corrects_upwards_in_order(p: list[float]) -> None:
    corrected = multiple.holm(p)
    assert (corrected >= np.array(p)).all() and (corrected <= 1).all()
    assert corrected.min() == pytest.approx(min(1.0, len(p) * min(p)))
    order = np.argsort(p, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()


def test_differences_beyond_the_largest_double_have_no_estimate() -> None:
    found = repeats.welch([1.7e308, 1.7e308], [-1.7e308])
    assert_no_nan(found)
    assert (found.estimate, found.low, found.p) == (None, None, 1.0)


def test_a_result_says_its_verdict_and_how_many_more_would_show_it() -> None:
    shown = paired.mcnemar_counts(60, 20, 1_000)
    assert (shown.rejected, shown.verdict, shown.more) == (True, "higher", None)
    assert paired.mcnemar_counts(20, 60, 1_000).verdict == "lower"
    chance = paired.mcnemar_counts(60, 48, 1_000)
    assert chance.verdict == "within chance"
    assert chance.needed is not None and chance.more == chance.needed - 1_000
    wrong_side = paired.mcnemar_counts(48, 60, 1_000, alternative="greater")
    assert (wrong_side.needed, wrong_side.more) == (None, None)
    assert power.needed_examples(0.0, 1.0) is None
    assert power.needed_examples(1e-9, 1.0) is None
    assert power.smallest_effect(1, 1.0) is None


def test_the_examples_of_docstrings_are_true() -> None:
    for module in (groups, margins, multiple, paired, power, repeats, sequential):
        tried = doctest.testmod(module)
        assert tried.attempted and not tried.failed, module.__name__


def test_importing_the_package_imports_neither_numpy_nor_scipy() -> None:
    code = (
        "import sys, genops_lab.statistics as s; assert not {'numpy', 'scipy'} & sys.modules.keys();"
        "import genops_lab.statistics.sequential, genops_lab.statistics.groups, genops_lab.statistics.clusters;"
        "assert not {'scipy', 'pandas', 'pyarrow'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
