"""Sweeps, as a person sees them."""

from __future__ import annotations

from genops_lab.sweeps.models import Sweep, Trial

from ..document import (
    SHORT_ID,
    Block,
    Cell,
    Column,
    Document,
    Facts,
    Note,
    Row,
    Table,
    duration,
    moment,
    state_cell,
)

_TONES = {"finished": "good", "pruned": "dim", "waiting": "dim"}
ENDED = ("finished", "failed", "pruned", "stopped")


def sweeps(found: list[Sweep]) -> Document:
    """``sweep list``."""
    rows: list[Row] = [
        [
            each.id,
            each.name,
            _state(each),
            f"{sum(each.counts.get(state, 0) for state in ENDED)} of {each.planned}",
            each.method,
            _best(each),
            moment(each.created_at),
        ]
        for each in found
    ]
    columns = [
        Column("sweep"),
        Column("name", shrinks=True),
        Column("state"),
        Column("trials", right=True),
        Column("method"),
        Column("best", shrinks=True),
        Column("started"),
    ]
    empty = "There is no sweep yet: put `%%sweep lr=0.1,0.01` above a cell, or see `genops sweep run --help`."
    return Document([Table(columns, rows, empty=empty)])


def sweep(shown: Sweep) -> Document:
    """``sweep show``."""
    facts = Facts(
        [
            ("sweep", shown.id),
            ("name", shown.name),
            ("state", _state(shown)),
            ("method", shown.method + (f", seed {shown.seed}" if shown.method in ("random", "tpe") else "")),
            ("metric", f"{shown.metric}, {shown.direction}d" if shown.metric else ""),
            ("on", ", ".join(shown.on)),
            ("runs first", ", ".join(shown.setup)),
            ("started", moment(shown.created_at)),
            ("ended", moment(shown.ended_at)),
        ]
    )
    names = list(dict.fromkeys(name for trial in shown.trials for name in trial.params))
    rows: list[Row] = [
        [
            str(trial.number),
            Cell(trial.state, _TONES.get(trial.state) or state_cell(trial.state).tone),  # type: ignore[arg-type]
            *(value_text(trial.params.get(name)) for name in names),
            value_text(trial.value) + (" (best)" if trial.number == shown.best else ""),
            _took(trial),
            trial.run_id[:SHORT_ID],
            trial.message,
        ]
        for trial in shown.trials
    ]
    columns = [
        Column("trial", right=True),
        Column("state"),
        *(Column(name, right=True) for name in names),
        Column(shown.metric or "metric", right=True),
        Column("took", right=True),
        Column("run"),
        Column("", shrinks=True),
    ]
    blocks: list[Block] = [facts, Table(columns, rows, empty="No trial has begun yet.")]
    if shown.summary:
        blocks.append(
            Table(
                [
                    Column("metric"),
                    Column("n", right=True),
                    Column("mean", right=True),
                    Column("95 % interval"),
                ],
                [
                    [
                        one.metric,
                        str(one.n),
                        value_text(one.mean),
                        f"{value_text(one.low)} to {value_text(one.high)}",
                    ]
                    if one.low is not None
                    else [one.metric, str(one.n), value_text(one.mean), "no interval"]
                    for one in shown.summary
                ],
                title="Over the repeats",
            )
        )
    if shown.message:
        blocks.append(Note(f"{shown.message} {shown.hint}".strip(), "bad" if shown.state == "failed" else ""))
    return Document(blocks)


def news(shown: Sweep, told: set[int]) -> list[str]:
    """Lines on trials that have ended and were not told."""
    fresh = [trial for trial in shown.trials if trial.state in ENDED and trial.number not in told]
    told.update(trial.number for trial in fresh)
    lines = []
    for trial in fresh:
        params = ", ".join(f"{name}={value_text(value)}" for name, value in trial.params.items())
        value = f": {shown.metric} {value_text(trial.value)}" if trial.value is not None else ""
        message = f" ({trial.message})" if trial.message else ""
        lines.append(f"trial {trial.number} {trial.state}, {params}{value}{message}")
    return lines


def value_text(value: object) -> str:
    """A value in a few characters; empty for None."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _state(shown: Sweep) -> Cell:
    cell = state_cell(shown.state)
    if not shown.attended:
        return Cell("waits for a server", "dim")
    return Cell(
        shown.state, "good" if shown.state == "done" else "busy" if shown.state == "running" else cell.tone
    )


def _best(shown: Sweep) -> str:
    return "" if shown.best_value is None else f"{shown.metric} {value_text(shown.best_value)}"


def _took(trial: Trial) -> str:
    if trial.started_at is None or trial.ended_at is None:
        return ""
    return duration(max(0.0, trial.ended_at - trial.started_at))
