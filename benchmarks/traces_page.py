"""The page of traces in Chromium: first rows, a filter, a jump to far rows, and a trace of many spans by key."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from playwright.sync_api import Page, expect

from . import trace_store
from .figure import Figure
from .rows_in_page import filtered_ms, first_rows_ms, store_of_nothing, whole_table

TRACES, SPANS = 100_000, 10_000
_LARGE = "large trace"
_OPEN = "genops:open-traces"
# From a command or an event on, as the page sees it: what Playwright takes before does not count.
_UNTIL = """const until = (begun, seen) => new Promise(done => {
  const look = () => seen()
    ? requestAnimationFrame(() => done(performance.now() - begun)) : requestAnimationFrame(look);
  look();
});"""
# A jump of the scroll bar, until rows are drawn there and none of those in sight is empty.
_SCROLLED = f"""share => {{ {_UNTIL}
  const grid = document.querySelector('.gol-Traces .gol-RunTable-rdg');
  const begun = performance.now();
  const top = Math.round(share * (grid.scrollHeight - grid.clientHeight));
  grid.scrollTop = top;
  const first = Math.floor(top / 28) + 2;
  return until(begun, () => {{
    const rows = [...grid.querySelectorAll('.rdg-row')];
    return rows.some(row => row.getAttribute('aria-rowindex') >= first) &&
      rows.every(row => row.getAttribute('aria-rowindex') < first || !row.querySelector('.gol-RunTable-skeleton'));
  }});
}}"""
# From a key or a click to the first frame in which the tree is as the test says.
_ACTED = f"""([event, test]) => {{ {_UNTIL}
  const seen = new Function('before', `return ${{test}};`);
  const before = document.querySelector('.gol-Waterfall-rows')?.getAttribute('aria-activedescendant');
  window.golActed = new Promise(done => document.addEventListener(event, () => {{
    const begun = performance.now();
    void until(begun, () => seen(before)).then(done);
  }}, {{capture: true, once: true}}));
}}"""
_TREE = "document.querySelector('.gol-Waterfall-rows')"


def figures() -> Iterator[Figure]:
    """With 100,000 traces of four spans and one of 10,000; some minutes, most of which make the store."""
    return measured(TRACES, SPANS, times=7)


def measured(traces: int, spans: int, *, times: int) -> Iterator[Figure]:
    """In one Lab, whose embedded MLflow gets ``traces`` traces, one of which has ``spans`` spans."""
    with store_of_nothing() as (home, server, browser):
        file = home.data / "mlflow" / "mlflow.db"
        trace_store.make(file, traces - 1)
        _grow(file, spans)
        for name, ended in (("not started", True), ("there", False)):
            yield Figure(
                name=f"traces page: first rows of {traces:,}, the process that holds them {name}",
                unit="ms",
                values=first_rows_ms(browser, server, _OPEN, times, ended=ended),
                target=300,
            )
        with whole_table(browser, server, _OPEN, f"{traces:,} traces") as page:
            yield Figure(
                name=f"traces page: jump to far rows of {traces:,}, until all in sight are drawn",
                unit="ms",
                values=[float(page.evaluate(_SCROLLED, (at * 0.37 + 0.2) % 1)) for at in range(times)],
                target=300,
            )
            yield Figure(
                name=f"traces page: filter of {traces:,}, to the next frame",
                unit="ms",
                values=filtered_ms(
                    page,
                    times,
                    lambda at: f"duration > {0.2 + at / 1000} and request contains 'order {at}'",
                ),
                target=50,
            )
            yield from _tree(page, spans, times)
        yield Figure(
            name=f"traces page: first rows of {traces:,} that an earlier process saved",
            unit="ms",
            values=first_rows_ms(browser, server, _OPEN, times, ended=True),
            target=300,
        )


def _tree(page: Page, spans: int, times: int) -> Iterator[Figure]:
    field = page.get_by_role("combobox", name="Query")
    field.fill(f"name = '{_LARGE}'")
    field.press("Enter")
    expect(page.locator(".gol-RunTable-totals")).to_contain_text("1 of ")
    cell = page.locator(".gol-Traces .rdg-row").first.get_by_role("gridcell").nth(2)
    tree = page.get_by_role("treegrid", name="Spans")
    opened = []
    for _ in range(times):
        cell.click()
        opened.append(_acted(page, "Enter", f"{_TREE}?.getAttribute('aria-rowcount') === '{spans}'"))
        page.get_by_role("button", name="Close the trace").click()
        expect(tree).to_have_count(0)
    yield Figure(
        name=f"traces page: trace of {spans:,} spans, from the key to its tree",
        unit="ms",
        values=opened,
        target=1000,
    )
    cell.click()
    page.keyboard.press("Enter")
    tree.focus()
    expanded = []
    for _ in range(times):
        page.get_by_role("button", name="Close all").click()
        expect(tree).to_have_attribute("aria-rowcount", "1")
        tree.focus()
        expanded.append(_acted(page, "*", f"{_TREE}.getAttribute('aria-rowcount') === '{spans}'"))
    yield Figure(
        name=f"traces page: trace of {spans:,} spans, all opened", unit="ms", values=expanded, target=100
    )
    moved = f"{_TREE}.getAttribute('aria-activedescendant') !== before"
    keys = ["ArrowDown", "PageDown", "ArrowDown", "End", "ArrowUp", "Home"]
    for name, chosen in (("a key to the next row", ["ArrowDown"]), ("a key to a far row", keys)):
        tree.focus()
        yield Figure(
            name=f"traces page: trace of {spans:,} spans, {name}",
            unit="ms",
            values=[_acted(page, key, moved) for _ in range(times) for key in chosen],
            target=50,
        )


def _acted(page: Page, key: str, test: str) -> float:
    page.evaluate(_ACTED, ["keydown", test])
    page.keyboard.press(key)
    return float(page.evaluate("() => window.golActed"))


def _grow(file: Path, spans: int) -> None:
    """Make a trace of ``spans`` spans: ten levels deep, by copies of the spans of MLflow's own trace."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{file}")
    with mlflow.start_span(_LARGE) as top, mlflow.start_span("step") as step:
        step.set_inputs({"messages": [{"role": "user", "content": "What is the next step?"}]})
        step.set_outputs("The next one.")
    mlflow.flush_trace_async_logging()
    with closing(sqlite3.connect(file)) as database, database:
        names = [row[1] for row in database.execute("PRAGMA table_info(spans)")]
        parent = "CASE WHEN n % 10 = 0 THEN parent_span_id ELSE printf('%016x', n - 1) END"
        values = {"span_id": "printf('%016x', n)", "name": "'step ' || n", "parent_span_id": parent}
        values["start_time_unix_nano"] = "start_time_unix_nano + n"
        database.execute(
            f"INSERT INTO spans ({', '.join(names)}) WITH RECURSIVE c(n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM c "
            f"WHERE n < ?) SELECT {', '.join(values.get(name, name) for name in names)} FROM c, spans "
            "WHERE trace_id = ? AND span_id = ?",
            (spans + 7, top.trace_id, step.span_id),
        )
