"""The front end: what it adds to activation, what a page fetches of it, how soon a section and a metric show."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.support.browser import LabPage, chromium, lab_page
from tests.support.homes import temporary_home
from tests.support.lab_server import LabServer, running_lab
from tests.support.page_weight import Weight, fetched, weight

from .figure import Figure

STATIC = Path(__file__).resolve().parents[1] / "genops_lab" / "labextension" / "static"
#: Have the workspace keep that each section is closed.
CLOSED = """async () => {
  const ids = [...document.querySelectorAll('.gol-Section')].map(each => each.id.split('-').pop());
  const services = window.jupyterapp.pluginRegistry._services;
  const state = [...services.keys()].find(each => each.name === '@jupyterlab/coreutils:IStateDB');
  const expanded = Object.fromEntries(ids.map(id => [id, false]));
  await (await window.jupyterapp.resolveRequiredService(state)).save('genops-lab:panel', { expanded });
  await new Promise(done => setTimeout(done, 1000));
}"""
#: Click on each heading; the milliseconds until the view is in the page, in place of the sign that it loads.
OPENED = """async () => {
  const frame = () => new Promise(done => requestAnimationFrame(done));
  const found = [];
  for (const section of document.querySelectorAll('.gol-Section:not(.lm-mod-hidden)')) {
    const body = section.querySelector('.gol-Section-body');
    const start = performance.now();
    section.querySelector('.gol-Section-toggle').click();
    let part = body;  // what says that the first part loads
    while (part.firstElementChild?.classList.contains('lm-Widget')) part = part.firstElementChild;
    while (part.isConnected) {
      await frame();
      if (performance.now() - start > 10000) throw new Error(`${section.id} is not drawn`);
    }
    found.push(performance.now() - start);
    await new Promise(done => setTimeout(done, 500));
  }
  return found;
}"""
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


def _file(name: str) -> bytes:
    return (STATIC / name).read_bytes()


def _at_start(browser: Browser, server: LabServer, *, panel: bool = False) -> Weight:
    """Return the weight of our files in a fresh page; with ``panel`` the panel is open as it is the first time."""
    with lab_page(browser, server) as lab:
        lab.open()
        if panel:
            lab.panel()
        lab.page.wait_for_timeout(1000)
        return weight(fetched(lab.page), _file)


def _run_table_kb(browser: Browser, server: LabServer) -> float:
    """The scripts of ours that the run table adds to a page when it is first opened, gzipped."""
    with lab_page(browser, server) as lab:
        lab.open()
        lab.page.wait_for_timeout(1000)
        before = fetched(lab.page)
        lab.execute("genops:open-runs")
        lab.page.locator(".gol-RunTable").wait_for()
        return weight(fetched(lab.page) - before, _file).script / 1000


def _sections_ms(browser: Browser, server: LabServer) -> list[float]:
    """From the click on a section's heading to its view, of each section, none of whose code is in the page or in the
    browser's cache."""
    with lab_page(browser, server) as lab:
        session = lab.page.context.new_cdp_session(lab.page)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        lab.open()
        lab.page.evaluate(CLOSED)
        lab.open(reset=False)
        lab.panel()
        lab.page.wait_for_timeout(1000)
        return [float(each) for each in lab.page.evaluate(OPENED)]


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


def sizes() -> Iterator[Figure]:
    """What a page fetches of ours. Sizes do not depend on the machine's load."""
    with temporary_home() as home, chromium() as browser, running_lab(home) as server:
        yield from _sizes(browser, server)


def _sizes(browser: Browser, server: LabServer) -> Iterator[Figure]:
    closed, opened = _at_start(browser, server), _at_start(browser, server, panel=True)
    for name, value, target in (
        ("front_end_script_at_start", closed.script, 60),
        ("front_end_style_at_start", closed.style, 15),
        ("front_end_script_with_the_panel", opened.script, None),
    ):
        yield Figure(name=name, unit="kB gzip", values=[value / 1000], target=target)


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
        yield from _sizes(browser, server)
        yield Figure(
            name="section_shown_after_click",
            unit="ms",
            values=[each for _ in range(3) for each in _sections_ms(browser, server)],
            target=150,
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
