"""Say what the answers show: each scorer's mean with its interval, and the difference of two models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from genops_lab.genai.scorers.base import Answered, Program, Rule
from genops_lab.genai.scorers.running import running
from genops_lab.statistics.answers import pass_at_k, pass_hat_k, variances
from genops_lab.statistics.bounded import bounded_mean
from genops_lab.statistics.results import Result

from .journal import Call

_SEED = 20
#: The differing examples that a report lists.
_LISTED = 50


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A number with its interval at 95 %. None: the data cannot tell. ``n`` counts examples."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    @classmethod
    def of(cls, found: Result) -> Estimate:
        """Return the estimate of a result."""
        return cls(value=found.estimate, low=found.low, high=found.high, n=found.n)


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """A model by a scorer. ``answers`` were scored; ``failed`` calls and ``not_scored`` answers count as neither right
    nor wrong. ``between`` and ``within``: the standard deviation between examples, and between answers to one example.
    """

    model: str
    scorer: str
    mean: Estimate
    answers: int
    failed: int
    not_scored: int
    between: float | None = None
    within: float | None = None
    pass_at_k: Estimate | None = None
    pass_hat_k: Estimate | None = None


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Two models on the examples that both answered: ``model`` less ``against``. The lists have ids of examples."""

    model: str
    against: str
    scorer: str
    difference: Estimate
    verdict: str
    worse: list[str]
    better: list[str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The results of an evaluation."""

    scored: list[Scored]
    compared: list[Compared]


def scores_of(
    calls: Sequence[Call], scorer: Rule | Program, rows: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, list[float]], int, int]:
    """Return the scores of each example by repeat; how many calls failed; how many answers were not scored."""
    found: dict[str, list[float]] = {}
    there = [call for call in sorted(calls, key=lambda each: each.repeat) if call.answer]
    answers = [
        Answered(
            text=call.answer.text, row=rows[call.example], tool_calls=call.answer.tool_calls,
            latency_s=call.latency_s, usage=call.answer.usage, finish_reason=call.answer.finish_reason,
        )
        for call in there if call.answer
    ]  # fmt: skip
    with running(scorer, Path()) as scoring:
        scores = scoring.score(answers)
    for call, score in zip(there, scores, strict=True):
        if score.value is not None:
            found.setdefault(call.example, []).append(score.value)
    return found, len(calls) - len(there), sum(score.value is None for score in scores)


def report_of(
    calls: Mapping[str, Sequence[Call]],
    scorers: Sequence[Rule | Program],
    rows: Mapping[str, Mapping[str, Any]],
    repeats: int,
) -> Report:
    """Return the report of models' calls. Examples count once each, however many answers they have. Blocks."""
    scored, compared = [], []
    for scorer in scorers:
        by_model: dict[str, dict[str, list[float]]] = {}
        for model, own in calls.items():
            found, failed, not_scored = scores_of(own, scorer, rows)
            by_model[model] = found
            scored.append(_scored(model, scorer.label, found, failed, not_scored, repeats))
        models = list(by_model)
        compared += [_compared(model, models[0], scorer.label, by_model) for model in models[1:]]
    return Report(scored=scored, compared=compared)


def _scored(
    model: str, scorer: str, found: Mapping[str, list[float]], failed: int, not_scored: int, repeats: int
) -> Scored:
    values = [each for scores in found.values() for each in scores]
    examples = [example for example, scores in found.items() for _ in scores]
    mean = bounded_mean(values, examples, rng=_rng()) if values else bounded_mean([], rng=_rng())
    more: dict[str, Any] = {}
    if repeats > 1 and values:
        spread = variances(values, examples)
        more = {"between": _root(spread.examples), "within": _root(spread.answers)}
        if set(values) <= {0.0, 1.0}:
            passed = [sum(scores) for scores in found.values()]
            counts = [len(scores) for scores in found.values()]
            for name, chance in (("pass_at_k", pass_at_k), ("pass_hat_k", pass_hat_k)):
                more[name] = Estimate.of(bounded_mean(chance(passed, counts, repeats), rng=_rng()))
    return Scored(
        model=model, scorer=scorer, mean=Estimate.of(mean), answers=len(values), failed=failed,
        not_scored=not_scored, **more,
    )  # fmt: skip


def _compared(
    model: str, against: str, scorer: str, by_model: Mapping[str, Mapping[str, list[float]]]
) -> Compared:
    one, other = by_model[model], by_model[against]
    both = [example for example in one if example in other]
    apart = {example: float(np.mean(one[example]) - np.mean(other[example])) for example in both}
    found = bounded_mean(list(apart.values()), rng=_rng(), bounds=(-1.0, 1.0))
    words = {"higher": "better", "lower": "worse"}
    return Compared(
        model=model, against=against, scorer=scorer, difference=Estimate.of(found),
        verdict=words.get(found.verdict, found.verdict),
        worse=sorted((each for each in both if apart[each] < 0), key=apart.__getitem__),
        better=sorted((each for each in both if apart[each] > 0), key=lambda each: -apart[each]),
    )  # fmt: skip


def _root(value: float | None) -> float | None:
    return None if value is None else math.sqrt(value)


def _rng() -> np.random.Generator:
    """Return a generator with one seed, so that a report made again is the same."""
    return np.random.default_rng(_SEED)
