"""What the Perfetto UI is opened with."""

from __future__ import annotations

import msgspec

from .timeline import Microseconds, Natural, Rank


class PerfettoUi(msgspec.Struct, frozen=True, kw_only=True):
    """``path``: of its page, below the server's base URL."""

    path: str
    version: str


class CutQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time, and the slice that is selected in it, if any. Times count from the trace's first event.

    ``rank``: whose trace, where a profile has several.
    """

    first_us: Microseconds
    last_us: Microseconds
    slice: Natural | None = None
    rank: Rank | None = None


class CutSlice(msgspec.Struct, frozen=True, kw_only=True):
    """A slice as the trace has it: its times in nanoseconds, as text, for a double cannot hold those since 1970."""

    name: str
    ts_ns: str
    dur_ns: str


class TraceCut(msgspec.Struct, frozen=True, kw_only=True):
    """What was cut. ``path``: of its bytes, below the server's base URL. ``first_s`` and ``last_s``: the stretch that
    was asked for, in seconds of the trace's own clock. ``whole``: all of the trace is there; else what lies
    between ``kept_first_us`` and ``kept_last_us``, counted as in the question, and ``left_out`` events beyond the
    bound are not. ``narrowed``: the stretch that was asked for would have been too large."""

    path: str
    title: str
    first_s: float
    last_s: float
    whole: bool
    kept_first_us: float
    kept_last_us: float
    narrowed: bool
    left_out: int
    slice: CutSlice | None
