"""The reader of Nsight Compute's reports against what Nsight Compute itself prints of real ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from genops_lab.profiling import analyze, kernel_metrics
from genops_lab.profiling.engine.reading import ncu
from genops_lab.profiling.engine.reading.ncu_report import opened
from genops_lab.profiling.engine.reading.ncu_results import rules_of

from ..support.nsight_tools import real_ncu, real_reports
from .test_ncu_reports import printed, raw_rows

REPORTS = real_reports()
pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(not REPORTS, reason="scripts/nsight.py has not unpacked Nsight Compute's examples"),
]


@pytest.fixture(params=REPORTS, ids=lambda path: path.stem)
def real(request: pytest.FixtureRequest) -> Path:
    real_ncu()
    path = request.param
    assert isinstance(path, Path)
    return path


def _same(theirs: str, ours: float | str) -> bool:
    """Whether ours is what ncu printed: it rounds to two digits, and shows some numbers in other ways."""
    if isinstance(ours, str):
        return theirs.partition(" (")[0] == ours.strip()
    number = float(theirs.partition(" (")[0].replace(",", ""))
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
    with opened(real) as report:
        rules = [rule for result in report.results() for rule in rules_of(result)]
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


def test_what_is_reached_of_a_dtypes_peak_is_what_ncus_rule_says(real: Path) -> None:
    found = analyze(real)
    assert found.measured is not None and found.roofline is not None
    (said,) = [rule.text for rule in found.measured.kernels[0].rules if rule.identifier == "SOLFPRoofline"]
    percents = re.findall(r"(\d+)% of (?:this device's|its) (fp\d\d) peak", said)
    assert [dtype for _, dtype in percents] == ["fp32", "fp64"]
    peaks = {peak.dtype: peak.tflops for peak in found.roofline.peaks}
    (row,) = found.roofline.operators
    for percent, dtype in percents:
        if dtype == row.dtype:
            # It cuts or rounds to whole percent.
            assert 100 * row.tflops / peaks[dtype] == pytest.approx(int(percent), abs=1)
        else:
            assert int(percent) == 0
