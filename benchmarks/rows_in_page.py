"""Measures of a page of rows in Chromium: its first rows, and from an event to the next frame with the answer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import chromium, lab_page
from tests.support.homes import Home, temporary_home
from tests.support.lab_server import LabServer, running_lab

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
_OPENED = """command => new Promise(done => {
  const begun = performance.now();
  const look = () => document.querySelector('.gol-RunTable .rdg-row .gol-RunTable-name')
    ? requestAnimationFrame(() => done(performance.now() - begun)) : requestAnimationFrame(look);
  void window.jupyterapp.commands.execute(command);
  look();
})"""


@contextmanager
def store_of_nothing() -> Iterator[tuple[Home, LabServer, Browser]]:
    """A home, its Lab, whose embedded MLflow has made an empty store, and a browser."""
    with temporary_home(debugger=True) as home, running_lab(home) as server, chromium() as browser:
        assert server.get("genops/runs")["runs"] == []
        yield home, server, browser


def first_rows_ms(
    browser: Browser, server: LabServer, command: str, times: int, *, ended: bool
) -> list[float]:
    """From the command that opens the page to its first rows, each time in a new window; with ``ended`` the process
    that holds the rows is not started."""
    opened = []
    for _ in range(times):
        with lab_page(browser, server) as lab:
            lab.open()
            if ended:
                _end_worker()
            opened.append(float(lab.page.evaluate(_OPENED, command)))
    return opened


@contextmanager
def whole_table(browser: Browser, server: LabServer, command: str, totals: str) -> Iterator[Page]:
    """The page once all rows are read; ``totals`` says so below them."""
    with lab_page(browser, server, width=1920, height=1000) as lab:
        lab.open()
        lab.execute(command)
        expect(lab.page.locator(".gol-RunTable-totals")).to_have_text(totals, timeout=120_000)
        expect(lab.page.locator(".gol-RunTable-freshness")).to_contain_text("up to date", timeout=120_000)
        yield lab.page


def filtered_ms(page: Page, times: int, query: Callable[[int], str]) -> list[float]:
    """Another query each time: no answer is remembered. The first loads what it needs."""
    found = []
    field = page.get_by_role("combobox", name="Query")
    for at in range(times + 1):
        field.fill(query(at))
        found.append(answered_ms(page, "keydown", lambda: field.press("Enter")))
    return found[1:]


def answered_ms(page: Page, event: str, act: Callable[[], None]) -> float:
    """Return the milliseconds from the event that ``act`` makes to the frame with the table's answer."""
    page.evaluate(_TIMED, event)
    act()
    return float(page.evaluate("() => window.golTimed"))


def _end_worker() -> None:
    """The process that holds the rows, as after some minutes without a look at them."""
    for process in psutil.Process().children(recursive=True):
        # Of the browser's processes one may end meanwhile.
        with contextlib.suppress(psutil.NoSuchProcess):
            if '"cache"' in process.environ().get("GENOPS_WORKER_CONFIG", ""):
                process.terminate()
                process.wait(30)
