"""``genops models list --versions``: all versions of all models."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from genops_lab.core.errors import InvalidRequest
from genops_lab.experiments.columns.models import RunTable, RunTableQuery
from genops_lab.experiments.query.subjects import VERSIONS
from genops_lab.registry.versions.service import VersionTableService

from .run_listing import metrics_asked_for, query_pointed_at, remarks, sorting
from .session import Session
from .views.model_versions import model_versions

_WAIT_S = 60
#: Versions of one request.
_PAGE = 1000


def list_versions(session: Session, query: str, sort: list[str], limit: int) -> None:
    """Show the versions that match a query, the newest first."""
    order = [sorting(key) for key in sort]
    kept = (*VERSIONS.attributes, "metrics.", "params.", "tags.")
    with query_pointed_at(session, query):
        # Waiting here reads all versions and runs, so that the columns are known.
        session.call(
            VersionTableService.query_versions, body=RunTableQuery(limit=0, query=query, wait_s=_WAIT_S)
        )
        known = session.call(VersionTableService.list_version_columns).columns
        names = [each.column for each in known if each.runs and each.column.startswith(kept)]
        asked = RunTableQuery(query=query, sort=order, columns=names, limit=min(limit, _PAGE))
        found = session.call(VersionTableService.query_versions, body=asked)
        rows = _rows(found)
        while len(rows) < min(limit, found.matched):
            part = replace(asked, offset=len(rows), limit=min(limit - len(rows), _PAGE))
            more = _rows(session.call(VersionTableService.query_versions, body=part))
            if not more:
                break
            rows += more
    metrics = [f"metrics.{name}" for name in metrics_asked_for(query, order, VERSIONS)]
    session.show([_as_data(row) for row in rows], model_versions(rows, metrics, filtered=bool(query)))
    if found.matched > len(rows):
        session.say(f"These are {len(rows)} of {found.matched} versions. A larger --limit shows more.")
    remarks(session, query, found.doubts, found.state)


def refuse_without_versions(query: str, sort: list[str]) -> None:
    """Raise InvalidRequest if a query or an order was given without ``--versions``."""
    if query or sort:
        raise InvalidRequest(
            "--filter and --sort need --versions.", hint="Add --versions: models have no metrics."
        )


def _rows(found: RunTable) -> list[dict[str, Any]]:
    values = [(each.column, each.values) for each in found.columns]
    return [{name: column[at] for name, column in values} for at in range(len(found.run_ids))]


def _as_data(row: dict[str, Any]) -> dict[str, Any]:
    """Return a version for JSON, without the values that it lacks."""
    data: dict[str, Any] = {"metrics": {}, "params": {}, "tags": {}}
    for name, value in row.items():
        kind, dot, key = name.partition(".")
        if value is None:
            continue
        if dot and kind in data:
            data[kind][key] = value
        elif name in VERSIONS.lists:
            data[name] = value.split(", ")
        else:
            data[name] = int(value) if name == "version" else value
    return data
