"""Simulated A/A: a candidate that is no better (or worse by the margin) is promoted at most as often as stated.

``make test-all`` has 100 to 5,000 examples and up to 4,000 data sets.

Bootstraps make fewer draws here than in a gate (`few_draws`), so that more data sets can be judged. It shows the same:
with B draws a claim is shown if at most k - 1 of them lie beyond the bound, k = floor(t (B + 1)), where t is the tail
of the percentile (alpha, a little less for few rows). Let F be the distribution of the p of endless draws over data
sets. Then claims are shown in a share of E[F(U)], where U has the beta distribution of k and B + 1 - k: its mean is
k / (B + 1), its deviation below sqrt(alpha / B). Few draws smooth F around the level, and move none of its mean. B is
chosen so that k / (B + 1) is t within half a percent of it, as with the 9,999 draws of a gate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from genops_lab.evaluations.predictions import Predictions
from genops_lab.gates import metrics
from genops_lab.gates.evidence import Evidence, level
from genops_lab.gates.judging import judge
from genops_lab.gates.models import RuleVerdict
from genops_lab.gates.plan import (
    Better,
    BetterInAny,
    Bound,
    DataRule,
    Fairness,
    Latency,
    NoHarm,
    NotWorse,
    WorseForNobody,
)
from tests.statistics.simulation import assert_error, trials

from .made import answers, texts

ALPHA = 0.05
Maker = Callable[[np.random.Generator, int], tuple[Predictions, Predictions]]


def sizes() -> list[Any]:
    return [pytest.param(n, marks=() if n == 100 else pytest.mark.exhaustive) for n in (100, 1_000, 5_000)]


def right(
    rng: np.random.Generator, n: int, gain: float = 0.0, share: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Answers of two models on the same rows; ``gain``: how much more often the candidate is right."""
    draw = rng.random(n)
    one, other = draw < (share + gain) / 2, (draw >= (share + gain) / 2) & (draw < share)
    both = rng.random(n) < 0.8
    return np.where(one, True, np.where(other, False, both)), np.where(
        other, True, np.where(one, False, both)
    )


def equal(rng: np.random.Generator, n: int) -> tuple[Predictions, Predictions]:
    one, other = right(rng, n)
    return answers(one), answers(other)


def worse(rng: np.random.Generator, n: int) -> tuple[Predictions, Predictions]:
    one, other = right(rng, n, gain=-0.05)
    return answers(one), answers(other)


def numbers(rng: np.random.Generator, n: int) -> tuple[Predictions, Predictions]:
    """Skewed errors of the same size."""
    labels = rng.normal(size=n)

    def of() -> Predictions:
        return Predictions(ids=texts(range(n)), labels=labels, predictions=labels + rng.exponential(1, n))

    return of(), of()


def one_group_worse(rng: np.random.Generator, n: int) -> tuple[Predictions, Predictions]:
    """Worse by exactly the margin in one group of two: "worse for nobody" is false."""
    half = n // 2
    first, second = right(rng, half, gain=0.05), right(rng, n - half, gain=-0.05)
    groups = {"g": texts(["a"] * half + ["b"] * (n - half))}
    return tuple(  # type: ignore[return-value]
        answers(np.concatenate([first[at], second[at]]), groups=groups) for at in (0, 1)
    )


def four_groups(rng: np.random.Generator, n: int) -> tuple[Predictions, Predictions]:
    groups = {"g": texts(np.arange(n) % 4)}
    one, other = right(rng, n)
    return answers(one, groups=groups), answers(other, groups=groups)


def unfair(rng: np.random.Generator, n: int) -> tuple[Predictions, Predictions]:
    """The rate of positive answers differs by 20 points between two groups."""
    groups = np.arange(n) % 2
    found = Predictions(
        ids=texts(range(n)), labels=rng.integers(0, 2, n).astype(float),
        predictions=(rng.random(n) < np.where(groups, 0.6, 0.4)).astype(float), groups={"g": texts(groups)},
    )  # fmt: skip
    return found, found


def slow(rng: np.random.Generator, n: int) -> tuple[Predictions, Predictions]:
    """The candidate takes 1.2 times as long: its quantile at 0.95 is 0.10985 s."""
    one, other = equal(rng, n)
    shared = rng.gamma(4, 0.01, n)
    times = [1.2 * (shared + rng.gamma(1, 0.01, n)), shared + rng.gamma(1, 0.01, n)]
    return replace(one, latency_s=times[0]), replace(other, latency_s=times[1])


def ranked(rng: np.random.Generator, n: int) -> tuple[Predictions, Predictions]:
    """Scores of two models whose AUC is 0.9."""
    labels = (rng.random(n) < 0.2).astype(float)
    one = answers(np.ones(n, bool))
    found = [
        1.8124 * labels + rng.normal(size=n) for _ in range(2)
    ]  # sqrt(2) times the normal quantile of 0.9
    return tuple(replace(one, labels=labels, scores={"1": each}) for each in found)  # type: ignore[return-value]


def by_user(rng: np.random.Generator, n: int) -> tuple[Predictions, Predictions]:
    """Users of some ten rows, for whom one of the models is always right; in the mean both are right as often."""
    users = rng.integers(0, n // 10, n)
    better = rng.integers(-1, 2, n // 10)[users]
    wrong = [(rng.random(n) < 0.3) & (better != side) for side in (1, -1)]
    groups = {"user": texts(users), "g": texts(users % 2)}
    return tuple(answers(~each, groups=groups) for each in wrong)  # type: ignore[return-value]


def errors_by_user(rng: np.random.Generator, n: int) -> tuple[Predictions, Predictions]:
    """Errors of the same size, for each user of some ten rows larger or smaller."""
    users, labels = rng.integers(0, n // 10, n), rng.normal(size=n)

    def of() -> Predictions:
        gap = rng.exponential(1, n // 10)[users] + rng.exponential(1, n)
        return Predictions(
            ids=texts(range(n)), labels=labels, predictions=labels + gap, groups={"user": texts(users)}
        )

    return of(), of()


#: Rules whose claim is false at its edge, and the dear ones. ``harm`` finds a harm that is not there.
CASES: dict[str, tuple[DataRule, Maker, int, int]] = {
    "better": (Better(metric="accuracy"), equal, 4_000, 600),
    "better mean": (Better(metric="mae"), numbers, 4_000, 600),
    "better of all rows": (Better(metric="rmse"), numbers, 1_000, 150),
    "better ranks": (Better(metric="auc"), ranked, 2_000, 400),
    "bound of ranks": (Bound(metric="auc", at_least=0.9), ranked, 2_000, 400),
    "better by user": (Better(metric="accuracy", cluster="user"), by_user, 2_000, 300),
    "better mean by user": (Better(metric="mae", cluster="user"), errors_by_user, 2_000, 300),
    "better of all rows by user": (Better(metric="rmse", cluster="user"), errors_by_user, 1_000, 150),
    "bound by user": (Bound(metric="accuracy", at_least=0.8, cluster="user"), by_user, 2_000, 300),
    "no harm by user": (NoHarm(metric="accuracy", group="g", cluster="user"), by_user, 2_000, 300),
    "not worse": (NotWorse(metric="accuracy", margin=0.05), worse, 4_000, 600),
    "better in any": (BetterInAny(metrics=["mae", "mse"]), numbers, 2_000, 400),
    "worse for nobody": (
        WorseForNobody(metric="accuracy", group="g", margin=0.05),
        one_group_worse,
        2_000,
        400,
    ),
    "no harm": (NoHarm(metric="accuracy", group="g", smallest=10), four_groups, 2_000, 300),
    "fairness": (Fairness(measure="demographic_parity", group="g", at_most=0.2), unfair, 400, 100),
    "bound": (Bound(metric="accuracy", at_least=0.77), equal, 4_000, 600),
    "latency": (Latency(at_most_s=0.10985), slow, 2_000, 400),
    "latency ratio": (Latency(at_most_ratio=1.2), slow, 1_000, 100),
}


@pytest.mark.parametrize("n", sizes())
@pytest.mark.parametrize("name", CASES)
def test_a_false_claim_passes_at_most_as_stated(name: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rule, make, full, daily = CASES[name]
    if name == "better of all rows by user":
        n = max(n, 500)  # such a rule needs 40 users
    monkeypatch.setattr(metrics, "DRAWS", few_draws(n))
    number = trials(full, daily)
    rng = np.random.default_rng([18, n])
    wrong = 0
    for _ in range(number):
        one, other = make(rng, n)
        verdict = verdict_of(rule, one, other).verdict
        wrong += verdict == ("fail" if "no harm" in name else "pass")
    assert_error(wrong, number, ALPHA)


def few_draws(n: int) -> int:
    """Return how many draws lose least of the level of many: see the text at the top."""
    from scipy.special import ndtr, stdtrit

    tail = float(ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, ALPHA)))
    lost = {draws: 1 - math.floor(tail * (draws + 1)) / (tail * (draws + 1)) for draws in range(200, 260)}
    best = min(lost, key=lost.__getitem__)
    assert lost[best] < 0.005
    return best


def test_few_draws_show_a_claim_as_often_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arithmetic above, seen: over data sets the shares of shown claims are those of many draws."""
    rng, number, shown = np.random.default_rng(21), 400, {}
    data = [numbers(rng, 100) for _ in range(number)]
    for draws in (few_draws(100), 5_000):
        monkeypatch.setattr(metrics, "DRAWS", draws)
        # A level of a third: more claims are shown, and a difference is seen with fewer data sets.
        rule = Better(metric="rmse", alpha=0.33)
        shown[draws] = sum(verdict_of(rule, *pair).verdict == "pass" for pair in data)
    few, many = shown.values()
    assert abs(few - many) <= 3 * math.sqrt(number * 0.33 * 0.67 / few_draws(100)) + 12


def verdict_of(
    rule: DataRule, one: Predictions, other: Predictions, look: int = 1, looks: int = 1
) -> RuleVerdict:
    evidence = Evidence(candidate=one, champion=other, together=True, look=look, looks=looks)
    return judge(rule, evidence)


@pytest.mark.parametrize("n", sizes())
@pytest.mark.parametrize("looks", [2, 5])
def test_a_candidate_that_is_peeked_at_is_promoted_at_most_as_stated(looks: int, n: int) -> None:
    """The data grow from look to look, and the first pass promotes."""
    rng, number = np.random.default_rng([19, n, looks]), trials(2_000, 200)
    rule = Better(metric="accuracy")
    promoted = 0
    for _ in range(number):
        one, other = equal(rng, n)
        for look in range(1, looks + 1):
            rows = np.arange(n * look // looks)
            found = verdict_of(rule, one.take(rows), other.take(rows), look, looks)
            if found.verdict == "pass":
                promoted += 1
                break
    assert_error(promoted, number, ALPHA)


def test_looks_without_a_plan_would_promote_too_often() -> None:
    """The simulation sees what the gates refuse: ten unplanned looks at the whole alpha."""
    rng, number, promoted = np.random.default_rng(20), 200, 0
    for _ in range(number):
        one, other = equal(rng, 1_000)
        promoted += any(
            verdict_of(Better(metric="accuracy"), one.take(np.arange(n)), other.take(np.arange(n))).verdict
            == "pass"
            for n in range(100, 1_001, 100)
        )
    with pytest.raises(AssertionError, match="was stated"):
        assert_error(promoted, number, ALPHA)


@pytest.mark.parametrize("looks", [1, 2, 5, 20])
def test_looks_spend_alpha_together(looks: int) -> None:
    levels = [level(ALPHA, look, looks) for look in range(1, looks + 1)]
    assert sum(levels) == pytest.approx(ALPHA) and all(each > 0 for each in levels)
