"""What groups of runs have in a column of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genops_lab.experiments.query.columns import NUMBER_ATTRIBUTES, Kind
from genops_lab.experiments.query.evaluate import LARGEST

from .cells import NumberColumn
from .models import Aggregate
from .snapshot import Moment

Floats = npt.NDArray[np.float64]
_TIMES = ("start_time", "end_time")


@dataclass(frozen=True)
class Summary:
    """Arrays of the shape (groups,). ``mean``, ``low`` and ``high`` are of the ``finite`` values, NaN where there is
    none; ``other`` values are NaN or infinite."""

    mean: Floats
    low: Floats
    high: Floats
    finite: npt.NDArray[np.intp]
    other: npt.NDArray[np.intp]

    def aggregate(self, how: Aggregate) -> Floats:
        """One of the three."""
        return self.mean if how == "mean" else self.low if how == "min" else self.high


def kept(column: str, aggregates: dict[str, Aggregate]) -> Aggregate:
    """How a column is told of a group: as asked; of times the latest, of other numbers the mean."""
    return aggregates.get(column, "max" if column.removeprefix("attributes.") in _TIMES else "mean")


def numbers_at(
    moment: Moment, kind: Kind, name: str, rows: npt.NDArray[np.intp]
) -> tuple[Floats, npt.NDArray[np.bool_]] | None:
    """The numbers at ``rows`` and which are there; None where the column has none."""
    if (kind, name) == ("attribute", "duration"):
        found = moment.numbers(kind, name)
        return None if found is None else (found.values[rows], found.present[rows])
    column = moment.snapshot.columns[kind].get(name)
    is_number = kind == "metric" or (kind == "attribute" and name in NUMBER_ATTRIBUTES)
    return column.cells.at(rows) if is_number and isinstance(column, NumberColumn) else None


def sums(values: Floats, there: npt.NDArray[np.bool_], begins: npt.NDArray[np.intp]) -> Summary:
    """Of groups that lie one behind the other and begin there, none of them empty."""
    # MLflow's databases keep infinite metrics as the largest numbers.
    finite = there & (np.abs(values) < LARGEST)
    count = _each(np.add, finite.astype(np.intp), begins)
    other = _each(np.add, (there & ~finite).astype(np.intp), begins)
    none = count == 0
    total = _each(np.add, np.where(finite, values, 0.0), begins)
    low = _each(np.minimum, np.where(finite, values, np.inf), begins)
    high = _each(np.maximum, np.where(finite, values, -np.inf), begins)
    low[none], high[none] = np.nan, np.nan
    # A sum of large numbers may overflow, and a mean's last digits may leave the range.
    mean = np.clip(total / np.where(none, 1, count), low, high)
    return Summary(np.where(none, np.nan, mean), low, high, count, other)


def _each(reduce: Any, values: npt.NDArray[Any], begins: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    return np.asarray(reduce.reduceat(values, begins)) if len(begins) else values[:0]
