"""The page that is made of what ``make bench`` prints."""

from __future__ import annotations

import json

from benchmarks.figure import Figure
from benchmarks.table import page


def line(**fields: object) -> str:
    return json.dumps(Figure(**fields).line())  # type: ignore[arg-type]


def test_each_figure_stands_beside_its_baseline_and_what_was_wanted() -> None:
    found = page(
        [
            "what is no figure",
            line(name="start_ours", unit="ms", values=[1.0], target=0.5),
            line(
                name="start_ours", unit="ms", values=[30.0, 20.25, 25.0], target=50.0,
                baseline="local kernel", baseline_values=[290.0], notes={"cuts": 3},
            ),
            line(name="lost", unit="lines", values=[0]),
        ],
        "2026-01-02",
    )  # fmt: skip
    assert "on 2026-01-02" in found
    rows = [row for row in found.splitlines() if row.startswith("|")][2:]
    assert rows == [
        "| start ours | 25 ms (20.2 to 30, 3 times) | 50 ms | local kernel: 290 ms | cuts 3 |",
        "| lost | 0 lines |  |  |  |",
    ]
