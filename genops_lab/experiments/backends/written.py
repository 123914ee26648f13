"""What the writer answers."""

from __future__ import annotations

import msgspec


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A run that MLflow has."""

    run_id: str
    experiment_id: str
    name: str


class MetricPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a metric, for the live chart. ``timestamp`` in seconds since 1970."""

    key: str
    step: int
    value: float | None
    timestamp: float


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was written: the points, the status with which the run ended (empty: it goes on), and notes on
    what MLflow did not take as it was."""

    points: list[MetricPoint]
    ended: str
    notes: list[str]
