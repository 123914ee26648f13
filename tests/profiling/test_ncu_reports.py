"""The tests' own writer of reports against the real Nsight Compute."""

from __future__ import annotations

import csv
import io
import os
import subprocess
from pathlib import Path

import pytest

from ..support.ncu_reports import Rule, Writer, kernel, report
from ..support.nsight_tools import real_ncu


def printed(path: Path, home: Path, *arguments: str) -> str:
    """What the real ``ncu --import`` prints of a report."""
    done = subprocess.run(
        [real_ncu(), "--import", path, *arguments],
        capture_output=True, text=True, env={**os.environ, "HOME": str(home)}, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout


def raw_rows(path: Path, home: Path) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The units and the rows of ncu's raw page."""
    text = printed(path, home, "--csv", "--page", "raw", "--print-units", "base")
    units, *rows = csv.DictReader(io.StringIO(text))
    return units, rows


def test_the_real_one_reads_what_the_writer_writes(tmp_path: Path) -> None:
    first = kernel(
        "gemm(int)", us=120, grid=(8, 2, 1), block=(128, 1, 1), stream=13,
        ranges=["outer", "genops:cell:In%5B3%5D"], crossing=["step"],
        frames=[("/tmp/ipykernel_1/2.py", "<module>", 5)],
        rules=[Rule("SOLBottleneck", "Bottleneck", "Memory is slow.", "optimization", 12.5)],
    )  # fmt: skip
    (tmp_path / "r.ncu-rep").write_bytes(
        report([first, kernel("relu", us=20, metrics={"other__thing.sum": 5})])
    )
    _, rows = raw_rows(tmp_path / "r.ncu-rep", tmp_path)
    assert [(row["Kernel Name"], row["gpu__time_duration.sum"], row["other__thing.sum"]) for row in rows] == [
        ("gemm(int)", "120000", ""),
        ("relu", "20000", "5"),
    ]
    assert (rows[0]["Grid Size"], rows[0]["Block Size"], rows[0]["Stream"]) == (
        "(8, 2, 1)",
        "(128, 1, 1)",
        "13",
    )
    assert (rows[0]["Device"], rows[0]["CC"], rows[0]["Process ID"]) == ("0", "9.0", "4242")
    said = " ".join(printed(tmp_path / "r.ncu-rep", tmp_path, "--page", "details").split())
    for part in ("Est. Speedup: 12.5%", "Memory is slow.", "<1,genops:cell:In%5B3%5D>", "<1,step>", "2.py:5"):
        assert part in said


@pytest.mark.exhaustive
def test_blocks_appended_later_are_read_with_the_names_of_those_before(tmp_path: Path) -> None:
    writer = Writer()
    path = tmp_path / "r.ncu-rep"
    path.write_bytes(writer.head() + writer.block([kernel("a")], sources=[b"code" * 99]))
    with path.open("ab") as file:
        file.write(writer.block([kernel("b", metrics={"late__metric.sum": 2.5})]))
    _, rows = raw_rows(path, tmp_path)
    assert [(row["Kernel Name"], row["late__metric.sum"]) for row in rows] == [("a", ""), ("b", "2.50")]
