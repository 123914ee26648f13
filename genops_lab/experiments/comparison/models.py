"""Wire types of a comparison. Times in seconds since 1970, sizes in bytes.

Runs that are repeats of each other share a column; every list that is named after columns has one entry a column, in
their order.
"""

from __future__ import annotations

from typing import Literal

import msgspec

#: What MLflow has, with what JSON cannot hold as text: "NaN", "Infinity", "-Infinity".
MetricValue = float | str | None
Verdict = Literal["higher", "lower", "unclear", ""]
ChangeKind = Literal["equal", "changed", "added", "removed"]
Sameness = Literal["same", "differs", "same_size", "missing"]


class ComparisonQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which 2 to 40 runs: ids, unique prefixes, names, ``latest``; ``baseline`` is one of them, by default the first.

    ``repeats`` names the parameters or tags in which runs differ that are repeats of each other; None: the usual names
    of seeds. An empty list: no run is taken for a repeat. Runs with the same tag ``genops.repeat`` are repeats unless
    the list is empty.
    """

    run_ids: list[str]
    baseline: str = ""
    repeats: list[str] | None = None


class ComparedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run and the column that it is in. ``problem`` says what of its source could not be read."""

    run_id: str
    name: str
    experiment: str
    status: str
    column: int
    started_at: float | None = None
    ended_at: float | None = None
    repeat: str = ""
    has_source: bool = False
    problem: str = ""


class ComparedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One run, or runs that are repeats of each other. Code, packages and artifacts are those of the first;
    ``mixed`` when another run of the column ran other code."""

    name: str
    run_ids: list[str]
    mixed: bool = False


class ComparedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A thing with a text value: for each column its distinct values in the order of the runs, None for a run without
    one."""

    name: str
    columns: list[list[str | None]]
    differs: bool


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A mean of ``n`` finite values with its 95 % confidence interval: mean ± ``margin``. No margin for n below 2, or
    where all values are equal: there is no spread to judge by."""

    n: int
    mean: float | None = None
    margin: float | None = None


class MetricCell(msgspec.Struct, frozen=True, kw_only=True):
    """A metric's latest values in one column, one a run, with their mean.

    ``difference`` is this mean less the baseline's, ``low`` and ``high`` its 95 % confidence interval by Welch's
    method (None where one of the two has no spread). ``verdict`` is empty without an interval and ``unclear`` where
    the interval holds 0.
    """

    values: list[MetricValue]
    estimate: Estimate
    nan: int = 0
    infinite: int = 0
    missing: int = 0
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: Verdict = ""


class MetricRow(msgspec.Struct, frozen=True, kw_only=True):
    """A metric; ``together`` is the estimate over all runs, when all are repeats of each other."""

    name: str
    columns: list[MetricCell]
    differs: bool
    together: Estimate | None = None


class LineChange(msgspec.Struct, frozen=True, array_like=True):
    """Lines ``before_start`` up to ``before_end`` (from 0, the end not counted) of the baseline's text became these of
    the other's; stretches that are equal stand between the changes."""

    before_start: int
    before_end: int
    after_start: int
    after_end: int


class TextChange(msgspec.Struct, frozen=True, kw_only=True):
    """A cell, or a file's part of a patch, beside the baseline's: ``before`` or ``after`` is None where there is none.

    Equal ones come without their text. ``left_out``: too much differs for one answer, so the texts are not here.
    """

    title: str
    kind: ChangeKind
    before: str | None = None
    after: str | None = None
    changes: list[LineChange] = []
    left_out: bool = False


class ColumnChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What one column's run has other than the baseline's; ``why`` says when the two could not be compared."""

    cells: list[TextChange] = []
    patch: list[TextChange] = []
    why: str = ""


class ArtifactEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A file in one column; ``run_id`` is empty where there is none."""

    run_id: str = ""
    size_bytes: int | None = None
    sameness: Sameness = "missing"


class ArtifactRow(msgspec.Struct, frozen=True, kw_only=True):
    """A file's path, and it in each column. ``same`` as the baseline's is said by a digest of the content;
    ``same_size`` where only the size is known to be equal."""

    path: str
    columns: list[ArtifactEntry]
    differs: bool


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Runs side by side. ``baseline`` is a column. ``repeats``: all runs are repeats of each other and so have a column
    each. ``more``: how many rows of a section did not fit, by its name; those that differ come first."""

    runs: list[ComparedRun]
    columns: list[ComparedColumn]
    baseline: int
    repeats: bool
    params: list[ComparedRow]
    tags: list[ComparedRow]
    metrics: list[MetricRow]
    facts: list[ComparedRow]
    packages: list[ComparedRow]
    datasets: list[ComparedRow]
    changes: list[ColumnChanges]
    artifacts: list[ArtifactRow]
    more: dict[str, int] = {}
