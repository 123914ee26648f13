"""Evaluations as documents."""

from __future__ import annotations

from typing import Any

import msgspec

from genops_lab.evaluations.models import (
    Evaluation,
    EvaluationReport,
    JudgedMetric,
    MetricDifference,
    MetricEstimate,
)

from ..document import Block, Cell, Column, Document, Facts, Note, Row, Table, Tone, moment

_SHOWN_METRICS = 3
_TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "within chance": "dim"}


def evaluations(found: list[Evaluation]) -> Document:
    """``evaluations list``."""
    rows: list[Row] = [
        [
            each.run_id,
            f"{each.model} v{each.version}",
            f"{each.data}@{each.digest[:8]}",
            ", ".join(
                f"{name} {_number(name, value)}"
                for name, value in list(each.metrics.items())[:_SHOWN_METRICS]
            ),
            moment(each.made_at),
        ]
        for each in found
    ]
    columns = [
        Column("run"),
        Column("version", shrinks=True),
        Column("data", shrinks=True),
        Column("metrics", shrinks=True, leaves=1),
        Column("made"),
    ]
    empty = "There are no evaluations. Make one: genops models evaluate MODEL --data FILE --label COLUMN"
    return Document([Table(columns, rows, empty=empty)])


def report(shown: EvaluationReport) -> Document:
    """``models evaluate`` and ``evaluations show``."""
    evaluation, against = shown.evaluation, shown.against
    rival = "" if against is None else f"version {against.version}"
    blocks: list[Block] = [
        Facts(
            [
                ("model", f"{evaluation.model}, version {evaluation.version}"),
                ("against", rival),
                ("data", f"{evaluation.data}@{evaluation.digest}"),
                ("rows", f"{shown.rows:,}"),
                ("on", evaluation.place),
                ("run", evaluation.run_id),
            ]
        ),
        _table(shown.metrics, shown, title=""),
    ]
    for group in dict.fromkeys(each.group for each in shown.groups):
        chosen = [each for each in shown.groups if each.group == group]
        blocks.append(_table(chosen, shown, title=f"{chosen[0].metric} by {group}"))
    blocks += [Note(note, "busy" if "optimistic" in note else "dim") for note in shown.notes]
    return Document(blocks)


def _table(metrics: list[JudgedMetric], shown: EvaluationReport, title: str) -> Table:
    against = shown.against
    columns = [Column("group" if title else "metric", shrinks=True, narrowest=12)]
    if title:
        columns.append(Column("rows", right=True, leaves=1))
    columns.append(Column(f"version {shown.evaluation.version} (95 %)", right=True))
    if against is not None:
        columns += [
            Column(f"version {against.version} (95 %)", right=True, leaves=2),
            Column("difference (95 %)", right=True),
            Column("verdict", folds=True, shrinks=True, narrowest=14),
        ]
    rows: list[Row] = []
    for each in metrics:
        row: list[str | Cell] = [each.value if title else each.metric]
        if title:
            row.append(f"{each.candidate.rows:,}")
        row.append(_estimate(each.metric, each.candidate))
        if against is not None:
            row.append("" if each.champion is None else _estimate(each.metric, each.champion))
            row += _difference(each.metric, each.difference)
        rows.append(row)
    return Table(columns, rows, empty="There are no metrics: no row has a label.", title=title)


def _estimate(metric: str, found: MetricEstimate) -> str:
    if found.value is None:
        return found.reason or "unknown"
    if found.low is None or found.high is None:
        return f"{_number(metric, found.value)} ({found.reason or 'no interval'})"
    return f"{_number(metric, found.value)} ({_number(metric, found.low)} to {_number(metric, found.high)})"


def _difference(metric: str, found: MetricDifference | None) -> tuple[str, str | Cell]:
    if found is None or found.value is None:
        return "", ""
    interval = ""
    if found.low is not None and found.high is not None:
        interval = f" ({_number(metric, found.low, '+')} to {_number(metric, found.high, '+')})"
    more = f"; {found.more:,} more rows would show it" if found.more else ""
    return f"{_number(metric, found.value, '+')}{interval}", Cell(
        f"{found.verdict}{more}", _TONES[found.verdict]
    )


def _number(metric: str, value: float, sign: str = "") -> str:
    if metric == "latency_s":
        return f"{value * 1000:{sign}.3g} ms"
    return f"{value:{sign}.4g}"


def origin(check: dict[str, Any]) -> Document:
    """Return what a person needs to know before a model of unknown origin is loaded; ``check`` is a DeployCheck."""
    from genops_lab.deployments.models import DeployCheck

    from .deployments import origin as shown

    return shown(msgspec.convert(check, DeployCheck))
