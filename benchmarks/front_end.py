"""The front end: what it adds to activation, how large its first bundle is, how soon a metric shows."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.support.browser import LabPage, chromium, lab_page
from tests.support.homes import temporary_home
from tests.support.lab_server import LabServer, running_lab

from .figure import Figure

ROUNDS = 7
SAMPLE_US = 100
METRICS = 12
# Waits for the go, then logs one value after the other and says when it did.
LOGGER = """
import sys, time
import genops
genops.start(name="bench-latency", experiment="bench")
genops.log({"first": 0.0}, step=0)
print("ready", flush=True)
for line in sys.stdin:
    value = float(line)
    started = time.time()
    genops.log({"shown": value}, step=int(value))
    print(started, flush=True)
genops.end()
"""


def _script_ms(browser: Browser, server: LabServer) -> tuple[float, float]:
    """Milliseconds of script time while the Lab loads, by V8's sampling profiler: below a frame of ours, and in
    all. A difference of two whole loads drowns such a part in its noise."""
    with lab_page(browser, server) as lab:
        profiler = lab.page.context.new_cdp_session(lab.page)
        profiler.send("Profiler.enable")
        profiler.send("Profiler.setSamplingInterval", {"interval": SAMPLE_US})
        profiler.send("Profiler.start")
        lab.open()
        lab.page.wait_for_timeout(500)
        profile = profiler.send("Profiler.stop")["profile"]
    ours: set[int] = set()
    idle: set[int] = set()
    for node in profile["nodes"]:  # parents come before their children
        frame = node["callFrame"]
        if node["id"] in ours or "extensions/genops-lab/" in frame["url"]:
            ours.update([node["id"], *node.get("children", [])])
        if frame["functionName"] in ("(idle)", "(program)", "(garbage collector)", "(root)"):
            idle.add(node["id"])
    samples = list(zip(profile["samples"], profile["timeDeltas"], strict=True))
    return (
        sum(delta for node, delta in samples if node in ours) / 1000,
        sum(delta for node, delta in samples if node not in idle) / 1000,
    )


def _first_bundle_kb(browser: Browser, server: LabServer) -> float:
    """The scripts of ours that a fresh page loads, gzipped."""
    root = Path(__file__).resolve().parents[1] / "genops_lab" / "labextension" / "static"
    names: set[str] = set()
    with lab_page(browser, server) as lab:
        lab.page.on(
            "response",
            lambda answer: names.update(re.findall(r"extensions/genops-lab/static/([^?]+\.js)", answer.url)),
        )
        lab.open()
        lab.page.wait_for_timeout(1000)
    return sum(len(gzip.compress((root / name).read_bytes(), 9)) for name in names) / 1024


def _run_table_kb(browser: Browser, server: LabServer) -> float:
    """The scripts of ours that the run table adds to a page when it is first opened, gzipped."""
    root = Path(__file__).resolve().parents[1] / "genops_lab" / "labextension" / "static"
    names: set[str] = set()
    with lab_page(browser, server) as lab:
        lab.open()
        lab.page.wait_for_timeout(1000)
        lab.page.on(
            "response",
            lambda answer: names.update(re.findall(r"extensions/genops-lab/static/([^?]+\.js)", answer.url)),
        )
        lab.execute("genops:open-runs")
        lab.page.locator(".gol-RunTable").wait_for()
    return sum(len(gzip.compress((root / name).read_bytes(), 9)) for name in names) / 1024


def _shown_after_s(lab: LabPage, server: LabServer) -> list[float]:
    logger = subprocess.Popen(
        [sys.executable, "-c", LOGGER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=server.home.environment(), cwd=server.home.work,
    )  # fmt: skip
    assert logger.stdin is not None and logger.stdout is not None
    logger.stdout.readline()
    experiments = lab.section("Runs")
    experiments.get_by_text("bench-latency").first.wait_for()
    delays = []
    for number in range(1, METRICS + 1):
        value = 1000 + number
        logger.stdin.write(f"{value}\n")
        logger.stdin.flush()
        started = float(logger.stdout.readline())
        _wait_for_value(lab.page, value)
        delays.append(time.time() - started)
        time.sleep(0.7)
    logger.stdin.close()
    logger.wait(30)
    return delays


def _wait_for_value(page: Page, value: int) -> None:
    """The value stands in the panel as text (a legend, a table cell or a chart's label)."""
    page.wait_for_function(
        """value => {
          const text = document.querySelector('#genops-lab-panel').textContent.replaceAll(',', '');
          return text.includes(String(value));
        }""",
        arg=value,
        polling=20,
        timeout=20_000,
    )


def figures() -> Iterator[Figure]:
    with temporary_home(debugger=True) as home, chromium() as browser, running_lab(home) as server:
        _script_ms(browser, server)
        pairs = [_script_ms(browser, server) for _ in range(ROUNDS)]
        yield Figure(
            name="front_end_activation_added",
            unit="ms",
            values=[ours for ours, _all in pairs],
            target=50,
            baseline="all script time of the same load, ours included",
            baseline_values=[everything for _ours, everything in pairs],
        )
        yield Figure(
            name="front_end_first_bundle",
            unit="kB gzip",
            values=[_first_bundle_kb(browser, server)],
            target=200,
        )
        yield Figure(
            name="run_table_bundle",
            unit="kB gzip",
            values=[_run_table_kb(browser, server)],
            target=150,
        )
        with lab_page(browser, server) as lab:
            lab.open()
            lab.panel()
            yield Figure(name="metric_shown_after", unit="s", values=_shown_after_s(lab, server), target=1)
