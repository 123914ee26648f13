"""Groups of runs, as a person sees them."""

from __future__ import annotations

from typing import Any

from ..document import Column, Document, Row, Table, moment

SHOWN_METRICS = 3


def groups(by: list[str], told: list[dict[str, Any]], metrics: list[str]) -> Document:
    """``runs list --group``."""
    shown = [name.removeprefix("metrics.") for name in metrics[:SHOWN_METRICS]]
    rows: list[Row] = [
        [
            *("(none)" if value is None else value for value in each["group"].values()),
            f"{each['runs']:,}",
            moment(each["newest_at"]),
            *(_spread(each["metrics"].get(name)) for name in shown),
        ]
        for each in told
    ]
    columns = [
        *(Column(name, shrinks=True) for name in by),
        Column("runs", right=True),
        Column("newest"),
        *(Column(f"{name} (mean, range)", right=True) for name in shown),
    ]
    return Document([Table(columns, rows, empty="No run matches.")])


def _spread(metric: dict[str, Any] | None) -> str:
    """The mean, between what the values lie, and how many are no finite numbers."""
    if metric is None:
        return ""
    other = f" +{metric['not_finite']} not finite" if metric["not_finite"] else ""
    if not metric["finite"]:
        return other.strip(" +")
    low, high = f"{metric['min']:.4g}", f"{metric['max']:.4g}"
    return f"{metric['mean']:.4g}" + (f" ({low} to {high})" if low != high else "") + other
