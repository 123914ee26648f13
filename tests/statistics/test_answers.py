"""Evaluations of models that answer differently each time: few examples, repeats, judges, labels of a part."""

from __future__ import annotations

import doctest
import itertools
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from genops_lab.statistics import agreement, answers, bounded, prediction_powered, rates, repeats, sequential
from genops_lab.statistics.results import Floats, Result

from .simulation import assert_error, trials

pytestmark = pytest.mark.filterwarnings("error", "default::ResourceWarning")
Generator = np.random.Generator
MODULES = (agreement, answers, bounded, prediction_powered, sequential)


def rng(*seed: int) -> Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_examples_in_docstrings_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def _covered(found: Result, true: float) -> bool:
    assert found.low is not None and found.high is not None
    return found.low <= true <= found.high


# Means of bounded scores

#: Scores with their mean: marks of a judge, good ones with a rare bad one, three steps.
SCORES: dict[str, tuple[Callable[[Generator, Any], Floats], float]] = {
    "marks": (lambda rng, n: rng.beta(5, 1, n), 5 / 6),
    "rare failures": (lambda rng, n: np.where(rng.random(n) < 0.05, 0.0, 0.9 + 0.1 * rng.random(n)), 0.95**2),
    "three steps": (lambda rng, n: rng.choice([0.0, 0.5, 1.0], n, p=[0.1, 0.2, 0.7]), 0.8),
}


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("n", [5, 20, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_a_bounded_mean_covers_whatever_the_scores(name: str, n: int) -> None:
    draw, true = SCORES[name]
    random, number = rng(1, n), trials(2_000, 400)
    outside, wrong, naive = 0, 0, 0
    for _ in range(number):
        scores = draw(random, n)
        found = bounded.bounded_mean(scores, rng=random, null=true, resamples=499)
        outside += not _covered(found, true)
        wrong += found.rejected
        student = repeats.mean_t(scores)
        naive += student.low is None or not _covered(student, true)
    assert_error(outside, number, 0.05)
    assert_error(wrong, number, 0.05)
    if name == "rare failures":
        with pytest.raises(AssertionError, match="was stated"):
            assert_error(naive, number, 0.05)


@pytest.mark.parametrize("n", [5, pytest.param(40, marks=pytest.mark.exhaustive)])
def test_a_bounded_difference_covers_whatever_the_scores(n: int) -> None:
    (marks, one), (failures, other) = SCORES["marks"], SCORES["rare failures"]
    random, number = rng(4, n), trials(2_000, 400)
    outside = 0
    for _ in range(number):
        found = bounded.bounded_difference(
            marks(random, n), failures(random, 2 * n), rng=random, resamples=499
        )
        outside += not _covered(found, one - other)
    assert_error(outside, number, 0.05)


def test_three_examples_that_all_pass_have_the_interval_of_clopper_and_pearson() -> None:
    for passed, n in ((3, 3), (0, 3), (9, 10), (30, 40)):
        values = np.repeat([1.0, 0.0], [passed, n - passed])
        found = bounded.bounded_mean(values, rng=rng(2), null=0.5, resamples=200_000)
        exact = rates.binomial(passed, n, null=0.5)
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.004)
        assert found.p == pytest.approx(exact.p, abs=0.01)


def test_an_example_counts_once_however_many_answers_it_has() -> None:
    values, examples = [1.0] * 9 + [0.0, 0.0, math.nan], ["a"] * 9 + ["b", "c", "c"]
    found = bounded.bounded_mean(values, examples, rng=rng(3))
    assert (found.estimate, found.n, found.left_out) == (pytest.approx(1 / 3), 3, 1)
    assert bounded.example_means(values, examples).tolist() == [1.0, 0.0, 0.0]
    nothing = bounded.bounded_mean([math.nan], rng=rng(3))
    assert (nothing.reason, nothing.p, nothing.low) == ("no values", 1.0, None)
    with pytest.raises(ValueError, match="within the bounds"):
        bounded.bounded_mean([2.0], rng=rng(3))


# Repeats


def test_variances_of_examples_answers_and_marks_are_told_apart() -> None:
    random = rng(4)
    found = []
    for _ in range(trials(2_000, 200)):
        example = np.repeat(np.arange(20), random.integers(1, 5, 20))
        answer = np.repeat(np.arange(len(example)), random.integers(1, 4, len(example)))
        parents = example[answer]
        values = random.normal(0, 0.5, 20)[parents] + random.normal(0, 0.3, len(example))[answer]
        values = values + random.normal(0, 0.2, len(values))
        got = answers.variances(values, parents, answer)
        found.append((got.examples, got.answers, got.marks))
    means = np.asarray(found, float).mean(axis=0)
    errors = np.asarray(found, float).std(axis=0) / math.sqrt(len(found))
    assert (np.abs(means - [0.25, 0.09, 0.04]) < 4 * errors).all(), (means, errors)


def test_variances_say_what_repeats_would_tell() -> None:
    alone = answers.variances([1.0, 0.0, 1.0], ["a", "b", "c"])
    assert (alone.answers, alone.marks) == (None, None) and alone.examples == pytest.approx(1 / 3)
    assert alone.error(3) == pytest.approx(1 / 3) and alone.error(3, answers=2) is None
    assert answers.variances([], []).error(3) is None
    balanced = answers.variances([1.0, 3.0, 5.0, 9.0], ["a", "a", "b", "b"])
    # By hand: within (2 + 8) / 2 = 5; between 2 * (2.5^2 + 2.5^2) = 25, less 5, by 2.
    assert (balanced.answers, balanced.examples) == (5.0, 10.0)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_pass_at_k_and_pass_hat_k_are_the_shares_of_all_choices(k: int) -> None:
    for n in range(k, 6):
        for passed in range(n + 1):
            choices = list(itertools.combinations([1] * passed + [0] * (n - passed), k))
            some = sum(any(each) for each in choices) / len(choices)
            every = sum(all(each) for each in choices) / len(choices)
            assert answers.pass_at_k([passed], [n], k)[0] == pytest.approx(some)
            assert answers.pass_hat_k([passed], [n], k)[0] == pytest.approx(every)
    assert math.isnan(answers.pass_at_k([1], [2], 3)[0])
    with pytest.raises(ValueError, match="between 0 and the number"):
        answers.pass_at_k([3], [2], 1)


# Agreement


def test_kappa_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = rng(5)
    one = random.integers(0, 4, 60)
    other = np.where(random.random(60) < 0.6, one, random.integers(0, 4, 60))
    for weights in ("none", "linear", "quadratic"):
        theirs = metrics.cohen_kappa_score(one, other, weights=None if weights == "none" else weights)
        found = agreement.cohens_kappa(one, other, weights=weights, rng=random)
        assert found.kappa.estimate == pytest.approx(theirs)
        assert found.rate.estimate == pytest.approx((one == other).mean())
        assert found.shares[0] == pytest.approx(((one == 0).mean(), (other == 0).mean()))


@pytest.mark.parametrize("n", [30, pytest.param(200, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("base", [0.5, 0.1])
@pytest.mark.parametrize("right", [0.95, 0.7])
def test_the_interval_of_kappa_covers(n: int, base: float, right: float) -> None:
    random, number = rng(6, n), trials(2_000, 400)
    cells = np.array([(1 - base) * right, (1 - base) * (1 - right), base * (1 - right), base * right])
    first, second = base, cells[1] + cells[3]
    by_chance = first * second + (1 - first) * (1 - second)
    true = 1 - (1 - right) / (1 - by_chance)
    outside = 0
    for table in random.multinomial(n, cells, number):
        found = agreement.cohens_kappa(
            np.repeat([0, 0, 1, 1], table), np.repeat([0, 1, 0, 1], table), rng=random, resamples=499
        ).kappa
        outside += found.low is not None and not _covered(found, true)
    assert_error(outside, number, 0.07)  # as stated from 93 % on


def test_raters_that_agree_everywhere_or_know_one_label_have_defined_answers() -> None:
    same = agreement.cohens_kappa(["good", "bad"] * 10, ["good", "bad"] * 10, rng=rng(7)).kappa
    assert same.estimate == 1.0 and same.low is not None and 0.5 < same.low < 1.0
    one = agreement.cohens_kappa([True] * 9, [True] * 9, rng=rng(7))
    assert (one.kappa.estimate, one.kappa.reason, one.rate.estimate) == (None, "one class", 1.0)
    few = agreement.cohens_kappa([1, None, 0.0], [1, 1, math.nan], rng=rng(7))
    assert (few.rate.n, few.rate.left_out) == (1, 2)


#: Krippendorff's own example: four observers, twelve units, and its published values.
RATINGS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, math.nan, math.nan, math.nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, math.nan, 3],
        [math.nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, math.nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, math.nan],
    ]
)


@pytest.mark.parametrize(
    ("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_is_krippendorffs(level: agreement.Level, published: float) -> None:
    found = agreement.krippendorffs_alpha(RATINGS, level=level)
    assert found.estimate == pytest.approx(published, abs=5e-4)
    assert (found.n, found.left_out) == (11, 1)
    assert found.low is not None and 0.2 < found.low < published and found.high == 1.0
    same = agreement.krippendorffs_alpha(np.ones((2, 3)))
    assert (same.estimate, same.reason) == (None, "one class")


# Labels of a part


@pytest.mark.parametrize(("right", "kind"), [(1.0, 0.0), (0.95, 0.1), (0.5, 0.5)])
@pytest.mark.parametrize("base", [0.8, 0.95])
def test_a_judge_narrows_the_interval_and_its_error_is_in_it(right: float, kind: float, base: float) -> None:
    """``right``, ``kind``: how often the judge passes what is good, and what is bad."""
    random, number, n, chance = rng(8), trials(1_000, 200), 400, 0.15
    outside = naive = 0
    width = alone = 0.0
    for _ in range(number):
        truth = (random.random(n) < base).astype(float)
        marks = np.where(truth == 1, random.random(n) < right, random.random(n) < kind).astype(float)
        # Bad marks are looked at more often, with a recorded chance.
        chances = np.where(marks == 1, chance, 2 * chance)
        labels = np.where(random.random(n) < chances, truth, math.nan)
        found = prediction_powered.prediction_powered_mean(marks, labels, chances, rng=random, resamples=499)
        outside += not _covered(found, base)
        naive += not _covered(repeats.mean_t(marks), base)
        labelled = bounded.bounded_mean(truth[random.random(n) < chance], rng=random, resamples=499)
        width += found.half_width or 0.0
        alone += labelled.half_width or 0.0
    assert_error(outside, number, 0.05)
    if right == 0.5:
        assert naive == number, "what the judge says is not the truth"
        assert width < 1.15 * alone, "a judge that knows nothing does no harm"
    else:
        assert width < alone


@pytest.mark.parametrize(("groups", "chance"), [(15, 0.3), (40, 0.5)])
@pytest.mark.parametrize(("base", "right"), [(0.5, 0.95), (0.5, 0.5), (0.95, 0.95)])
def test_a_judge_that_errs_alike_in_a_cluster_has_that_in_the_interval(
    groups: int, chance: float, base: float, right: float
) -> None:
    random, number = rng(11), trials(1_000, 150)
    outside = naive = 0
    for _ in range(number):
        clusters = np.repeat(np.arange(groups), random.integers(5, 20, groups))
        rates, skills = (
            random.beta(base * 2, (1 - base) * 2, groups),
            random.beta(5 * right, 5 - 5 * right, groups),
        )
        truth = (random.random(len(clusters)) < rates[clusters]).astype(float)
        marks = np.where(
            truth == 1, random.random(len(truth)) < skills[clusters], random.random(len(truth)) < 0.1
        )
        labels = np.where(random.random(len(truth)) < chance, truth, math.nan)
        given = marks.astype(float), labels, np.full(len(truth), chance)
        found = prediction_powered.prediction_powered_mean(
            *given, clusters=clusters, rng=random, resamples=299
        )
        alone = prediction_powered.prediction_powered_mean(*given, rng=random, resamples=299)
        assert found.n == groups and found.low is not None
        outside += not _covered(found, base)
        naive += not _covered(alone, base)
    assert_error(outside, number, 0.05)
    assert naive > outside
    if base == 0.5:
        assert naive > 0.15 * number, "rows of a cluster are not independent"


def test_labels_of_few_clusters_do_not_correct_a_judge() -> None:
    marks, clusters = np.tile([1.0, 0.0], 60), np.arange(120) // 12
    labels = np.where(clusters < 9, marks, math.nan)
    found = prediction_powered.prediction_powered_mean(
        marks, labels, np.full(120, 0.9), clusters=clusters, rng=rng(9)
    )
    assert (found.reason, found.n, found.low) == ("few labels", 10, None)
    # One label of a tenth cluster is enough. A judge without an error has the interval of ten clusters that agree.
    labels[-1] = marks[-1]
    found = prediction_powered.prediction_powered_mean(
        marks, labels, np.full(120, 0.9), clusters=clusters, rng=rng(9)
    )
    assert found.estimate == pytest.approx(0.5) and found.low is not None and 0.1 < found.low < 0.45


def test_few_labels_and_wrong_chances_are_refused() -> None:
    marks, labels = np.ones(100), np.where(np.arange(100) < 19, 1.0, math.nan)
    found = prediction_powered.prediction_powered_mean(marks, labels, np.full(100, 0.2), rng=rng(9))
    assert (found.reason, found.low, found.p) == ("few labels", None, 1.0)
    with pytest.raises(ValueError, match="above 0"):
        prediction_powered.prediction_powered_mean(marks, np.ones(100), np.zeros(100), rng=rng(9))


# A finite set


@pytest.mark.parametrize("mean", [0.5, 0.95])
def test_looks_at_a_finite_set_err_as_seldom_as_one_and_end_exactly(mean: float) -> None:
    random, number, size = rng(10), trials(1_000, 300), 200
    outside, narrower = 0, 0.0
    for _ in range(number):
        scores = (random.random(size) < mean).astype(float)
        true = float(scores.mean())
        whole = sequential.finite_mean_sequence(scores, size, null=true)
        assert (whole.low, whole.high) == pytest.approx((true, true), abs=1e-6)
        outside += whole.p <= 0.05  # p is the least of all looks
        found = sequential.finite_mean_sequence(scores[:120], size)
        other = sequential.mean_sequence(scores[:120])
        narrower += (found.half_width or 0.0) / (other.half_width or 1.0) / number
    assert_error(outside, number, 0.05)
    assert narrower < 0.85
    with pytest.raises(ValueError, match="cannot have 3 values"):
        sequential.finite_mean_sequence([1, 1, 0], 2)
