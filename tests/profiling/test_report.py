"""The report: one file that fetches nothing, whatever stands in a trace."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from genops_lab.commands.main import app
from genops_lab.profiling.models import ProfileSummary
from genops_lab.profiling.report import device_parts, report, share_text
from tests.support.profile_summaries import whole_summary
from tests.support.real_traces import real_trace

HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(1)>" onclick="alert(1)'
REFERENCES = {"src", "href", "srcset", "data", "action", "poster"}


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _with_hostile_text(summary: ProfileSummary) -> ProfileSummary:
    """Every free text of a summary is hostile; ids of lists stay."""
    kept = {"kind", "severity", "code", "by", "bound"}

    def turned(value: object, name: str = "") -> object:
        if isinstance(value, dict):
            return {key: turned(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [turned(each, name) for each in value]
        return HOSTILE if isinstance(value, str) and name not in kept else value

    return msgspec.convert(turned(msgspec.to_builtins(summary)), ProfileSummary)


def test_hostile_texts_stay_texts() -> None:
    html = report(_with_hostile_text(whole_summary()), HOSTILE)
    page = Page(html)
    plain = Page(report(whole_summary(), "two ranks"))
    assert page.tags == plain.tags
    assert page.attributes == plain.attributes
    assert not page.attributes & REFERENCES
    assert "script" not in page.tags
    assert any(HOSTILE in text for text in page.text)
    assert "url(" not in html
    assert "@import" not in html


def test_everything_of_a_summary_is_in_it() -> None:
    text = " ".join(Page(report(whole_summary(), "two ranks")).text)
    for wanted in (
        "two ranks", "The trace could not be read completely", "216,092",
        "Idle: waits for data 228 ms (22.8 %)", "31 %", "0.000112 USD",
        "DataLoader(data, num_workers=4, pin_memory=True)",
        "training.ipynb, cell 4f6c2a90, line 3",
        "93.5 % of the device time has a source line", "ProfilerStep#0 (warm-up)", "aten::mm",
        "ncclDevKernel_AllReduce_Sum_f32",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert text.index("The device waits for data") < text.index("The host waits for the device in each step")


def test_tiny_parts_have_no_false_digits() -> None:
    assert [share_text(part, 100) for part in (0, 0.0009, 0.146, 34.2)] == [
        "0 %",
        "<0.01 %",
        "0.146 %",
        "34.2 %",
    ]


def test_parts_of_a_device_add_up_to_its_span() -> None:
    summary = whole_summary()
    for device, idle in zip(summary.devices, summary.idle, strict=True):
        assert sum(us for _, us in device_parts(device, idle)) == pytest.approx(device.span_us)
        assert sum(us for _, us in device_parts(device, None)) == pytest.approx(device.span_us)


def test_the_command_writes_a_page_and_overwrites_none(tmp_path: Path) -> None:
    trace = tmp_path / "t.json"
    event = {"ph": "X", "cat": "cpu_op", "name": "aten::<b>", "pid": 1, "tid": 1, "ts": 0, "dur": 8}
    trace.write_text(json.dumps({"traceEvents": [event]}))
    output = tmp_path / "r.html"
    given = ["profiles", "report", str(trace), "-o", str(output)]
    assert CliRunner().invoke(app, given).exit_code == 0
    page = output.read_text()
    assert "aten::&lt;b&gt;" in page
    assert "The trace has no GPU events." in page
    again = CliRunner().invoke(app, given)
    assert again.exit_code != 0
    assert output.read_text() == page


@pytest.mark.skipif(
    not real_trace("v100_2rank_nccl.json.gz").is_file(),
    reason="the real traces in ../shared/traces are not here",
)
def test_a_real_trace(tmp_path: Path) -> None:
    output = tmp_path / "r.html"
    trace = real_trace("v100_2rank_nccl.json.gz")
    assert CliRunner().invoke(app, ["profiles", "report", str(trace), "-o", str(output)]).exit_code == 0
    text = " ".join(Page(output.read_text()).text)
    assert "216,092" in text
    assert "ncclKernel_AllReduce_RING_LL_Sum_float" in text
