"""Traces as documents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from genops_lab.genai.traces.models import (
    AddedRows,
    ChatTurn,
    Session,
    Span,
    SpanContent,
    TailedTrace,
    Tokens,
    Trace,
    TraceComparison,
)
from genops_lab.runtime.money import money_text

from ..document import Block, Column, Document, Facts, Lines, Note, Row, Table, duration, moment, state_cell

_SHORT = 12
_NONE = "No traces yet. Trace a cell: import mlflow; mlflow.autolog()"


def traces(rows: Sequence[dict[str, Any]], *, filtered: bool) -> Document:
    """``traces list``."""
    sessions = any(row.get("session") for row in rows)
    columns = [
        Column("id"),
        Column("name", shrinks=True),
        Column("status"),
        Column("request", shrinks=True, leaves=2),
        Column("response", shrinks=True, leaves=1),
        *([Column("session", shrinks=True, leaves=3)] if sessions else []),
        Column("duration", right=True),
        Column("tokens", right=True),
        Column("cost", right=True),
        Column("begun"),
    ]
    shown: list[Row] = [
        [
            _id(str(row["trace_id"])),
            str(row.get("name") or ""),
            state_cell(str(row["status"])),
            str(row.get("request") or ""),
            str(row.get("response") or ""),
            *([str(row.get("session") or "")] if sessions else []),
            _seconds(row.get("duration")),
            _count(row.get("tokens")),
            _cost(row.get("cost")),
            moment(row.get("start_time")),
        ]
        for row in rows
    ]
    return Document([Table(columns, shown, empty="No trace matches." if filtered else _NONE)])


def trace(found: Trace) -> Document:
    """``traces show``."""
    facts = Facts(
        [
            ("trace", found.trace_id),
            ("name", found.name),
            ("status", state_cell(found.status)),
            ("experiment", found.experiment),
            ("begun", moment(found.started_at)),
            ("duration", _seconds(found.duration)),
            ("tokens", _tokens(found.tokens)),
            ("cost", _cost(found.cost) + (" (not of all calls)" if found.cost_is_partial else "")),
            ("session", found.session),
            ("called by the trace", found.caller_trace),
            ("run", found.run_id),
            ("notebook", f"{found.notebook}, cell {found.cell}" if found.cell else found.notebook),
        ]
    )
    columns = [
        Column("span", shrinks=True, narrowest=20),
        Column("kind"),
        Column("status"),
        Column("start", right=True),
        Column("duration", right=True),
        Column("tokens", right=True),
        Column("cost", right=True),
        Column("id"),
        Column("message", shrinks=True, leaves=1),
    ]
    spans: list[Row] = [
        [
            "  " * min(each.depth, 20) + each.name,
            each.kind.lower(),
            state_cell(each.status),
            _seconds(each.start),
            _seconds(each.duration) or "not ended",
            _tokens(each.tokens),
            _cost(each.cost),
            each.span_id,
            each.message,
        ]
        for each in found.spans
    ]
    blocks: list[Block] = [facts, *(Note(each, "busy") for each in found.problems)]
    blocks.append(Table(columns, spans, empty="MLflow has no spans of this trace."))
    if found.assessments:
        said: list[Row] = [
            [each.name, each.error or each.value, each.source, each.rationale] for each in found.assessments
        ]
        columns = [Column("assessment"), Column("value"), Column("by"), Column("why", shrinks=True)]
        blocks.append(Table(columns, said))
    return Document(blocks)


def conversation(found: Session) -> Document:
    """``traces session``."""
    facts = Facts(
        [
            ("session", found.session),
            ("experiments", ", ".join(found.experiments)),
            ("traces", f"{found.traces_total:,}" + (f", {found.failed:,} failed" if found.failed else "")),
            ("begun", moment(found.started_at)),
            ("ended", moment(found.ended_at)),
            ("tokens", _tokens(found.tokens)),
            ("cost", _cost(found.cost) + (" (not of all calls)" if found.cost_is_partial else "")),
        ]
    )
    blocks: list[Block] = [facts]
    hidden = found.traces_total - len(found.traces)
    if hidden:
        blocks.append(Note(f"The last {len(found.traces)} traces follow. The totals are of all.", "dim"))
    for place, trace in enumerate(found.traces, hidden + 1):
        figures = [
            f"{place}.", _id(trace.trace_id), trace.status, _seconds(trace.duration),
            f"{_tokens(trace.tokens)} tokens" if trace.tokens else "", _cost(trace.cost),
        ]  # fmt: skip
        blocks.append(
            Note("  ".join(each for each in figures if each), "bad" if trace.status == "ERROR" else "dim")
        )
        blocks.append(Lines([line for turn in trace.turns for line in _turn(turn)] or [trace.problem]))
    return Document(blocks)


def _turn(turn: ChatTurn) -> list[str]:
    """Return the lines of a turn; a line names text that was cut and parts that are no text."""
    said = turn.text.text.splitlines() or [""]
    lines = [f"{turn.role}: {said[0]}", *(f"  {line}" for line in said[1:])]
    if turn.text.is_cut:
        lines.append(f"  ({len(turn.text.text):,} of {turn.text.characters:,} characters)")
    lines += [f"  calls {call.name} {' '.join(call.arguments.text.split())}" for call in turn.tool_calls]
    return [*lines, *("  (a picture)" for _ in turn.pictures)]


def content(found: SpanContent) -> Document:
    """``traces show --span``."""
    blocks: list[Block] = []
    for title, text in (("Inputs", found.inputs), ("Outputs", found.outputs)):
        if text is None:
            continue
        blocks += [Note(f"{title}:"), Lines(text.text.splitlines())]
        if text.is_cut:
            blocks.append(Note(f"These are {len(text.text):,} of {text.characters:,} characters.", "dim"))
    for event in found.events:
        blocks.append(Facts([(each.name, each.value.text) for each in event.attributes], title=event.name))
    blocks.append(Facts([(each.name, each.value.text) for each in found.attributes], title="Attributes"))
    return Document(blocks)


def comparison(found: TraceComparison) -> Document:
    """``traces compare``."""
    columns = [
        Column("span", shrinks=True, narrowest=20),
        Column("first", right=True),
        Column("second", right=True),
        Column("tokens"),
        Column("content"),
    ]
    rows: list[Row] = []
    for pair in found.pairs:
        known = pair.first or pair.second
        if known is None:
            continue
        same = {True: "equal", False: "differs", None: ""}[pair.same_content]
        rows.append(
            [
                "  " * min(pair.depth, 20) + known.name,
                _of(pair.first),
                _of(pair.second),
                " / ".join(_tokens(each.tokens) or "–" for each in (pair.first, pair.second) if each),
                same,
            ]
        )
    names = [("first", found.first.trace_id), ("second", found.second.trace_id)]
    return Document([Facts(names), Table(columns, rows, empty="Neither trace has spans.")])


def added(found: AddedRows) -> Document:
    """``traces add-row``."""
    text = f"The data set {found.dataset!r} has {found.added} new and {found.updated} updated rows."
    return Document([Note(text)])


def landed(found: TailedTrace) -> Document:
    """``traces tail``: one line."""
    at = time.strftime("%H:%M:%S", time.localtime(found.started_at)) if found.started_at else ""
    parts = [at, _id(found.trace_id), found.status, found.name, _seconds(found.duration), found.request]
    return Document([Lines([" ".join(part for part in parts if part)])])


def _id(trace_id: str) -> str:
    return trace_id.removeprefix("tr-")[:_SHORT]


def _of(span: Span | None) -> str:
    return "–" if span is None else _seconds(span.duration) or "not ended"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else duration(seconds)


def _tokens(tokens: Tokens | None) -> str:
    if tokens is None:
        return ""
    return " + ".join(_count(each) or "?" for each in (tokens.input, tokens.output))


def _count(number: float | None) -> str:
    return "" if number is None else f"{number:,.0f}"


def _cost(cost: float | None) -> str:
    return "" if cost is None else money_text(cost, "USD")
