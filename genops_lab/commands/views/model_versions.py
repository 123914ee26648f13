"""All versions of all models as a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..document import Cell, Column, Document, Row, Table, moment


def model_versions(found: Sequence[dict[str, Any]], metrics: Sequence[str], *, filtered: bool) -> Document:
    """``models list --versions``; ``metrics`` are columns of their own."""
    shown = ["aliases", "gates", "deployed", "run"]
    columns = [
        Column("model", shrinks=True),
        Column("version", right=True),
        *(Column(name, shrinks=True) for name in shown),
        *(Column(name.removeprefix("metrics."), right=True) for name in metrics),
        Column("created"),
    ]
    rows: list[Row] = []
    for row in found:
        cells: list[str | Cell] = [str(row.get("model") or ""), f"{row.get('version') or 0:.0f}"]
        cells += [str(row.get(name) or "") for name in shown]
        cells += [_figure(row.get(name)) for name in metrics]
        rows.append([*cells, moment(row.get("created"))])
    nothing = (
        "No version matches."
        if filtered
        else "There are no versions. Register one: genops models register MODEL --run latest"
    )
    return Document([Table(columns, rows, empty=nothing)])


def _figure(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.4g}"
