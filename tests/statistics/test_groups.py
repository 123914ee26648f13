"""Fairness by group beside Fairlearn, intervals of gaps, and slices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.statistics import groups, paired
from genops_lab.statistics.groups import GroupCounts
from tests.support.exhaustive import examples

from .simulation import assert_error, trials

#: A file that an earlier test left open is collected at any time: its ResourceWarning is not about these sums.
pytestmark = pytest.mark.filterwarnings("error", "default::ResourceWarning")


def people(rng: np.random.Generator, n: int, labels: Any) -> tuple[Any, Any, Any]:
    """Return truth, prediction and group of n rows, with rates that differ by group."""
    at = rng.integers(0, len(labels), n)
    truth = rng.random(n) < 0.3 + 0.05 * at
    predicted = np.where(rng.random(n) < 0.8 - 0.03 * at, truth, ~truth)
    return truth.astype(int), predicted.astype(int), np.array(labels)[at]


@pytest.fixture(scope="module")
def fairlearn() -> Any:
    return pytest.importorskip("fairlearn.metrics", reason="fairlearn is not installed")


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("n", "labels"), [(50, ["a", "b"]), (3_000, [3, 1, 7, -2]), (400, ["one", "two", "three"])]
)
def test_metrics_are_fairlearns(fairlearn: Any, n: int, labels: Any) -> None:
    truth, predicted, sensitive = people(np.random.default_rng(n), n, labels)
    ours = GroupCounts.of(truth, predicted, sensitive)
    features = {"sensitive_features": sensitive}
    for kind, name in (
        ("demographic_parity", "demographic_parity"),
        ("equalized_odds", "equalized_odds"),
        ("equal_opportunity", "equal_opportunity"),
    ):
        for form in ("difference", "ratio"):
            theirs = getattr(fairlearn, f"{name}_{form}")(truth, predicted, **features)
            assert getattr(ours, form)(kind) == pytest.approx(theirs, abs=1e-12)
    rates: tuple[groups.Rate, ...] = (
        "selection_rate", "true_positive_rate", "false_positive_rate", "true_negative_rate", "false_negative_rate",
    )  # fmt: skip
    frame = fairlearn.MetricFrame(
        metrics={rate: getattr(fairlearn, rate) for rate in rates},
        y_true=truth, y_pred=predicted, sensitive_features=sensitive,
    )  # fmt: skip
    for rate in rates:
        assert ours.rate(rate).tolist() == pytest.approx(frame.by_group[rate].tolist(), abs=1e-12)
        assert ours.overall(rate) == pytest.approx(frame.overall[rate], abs=1e-12)
    assert list(ours.groups) == frame.by_group.index.tolist()


@pytest.mark.filterwarnings("default")
def test_accuracy_precision_and_any_metric_are_fairlearns(fairlearn: Any) -> None:
    from sklearn import metrics

    rng = np.random.default_rng(1)
    truth, predicted, sensitive = people(rng, 3_000, ["a", "b", "c"])
    ours = GroupCounts.of(truth, predicted, sensitive)
    frame = fairlearn.MetricFrame(
        metrics={"accuracy": metrics.accuracy_score, "precision": metrics.precision_score},
        y_true=truth, y_pred=predicted, sensitive_features=sensitive,
    )  # fmt: skip
    for name in ("accuracy", "precision"):
        assert ours.rate(name).tolist() == pytest.approx(frame.by_group[name].tolist(), abs=1e-12)
    assert ours.difference("accuracy") == pytest.approx(frame.difference()["accuracy"], abs=1e-12)
    scores = truth * 0.3 + rng.random(3_000)
    theirs = fairlearn.MetricFrame(
        metrics=metrics.roc_auc_score, y_true=truth, y_pred=scores, sensitive_features=sensitive
    ).by_group
    assert groups.metric_by_group(metrics.roc_auc_score, truth, scores, groups=sensitive) == pytest.approx(
        theirs.to_dict(), abs=1e-12
    )


@pytest.mark.filterwarnings("default")
@settings(max_examples=examples(200), deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 1), st.sampled_from("xyz")), min_size=2, max_size=40
    )
)
def test_selection_by_group_is_fairlearns_for_any_rows(
    fairlearn: Any, rows: list[tuple[int, int, str]]
) -> None:
    truth, predicted, sensitive = (np.array(column) for column in zip(*rows, strict=True))
    ours = GroupCounts.of(truth, predicted, sensitive)
    theirs = fairlearn.demographic_parity_difference(truth, predicted, sensitive_features=sensitive)
    assert (ours.difference("demographic_parity") or 0.0) == pytest.approx(theirs, abs=1e-12)
    assert ours.sizes.sum() == len(rows)
    for_all = GroupCounts.of(predicted, truth, sensitive)  # truth and prediction change places
    assert for_all.rate("accuracy").tolist() == ours.rate("accuracy").tolist()


def test_a_group_without_positives_has_no_rate_and_is_left_out() -> None:
    counts = GroupCounts.of([1, 1, 0, 0, 1], [1, 0, 1, 0, 1], ["a", "a", "b", "b", "c"])
    assert counts.groups == ("a", "b", "c")
    rates = counts.rate("true_positive_rate")
    assert rates[[0, 2]].tolist() == [0.5, 1.0] and math.isnan(rates[1])
    assert counts.difference("equal_opportunity") == 0.5
    gap = counts.gap("true_positive_rate", rng=np.random.default_rng(0), min_size=1)
    assert (gap.estimate, gap.lowest, gap.highest, gap.left_out) == (0.5, "a", "c", ("b",))


def test_small_groups_are_left_out_and_named() -> None:
    truth = np.ones(200, int)
    predicted = np.r_[np.ones(90), np.zeros(10), np.ones(70), np.zeros(25), np.zeros(5)].astype(int)
    sensitive = np.repeat(["a", "b", "tiny"], [100, 95, 5])
    counts = GroupCounts.of(truth, predicted, sensitive)
    gap = counts.gap("selection_rate", rng=np.random.default_rng(0))
    assert gap.left_out == ("tiny",)
    assert gap.estimate == pytest.approx(0.9 - 70 / 95)
    assert (gap.lowest, gap.highest) == ("b", "a")
    assert gap.low is not None and 0 < gap.low < gap.estimate
    assert counts.difference("demographic_parity", min_size=30) == pytest.approx(gap.estimate)
    assert counts.difference("demographic_parity") == pytest.approx(0.9)
    assert counts.difference("demographic_parity", min_size=99) is None
    assert counts.ratio("demographic_parity", min_size=99) is None
    alone = counts.gap("selection_rate", rng=np.random.default_rng(0), min_size=99)
    assert (alone.estimate, alone.low, alone.left_out) == (None, None, ("b", "tiny"))


def test_empty_missing_and_wrong_input() -> None:
    empty = GroupCounts.of([], [], [])
    assert empty.groups == () and empty.difference("equalized_odds") is None
    assert empty.overall("accuracy") is None
    assert empty.gap("accuracy", rng=np.random.default_rng(0)).estimate is None
    missing = GroupCounts.of([1, 0, 1], [1, 1, 0], np.array(["b", None, "a"], object))
    assert missing.groups == ("a", "b", None) and missing.sizes.tolist() == [1, 1, 1]
    unknown = GroupCounts.of([1, 0], [1, 1], np.array([2.0, math.nan]))
    assert unknown.groups == (2.0, None)
    with pytest.raises(ValueError, match="truth has 2, predicted has 1, groups has 2"):
        GroupCounts.of([1, 0], [1], ["a", "b"])
    with pytest.raises(ValueError, match="predicted has NaN"):
        GroupCounts.of([1, 0], [1, math.nan], ["a", "b"])
    with pytest.raises(ValueError, match="Name the positive label"):
        GroupCounts.of(["yes", "no"], ["yes", "yes"], ["a", "b"])
    with pytest.raises(ValueError, match="shape"):
        GroupCounts.of([[1]], [[1]], [["a"]])


def test_labels_of_any_type_are_counted() -> None:
    truth, predicted = np.array(["yes", "no", "yes", "no"]), np.array(["yes", "yes", "no", "no"])
    for labels in ([1, 1, 0, 0], [True, True, False, False], ["b", "b", "a", "a"], [10**15, 10**15, -4, -4]):
        counts = GroupCounts.of(truth, predicted, labels, positive="yes")
        assert counts.counts.tolist() == [[0, 0, 1, 1], [1, 1, 0, 0]]
    none = GroupCounts.of([0, 0], [0, 0], ["a", "b"])
    assert (none.difference("demographic_parity"), none.ratio("demographic_parity")) == (0.0, 1.0)


def test_a_seed_gives_the_same_gap_and_rows_in_any_order() -> None:
    truth, predicted, sensitive = people(np.random.default_rng(2), 500, ["a", "b", "c"])
    order = np.random.default_rng(3).permutation(500)
    gaps = [
        GroupCounts.of(truth[rows], predicted[rows], sensitive[rows]).gap(
            "accuracy", rng=np.random.default_rng(4)
        )
        for rows in (np.arange(500), order)
    ]
    assert gaps[0] == gaps[1]


@pytest.mark.parametrize("sizes", [(100, 100), (200, 50, 50, 120, 80), (1_000,) * 10])
@pytest.mark.parametrize("rate", [0.5, 0.05])
def test_gaps_of_chance_are_found_at_most_as_stated(sizes: tuple[int, ...], rate: float) -> None:
    rng = np.random.default_rng(5)
    number, found, estimates, corrected = trials(1_000, 400), 0, [], []
    for _ in range(number):
        gap = counts_of(rng, sizes, [rate] * len(sizes)).gap("selection_rate", rng=rng, resamples=500)
        assert gap.low is not None and gap.estimate is not None and gap.corrected is not None
        found += gap.low > 0
        estimates.append(gap.estimate)
        corrected.append(gap.corrected)
    assert_error(found, number, 0.05)
    # The true gap is 0. The correction takes away a part of what chance adds; an estimate above 0 cannot lose all.
    assert float(np.mean(corrected)) < 0.8 * float(np.mean(estimates))


@pytest.mark.parametrize("rates", [(0.3, 0.4), (0.5, 0.52, 0.6), (0.02, 0.03, 0.1, 0.05)])
def test_the_interval_covers_the_true_gap(rates: tuple[float, ...]) -> None:
    rng = np.random.default_rng(6)
    true = max(rates) - min(rates)
    number, outside, corrected = trials(1_000, 400), 0, []
    for _ in range(number):
        gap = counts_of(rng, (200,) * len(rates), rates).gap("selection_rate", rng=rng, resamples=500)
        assert gap.low is not None and gap.high is not None
        assert gap.corrected is not None
        outside += not gap.low <= true <= gap.high
        corrected.append(gap.corrected)
    assert_error(outside, number, 0.05)
    assert abs(np.mean(corrected) - true) < 0.01


def counts_of(rng: np.random.Generator, sizes: Any, rates: Any) -> GroupCounts:
    selected = rng.binomial(sizes, rates)
    zeros = np.zeros(len(sizes), np.int64)
    table = np.stack((selected, zeros, np.array(sizes) - selected, zeros), axis=1)
    return GroupCounts(tuple(range(len(sizes))), table.astype(np.int64))


def test_many_groups_keep_memory_bounded() -> None:
    rng = np.random.default_rng(7)
    gap = counts_of(rng, (50,) * 300, [0.5] * 300).gap("selection_rate", rng=rng, resamples=100)
    assert gap.low == 0.0 and gap.high is not None


def answers(rng: np.random.Generator, worse_for_b: float) -> tuple[Any, Any, Any]:
    labels = np.repeat(["a", "b", "c", "tiny"], [800, 600, 400, 10])
    champion = (rng.random(len(labels)) < 0.8).astype(float)
    other = rng.random(len(labels)) < 0.04  # answers of other rows harm nobody
    candidate = np.where(other, np.roll(champion, 1), champion)
    harmed = (labels == "b") & (champion == 1) & (rng.random(len(labels)) < worse_for_b)
    return np.where(harmed, 0.0, candidate), champion, labels


def test_harm_in_one_group_is_named_with_its_points() -> None:
    candidate, champion, labels = answers(np.random.default_rng(8), 0.1)
    slices, small = groups.worse_for(paired.mcnemar, candidate, champion, labels, margin=0.05)
    assert small == ("tiny",)
    by_name = {each.group: each for each in slices}
    assert [name for name, each in by_name.items() if each.harm.rejected] == ["b"]
    assert not by_name["b"].not_worse.rejected
    assert by_name["a"].not_worse.rejected
    harm = by_name["b"].harm
    assert harm.low is not None and harm.high is not None
    assert -0.2 < harm.low < harm.high < -0.03
    loss, _ = groups.worse_for(
        paired.paired_t, 1 - candidate, 1 - champion, labels, margin=0.05, better="lower"
    )
    assert [each.group for each in loss if each.harm.rejected] == ["b"]


def test_false_harm_in_any_group_is_as_unlikely_as_stated() -> None:
    rng = np.random.default_rng(9)
    number, false = trials(1_000, 300), 0
    for _ in range(number):
        labels = np.repeat(np.arange(5), 150)
        champion = (rng.random(750) < 0.7).astype(float)
        candidate = np.where(rng.random(750) < 0.2, rng.permutation(champion), champion)
        swap = rng.random(750) < 0.5
        one, other = np.where(swap, candidate, champion), np.where(swap, champion, candidate)
        slices, _ = groups.worse_for(paired.paired_t, one, other, labels, margin=0.05)
        false += any(each.harm.rejected for each in slices)
    assert_error(false, number, 0.05)
