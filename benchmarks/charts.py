"""Charts: a long history from the question to the drawn frame, beside ``MlflowClient.get_metric_history``."""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections.abc import Iterator
from pathlib import Path

from mlflow import MlflowClient
from playwright.sync_api import Page

from genops_lab.core.worker import Worker
from genops_lab.experiments.charts.backend import RunHistories
from genops_lab.experiments.charts.models import HistoriesQuery
from tests.support.browser import chromium, lab_page
from tests.support.homes import Home, temporary_home
from tests.support.lab_server import LabServer, running_lab
from tests.support.many_runs import fill, fill_spike

from .figure import Figure

ROUNDS = 6
POINTS = 100_000
# From the submission of the form to the frame in which the new card shows its curve.
_WATCH = """key => {
  window.drawn = new Promise(resolve => {
    const look = () => {
      const image = [...document.querySelectorAll('.gol-Card canvas')]
        .find(each => each.getAttribute('aria-label').startsWith(`${key} of 1 run`));
      if (!image) {
        return;
      }
      watch.disconnect();
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now()), 0));
    };
    const watch = new MutationObserver(look);
    watch.observe(document.body, {subtree: true, childList: true, attributes: true, attributeFilter: ['aria-label']});
  });
  document.addEventListener('submit', () => { window.asked = performance.now(); }, {capture: true, once: true});
}"""


def figures() -> Iterator[Figure]:
    with temporary_home(debugger=True) as home, running_lab(home) as server:
        run = _prepared(home, server)
        yield _answered(home, run)
        frames, kilobytes = _seen(server)
        yield Figure(
            name="charts_100k_points_question_to_frame",
            unit="ms",
            values=frames,
            target=100,
            notes={"points": POINTS},
        )
        yield Figure(name="charts_bundle", unit="kB gzip", values=[kilobytes], target=150)


def _seen(server: LabServer) -> tuple[list[float], float]:
    """In a browser: milliseconds to frames, and how large the scripts are that the charts add."""
    root = Path(__file__).resolve().parents[1] / "genops_lab" / "labextension" / "static"
    names: set[str] = set()
    with chromium() as browser, lab_page(browser, server, width=1920, height=1000) as lab:
        lab.open()
        lab.execute("genops:open-runs")
        lab.page.locator(".gol-RunTable-totals").get_by_text("runs").wait_for()
        lab.page.on(
            "response",
            lambda answer: names.update(re.findall(r"extensions/genops-lab/static/([^?]+\.js)", answer.url)),
        )
        lab.execute("genops:open-charts")
        lab.page.locator(".gol-Card canvas").first.wait_for()
        frames = [_drawn_ms(lab.page, f"cold_{number}") for number in range(ROUNDS)]
    return frames, sum(len(gzip.compress((root / name).read_bytes(), 9)) for name in names) / 1024


def _prepared(home: Home, server: LabServer) -> str:
    assert server.get("genops/runs")["runs"] == []
    database = home.data / "mlflow" / "mlflow.db"
    run = fill(database, 100)[0]
    for number in range(ROUNDS):
        for kind in ("warm", "cold"):
            fill_spike(database, run, POINTS, f"{kind}_{number}")
    return run


def _answered(home: Home, run: str) -> Figure:
    """In the worker process, each history for the first time; the process runs, as it does beside a run table."""
    uri = f"sqlite:///{home.data / 'mlflow' / 'mlflow.db'}"

    async def ask() -> list[float]:
        worker = Worker("Runs", {"tracking_uri": uri, "cache": str(home.path / "bench")})
        times = []
        for number in range(ROUNDS):
            if number == 0:
                await worker.call(RunHistories.histories, HistoriesQuery(run_ids=[run], key="loss"))
            begun = time.perf_counter()
            query = HistoriesQuery(run_ids=[run], key=f"warm_{number}", buckets=600)
            await worker.call(RunHistories.histories, query)
            times.append((time.perf_counter() - begun) * 1000)
        await worker.stop()
        return times

    client = MlflowClient(uri)
    baseline = []
    for number in range(ROUNDS):
        begun = time.perf_counter()
        assert len(client.get_metric_history(run, f"warm_{number}")) == POINTS
        baseline.append((time.perf_counter() - begun) * 1000)
    return Figure(
        name="charts_100k_points_answered",
        unit="ms",
        values=asyncio.run(ask()),
        baseline="MlflowClient.get_metric_history",
        baseline_values=baseline,
        notes={"points": POINTS},
    )


def _drawn_ms(page: Page, key: str) -> float:
    charts = page.locator(".gol-Charts")
    page.evaluate(_WATCH, key)
    charts.get_by_role("button", name="Add a card…").click()
    form = charts.get_by_role("form", name="Add a card")
    form.get_by_label("Metric").fill(key)
    form.get_by_role("button", name="Add", exact=True).click()
    return float(page.evaluate("async () => (await window.drawn) - window.asked"))
