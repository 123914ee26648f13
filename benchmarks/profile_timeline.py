"""The timeline of 5.2 million events: its tiles in Python, its frames and memory in Chromium."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import Page

from genops_lab.profiling.engine import column_files
from genops_lab.profiling.engine.columns import NO_ID, Columns
from genops_lab.profiling.engine.reading import kineto
from genops_lab.profiling.engine.timeline import tiles
from tests.support.browser import chromium, lab_page
from tests.support.homes import temporary_home
from tests.support.lab_server import LabServer, running_lab
from tests.support.real_traces import TRACES

from .figure import Figure

#: So many copies of a real trace of 216,092 events, one after the other, make 5.2 million.
COPIES = 24
TRACE = "v100_2rank_nccl.json.gz"
_TILES = 2000
_FRAMES = 300
# Half a screen a second to the right at several resolutions, with a zoom between; what a person would do with keys.
_MOVED = """frames => new Promise(done => {
  const { model } = window.jupyterapp.shell.currentWidget.content;
  const intervals = [];
  let before = 0;
  const step = now => {
    if (before) {
      intervals.push(now - before);
    }
    before = now;
    if (intervals.length >= frames) {
      done(intervals);
      return;
    }
    if (intervals.length % 60 === 59) {
      model.zoom(0.3);
    } else {
      model.pan(model.view.width / 120);
    }
    requestAnimationFrame(step);
  };
  model.showAll();
  requestAnimationFrame(step);
})"""
_EMPTY_FRAMES = """frames => new Promise(done => {
  const intervals = [];
  let before = 0;
  const step = now => {
    if (before) {
      intervals.push(now - before);
    }
    before = now;
    if (intervals.length >= frames) {
      done(intervals);
    } else {
      requestAnimationFrame(step);
    }
  };
  requestAnimationFrame(step);
})"""
# What a frame costs the page's own thread, without the wait for the screen: what was asked for first runs first.
_DRAWN = """times => new Promise(done => {
  const { model } = window.jupyterapp.shell.currentWidget.content;
  const taken = [];
  const next = () => {
    let begun = 0;
    requestAnimationFrame(() => { begun = performance.now(); });
    model.pan(7);
    requestAnimationFrame(() => {
      taken.push(performance.now() - begun);
      if (taken.length < times) { setTimeout(next); } else { done(taken); }
    });
  };
  next();
})"""
_DRAWN_ALL = """() => {
  const { model } = window.jupyterapp.shell.currentWidget.content;
  return model.timeline !== null && model.view.width > 0 && !model.busy;
}"""


def figures() -> Iterator[Figure]:
    """Some minutes, most of which read the trace and start the Lab."""
    source = TRACES / "kineto" / TRACE
    if not source.is_file():
        print(f"profile_timeline: the real trace {TRACE} is not here", file=sys.stderr)
        return
    columns = repeated(kineto.read(source), COPIES)
    with tempfile.TemporaryDirectory() as folder:
        yield from _tiles(columns, Path(folder))
    yield from _page(columns, source)


def repeated(columns: Columns, copies: int) -> Columns:
    """The slices of a trace again and again, with correlations of their own; without what only some slices have."""
    span = int(columns.end.max()) + 1000
    shift = np.repeat(np.arange(copies), len(columns))

    def again(values: Any) -> Any:
        return np.tile(values, copies)

    correlation = again(columns.correlation)
    apart = shift * (int(columns.correlation.max()) + 1)
    return replace(
        columns,
        ts=again(columns.ts) + shift * span,
        dur=again(columns.dur),
        name=again(columns.name),
        lane=again(columns.lane),
        kind=again(columns.kind),
        correlation=np.where(correlation == NO_ID, NO_ID, correlation + apart),
        external=again(columns.external),
        sparse={},
        events=columns.events * copies,
    )


def _tiles(columns: Columns, folder: Path) -> Iterator[Figure]:
    begun = time.perf_counter()
    tiles.save(columns, folder / "timeline")
    yield Figure(
        name=f"a timeline made of {columns.events:,} events ({len(columns):,} slices)",
        unit="s",
        values=[time.perf_counter() - begun],
        notes={"disk_mb": round(sum(f.stat().st_size for f in folder.rglob("*.npy")) / 1e6)},
    )
    column_files.save(columns, folder / "columns")
    timeline = tiles.Timeline(column_files.load(folder / "columns"), folder / "timeline")
    random = np.random.default_rng(1)
    lanes = list(timeline.lanes)
    end = int(columns.end.max())
    taken, cpu, items = [], [], []
    for _ in range(_TILES):
        level = int(random.integers(4, 28))
        index = int(random.integers(0, end // (tiles.TILE_CELLS << level) + 1))
        lane = lanes[int(random.integers(len(lanes)))]
        begun, worked = time.perf_counter(), time.process_time()
        tile = timeline.tile(lane, level, index)
        taken.append((time.perf_counter() - begun) * 1000)
        cpu.append((time.process_time() - worked) * 1000)
        items.append(len(tile.items))
    yield Figure(
        name=f"a tile of {columns.events:,} events, any lane, place and resolution",
        unit="ms",
        values=taken,
        target=5,
        notes={
            "p99": round(float(np.percentile(taken, 99)), 3),
            "cpu_p99": round(float(np.percentile(cpu, 99)), 3),
            "most_items": max(items),
        },
    )


def _page(columns: Columns, source: Path) -> Iterator[Figure]:
    with temporary_home(debugger=True) as home, running_lab(home) as server, chromium() as browser:
        shutil.copy(source, home.work)
        profile_id = _opened(server, source.name)
        # The Lab makes the timeline of the columns that it finds.
        column_files.save(columns, home.data / "profiles" / profile_id / "columns")
        with lab_page(browser, server, width=1920, height=1000) as lab:
            lab.open()
            before = _renderer_mb()
            idle = lab.page.evaluate(_EMPTY_FRAMES, _FRAMES)
            begun = time.perf_counter()
            lab.execute("genops:profile-timeline", {"id": profile_id})
            lab.page.wait_for_selector(".gol-Timeline-canvas", timeout=120_000)
            lab.page.wait_for_function(_DRAWN_ALL)
            yield Figure(
                name=f"the first look at the timeline of {columns.events:,} events, all of it drawn",
                unit="s",
                values=[time.perf_counter() - begun],
            )
            moved = _moved(lab.page)
            yield Figure(
                name=f"from frame to frame while {columns.events:,} events are panned and zoomed, without a GPU",
                unit="ms",
                values=moved,
                target=1000 / 60,
                baseline="the Lab with nothing to draw",
                baseline_values=idle,
                notes={
                    "p95": round(float(np.percentile(moved, 95)), 1),
                    "a_second": round(1000 / float(np.mean(moved)), 1),
                },
            )
            yield Figure(
                name="handlers of a frame of the timeline on the page's thread",
                unit="ms",
                values=lab.page.evaluate(_DRAWN, _FRAMES),
                target=1000 / 60,
            )
            yield Figure(
                name=f"memory of the page with the timeline of {columns.events:,} events, after moving about",
                unit="MB",
                values=[_renderer_mb()],
                target=300,
                baseline="the Lab before",
                baseline_values=[before],
                notes={"tiles_mb": round(lab.page.evaluate(_TILES_BYTES) / 1e6, 1)},
            )


_TILES_BYTES = "() => window.jupyterapp.shell.currentWidget.content.model.cache.bytes"


def _moved(page: Page) -> list[float]:
    """The first time fetches most tiles; both count."""
    return [*page.evaluate(_MOVED, _FRAMES), *page.evaluate(_MOVED, _FRAMES)]


def _opened(server: LabServer, path: str) -> str:
    status, profile = server.request("POST", "genops/profiles/open", {"path": path})
    assert status == 200, profile
    until = time.monotonic() + 120
    while profile["state"] == "analyzing":
        assert time.monotonic() < until, profile
        time.sleep(0.2)
        profile = server.get(f"genops/profiles/{profile['id']}")
    assert profile["state"] == "ready", profile
    return str(profile["id"])


def _renderer_mb() -> float:
    """Memory that the page's process has for itself (USS)."""
    sizes = [
        process.memory_full_info().uss / 1e6
        for process in psutil.Process().children(recursive=True)
        if "--type=renderer" in process.cmdline()
    ]
    return max(sizes)
