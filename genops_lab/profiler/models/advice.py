"""What to change."""

from __future__ import annotations

from typing import Literal

import msgspec

from .lines import Place


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One problem with its evidence. ``saving_us`` is what would be saved of the traced time at most."""

    code: str
    severity: Literal["high", "medium", "low"]
    title: str
    #: What was seen, with its numbers.
    evidence: str
    saving_us: float
    #: What to change, in a sentence; ``code_hint`` shows it as code.
    suggestion: str = ""
    code_hint: str = ""
    places: list[Place] = []
    #: Some of the events: [start, end] in microseconds after the trace's first event.
    moments: list[tuple[float, float]] = []
    rank: int | None = None
