"""Say what the answers show: each scorer's mean with its interval, and the difference of two models."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as dataclass_replace
from typing import Any

import numpy as np
from msgspec.structs import replace

from genops_lab.genai.scorers.base import BaseScorer
from genops_lab.genai.scorers.judges import Pairwise
from genops_lab.statistics.answers import pass_at_k, pass_hat_k, variances
from genops_lab.statistics.multiple import holm
from genops_lab.statistics.results import CONFIDENCE, Result

from .journal import Call, Key
from .models import ComparedModels, ComparedSlice, CompareVerdict, ScoredModel, ScoreEstimate, ScoresReport
from .report_labels import Labels, corrected_difference, corrected_mean, judge_verdicts
from .report_means import SHARE, Bounds, Means, Sequences, Values
from .results_folder import KeptScore

#: Values of a column that are compared, the most frequent ones.
_MOST_SLICES = 20
_ALPHA = 1 - CONFIDENCE
#: The scores of each scorer by the key of their answer.
Scores = Mapping[str, Mapping[Key, KeptScore]]


@dataclass(frozen=True, kw_only=True)
class Question:
    """The question of a report: models, scorers, and how means get intervals.

    - models: the first is the one compared with. names: what the endpoints call them.
    - slices: columns with the value of each example.
    - smallest: a difference within it counts as none.
    - labels: people's, by scorer.
    """

    models: Sequence[str]
    scorers: Mapping[str, BaseScorer]
    repeats: int = 1
    means: Means = field(default_factory=Means)
    slices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    smallest: float = 0.0
    labels: Mapping[str, Labels] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def tests(self) -> int:
        """Return the number of comparisons that are known at some look: those of scorers with bounds."""
        return max(1, (len(self.models) - 1) * sum(each.bounds is not None for each in self.scorers.values()))


def report_of(calls: Mapping[Key, Call], scores: Scores, question: Question) -> ScoresReport:
    """Return the report of models' calls and their scores. Examples count once, however many answers they have."""
    scored = [
        _scored(model, calls, marks, question, scorer)
        for scorer, marks in scores.items()
        for model in question.models
        if model != question.models[0] or not _compares_pairs(scorer, question)
    ]
    verdicts = judge_verdicts(question.scorers, scores, question.labels, calls, question.names)
    return ScoresReport(scored=scored, compared=compared(scores, question), judges=verdicts)


def compared(scores: Scores, question: Question) -> list[ComparedModels]:
    """Return the differences of each model to the first, by each scorer, corrected for their number.

    A pairwise judge marks the pair: what it gives the model less what it gives the first one.
    """
    first, *others = question.models
    pairs = []
    for scorer, marks in scores.items():
        for model in others:
            one = by_example(marks, model)
            rest = {example: [1 - value for value in values] for example, values in one.items()}
            other = rest if _compares_pairs(scorer, question) else by_example(marks, first)
            pairs.append((model, scorer, one, other))
    found = [
        compare(
            (model, one),
            (first, other),
            scorer,
            question,
            _by_people(scores, scorer, model, question),
            tests=len(pairs),
        )
        for model, scorer, one, other in pairs
    ]
    return corrected(found, question)


def _by_people(scores: Scores, scorer: str, model: str, question: Question) -> ScoreEstimate | None:
    """Return the difference of people's labels, which a judge's marks complete."""
    marks, labels = scores[scorer], question.labels.get(scorer, {})
    if not _compares_pairs(scorer, question):
        return corrected_difference(marks, labels, model, question.models[0], question.means)
    won = corrected_mean(marks, labels, model, question.means)
    if won is None or won.value is None:
        return won
    low, high = (None if end is None else 2 * end - 1 for end in (won.low, won.high))
    return replace(won, value=2 * won.value - 1, low=low, high=high)


def _compares_pairs(scorer: str, question: Question) -> bool:
    return isinstance(question.scorers.get(scorer), Pairwise)


def by_example(marks: Mapping[Key, KeptScore], model: str) -> dict[str, list[float]]:
    """Return the scores of a model's answers by example, in the order of rows and of repeats."""
    found: dict[str, list[float]] = {}
    for key in sorted(marks, key=lambda key: key[2]):
        value = marks[key].value
        if key[0] == model and value is not None:
            found.setdefault(key[1], []).append(value)
    return found


def compare(
    one: tuple[str, Mapping[str, Sequence[float]]],
    other: tuple[str, Mapping[str, Sequence[float]]],
    scorer: str,
    question: Question,
    by_people: ScoreEstimate | None = None,
    *,
    tests: int = 1,
) -> ComparedModels:
    """Return the difference of two models, each with its scores by example, paired by example.

    It is one of ``tests`` comparisons: "equal" is corrected for them here, other verdicts by `corrected`.
    """
    values, against = _means(one[1]), _means(other[1])
    both = [each for each in values if each in against]
    bounds, better = _bounds(scorer, [*one[1].values(), *other[1].values()], question)
    found = question.means.difference(values, against, bounds, question.tests)
    shown = _for_equal(found, values, against, bounds, question, question.means, tests)
    sign = -1.0 if better == "lower" else 1.0
    apart = {each: sign * (values[each] - against[each]) for each in both}
    passes: dict[str, Any] = {}
    if not _compares_pairs(scorer, question) and all(
        score in (0.0, 1.0) for side in (one[1], other[1]) for each in both for score in side[each]
    ):
        passes = {
            "new_failures": [each for each in both if values[each] <= 0.5 < against[each]],
            "mended": [each for each in both if against[each] <= 0.5 < values[each]],
        }
    return ComparedModels(
        model=one[0], against=other[0], scorer=scorer, difference=estimate(found), p=found.p,
        verdict=verdict(shown, found.p, question.smallest, better), points=bounds == SHARE,
        worse=sorted((each for each in both if apart[each] < 0), key=apart.__getitem__),
        better=sorted((each for each in both if apart[each] > 0), key=lambda each: -apart[each]),
        slices=_slices(values, against, bounds, better, question), corrected=by_people, **passes,
    )  # fmt: skip


def corrected(found: Sequence[ComparedModels], question: Question) -> list[ComparedModels]:
    """Return the comparisons with p-values and verdicts for all of them together: any may improve by chance."""
    if not found:
        return []
    raw = [each.p for each in found]
    if isinstance(question.means, Sequences):
        tests = question.tests
        p = [min(1.0, each * tests) for each in raw]
    else:
        tests = len(found)
        p = holm(raw).tolist()
    return [
        replace(
            each,
            p=own,
            tests=tests,
            verdict="within chance"
            if own > _ALPHA and each.verdict not in ("equal", "not known")
            else each.verdict,
        )
        for each, own in zip(found, p, strict=True)
    ]


def _for_equal(
    found: Result, one: Values, other: Values, bounds: Bounds, question: Question, means: Means, tests: int
) -> Result:
    """Return a difference with the interval that must lie within the smallest difference to be called equal.

    Each of several "equal" is a claim of its own, and one that is wrong is as unlikely as 5 % in all. Two one-sided
    tests at 5 % by ``tests`` reject where the interval at 1 - 2 * 5 % by ``tests`` does. One comparison keeps its own
    interval. That *all* are equal would need no correction: R. L. Berger, Technometrics 24 (1982).
    """
    if (
        not question.smallest or tests <= 2 or isinstance(means, Sequences)
    ):  # which have their part of the level
        return found
    wide = means.difference(one, other, bounds, confidence=1 - 2 * _ALPHA / tests)
    return dataclass_replace(found, low=wide.low, high=wide.high)


def verdict(found: Result, p: float, smallest: float, better: str = "higher") -> CompareVerdict:
    """Return what a difference shows."""
    low, high = found.low, found.high
    if found.estimate is None:
        return "not known"
    if smallest and low is not None and high is not None and -smallest <= low and high <= smallest:
        return "equal"
    if p > 1 - found.confidence:
        return "within chance"
    is_higher = found.estimate > 0
    if not better:
        return "higher" if is_higher else "lower"
    return "better" if is_higher == (better == "higher") else "worse"


def estimate(found: Result, lowest: float | None = None) -> ScoreEstimate:
    """Return what is kept of a result. ``lowest``: no value is below it, so the interval does not reach below."""
    low, high = (None if each is None or math.isinf(each) else each for each in (found.low, found.high))
    if low is not None and lowest is not None:
        low = max(low, lowest)
    return ScoreEstimate(value=found.estimate, low=low, high=high, n=found.n)


def _slices(
    one: Values, other: Values, bounds: Bounds, better: str, question: Question
) -> list[ComparedSlice]:
    parts = []
    for column, values in question.slices.items():
        there = Counter(values[each] for each in one if each in other and each in values)
        for value, _times in there.most_common(_MOST_SLICES):
            parts.append((column, value, {each for each in one if values.get(each) == value}))
    found, shown = [], []
    for _column, _value, part in parts:
        means, own = question.means.among(part), {each: one[each] for each in one if each in part}
        found.append(means.difference(own, other, bounds, question.tests * len(parts)))
        shown.append(_for_equal(found[-1], own, other, bounds, question, means, len(parts)))
    raw = [each.p for each in found]
    is_sequence = isinstance(question.means, Sequences)
    p = raw if is_sequence or not raw else holm(raw).tolist()
    return [
        ComparedSlice(
            column=column,
            value=value,
            difference=estimate(each),
            verdict=verdict(interval, own, question.smallest, better),
        )
        for (column, value, _part), each, interval, own in zip(parts, found, shown, p, strict=True)
    ]


def _scored(
    model: str, calls: Mapping[Key, Call], marks: Mapping[Key, KeptScore], question: Question, scorer: str
) -> ScoredModel:
    found = by_example(marks, model)
    failed = sum(key[0] == model and call.answer is None for key, call in calls.items())
    answered = sum(key[0] == model and call.answer is not None for key, call in calls.items())
    count = sum(map(len, found.values()))
    bounds, _better = _bounds(scorer, list(found.values()), question)
    mean = question.means.mean(_means(found), bounds)
    lowest = question.scorers.get(scorer, BaseScorer()).lowest
    labels = question.labels.get(scorer, {})
    more: dict[str, Any] = {**_spread(model, marks), **_chances(found, question)}
    return ScoredModel(
        model=model, scorer=scorer, mean=estimate(mean, lowest), answers=count,
        failed=failed, not_scored=answered - count, corrected=corrected_mean(marks, labels, model, question.means),
        **more,
    )  # fmt: skip


def _spread(model: str, marks: Mapping[Key, KeptScore]) -> dict[str, float | None]:
    """Return the standard deviations of what was repeated: answers to an example, judgements of an answer."""
    rows = [
        (value, key[1], key[2])
        for key, each in marks.items()
        if key[0] == model and each.value is not None
        for value in each.judgements or [each.value]
    ]
    if len(rows) == len({row[1] for row in rows}):
        return {}
    values, examples, answers = zip(*rows, strict=True)
    found = variances(values, examples, answers)
    return {
        "between": _root(found.examples),
        "within": _root(found.answers),
        "judging": _root(found.marks),
    }


def _chances(found: Mapping[str, Sequence[float]], question: Question) -> dict[str, ScoreEstimate]:
    """Return pass@k and pass^k of scores that are 0 or 1."""
    if question.repeats == 1 or not found or not {x for each in found.values() for x in each} <= {0.0, 1.0}:
        return {}
    passed, counts = [sum(each) for each in found.values()], [len(each) for each in found.values()]
    more = {}
    for name, chance in (("pass_at_k", pass_at_k), ("pass_hat_k", pass_hat_k)):
        each = dict(zip(found, chance(passed, counts, question.repeats).tolist(), strict=True))
        whole = {example: value for example, value in each.items() if not math.isnan(value)}
        more[name] = estimate(question.means.mean(whole, SHARE))
    return more


def _bounds(scorer: str, scores: Sequence[Sequence[float]], question: Question) -> tuple[Bounds, str]:
    """Return the bounds of a scorer and which values are better. All scores 0 or 1 are marks of right and wrong."""
    kind = question.scorers.get(scorer, BaseScorer())
    marks = {value for each in scores for value in each}
    if kind.bounds is None and marks <= {0.0, 1.0} and not isinstance(question.means, Sequences):
        return SHARE, "higher"
    return kind.bounds, kind.better


def _means(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {example: float(np.mean(each)) for example, each in scores.items()}


def _root(value: float | None) -> float | None:
    return None if value is None else math.sqrt(value)
