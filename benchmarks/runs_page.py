"""The run table in Chromium: from a key or a click to the next frame with the answer's rows, and its first rows."""

from __future__ import annotations

from collections.abc import Iterator

from playwright.sync_api import Locator, Page

from . import run_store
from .figure import Figure
from .rows_in_page import answered_ms, filtered_ms, first_rows_ms, store_of_nothing, whole_table

RUNS = 100_000
_METRICS = 5
_OPEN = "genops:open-runs"


def figures() -> Iterator[Figure]:
    """With 100,000 runs x 19 columns; some minutes, most of which make the store."""
    return measured(RUNS, times=7)


def measured(runs: int, *, times: int) -> Iterator[Figure]:
    """In one Lab, whose embedded MLflow gets ``runs`` runs."""
    with store_of_nothing() as (home, server, browser):
        run_store.make(
            f"sqlite:///{home.data}/mlflow/mlflow.db", runs, str(home.path / "artifacts"), each=_METRICS
        )
        yield Figure(
            name=f"first rows of {runs:,} runs on the page, the process that holds them not started",
            unit="ms",
            values=first_rows_ms(browser, server, _OPEN, times, ended=True),
            target=300,
        )
        with whole_table(browser, server, _OPEN, f"{runs:,} runs") as page:
            heads = [
                page.locator(f'.gol-RunTable-head[data-column="metrics.metric_{at:02}"] .gol-RunTable-text')
                for at in range(_METRICS)
            ]
            yield Figure(
                name=f"sort of {runs:,} runs, to the next frame",
                unit="ms",
                values=_sorts(page, heads, times),
                target=50,
            )
            yield Figure(
                name=f"filter of {runs:,} runs, to the next frame",
                unit="ms",
                values=filtered_ms(
                    page,
                    times,
                    lambda at: f"metrics.metric_01 < {0.5 + at / 1000} and params.param_02 = 'adam'",
                ),
                target=50,
            )


def _sorts(page: Page, heads: list[Locator], times: int) -> list[float]:
    """Another column each time, then the other direction: no answer is remembered. The first loads what it needs."""
    return [answered_ms(page, "click", heads[at % len(heads)].click) for at in range(times + 1)][1:]
