"""The benchmark of lineage, with a few runs: it must not rot."""

from __future__ import annotations

import pytest

from benchmarks import lineage


@pytest.mark.exhaustive
def test_the_benchmark_asks_both_ways() -> None:
    [line] = [figure.line() for figure in lineage.measured(60, times=1)]
    assert "60 runs" in line["figure"] and line["unit"] == "CPU ms"
    assert line["median"] > 0 and line["baseline"]["median"] > 0
