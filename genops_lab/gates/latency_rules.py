"""Rules about the latency of a row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genops_lab.evaluations.predictions import Predictions, describe_ids
from genops_lab.statistics.paired import paired_bootstrap
from genops_lab.statistics.rates import quantile
from genops_lab.statistics.results import Floats, Result

from . import messages, metrics
from .evidence import Evidence, decided, numbers, verdict_of
from .metrics import MIN_ROWS, CannotBeChecked, with_interval
from .models import RuleVerdict
from .plan import Latency


def latency(rule: Latency, evidence: Evidence, alpha: float) -> RuleVerdict:
    share = f"{100 * rule.quantile:g} % of the answers"
    if rule.at_most_s is not None:
        times = _times(evidence.one(), "the candidate")
        narrow = quantile(times, rule.quantile, null=rule.at_most_s, alternative="less", confidence=1 - alpha)
        wide = quantile(times, rule.quantile, confidence=1 - 2 * alpha)
        found = replace(narrow, low=wide.low, high=wide.high)
        verdict = decided(found)
        clause = f"{share} take at most {_ms(found.estimate)}"
        if verdict == "not_enough_data":
            clause += (
                f", and more than {_ms(rule.at_most_s)} is {messages.would_show('not ruled out', found.more)}"
            )
        elif verdict == "fail":
            clause += f", over {_ms(rule.at_most_s)}"
        ends = f"{messages.percent(1 - 2 * alpha)} interval: {_ms(found.low)} to {_ms(found.high)}"
        return verdict_of(
            verdict, clause, f"{ends}; the rule allows {_ms(rule.at_most_s)}.", **numbers(found, alpha)
        )
    assert rule.at_most_ratio is not None
    one, other = evidence.both()
    times, against = _times(one, "the candidate"), _times(other, f"version {evidence.against}")
    if not evidence.together:
        raise CannotBeChecked(
            "the latencies of both versions were not measured in one session",
            f"Evaluate both together: genops models evaluate --against {evidence.against}",
        )
    if len(times) < MIN_ROWS:
        return verdict_of(
            "not_enough_data", f"latencies need {MIN_ROWS} rows", n=len(times), more=MIN_ROWS - len(times)
        )
    allowed = rule.at_most_ratio

    def test(confidence: float) -> Result:
        # A ratio of at most r is a difference to r times the other latency of at most 0.
        return paired_bootstrap(
            times, allowed * against, rng=np.random.default_rng(20_261_130), null=0.0, alternative="less",
            statistic=lambda rows: np.quantile(rows, rule.quantile, axis=1), confidence=confidence,
            resamples=metrics.DRAWS,
        )  # fmt: skip

    found = with_interval(test, alpha, drawn=True)
    base = float(np.quantile(against, rule.quantile))
    ratio = float(np.quantile(times, rule.quantile)) / base if base else float("inf")
    verdict = decided(found)
    clause = (
        f"the latency at {100 * rule.quantile:g} % is {ratio:.3g} times that of version {evidence.against}"
    )
    if verdict == "not_enough_data":
        clause += f", and more than {allowed:g} times is not ruled out"
    elif verdict == "fail":
        clause += f", over {allowed:g} times"
    low, high = [
        allowed + each / base if each is not None and base else None for each in (found.low, found.high)
    ]
    return verdict_of(
        verdict, clause, f"The rule allows {allowed:g} times.", estimate=ratio, low=low, high=high,
        confidence=round(1 - 2 * alpha, 12), bound=allowed, n=found.n, p=found.p, method=found.method,
    )  # fmt: skip


def _times(found: Predictions, whose: str) -> Floats:
    if found.latency_s is None or np.isnan(found.latency_s).all():
        raise CannotBeChecked(
            f"the latency of {whose} was not measured", "Evaluate the version: genops models evaluate"
        )
    missing = np.isnan(found.latency_s)
    if missing.any():
        raise CannotBeChecked(f"{describe_ids(found.ids[missing])} have no latency")
    return found.latency_s


def _ms(seconds: float | None) -> str:
    if seconds is None or not np.isfinite(seconds):
        return "∞"
    return f"{1000 * seconds:.3g} ms"
