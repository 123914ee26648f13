"""What a query costs over runs that are columns already: no store, no wire."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from genops_lab.experiments.query import Columns, Kind, Numbers, Texts, parse

from .figure import Figure

ROWS = 100_000
NOW = 1_790_000_000.0

#: By what is asked of the columns.
QUERIES = {
    "three conditions": "metrics.accuracy > 0.9 AND params.optimizer = 'adam' AND start_time > -7d",
    "a parameter as a number, all different": "params.lr < 0.01",
    "a word of the run's name, all different": "resnet-99",
    "a regular expression, all different": "run_name =~ '9{3}$'",
    "LIKE, all different": "run_name LIKE 'res_et%9'",
}


def measured(columns: Columns, queries: dict[str, str], *, now: float, times: int = 20) -> Iterator[Figure]:
    """One figure a query: reading and answering it, ``times`` times, in milliseconds."""
    for what, text in queries.items():
        parse(text).mask(columns, now=now)  # the first one loads what it needs
        values: list[float] = []
        for _ in range(times):
            begun = time.perf_counter()
            mask = parse(text).mask(columns, now=now)
            values.append((time.perf_counter() - begun) * 1000)
        yield Figure(
            name=f"a query of {columns.rows:,} runs: {what}",
            unit="ms",
            values=values,
            notes={"query": text, "found": int(mask.sum())},
        )


def figures() -> Iterator[Figure]:
    """Of columns that are made up."""
    return measured(MadeUp(ROWS), QUERIES, now=NOW)


class MadeUp:
    """Runs with a metric, an optimizer, a learning rate and a name that no other run has."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        random = np.random.default_rng(0)
        everywhere = np.ones(rows, dtype=np.bool_)
        each = np.arange(rows, dtype=np.int32)
        rates = [repr(rate) for rate in random.random(rows).tolist()]
        optimizers = random.integers(0, 3, rows).astype(np.int32)
        self._numbers: dict[tuple[Kind, str], Numbers] = {
            ("metric", "accuracy"): Numbers(random.random(rows), random.random(rows) < 0.9),
            ("attribute", "start_time"): Numbers(NOW - random.random(rows) * 30 * 86400, everywhere),
        }
        self._texts: dict[tuple[Kind, str], Texts] = {
            ("param", "optimizer"): Texts(optimizers, pa.array(["adam", "sgd", "adamw"])),
            ("param", "lr"): Texts(each, pa.array(rates)),
            ("attribute", "run_name"): Texts(each, pa.array([f"resnet-{run}" for run in range(rows)])),
            ("attribute", "run_id"): Texts(each, pa.array([f"{run:032x}" for run in range(rows)])),
        }

    @property
    def rows(self) -> int:
        return self._rows

    def numbers(self, kind: Kind, name: str) -> Numbers | None:
        return self._numbers.get((kind, name))

    def texts(self, kind: Kind, name: str) -> Texts | None:
        return self._texts.get((kind, name))

    def names(self, kind: Kind) -> Sequence[str]:
        return sorted(name for of, name in [*self._numbers, *self._texts] if of == kind)
