"""The reader of Nsight Compute's reports against what Nsight Compute itself prints of real ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from genops_lab.profiler import kernel_metrics
from genops_lab.profiler.engine.reading import ncu
from genops_lab.profiler.engine.reading.ncu_report import Report
from genops_lab.profiler.engine.reading.ncu_results import rules_of

from ..support.nsight_tools import real_ncu, real_reports
from .test_ncu_reports import printed, raw_rows

REPORTS = real_reports()
pytestmark = pytest.mark.skipif(
    not REPORTS, reason="scripts/nsight.py has not unpacked Nsight Compute's examples"
)


@pytest.fixture(params=REPORTS, ids=lambda path: path.stem)
def real(request: pytest.FixtureRequest) -> Path:
    real_ncu()
    path = request.param
    assert isinstance(path, Path)
    return path


def _same(told: str, ours: float | str) -> bool:
    """Whether ours is what ncu printed: it rounds to two digits, and shows some numbers in other ways."""
    if isinstance(ours, str):
        return told.partition(" (")[0] == ours.strip()
    number = float(told.partition(" (")[0].replace(",", ""))
    return abs(number - ours) <= max(0.0051, 1e-9 * abs(ours))


def test_every_metric_that_ncu_prints_is_ours(real: Path, tmp_path: Path) -> None:
    units, rows = raw_rows(real, tmp_path)
    for number, row in enumerate(rows):
        found = kernel_metrics(real, number)
        assert found.name == row["Kernel Name"]
        ours = {metric.name: metric for metric in found.metrics}
        names = list(row)[list(row).index("CC") + 1 :]
        assert set(names) - set(ours) == set()
        assert len(names) > 800
        for name in names:
            if row[name] not in ("", "n/a"):
                assert _same(row[name], ours[name].value), (name, row[name], ours[name].value)
            assert ours[name].unit in ("", units[name]), name
        assert sum(1 for name in names if ours[name].unit) > 450


def test_rules_and_their_speedups_are_those_that_ncu_prints(real: Path, tmp_path: Path) -> None:
    said = _packed(re.sub(r"-{10,}", " ", printed(real, tmp_path, "--page", "details")))
    rules = [rule for result in Report(real).results() for rule in rules_of(result)]
    assert len(rules) > 5
    for rule in rules:
        assert _packed(rule.text) in said
        if rule.speedup_pct is not None:
            which = "Est. Local Speedup" if rule.of == "part" else "Est. Speedup"
            assert _packed(f"{which}: {rule.speedup_pct:.4g}% {rule.text}") in said
    text = printed(real, tmp_path, "--page", "details")
    assert text.count("    OPT   ") == sum(rule.kind == "optimization" for rule in rules)
    assert text.count("    INF   ") == sum(rule.kind == "info" for rule in rules)
    assert text.count("Speedup: ") == sum(rule.speedup_pct is not None for rule in rules)


def _packed(text: str) -> str:
    """ncu breaks its lines where it likes, also inside addresses."""
    return "".join(text.split())


def test_the_device_the_launch_and_the_figures_are_those_of_ncu(real: Path, tmp_path: Path) -> None:
    session = printed(real, tmp_path, "--page", "session")
    columns = ncu.read(real)
    (device,) = columns.device_properties
    assert re.search(rf"display_name +{re.escape(device['name'])}", session)
    assert re.search(rf"multiprocessor_count +{device['numSms']}\s", session)
    assert re.search(rf"total_memory +{device['totalGlobalMem']}\s", session)
    _, (row,) = raw_rows(real, tmp_path)
    (kernel,) = [number for number, lane in enumerate(columns.lane) if columns.lanes[lane].device]
    assert columns.dur[kernel] == int(row["gpu__time_duration.sum"])
    assert columns.lanes[columns.lane[kernel]].stream == row["Stream"]
    assert columns.measured is not None
    (launch,) = columns.measured.launches
    assert launch.grid.replace("[", "(").replace("]", ")") == row["Grid Size"]
    assert launch.block.replace("[", "(").replace("]", ")") == row["Block Size"]
    assert columns.damage == []
