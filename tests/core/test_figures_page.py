"""The pages that are made of the lines of ``make bench``."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.table import SHEETS, page, sheet_of, update


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
        "| start ours | 25 ms (20.2 to 30, 3 times) | 50 ms | local kernel: 290 ms | cuts 3 | 2026-01-02 |",
        "| lost | 0 lines |  |  |  | 2026-01-02 |",
    ]


def test_rows_of_the_page_before_stay_with_their_day() -> None:
    first = page(
        [line(name="old", unit="ms", values=[1]), line(name="both", unit="ms", values=[2])], "2026-01-02"
    )
    second = page([line(name="both", unit="ms", values=[3])], "2026-01-05", first)
    third = page([line(name="new", unit="ms", values=[4])], "2026-01-07", second)
    rows = [row for row in third.splitlines() if row.startswith("|")][2:]
    assert rows == [
        "| old | 1 ms |  |  |  | 2026-01-02 |",
        "| both | 3 ms |  |  |  | 2026-01-05 |",
        "| new | 4 ms |  |  |  | 2026-01-07 |",
    ]


def test_a_figure_goes_to_its_page_and_the_others_stay(tmp_path: Path) -> None:
    update([line(name="profile_busy_off_by", unit="%", values=[0])], "2026-01-02", tmp_path)
    before = (tmp_path / "profiles.md").read_text()
    update(
        [line(name="start_paramiko_0ms", unit="ms", values=[265]), line(name="new", unit="ms", values=[1])],
        "2026-01-03",
        tmp_path,
    )
    assert (tmp_path / "profiles.md").read_text() == before
    assert "| start paramiko 0ms | 265 ms |  |  |  | 2026-01-03 |" in (tmp_path / "starts.md").read_text()
    assert "| new | 1 ms |" in (tmp_path / "server.md").read_text()
    assert sheet_of("anything") is SHEETS[-1]
