"""Rollouts as blocks of a document."""

from __future__ import annotations

from genops_lab.deployments.rollout_models import Rollout, RolloutMetric

from ..document import Block, Column, Facts, Note, Row, Table, duration, moment


def rollout(shown: Rollout) -> list[Block]:
    """Return the blocks of a rollout: state, revisions, margins, evidence, what comes next."""
    steps = ", ".join(f"{each:g} %" for each in shown.steps)
    blocks: list[Block] = [
        Facts(
            [
                ("rollout", shown.kind),
                ("state", shown.state),
                ("step", f"{shown.step} of {len(shown.steps)} ({steps})" if shown.steps else ""),
                ("requests to it", "copies" if shown.kind == "shadow" else f"{shown.traffic:g} %"),
                ("judged for", duration(shown.elapsed_s)),
                ("time left", "" if shown.ended else duration(shown.left_s)),
                ("ended", moment(shown.ended_at) if shown.ended else ""),
                ("why", shown.why),
                ("next", shown.next),
            ]
        )
    ]
    if shown.metrics and len(shown.arms) == 2:
        blocks += [_arms(shown), _metrics(shown), Note(shown.excluded, "dim")]
    if shown.shadow is not None:
        seen = shown.shadow
        blocks.append(
            Note(
                f"{seen.requests:,} requests were copied: {seen.equal:,} equal answers, {seen.different:,} different, "
                f"{seen.failed:,} failed. They took {duration(seen.seconds)} of the new revision."
            )
        )
    return blocks


def _arms(shown: Rollout) -> Table:
    names = (f"revision {shown.champion}", f"revision {shown.candidate} (new)")
    rows: list[Row] = [
        [name, f"{arm.requests:,}", f"{arm.failures:,}", _ms(arm.p50_ms), _ms(arm.p95_ms)]
        for name, arm in zip(names, shown.arms, strict=True)
    ]
    columns = [
        Column("in this step"),
        Column("requests", right=True),
        Column("failures", right=True),
        Column("p50", right=True),
        Column("p95", right=True),
    ]
    return Table(columns, rows, title="Requests")


def _metrics(shown: Rollout) -> Table:
    rows: list[Row] = [
        [each.name, _value(each, each.estimate), _interval(each), _value(each, each.needed), _state(each)]
        for each in shown.metrics
    ]
    columns = [
        Column("new against before"),
        Column("estimate", right=True),
        Column("between"),
        Column("needed below", right=True),
        Column("state"),
    ]
    return Table(columns, rows, title="Evidence")


def _state(metric: RolloutMetric) -> str:
    return "harm" if metric.harm else ("within the margin" if metric.passed else "open")


def _interval(metric: RolloutMetric) -> str:
    if metric.low is None and metric.high is None:
        return "not known yet"
    low, high = (_value(metric, each) or "?" for each in (metric.low, metric.high))
    return f"{low} to {high}"


def _value(metric: RolloutMetric, value: float | None) -> str:
    if value is None:
        return ""
    return f"x {value:.3g}" if metric.kind == "ratio" else f"{100 * value:+.3g} points"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} ms"
