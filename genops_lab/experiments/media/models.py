"""Define the wire types of media by step. Times in seconds since 1970."""

from __future__ import annotations

from typing import Literal

import msgspec


class MediaEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A picture or a table of one step: the artifact's path, and that of a small copy of a picture."""

    step: int
    timestamp: float
    path: str
    size_bytes: int | None = None
    small: str = ""


class MediaSeries(msgspec.Struct, frozen=True, kw_only=True):
    """All media of one kind and name, by step and time. Histograms have no entries here: they are requested
    by name.
    """

    kind: Literal["image", "table", "histogram"]
    name: str
    entries: list[MediaEntry] = []


class RunMedia(msgspec.Struct, frozen=True, kw_only=True):
    """The media of a run by step; ``left_out`` counts those beyond 10,000 files."""

    run_id: str
    series: list[MediaSeries]
    left_out: int = 0


class HistogramQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A choice of histograms of a run."""

    name: str


class HistogramRow(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution of values at a step; ``low`` and ``high`` are the smallest and largest finite value.

    ``counts`` are apportioned to the common bins, as if values were spread evenly in each logged bin.
    """

    step: int
    timestamp: float
    counts: list[float]
    finite: int
    nan: int
    infinite: int
    low: float
    high: float


class HistogramSeries(msgspec.Struct, frozen=True, kw_only=True):
    """Histograms of one name by step, on common bins from ``low`` to ``high``.

    At most 120 of the ``logged`` ones, evenly chosen, with the first and the last.
    """

    run_id: str
    name: str
    low: float
    high: float
    rows: list[HistogramRow]
    logged: int
