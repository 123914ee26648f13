"""``genops runs list --group``: runs in groups."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from genops_lab.experiments.columns.models import (
    Lifecycle,
    RunColumns,
    RunGroup,
    RunGrouping,
    RunSort,
    RunTable,
    RunTableQuery,
)
from genops_lab.experiments.columns.service import RunTableService

from .run_remarks import query_pointed_at, remarks
from .session import Session
from .views.runs import groups as view

_WAIT_S = 60
_MOST_ROWS = 1000
#: Metrics that are told of each group: those that most runs have.
_METRICS = 50


def list_groups(
    session: Session,
    by: list[str],
    *,
    experiments: list[str],
    query: str,
    sort: list[RunSort],
    lifecycle: Lifecycle,
    limit: int,
) -> None:
    """The groups of the innermost level, each once."""
    asked = RunTableQuery(
        experiments=experiments,
        query=query,
        sort=sort,
        lifecycle=lifecycle,
        limit=_MOST_ROWS,
        wait_s=_WAIT_S,
        groups=RunGrouping(by=by, open_levels=len(by) - 1),
    )
    with query_pointed_at(session, query):
        # Waits until all runs are read, of which the columns are then known.
        session.call(RunTableService.query_runs, body=replace(asked, limit=0))
    metrics = _metrics(session.call(RunTableService.list_run_columns), sort)
    found = session.call(RunTableService.query_runs, body=replace(asked, columns=["start_time", *metrics]))
    inner = [group for group in found.groups if len(group.path) == len(by)]
    told = [_told(by, group, found, metrics) for group in inner[:limit]]
    session.show(told, view(by, told, metrics))
    if len(told) < len(inner) or found.places > len(found.run_ids):
        more = "more" if found.places > len(found.run_ids) else str(len(inner))
        session.say(f"These are {len(told)} of {more} groups: see more with a larger --limit, or --filter.")
    remarks(session, query, found.doubts, found.state)


def _metrics(known: RunColumns, sort: list[RunSort]) -> list[str]:
    """Those that are sorted by, then those that most runs have."""
    sorted_by = [each.column for each in sort if each.column.startswith("metrics.")]
    used = sorted(
        (each for each in known.columns if each.column.startswith("metrics.") and each.runs),
        key=lambda each: -each.runs,
    )
    of_machines = [each.column for each in used if not each.column.startswith("metrics.system/")]
    return list(dict.fromkeys([*sorted_by, *of_machines]))[:_METRICS]


def _told(by: list[str], group: RunGroup, found: RunTable, metrics: list[str]) -> dict[str, Any]:
    """Metrics by name: the mean, the smallest and the largest of the finite values, and how many there are."""
    values = {column.column: column.values[group.at] for column in found.columns}
    return {
        "group": dict(zip(by, group.path, strict=True)),
        "runs": group.runs,
        "newest_at": values["start_time"],
        "metrics": {
            name.removeprefix("metrics."): {
                "mean": values[name],
                "min": spread.low,
                "max": spread.high,
                "finite": spread.finite,
                "not_finite": spread.other,
            }
            for name in metrics
            if (spread := group.spreads.get(name)) is not None
        },
    }
