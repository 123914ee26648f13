"""The table of all versions beside ``MlflowClient.search_model_versions`` on the same store."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from genops_lab.core.worker import Worker
from genops_lab.experiments.columns.backend import RunMirror
from genops_lab.experiments.columns.models import RunSort, RunTable, RunTableQuery
from genops_lab.registry.versions.backend import VersionMirror

from . import run_store, version_store
from .figure import Figure

MODELS, VERSIONS, RUNS = 500, 10_000, 10_000
_SHOWN = [
    "model",
    "version",
    "created",
    "aliases",
    "gates",
    "run",
    "metrics.metric_00",
    "metrics.holdout@3f2a91c0/metric_00",
    "params.param_02",
]
_WINDOW = 100
_ASKED: dict[str, dict[str, Any]] = {
    "newest": {},
    "sort": {"sort": [RunSort(column="metrics.metric_00", descending=True)]},
    "query": {"query": "metrics.metric_01 > 0.5 and aliases contains champion"},
}


def figures() -> Iterator[Figure]:
    """All of them."""
    return measured(MODELS, VERSIONS, RUNS, times=5)


def measured(models: int, versions: int, runs: int, *, times: int) -> Iterator[Figure]:
    """With a store of ``runs`` runs x 49 columns, and ``models`` models that share ``versions`` versions."""
    with tempfile.TemporaryDirectory(prefix="gol-bench-") as name:
        folder = Path(name)
        uri = f"sqlite:///{folder / 'versions.db'}"
        run_store.make(uri, runs, str(folder / "artifacts"))
        names = version_store.fill(uri, models, versions)
        what = f"{versions:,} versions of {models:,} models"
        opened = [asyncio.run(_first_rows(uri, folder / f"empty-{at}")) for at in range(times)]
        yield Figure(
            name=f"first rows of {what}, the runs' process is there",
            unit="ms",
            values=[took for took, _ in opened],
            target=300,
            baseline="MlflowClient.search_model_versions, 100 versions, newest first, without aliases and metrics",
            baseline_values=_theirs(uri, times),
            notes={"CPU_ms_of_the_process": round(sorted(cpu for _, cpu in opened)[times // 2])},
        )
        asyncio.run(_first_rows(uri, folder / "kept", whole=True))
        kept = [asyncio.run(_first_rows(uri, folder / "kept")) for _ in range(times)]
        yield Figure(
            name=f"first rows of {what}, saved by an earlier process and compared with the store",
            unit="ms",
            values=[took for took, _ in kept],
            target=300,
            notes={"CPU_ms_of_the_process": round(sorted(cpu for _, cpu in kept)[times // 2])},
        )
        for asked, took, cpu in asyncio.run(_questions(uri, folder / "kept", times * 3)):
            yield Figure(
                name=f"{asked}: 100 rows of {what}, all read",
                unit="ms",
                values=took,
                target=50,
                notes={"CPU_ms_of_the_process": round(cpu, 1)},
            )
        yield Figure(
            name=f"an alias that another program moves, until a question among {what} tells it",
            unit="ms",
            values=asyncio.run(_alias_moves(uri, folder / "kept", names[0], times)),
            target=1000,
        )


async def _started(uri: str, cache: Path) -> Worker:
    worker = Worker(
        "Runs", {"tracking_uri": uri, "cache": str(cache / "runs")}, env={"OPENBLAS_NUM_THREADS": "1"}
    )
    while not (await worker.call(RunMirror.table, RunTableQuery(limit=1, wait_s=60))).state.complete:
        pass
    return worker


async def _ask(worker: Worker, **asked: Any) -> RunTable:
    query = RunTableQuery(columns=_SHOWN, limit=_WINDOW, lifecycle="all", **asked)
    return await worker.call(VersionMirror.table, query, {"model-001/3": ["prod"]}, [])


def _cpu_ms(worker: Worker) -> float:
    spent = psutil.Process(worker.pid).cpu_times()
    return (spent.user + spent.system) * 1000


async def _first_rows(uri: str, cache: Path, *, whole: bool = False) -> tuple[float, float]:
    """Return the milliseconds and CPU milliseconds of the first answer. ``whole``: save all versions."""
    worker = await _started(uri, cache)
    before, begun = _cpu_ms(worker), time.perf_counter()
    table = await _ask(worker)
    took = (time.perf_counter() - begun) * 1000
    assert len(table.run_ids) == min(_WINDOW, table.matched)
    spent = _cpu_ms(worker) - before
    while whole and not (await _ask(worker, wait_s=60)).state.complete:
        pass
    await worker.stop()
    return took, spent


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
            await _ask(worker, **more)
            if at:
                took.append((time.perf_counter() - begun) * 1000)
        found.append((what, took, (_cpu_ms(worker) - before) / times))
    await worker.stop()
    return found


async def _alias_moves(uri: str, cache: Path, model: str, times: int) -> list[float]:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    worker = await _started(uri, cache)
    await _ask(worker, wait_s=60)
    took = []
    for at in range(times):
        alias = f"moved-{at}"
        client.set_registered_model_alias(model, alias, "1")
        begun = time.perf_counter()
        while not (await _ask(worker, query=f"aliases contains {alias}")).matched:
            pass
        took.append((time.perf_counter() - begun) * 1000)
    await worker.stop()
    return took


def _theirs(uri: str, times: int) -> list[float]:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    took = []
    for at in range(times + 1):
        begun = time.perf_counter()
        client.search_model_versions(max_results=_WINDOW, order_by=["creation_timestamp DESC"])
        if at:
            took.append((time.perf_counter() - begun) * 1000)
    return took
