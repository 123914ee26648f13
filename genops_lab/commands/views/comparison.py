"""Runs side by side as documents."""

from __future__ import annotations

import difflib
import string
from collections.abc import Iterator

from genops_lab.experiments.comparison.models import (
    ArtifactEntry,
    ComparedRow,
    Estimate,
    MetricCell,
    MetricRow,
    RunComparison,
    TextChange,
)

from ..document import SHORT_ID, Block, Cell, Column, Document, Lines, Note, Row, Table, size, state_cell

#: Lines of differing code that are shown; ``--json`` has all.
SHOWN_LINES = 200
_NONE = "–"
_SAMENESS = {"same": "same", "differs": "differs", "same_size": "same size", "missing": ""}


def comparison(found: RunComparison) -> Document:
    """``runs compare``."""
    names = [_letter(number) for number in range(len(found.columns))]
    blocks: list[Block] = [_legend(found, names)]
    if found.repeats:
        blocks.append(Note("These runs are repeats of one configuration."))
    for title, rows in (
        ("Parameters", found.params),
        ("Tags", found.tags),
        ("Environment", found.facts),
        ("Packages", found.packages),
        ("Data sets", found.datasets),
    ):
        blocks.extend(_rows(title, rows, names))
    blocks.extend(_metrics(found, names))
    blocks.extend(_code(found, names))
    blocks.extend(_artifacts(found, names))
    for section, count in found.more.items():
        blocks.append(Note(f"{count} more rows of {section} are not shown."))
    blocks.extend(Note(f"{run.name}: {run.problem}", "bad") for run in found.runs if run.problem)
    return Document(blocks)


def _letter(number: int) -> str:
    letters = string.ascii_uppercase
    return letters[number] if number < len(letters) else f"A{letters[number - len(letters)]}"


def _legend(found: RunComparison, names: list[str]) -> Table:
    rows: list[Row] = []
    for run in found.runs:
        base = " (baseline)" if run.column == found.baseline else ""
        rows.append(
            [names[run.column] + base, run.run_id[:SHORT_ID], run.name, state_cell(run.status), run.repeat]
        )
    rows.sort(key=lambda row: str(row[0]))
    columns = [
        Column(""),
        Column("run"),
        Column("name", shrinks=True),
        Column("status"),
        Column("repeat", shrinks=True),
    ]
    return Table(columns, rows)


def _rows(title: str, rows: list[ComparedRow], names: list[str]) -> Iterator[Block]:
    shown: list[Row] = [
        [
            row.name,
            *(", ".join(value if value is not None else _NONE for value in each) for each in row.columns),
        ]
        for row in rows
        if row.differs
    ]
    if shown:
        columns = [Column("name", shrinks=True), *(Column(name, shrinks=True) for name in names)]
        yield Table(columns, shown, title=title)


def _metrics(found: RunComparison, names: list[str]) -> Iterator[Block]:
    rows: list[Row] = [_metric(row) for row in found.metrics if row.differs]
    if rows:
        columns = [
            Column("metric", shrinks=True),
            *(Column(name, right=True) for name in names),
            *([Column("mean", right=True)] if found.repeats else []),
        ]
        yield Table(columns, rows, title="Metrics")
    several = any(cell.low is not None for row in found.metrics for cell in row.columns)
    if several:
        yield Note("± and [ ] are 95 % confidence intervals over repeats, by Student's t and Welch's method.")


def _metric(row: MetricRow) -> Row:
    together = [] if row.together is None else [_estimate(row.together)]
    return [row.name, *(_metric_cell(cell) for cell in row.columns), *together]


def _metric_cell(cell: MetricCell) -> str:
    parts = [_estimate(cell.estimate)] if cell.estimate.n else []
    for count, word in ((cell.nan, "NaN"), (cell.infinite, "infinite"), (cell.missing, "missing")):
        if count and len(cell.values) == 1:
            parts.append(_NONE if word == "missing" else word)
        elif count:
            parts.append(f"{count} {word}")
    if cell.difference:
        change = f"{cell.difference:+.3g}"
        if cell.low is not None and cell.high is not None:
            change += f" [{cell.low:.3g}, {cell.high:.3g}]"
            change += " may be chance" if cell.verdict == "unclear" else f" {cell.verdict}"
        parts.append(f"({change})")
    return " ".join(parts)


def _estimate(found: Estimate) -> str:
    if found.mean is None:
        return _NONE
    spread = f" ± {found.margin:.2g}" if found.margin is not None else ""
    return f"{found.mean:.5g}{spread}" + (f" (n={found.n})" if found.n > 1 else "")


def _code(found: RunComparison, names: list[str]) -> Iterator[Block]:
    base = names[found.baseline]
    for name, changes in zip(names, found.changes, strict=True):
        for what, texts in (("cells", changes.cells), ("uncommitted changes", changes.patch)):
            differing = [text for text in texts if text.kind != "equal"]
            if not differing:
                continue
            yield Note(f"{what.capitalize()} of {name} that differ from {base}:")
            lines = [line for text in differing for line in _diff(text)]
            yield Lines(lines[:SHOWN_LINES])
            if len(lines) > SHOWN_LINES:
                yield Note(f"{len(lines) - SHOWN_LINES} more lines are in --json, and in JupyterLab.")
        if changes.why:
            yield Note(f"Cannot compare the code of {name} and {base}: {changes.why}")


def _diff(change: TextChange) -> list[str]:
    head = f"@@ {change.title}" + {"added": " (only in this run)", "removed": " (not in this run)"}.get(
        change.kind, ""
    )
    if change.left_out:
        return [head, "  too long to show"]
    before = change.before.split("\n") if change.before is not None else []
    after = change.after.split("\n") if change.after is not None else []
    lines = list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]
    return [head, *(line for line in lines if not line.startswith("@@"))]


def _artifacts(found: RunComparison, names: list[str]) -> Iterator[Block]:
    rows: list[Row] = []
    for row in found.artifacts:
        if row.differs:
            cells = [_artifact(entry, at == found.baseline) for at, entry in enumerate(row.columns)]
            rows.append([row.path, *cells])
    if rows:
        yield Table(
            [Column("path", shrinks=True), *(Column(name, right=True) for name in names)],
            rows,
            title="Artifacts",
        )


def _artifact(entry: ArtifactEntry, is_base: bool) -> str | Cell:
    if not entry.run_id:
        return _NONE
    word = "" if is_base else _SAMENESS[entry.sameness]
    return f"{size(entry.size_bytes)} {word}".strip()
