"""The metrics of predictions that gates know: their kind, the direction that is better, their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from genops_lab.statistics.margins import Better


@dataclass(frozen=True)
class Metric:
    """How a metric is made: a ``rate`` of rows, a ``mean`` of rows, a number of ``all`` rows, or of their ``ranks``.

    ``points``: differences are shown in points of 100, values in percent.
    """

    kind: Literal["rate", "mean", "all", "ranks"]
    better: Better
    points: bool = False


METRICS: dict[str, Metric] = {
    "accuracy": Metric("rate", "higher", points=True),
    "auc": Metric("ranks", "higher"),
    "error_rate": Metric("rate", "lower", points=True),
    "f1": Metric("all", "higher", points=True),
    "brier": Metric("mean", "lower"),
    "log_loss": Metric("mean", "lower"),
    "mae": Metric("mean", "lower"),
    "mse": Metric("mean", "lower"),
    "rmse": Metric("all", "lower"),
}


#: Metrics as people write them; others as they are.
_NAMES = {
    "auc": "AUC", "brier": "Brier score", "error_rate": "error rate", "f1": "F1", "log_loss": "log loss", "mae": "MAE",
    "mse": "MSE", "rmse": "RMSE",
}  # fmt: skip


def called(metric: str) -> str:
    """Return the name of a metric in a sentence.

    >>> called("log_loss"), called("accuracy")
    ('log loss', 'accuracy')
    """
    return _NAMES.get(metric, metric)
