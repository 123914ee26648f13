"""Define the wire types of a comparison. Times in seconds since 1970, sizes in bytes.

Repeats share a column. Every list that is named after columns has one entry for each column, in their order.
"""

from __future__ import annotations

from typing import Literal

import msgspec

#: MLflow's values, with texts for numbers that JSON lacks: "NaN", "Infinity", "-Infinity".
MetricValue = float | str | None
Verdict = Literal["higher", "lower", "unclear", ""]
ChangeKind = Literal["equal", "changed", "added", "removed"]
Sameness = Literal["same", "differs", "same_size", "missing"]


class ComparisonQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison of 2 to 40 runs: ids, unique prefixes, names, ``latest``; ``baseline`` is one of them, by
    default the first.

    ``repeats`` names the parameters or tags that differ between repeats; None: the usual names of seeds. With
    an empty list no run is a repeat. Otherwise runs with the same tag ``genops.repeat`` are repeats too.
    """

    run_ids: list[str]
    baseline: str = ""
    repeats: list[str] | None = None


class ComparedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run and its column. ``problem`` says which part of its source could not be read."""

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
    """One run, or repeats. Code, packages and artifacts are those of the first.

    ``mixed``: another run of the column ran different code.
    """

    name: str
    run_ids: list[str]
    mixed: bool = False


class ComparedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of texts: for each column its distinct values in the order of the runs, None for a run without
    one.
    """

    name: str
    columns: list[list[str | None]]
    differs: bool


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A mean of ``n`` finite values with its 95 % confidence interval: mean ± ``margin``.

    There is no margin for n below 2, or if all values are equal.
    """

    n: int
    mean: float | None = None
    margin: float | None = None


class MetricCell(msgspec.Struct, frozen=True, kw_only=True):
    """A metric's latest values in one column, one for each run, with their mean.

    ``difference`` is this mean less the baseline's, ``low`` and ``high`` its 95 % confidence interval by
    Welch's method (None if one of the two has no spread). ``verdict`` is empty without an interval and
    ``unclear`` if the interval includes 0.
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
    """A metric; ``together`` is the estimate over all runs, if all are repeats of each other."""

    name: str
    columns: list[MetricCell]
    differs: bool
    together: Estimate | None = None


class LineChange(msgspec.Struct, frozen=True, array_like=True):
    """A change: the baseline's lines ``before_start`` to ``before_end`` (from 0, the end excluded) became
    these lines.

    Lines between the changes are equal.
    """

    before_start: int
    before_end: int
    after_start: int
    after_end: int


class TextChange(msgspec.Struct, frozen=True, kw_only=True):
    """A cell, or a file's part of a patch, beside the baseline's: ``before`` or ``after`` is None if it is
    missing.

    Equal ones come without their text. ``left_out``: too much differs for one answer, so the texts are
    missing.
    """

    title: str
    kind: ChangeKind
    before: str | None = None
    after: str | None = None
    changes: list[LineChange] = []
    left_out: bool = False


class ColumnChanges(msgspec.Struct, frozen=True, kw_only=True):
    """The differences of one column's run from the baseline's; ``why`` says why the two could not be
    compared.
    """

    cells: list[TextChange] = []
    patch: list[TextChange] = []
    why: str = ""


class ArtifactEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A file in one column; ``run_id`` is empty if the column has none."""

    run_id: str = ""
    size_bytes: int | None = None
    sameness: Sameness = "missing"


class ArtifactRow(msgspec.Struct, frozen=True, kw_only=True):
    """A file's path, and the file in each column.

    ``same``: the digests of the content are equal; ``same_size``: only the sizes are known to be equal.
    """

    path: str
    columns: list[ArtifactEntry]
    differs: bool


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Runs side by side. ``baseline`` is a column. ``repeats``: all runs are repeats, so each has a column.

    ``more``: rows of a section that are left out, by its name; differing rows come first.
    """

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
