"""The run table in Chromium: from a key or a click to the next frame with the answer's rows, and its first rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import psutil
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import chromium, lab_page
from tests.support.homes import temporary_home
from tests.support.lab_server import running_lab

from . import run_store
from .figure import Figure

RUNS = 100_000
_METRICS = 5
# From the event on, as the page sees it: what Playwright takes before does not count.
_TIMED = """event => {
  window.golTimed = new Promise(done => {
    const grid = document.querySelector('.gol-RunTable-grid');
    document.addEventListener(event, () => {
      const begun = performance.now();
      let asked = false;
      const observer = new MutationObserver(() => {
        const busy = grid.getAttribute('aria-busy') === 'true';
        asked ||= busy;
        if (asked && !busy) {
          observer.disconnect();
          requestAnimationFrame(() => done(performance.now() - begun));
        }
      });
      observer.observe(grid, {attributeFilter: ['aria-busy']});
    }, {capture: true, once: true});
  });
}"""
_OPENED = """() => new Promise(done => {
  const begun = performance.now();
  const look = () => document.querySelector('.gol-RunTable .rdg-row .gol-RunTable-name')
    ? done(performance.now() - begun) : requestAnimationFrame(look);
  void window.jupyterapp.commands.execute('genops:open-runs');
  look();
})"""


def figures() -> Iterator[Figure]:
    """With 100,000 runs x 19 columns; some minutes, most of which make the store."""
    return measured(RUNS, times=7)


def measured(runs: int, *, times: int) -> Iterator[Figure]:
    """In one Lab, whose embedded MLflow gets ``runs`` runs."""
    with temporary_home(debugger=True) as home, running_lab(home) as server, chromium() as browser:
        assert server.get("genops/runs")["runs"] == []
        run_store.make(
            f"sqlite:///{home.data}/mlflow/mlflow.db", runs, str(home.path / "artifacts"), each=_METRICS
        )
        opened = []
        for _ in range(times):
            with lab_page(browser, server) as lab:
                lab.open()
                end_worker()
                opened.append(float(lab.page.evaluate(_OPENED)))
        yield Figure(
            name=f"first rows of {runs:,} runs on the page, the process that holds them not started",
            unit="ms",
            values=opened,
            target=300,
        )
        with lab_page(browser, server, width=1920, height=1000) as lab:
            lab.open()
            lab.execute("genops:open-runs")
            totals = lab.page.locator(".gol-RunTable-totals")
            expect(totals).to_have_text(f"{runs:,} runs", timeout=120_000)
            expect(lab.page.locator(".gol-RunTable-freshness")).to_contain_text("up to date", timeout=120_000)
            heads = [
                lab.page.locator(
                    f'.gol-RunTable-head[data-column="metrics.metric_{at:02}"] .gol-RunTable-text'
                )
                for at in range(_METRICS)
            ]
            yield Figure(
                name=f"sort of {runs:,} runs, to the next frame",
                unit="ms",
                values=_sorts(lab.page, heads, times),
                target=50,
            )
            yield Figure(
                name=f"filter of {runs:,} runs, to the next frame",
                unit="ms",
                values=_filters(lab.page, times),
                target=50,
            )


def _sorts(page: Page, heads: list[Locator], times: int) -> list[float]:
    """Another column each time, then the other direction: no answer is remembered. The first loads what it needs."""
    return [answered_ms(page, "click", heads[at % len(heads)].click) for at in range(times + 1)][1:]


def _filters(page: Page, times: int) -> list[float]:
    found = []
    field = page.get_by_role("combobox", name="Query")
    for at in range(times + 1):
        field.fill(f"metrics.metric_01 < {0.5 + at / 1000} and params.param_02 = 'adam'")
        found.append(answered_ms(page, "keydown", lambda: field.press("Enter")))
    return found[1:]


def answered_ms(page: Page, event: str, act: Callable[[], None]) -> float:
    """Return the milliseconds from the event that ``act`` makes to the frame with the table's answer."""
    page.evaluate(_TIMED, event)
    act()
    return float(page.evaluate("() => window.golTimed"))


def end_worker() -> None:
    """The process that holds the runs, as after some minutes without a look at them."""
    for process in psutil.Process().children(recursive=True):
        # Of the browser's processes one may end meanwhile.
        with contextlib.suppress(psutil.NoSuchProcess):
            if '"cache"' in process.environ().get("GENOPS_WORKER_CONFIG", ""):
                process.terminate()
                process.wait(30)
