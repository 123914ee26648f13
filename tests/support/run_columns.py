"""Runs as columns, made from plain rows: what a query is asked of where there is no mirror."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from genops_lab.experiments.query import Kind, Numbers, Texts
from genops_lab.experiments.query.columns import NUMBER_ATTRIBUTES


@dataclass(frozen=True)
class Row:
    """A run. ``attributes`` by the names in the protocol's module; what is absent is not there."""

    attributes: Mapping[str, float | str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def part(self, kind: Kind) -> Mapping[str, float | str]:
        """The values of a kind by their names."""
        parts: dict[Kind, Mapping[str, float | str]] = {
            "attribute": self.attributes,
            "metric": self.metrics,
            "param": self.params,
            "tag": self.tags,
        }
        return parts[kind]


class RowColumns:
    """``Columns`` of rows."""

    def __init__(self, table: Sequence[Row]) -> None:
        self.table = table

    @property
    def rows(self) -> int:
        return len(self.table)

    def _values(self, kind: Kind, name: str) -> list[float | str | None] | None:
        values = [row.part(kind).get(name) for row in self.table]
        return values if any(value is not None for value in values) else None

    def numbers(self, kind: Kind, name: str) -> Numbers | None:
        assert kind == "metric" or (kind == "attribute" and name in NUMBER_ATTRIBUTES), (
            f"{kind} {name} holds texts"
        )
        values = self._values(kind, name)
        if values is None:
            return None
        return Numbers(
            # What is not there may be anything: 0 would be found by a query that forgets to ask for its presence.
            values=np.array([0.0 if value is None else value for value in values], dtype=np.float64),
            present=np.array([value is not None for value in values]),
        )

    def texts(self, kind: Kind, name: str) -> Texts | None:
        import pyarrow as pa

        assert kind != "metric" and not (kind == "attribute" and name in NUMBER_ATTRIBUTES), (
            f"{name} holds numbers"
        )
        values = self._values(kind, name)
        if values is None:
            return None
        # The last word belongs to no run: it must not be found.
        words = [*dict.fromkeys(value for value in values if value is not None), "of no run"]
        places = {word: place for place, word in enumerate(words)}
        codes = [-1 if value is None else places[value] for value in values]
        return Texts(codes=np.array(codes, dtype=np.int32), words=pa.array(words, pa.string()))

    def names(self, kind: Kind) -> Sequence[str]:
        return sorted({name for row in self.table for name in row.part(kind)})
