"""Metrics with intervals from the kept predictions of an evaluation, overall and by group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .models import Metric

#: Larger files are not read for a card; their run's metrics are shown without intervals.
MAX_ROWS = 5_000_000
MAX_GROUPS = 20
_MAX_CLASSES = 1_000
_GROUP = "group."


def measured(path: Path, data: str, digest: str) -> list[Metric]:
    """Return metrics of a ``predictions.parquet``: the accuracy of classes, or the mean absolute error of numbers.

    Rows without a label are left out. Intervals: Wilson (1927) for a rate, Student's t for a mean, 95 %. Raises
    OSError, ValueError and pyarrow's errors, which are ValueErrors.
    """
    import pyarrow.parquet as parquet

    file = parquet.ParquetFile(path)
    if file.metadata.num_rows > MAX_ROWS:
        return []
    names = file.schema_arrow.names
    groups = [name for name in names if name.startswith(_GROUP)]
    if "label" not in names or "prediction" not in names:
        raise ValueError("the columns label and prediction are missing")
    table = file.read(columns=["label", "prediction", *groups])
    table = table.filter(table.column("label").is_valid())
    if not table.num_rows:
        return []
    labels = table.column("label").to_numpy()
    predictions = table.column("prediction").to_numpy()
    score = _right if _is_classes(labels) else _distance
    found = [score(labels, predictions, data, digest, "")]
    for name in groups:
        found += _by_group(score, labels, predictions, table.column(name), name, data, digest)
    return found


def _by_group(
    score: Any, labels: Any, predictions: Any, column: Any, name: str, data: str, digest: str
) -> list[Metric]:
    import numpy as np

    values = np.asarray(column.to_pylist(), dtype=object)
    there = sorted({str(value) for value in values if value is not None})[:MAX_GROUPS]
    texts = np.array([None if value is None else str(value) for value in values], dtype=object)
    found = []
    for value in there:
        rows = texts == value
        group = f"{name.removeprefix(_GROUP)}={value}"
        found.append(score(labels[rows], predictions[rows], data, digest, group))
    return found


def _is_classes(labels: Any) -> bool:
    import numpy as np

    if labels.dtype.kind not in "fiu":
        return True
    return bool(np.all(labels == np.floor(labels))) and len(np.unique(labels)) <= min(
        _MAX_CLASSES, max(2, len(labels) // 2)
    )


def _right(labels: Any, predictions: Any, data: str, digest: str, group: str) -> Metric:
    from scipy.stats import binomtest

    right, rows = int((labels == predictions).sum()), len(labels)
    interval = binomtest(right, rows).proportion_ci(0.95, method="wilson")
    return Metric(
        name="accuracy", value=right / rows, low=float(interval.low), high=float(interval.high), rows=rows,
        data=data, digest=digest, group=group, method="Wilson",
    )  # fmt: skip


def _distance(labels: Any, predictions: Any, data: str, digest: str, group: str) -> Metric:
    import numpy as np

    from genops_lab.statistics.repeats import mean_t

    found = mean_t(np.abs(labels.astype(float) - predictions.astype(float)))
    return Metric(
        name="mean_absolute_error", value=found.estimate or 0.0, low=found.low, high=found.high, rows=found.n,
        data=data, digest=digest, group=group, method="Student's t",
    )  # fmt: skip
