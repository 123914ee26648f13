"""Runs in groups: what pandas says of the same runs, window by window."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genops_lab.core.errors import InvalidRequest
from genops_lab.experiments.columns.changes import Changes, RunRow
from genops_lab.experiments.columns.grouping import Window, window, without_heads
from genops_lab.experiments.columns.models import RunGrouping, RunSort
from genops_lab.experiments.columns.selection import Asked
from genops_lab.experiments.columns.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas as pd

BY = ("params.a", "tags.b", "status")
WORDS = [None, "1", "10", "2", "é"]
LOSSES = [None, 0.5, -1.0, 2.0, math.nan, math.inf, -math.inf, 1.7976931348623157e308]
RUNS = st.lists(
    st.fixed_dictionaries(
        {
            "params.a": st.sampled_from(WORDS),
            "tags.b": st.sampled_from(WORDS[:3]),
            "status": st.sampled_from(["FINISHED", "FAILED"]),
            "metrics.loss": st.sampled_from(LOSSES),
        }
    ),
    max_size=25,
)
SORTS = st.lists(
    st.builds(
        RunSort,
        column=st.sampled_from([*BY, "metrics.loss", "runs", "start_time", "metrics.none"]),
        descending=st.booleans(),
    ),
    max_size=2,
    unique_by=lambda by: by.column,
)


def snapshot_of(runs: list[dict[str, Any]]) -> Snapshot:
    """The runs in their order, each a second after the one before."""
    changes = Changes(
        runs=[
            RunRow(f"r{at:03}", None, run["status"], 1000 * (at + 1), None, "active", "1", None, None)
            for at, run in enumerate(runs)
        ]
    )
    changes.params.put([(at, "a", run["params.a"]) for at, run in enumerate(runs) if run["params.a"]])
    changes.tags.put([(at, "b", run["tags.b"]) for at, run in enumerate(runs) if run["tags.b"]])
    losses = [(at, "loss", run["metrics.loss"]) for at, run in enumerate(runs)]
    changes.metrics.put([each for each in losses if each[2] is not None])
    return Snapshot().apply(changes)


def ask(asked: Asked, grouping: RunGrouping, sort: list[RunSort], offset: int, limit: int) -> Window:
    found = asked.find([], "", without_heads(sort), "active")
    columns = ["metrics.loss", "start_time", *BY]
    return window(asked, found, grouping, sort, columns, offset, limit)


def seen(asked: Asked, grouping: RunGrouping, sort: list[RunSort], step: int) -> list[Any]:
    """All rows, asked for in windows: of a run its id, of a group what it says."""
    found: list[Any] = []
    while True:
        made = ask(asked, grouping, sort, len(found), step)
        if not made.run_ids:
            assert made.places == len(found)
            return found
        part: list[Any] = list(made.run_ids)
        for group in made.groups:
            assert part[group.at] == ""
            values = {column.column: column.values[group.at] for column in made.columns}
            part[group.at] = (group.path, group.runs, group.open, group.position, group.siblings,
                              values, group.spreads.get("metrics.loss"))  # fmt: skip
        found += part


def numeric(words: list[str]) -> bool:
    return all(word != "é" for word in words)


class Oracle:
    """The same from a frame, without a thought of speed."""

    def __init__(self, frame: pd.DataFrame, grouping: RunGrouping, sort: list[RunSort]) -> None:
        self.frame, self.grouping, self.sort = frame, grouping, sort
        self.words = {by: [each for each in frame[by].unique() if each is not None] for by in BY}

    def rows(self, part: pd.DataFrame, path: tuple[Any, ...] = ()) -> Iterator[Any]:
        if len(path) == len(self.grouping.by):
            yield from part["run_id"]
            return
        by = self.grouping.by[len(path)]
        groups = [(value, part[part[by].isna() if value is None else part[by] == value])
                  for value in part[by].unique()]  # fmt: skip
        groups.sort(key=lambda group: self.value_key(by, group[0], False))
        for asked in reversed(self.sort):
            if asked.column == by:
                groups.sort(key=lambda group: self.value_key(by, group[0], asked.descending))
            elif asked.column == "runs":
                groups.sort(key=lambda group: len(group[1]) * (-1 if asked.descending else 1))
            elif asked.column in ("metrics.loss", "start_time"):
                groups.sort(key=lambda group: self.number_key(asked, group[1]))
        for place, (value, inside) in enumerate(groups):
            own = (*path, value)
            is_open = (len(path) < self.grouping.open_levels) != (list(own) in self.grouping.turned)
            yield self.head(own, inside, is_open, place + 1, len(groups))
            if is_open:
                yield from self.rows(inside, own)

    def value_key(self, by: str, value: str | None, descending: bool) -> tuple[Any, ...]:
        if value is None:
            return (1,)
        # As everywhere in the table: as numbers where all are, here among all runs of the level.
        words = sorted(self.words[by], key=float if numeric(self.words[by]) and by != "status" else str)
        return 0, words.index(value) * (-1 if descending else 1)

    def number_key(self, asked: RunSort, part: pd.DataFrame) -> tuple[Any, ...]:
        value = self.aggregate(asked.column, part)
        return (1,) if value is None else (0, -value if asked.descending else value)

    def aggregate(self, column: str, part: pd.DataFrame) -> float | None:
        values = finite(part[column])
        how = self.grouping.aggregates.get(column, "mean" if column == "metrics.loss" else "max")
        return float(values.agg(how)) if len(values) else None

    def head(self, path: tuple[Any, ...], part: pd.DataFrame, is_open: bool, place: int, of: int) -> Any:
        values = {column: self.aggregate(column, part) for column in ("metrics.loss", "start_time")}
        alike = {by: part[by].iloc[0] if part[by].nunique(dropna=False) == 1 else None for by in BY}
        losses = finite(part["metrics.loss"])
        there = len(part["metrics.loss"]) - part["metrics.loss"].map(lambda value: value is None).sum()
        spread = (losses.min() if len(losses) else None, losses.max() if len(losses) else None,
                  len(losses), there - len(losses)) if there else None  # fmt: skip
        return list(path), len(part), is_open, place, of, values, alike, spread


def finite(values: pd.Series[Any]) -> pd.Series[Any]:
    return values.map(lambda value: value is not None and abs(value) < LOSSES[-1]).pipe(
        lambda mask: values[mask].astype(float)
    )


@given(
    runs=RUNS,
    by=st.lists(st.sampled_from(BY), min_size=1, max_size=3, unique=True),
    open_levels=st.integers(0, 3),
    sort=SORTS,
    step=st.integers(1, 9),
    how=st.sampled_from(["mean", "min", "max"]),
    data=st.data(),
)
def test_groups_are_those_of_pandas(
    runs: list[dict[str, Any]],
    by: list[str],
    open_levels: int,
    sort: list[RunSort],
    step: int,
    how: Any,
    data: Any,
) -> None:
    import pandas as pd

    frame = pd.DataFrame(
        [{**run, "run_id": f"r{at:03}", "start_time": float(at + 1)} for at, run in enumerate(runs)],
        columns=["run_id", "start_time", *BY, "metrics.loss"], dtype=object,
    )  # fmt: skip
    frame = frame.where(frame.notna() | frame.map(lambda value: isinstance(value, float)), None)
    every = [[run[each] for each in by][: level + 1] for run in runs for level in range(len(by))]
    turned = data.draw(st.lists(st.sampled_from(every), max_size=4, unique_by=tuple)) if every else []
    grouping = RunGrouping(
        by=by, open_levels=open_levels, turned=[*turned, ["no such value"]], aggregates={"metrics.loss": how}
    )
    asked = Asked(snapshot_of(runs))
    in_order = asked.find([], "", without_heads(sort), "active").rows
    expected = list(Oracle(frame, grouping, sort).rows(frame.iloc[in_order]))
    found = seen(asked, grouping, sort, step)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        if isinstance(theirs, str):
            assert ours == theirs
            continue
        path, count, is_open, place, siblings, values, spread = ours
        assert (path, count, is_open, place, siblings) == theirs[:5]
        for column, value in theirs[5].items():
            assert values[column] == (None if value is None else pytest.approx(value)), column
        assert {each: values[each] for each in BY} == theirs[6]
        answer = spread and (spread.low, spread.high, spread.finite, spread.other)
        assert answer == theirs[7]
    runs_alone = [
        each
        for each in seen(asked, RunGrouping(by=by, open_levels=len(by)), sort, 100)
        if isinstance(each, str)
    ]
    for path in turned:
        inside = ask(asked, RunGrouping(by=by, within=[path, path]), sort, 0, 100)
        wanted = [run_id for run_id in runs_alone
                  if list(frame.loc[frame["run_id"] == run_id, by].iloc[0])[: len(path)] == path]  # fmt: skip
        assert (inside.run_ids, inside.places, inside.groups) == (wanted, len(wanted), [])


def test_what_cannot_be_grouped() -> None:
    asked = Asked(snapshot_of([]))
    for wrong in (
        RunGrouping(by=[]),
        RunGrouping(by=["status", "status"]),
        RunGrouping(by=["metrics.loss"]),
        RunGrouping(by=["start_time"]),
        RunGrouping(by=["nonsense"]),
        RunGrouping(by=[f"params.{at}" for at in range(5)]),
        RunGrouping(by=["status"], turned=[["x"]] * 10_001),
    ):
        with pytest.raises(InvalidRequest) as caught:
            ask(asked, wrong, [], 0, 10)
        assert caught.value.hint
    none = ask(asked, RunGrouping(by=["params.a", "status"], open_levels=2), [], 0, 10)
    assert (none.run_ids, none.places, none.matched) == ([], 0, 0)
