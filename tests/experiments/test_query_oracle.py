"""Any query over any table finds what pandas finds, asked in pandas' own words."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pandas as pd
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from genops_lab.experiments.query import parse
from tests.support.asked import NOW, ZONE, Asked, Frame, leaves, queries, tables
from tests.support.run_columns import Row, RowColumns


def _compared(table: list[Row], asked: Asked) -> None:
    mask = parse(asked.text).mask(RowColumns(table), now=NOW.timestamp(), timezone=ZoneInfo(ZONE))
    expected = asked.of(Frame(table))
    event("found some" if 0 < mask.sum() < len(table) else "found all or none")
    assert mask.dtype == bool and mask.shape == (len(table),)
    assert mask.tolist() == expected.tolist()


@given(table=tables(), asked=queries)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_query_finds_what_pandas_finds(table: list[Row], asked: Asked) -> None:
    _compared(table, asked)


@given(
    table=tables(),
    parts=st.lists(leaves, min_size=3, max_size=5),
    joins=st.lists(st.sampled_from(["AND", "or"]), min_size=4),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_and_binds_closer_than_or(table: list[Row], parts: list[Asked], joins: list[str]) -> None:
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
