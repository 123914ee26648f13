"""Wire types of advice."""

from __future__ import annotations

from typing import Literal

import msgspec

from .lines import Place


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the trace, in microseconds after its first event."""

    start_us: float
    end_us: float


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One problem with its evidence. ``saving_us`` is an upper bound of the traced time that the change
    saves."""

    code: str
    severity: Literal["high", "medium", "low"]
    title: str
    #: The observation, with its numbers.
    evidence: str
    saving_us: float
    #: The change, in a sentence; ``code_hint`` shows it as code.
    suggestion: str = ""
    code_hint: str = ""
    places: list[Place] = []
    #: Some of the events.
    moments: list[Moment] = []
    rank: int | None = None
