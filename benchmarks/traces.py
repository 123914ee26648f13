"""The table of traces beside ``mlflow.search_traces`` on the same store."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from genops_lab.core.worker import Worker
from genops_lab.experiments.columns.models import RunGrouping, RunSort, RunTable, RunTableQuery
from genops_lab.genai.traces.backend import TraceMirror

from . import trace_store
from .figure import Figure

TRACES = 100_000
_SHOWN = [
    "name",
    "status",
    "request",
    "response",
    "start_time",
    "duration",
    "tokens",
    "cost",
    "session",
    "metrics.correct",
]
_WINDOW = 100
_ASKED: dict[str, dict[str, Any]] = {
    "newest": {},
    "errors first": {"sort": [RunSort(column="status")]},
    "query": {"query": "status = ERROR and duration > 2s and request contains 'order 7'"},
    "a word": {"query": "'29 days'"},
    "sessions": {"groups": RunGrouping(by=["session"])},
}


def figures() -> Iterator[Figure]:
    """All of them."""
    return measured(TRACES, times=5)


def measured(traces: int, *, times: int) -> Iterator[Figure]:
    """With a store of ``traces`` traces of four spans."""
    with tempfile.TemporaryDirectory(prefix="gol-bench-") as name:
        folder = Path(name)
        uri = trace_store.make(folder / "traces.db", traces)
        what = f"{traces:,} traces"
        opened = [asyncio.run(_first_rows(uri, folder / f"empty-{at}")) for at in range(times)]
        yield Figure(
            name=f"traces: first rows of {what}, the process is there",
            unit="ms",
            values=[took for took, _, _ in opened],
            target=300,
            baseline="MlflowClient.search_traces, 100 traces, newest first, without spans",
            baseline_values=_theirs(uri, times, "", []),
        )
        yield Figure(
            name=f"traces: all of {what} read, in the background",
            unit="ms",
            values=[whole for _, whole, _ in opened],
            notes={"memory_MB_of_the_process": round(max(memory for _, _, memory in opened))},
        )
        for asked, took, cpu in asyncio.run(_questions(uri, folder / "kept", times * 3)):
            theirs = _THEIRS.get(asked)
            yield Figure(
                name=f"traces {asked}: 100 rows of {what}, all read",
                unit="ms",
                values=took,
                target=300,
                notes={"CPU_ms_of_the_process": round(cpu, 1)},
                baseline=f"search_traces: {theirs}" if theirs else "",
                baseline_values=_theirs(uri, times, *theirs) if theirs else (),
            )
        yield Figure(
            name=f"traces: new trace of another program shown, among {what}",
            unit="ms",
            values=asyncio.run(_new_traces(uri, folder / "kept", times)),
            target=1000,
        )


#: The nearest that MLflow has. Its search in texts reads all spans, for minutes, so the text is left out.
_THEIRS: dict[str, tuple[str, list[str]]] = {
    "newest": ("", ["timestamp_ms DESC"]),
    "errors first": ("", ["status ASC"]),
    "query": ("status = 'ERROR' AND execution_time > 2000", []),
}


def _worker(cache: Path) -> Any:
    return {"cache": str(cache / "runs")}


async def _started(uri: str, cache: Path) -> Worker:
    worker = Worker(
        "Runs", {"tracking_uri": uri, "cache": str(cache / "runs")}, env={"OPENBLAS_NUM_THREADS": "1"}
    )
    await worker.call(TraceMirror.state)
    return worker


async def _ask(worker: Worker, **asked: Any) -> RunTable:
    query = RunTableQuery(columns=_SHOWN, limit=_WINDOW, lifecycle="all", **asked)
    return await worker.call(TraceMirror.table, query, True)


async def _first_rows(uri: str, cache: Path) -> tuple[float, float, float]:
    """Return the milliseconds of the first answer and of the whole reading, and the memory in MB."""
    worker = Worker(
        "Runs", {"tracking_uri": uri, "cache": str(cache / "runs")}, env={"OPENBLAS_NUM_THREADS": "1"}
    )
    from genops_lab.experiments.columns.backend import RunMirror

    await worker.call(RunMirror.state)  # starts the process with what it imports
    begun = time.perf_counter()
    table = await _ask(worker)
    took = (time.perf_counter() - begun) * 1000
    assert len(table.run_ids) == _WINDOW
    while not (await _ask(worker, wait_s=60)).state.complete:
        pass
    whole = (time.perf_counter() - begun) * 1000
    memory = psutil.Process(worker.pid).memory_info().rss / 1e6
    await worker.stop()
    return took, whole, memory


async def _questions(uri: str, cache: Path, times: int) -> list[tuple[str, list[float], float]]:
    """Each question is one that was not asked before."""
    worker = await _started(uri, cache)
    while not (await _ask(worker, wait_s=60)).state.complete:
        pass
    found = []
    for what, asked in _ASKED.items():
        took: list[float] = []
        for at in range(times + 1):
            if at == 1:  # the first question loads what it needs
                before = _cpu_ms(worker)
            more = {**asked, "query": str(asked.get("query", "")) + " " * at}
            begun = time.perf_counter()
            table = await _ask(worker, **more)
            if at:
                took.append((time.perf_counter() - begun) * 1000)
            assert table.total
        found.append((what, took, (_cpu_ms(worker) - before) / times))
    await worker.stop()
    return found


def _cpu_ms(worker: Worker) -> float:
    spent = psutil.Process(worker.pid).cpu_times()
    return (spent.user + spent.system) * 1000


async def _new_traces(uri: str, cache: Path, times: int) -> list[float]:
    import mlflow

    worker = await _started(uri, cache)
    await _ask(worker, wait_s=60)
    took = []
    for at in range(times):
        with mlflow.start_span(f"new-{at}"):
            pass
        mlflow.flush_trace_async_logging()
        begun = time.perf_counter()
        while not (await _ask(worker, query=f"name = 'new-{at}'")).matched:
            pass
        took.append((time.perf_counter() - begun) * 1000)
    await worker.stop()
    return took


def _theirs(uri: str, times: int, filter_string: str, order: list[str]) -> list[float]:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    took = []
    for at in range(times + 1):
        begun = time.perf_counter()
        client.search_traces(
            locations=["0"],
            max_results=_WINDOW,
            include_spans=False,
            filter_string=filter_string or None,
            order_by=order or None,
        )
        if at:
            took.append((time.perf_counter() - begun) * 1000)
    return took
