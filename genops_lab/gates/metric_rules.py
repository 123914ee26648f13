"""Rules about a metric: against a bound, against another version, better in any of several."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genops_lab.core.yaml_files import nearest
from genops_lab.statistics.multiple import holm
from genops_lab.statistics.results import Alternative, Result

from . import messages
from .evidence import Evidence, clustered, decided, finite, numbers, too_few, verdict_of, worsened
from .metric_kinds import METRICS, called
from .metrics import MIN_ROWS, CannotBeChecked, against_bound, clusters_of, difference, rows_of
from .models import RuleVerdict, SliceVerdict, Verdict
from .plan import Better, BetterInAny, Bound, NotWorse


def bound(rule: Bound, evidence: Evidence, alpha: float) -> RuleVerdict:
    least = rule.at_least is not None
    bound = rule.at_least if rule.at_least is not None else rule.at_most
    assert bound is not None
    asks = f"the rule asks for {'at least' if least else 'at most'} {messages.value(bound, rule.metric)}"
    if rule.metric not in METRICS:
        return _recorded(rule, evidence, bound, least, asks)
    rows = rows_of(rule.metric, evidence.one(), evidence.positive)
    clusters = clusters_of(evidence.one(), rule.cluster)
    few = too_few(rule.metric, rows, rule.cluster, clusters)
    if few is not None:
        return few
    side: Alternative = "greater" if least else "less"
    found = against_bound(rule.metric, rows, bound, side, alpha, clusters)
    verdict = decided(found)
    clause = f"{called(rule.metric)} is {messages.value(found.estimate or 0.0, rule.metric)}"
    if verdict == "pass":
        clause += f", {'over' if least else 'below'} {messages.value(bound, rule.metric)}"
    elif verdict == "not_enough_data":
        state = f"{messages.value(bound, rule.metric)} is not ruled out"
        clause += f", and {messages.would_show(state, found.more, rule.cluster)}"
    else:
        gap = abs((found.estimate or 0.0) - bound)
        place = "below" if least else "over"
        clause += f", {messages.amount(gap, rule.metric)} {place} {messages.value(bound, rule.metric)}"
    ends = ""
    if found.low is not None and found.high is not None:
        ends = f"{messages.percent(1 - 2 * alpha)} interval: {_ends(found.low, found.high, rule.metric)}; "
    detail = f"{ends}{asks}."
    about = clustered(rule.cluster, clusters, rows)
    return verdict_of(
        verdict, clause, f"{detail[:1].upper()}{detail[1:]}{messages.in_clusters(about)}",
        **{**numbers(found, alpha), **about},
    )  # fmt: skip


def _ends(low: float, high: float, metric: str) -> str:
    points = METRICS[metric].points
    ends = f"{messages.number(low, points=points)} to {messages.number(high, points=points)}"
    return f"{ends} %" if points else ends


def _recorded(rule: Bound, evidence: Evidence, bound: float, least: bool, asks: str) -> RuleVerdict:
    """A metric that only the run knows: compared as it is."""
    evidence.one()
    values = evidence.recorded.get(rule.metric)
    if not values:
        known_names = [*METRICS, *evidence.recorded]
        raise CannotBeChecked(
            f"the metric {rule.metric} is neither known nor recorded", nearest(rule.metric, known_names)
        )
    different = sorted(set(values))
    if any(not np.isfinite(each) for each in values):
        raise CannotBeChecked(f"the recorded {rule.metric} is {values[-1]}")
    if len(different) > 1:
        raise CannotBeChecked(
            f"{rule.metric} was recorded {len(values)} times, from {different[0]:g} to {different[-1]:g}",
            "Evaluate the version once more: a new run records it once.",
        )
    [value] = different
    holds = value >= bound if least else value <= bound
    side = ("over" if value > bound else "below") if value != bound else "exactly at"
    return verdict_of(
        "pass" if holds else "fail",
        f"{rule.metric} is {value:g}, {'' if value == bound else f'{abs(value - bound):.3g} '}{side} {bound:g}",
        f"It is a recorded value without an interval; {asks}.", estimate=value, bound=bound,
    )  # fmt: skip


def better(rule: Better, evidence: Evidence, alpha: float) -> RuleVerdict:
    return _compared(rule.metric, rule.margin, True, rule.cluster, evidence, alpha)


def not_worse(rule: NotWorse, evidence: Evidence, alpha: float) -> RuleVerdict:
    return _compared(rule.metric, rule.margin, False, rule.cluster, evidence, alpha)


def _compared(
    metric: str, margin: float, superior: bool, cluster: str, evidence: Evidence, alpha: float
) -> RuleVerdict:
    one, other = evidence.both()
    rows, against = rows_of(metric, one, evidence.positive), rows_of(metric, other, evidence.positive)
    clusters = clusters_of(one, cluster)
    few = too_few(metric, rows, cluster, clusters)
    if few is not None:
        return few
    found = difference(
        metric, rows, against, margin=margin, superior=superior, alpha=alpha, clusters=clusters
    )
    verdict = decided(found)
    clause = messages.difference_clause(found, metric)
    if found.reason == "no spread" and not found.estimate:
        clause = f"{called(metric)} is the same in every row"
    elif verdict == "not_enough_data":
        clause += f", {messages.within_chance(found.more, cluster)}"
    elif verdict == "fail" and not superior:
        clause += f", over the margin of {messages.amount(margin, metric)}"
    about = clustered(cluster, clusters, rows)
    detail = f"{messages.interval(found, alpha, metric)} {_asked(metric, margin, superior)}".strip()
    return verdict_of(
        verdict, clause, f"{detail}{messages.in_clusters(about)}", examples=worsened(one, rows, against, metric),
        **{**numbers(found, alpha), **about},
    )  # fmt: skip


def _asked(metric: str, margin: float, superior: bool) -> str:
    up = METRICS[metric].better == "higher"
    if superior:
        by = f" by more than {messages.amount(margin, metric)}" if margin else ""
        return f"The rule asks for a {'higher' if up else 'lower'} {called(metric)}{by}."
    worse = "lower" if up else "higher"
    return f"The rule allows {called(metric)} to be {worse} by less than {messages.amount(margin, metric)}."


def better_in_any(rule: BetterInAny, evidence: Evidence, alpha: float) -> RuleVerdict:
    one, other = evidence.both()
    clusters = clusters_of(one, rule.cluster)
    tested: list[tuple[str, Result]] = []
    few: list[tuple[str, RuleVerdict]] = []
    for metric in dict.fromkeys(rule.metrics):
        rows = rows_of(metric, one, evidence.positive)
        about = clustered(rule.cluster, clusters, rows)
        too_small = too_few(metric, rows, rule.cluster, clusters)
        if too_small is not None:
            few.append((metric, too_small))
            continue
        against = rows_of(metric, other, evidence.positive)
        found = difference(
            metric, rows, against, margin=rule.margin, superior=True, alpha=alpha, clusters=clusters
        )
        tested.append((metric, found))
    if not tested and clusters is not None:
        return few[0][1]
    if not tested:
        return verdict_of(
            "not_enough_data",
            f"{', '.join(called(each) for each, _ in few)} need {MIN_ROWS} rows with labels",
            more=MIN_ROWS,
        )
    slices = []
    for (name, found), p in zip(tested, holm([found.p for _, found in tested]), strict=True):
        each_verdict = decided(replace(found, p=float(p)))
        clause = messages.difference_clause(found, name)
        if each_verdict == "not_enough_data":
            clause += f", {messages.within_chance(found.more, rule.cluster)}"
        slices.append(
            SliceVerdict(
                name=name, verdict=each_verdict, clause=clause, n=found.n, estimate=found.estimate,
                low=finite(found.low), high=finite(found.high), bound=found.null, p=float(p), more=found.more,
            )
        )  # fmt: skip
    shown_better = [each for each in slices if each.verdict == "pass"]
    verdict: Verdict = (
        "pass"
        if shown_better
        else messages.worst([each.verdict for each in slices if each.verdict != "fail"])
    )
    if not shown_better and all(each.verdict == "fail" for each in slices):
        verdict = "fail"
    shown = shown_better or [each for each in slices if each.verdict == verdict]
    return verdict_of(
        verdict, "; ".join(each.clause for each in shown),
        f"The rule asks for one better metric of {len(slices)}, corrected by Holm.{messages.in_clusters(about)}",
        slices=slices, **{"n": max(each.n for each in slices), **about}, p=min(each.p or 0.0 for each in slices),
        more=min((each.more for each in shown if each.more), default=None),
    )  # fmt: skip
