"""Any query over any table finds what pandas finds, asked in pandas' own words."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from genops_lab.experiments.query import Kind, Numbers, parse
from tests.support.asked import Asked, Frame, leaves, queries
from tests.support.exhaustive import examples
from tests.support.random_runs import NOW, ZONE, tables
from tests.support.run_columns import Row, RowColumns

if TYPE_CHECKING:
    import pandas as pd


def _compared(table: list[Row], asked: Asked) -> None:
    mask = parse(asked.text).mask(RowColumns(table), now=NOW.timestamp(), timezone=ZoneInfo(ZONE))
    expected = asked.of(Frame(table))
    event("found some" if 0 < mask.sum() < len(table) else "found all or none")
    assert mask.dtype == bool and mask.shape == (len(table),)
    assert mask.tolist() == expected.tolist()


@given(table=tables, asked=queries)
@settings(max_examples=examples(400), deadline=None)
def test_any_query_finds_what_pandas_finds(table: list[Row], asked: Asked) -> None:
    _compared(table, asked)


@given(
    table=tables,
    parts=st.lists(leaves, min_size=3, max_size=5),
    joins=st.lists(st.sampled_from(["AND", "or"]), min_size=4),
)
@settings(max_examples=examples(150), deadline=None)
def test_and_binds_closer_than_or(table: list[Row], parts: list[Asked], joins: list[str]) -> None:
    import pandas as pd

    text, groups = parts[0].text, [[parts[0]]]
    for part, join in zip(parts[1:], joins, strict=False):
        text += f" {join} {part.text}"
        if join == "AND":
            groups[-1].append(part)
        else:
            groups.append([part])

    def of(frame: Frame) -> pd.Series:
        found = pd.Series(False, index=range(len(table)))
        for group in groups:
            every = pd.Series(True, index=range(len(table)))
            for part in group:
                every = every & part.of(frame)
            found = found | every
        return found

    _compared(table, Asked(text, of))


class KeptColumns(RowColumns):
    """Columns that give the same arrays again."""

    def __init__(self, table: list[Row]) -> None:
        super().__init__(table)
        self.kept: dict[tuple[Kind, str], Numbers | None] = {}

    def numbers(self, kind: Kind, name: str) -> Numbers | None:
        if (kind, name) not in self.kept:
            self.kept[kind, name] = super().numbers(kind, name)
        return self.kept[kind, name]


@pytest.mark.parametrize(
    "text", ["", "metrics.a IS NOT NULL", "metrics.a > 0", "NOT metrics.a IS NAN", "metrics.a = metrics.a"]
)
def test_a_mask_is_the_callers_own(text: str) -> None:
    columns = KeptColumns([Row(metrics={"a": 1.0}), Row(metrics={"a": 2.0})])
    mask = parse(text).mask(columns, now=0)
    mask[:] = False
    assert parse(text).mask(columns, now=0).tolist() == [True, True]
