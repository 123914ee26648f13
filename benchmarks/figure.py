"""What a benchmark prints."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A measured value with its baseline; ``target`` is what the issue asks for (in the same unit)."""

    name: str
    unit: str
    values: Sequence[float]
    target: float | None = None
    baseline: str = ""
    baseline_values: Sequence[float] = ()
    notes: dict[str, Any] = field(default_factory=dict)

    def line(self) -> dict[str, Any]:
        """Medians to quote, and the spread to judge them by."""
        line: dict[str, Any] = {"figure": self.name, "unit": self.unit, **_spread(self.values)}
        if self.target is not None:
            line["target"] = self.target
        if self.baseline_values:
            line["baseline"] = {"what": self.baseline, **_spread(self.baseline_values)}
        return {**line, **self.notes}


def _spread(values: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 3),
        "min": round(ordered[0], 3),
        "max": round(ordered[-1], 3),
        "n": len(ordered),
    }
