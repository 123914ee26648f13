"""The run table beside ``MlflowClient.search_runs`` on the same stores: SQLite without and with statistics, PostgreSQL.

The stores are of MLflow's own schema, made by mlflow, and MLflow reads them (``benchmarks/run_store.py``).
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from genops_lab.core.worker import Worker
from genops_lab.experiments.columns.backend import RunMirror
from genops_lab.experiments.columns.models import RunGrouping, RunSort, RunTable, RunTableQuery
from genops_lab.experiments.columns.sqlite_source import analyze
from tests.support.homes import temporary_home
from tests.support.mlflow_server import running_mlflow
from tests.support.postgres import missing, running_postgres

from . import run_store
from .figure import Figure

RUNS, MANY, WIDE = 10_000, 100_000, 12_000
_SHOWN = [
    "run_name",
    "status",
    "metrics.metric_00",
    "metrics.metric_01",
    "params.param_00",
    "params.param_02",
]
_WINDOW = 100
_LOOK_S = 10.0
_FILTER = "metrics.metric_01 < 0.5 and params.param_02 = 'adam'"
_ASKED: dict[str, dict[str, Any]] = {
    "sort": {"sort": [RunSort(column="metrics.metric_00", descending=True)]},
    "filter": {"query": _FILTER},
}
_SEARCH: dict[str, dict[str, Any]] = {
    "sort": {"order_by": ["metrics.metric_00 DESC"]},
    "filter": {"filter_string": _FILTER},
}


def figures() -> Iterator[Figure]:
    """All of them; some minutes, most of which make the stores."""
    return measured(RUNS, MANY, WIDE, times=5)


def measured(runs: int, many: int, wide: int, *, times: int) -> Iterator[Figure]:
    """With stores of ``runs`` runs x 49 columns, ``many`` runs x 19, and ``runs`` runs over ``wide`` sparse columns."""
    with tempfile.TemporaryDirectory(prefix="gol-bench-") as name:
        folder = Path(name)
        file = folder / "runs.db"
        uri = f"sqlite:///{file}"
        experiment = run_store.make(uri, runs, str(folder / "artifacts"))
        first = [asyncio.run(_first_rows(uri, folder / f"empty-{at}")) for at in range(times)]
        yield Figure(
            name=f"first rows of {runs:,} runs, from a process that is not started",
            unit="ms",
            values=[took for took, _ in first],
            target=300,
            notes={"CPU_ms_of_the_process_until_then": round(sorted(cpu for _, cpu in first)[times // 2])},
        )
        synced = [_in_a_process("sync", str(file)) for _ in range(times)]
        yield Figure(
            name=f"all of {runs:,} runs x 49 columns read from SQLite",
            unit="CPU-s",
            values=[one["cpu_s"] for one in synced],
            target=1,
            notes={"values": synced[0]["values"]},
        )
        yield Figure(
            name=f"a change seen among {runs:,} runs in SQLite",
            unit="CPU-ms",
            values=_polls(file, times * 4),
            target=10,
            notes={"measure": "one poll after one logged metric, the change put into the columns"},
        )
        yield from _memory(file, f"{runs:,} runs x 49 columns")
        yield from _side_by_side(uri, folder / "kept", experiment, "SQLite without statistics", times=times)
        analyze(file)  # as GenOps Lab offers it
        yield from _side_by_side(uri, folder / "kept", experiment, "SQLite with statistics", times=times)
        yield _over_http(uri, folder, f"{runs:,} runs x 49 columns")
        broad = folder / "wide.db"
        run_store.make_wide(f"sqlite:///{broad}", runs, wide, str(folder / "artifacts"))
        yield from _memory(broad, f"{runs:,} runs, {wide:,} sparse columns", whole=True)
        large = f"sqlite:///{folder}/many.db"
        experiment = run_store.make(large, many, str(folder / "artifacts"), each=5)
        analyze(folder / "many.db")
        yield from _side_by_side(large, folder / "kept", experiment, "SQLite with statistics", times=times)
        yield from asyncio.run(_groups(large, folder / "kept", times))
        if missing():
            print(f"PostgreSQL is not measured: {missing()}", file=sys.stderr)
            return
        with running_postgres() as database:
            experiment = run_store.make(database, runs, str(folder / "artifacts"))
            run_store.analyze(database)
            yield from _side_by_side(database, folder / "kept", experiment, "PostgreSQL", times=times)


def _over_http(uri: str, folder: Path, what: str) -> Figure:
    """The first reading through a server's API, and what looking for changes costs the server afterwards."""
    from mlflow import MlflowClient

    from genops_lab.experiments.columns.backend import ways_to
    from genops_lab.experiments.columns.mirror import Mirror

    with (
        temporary_home(debugger=True) as home,
        running_mlflow(home, uri, folder / "served", cold=True) as url,
    ):
        server = [process for process in psutil.Process().children(recursive=True) if _serves(process)]
        mirror = Mirror(ways_to(url), folder / "kept-http")
        before, begun = _cpu(server), time.perf_counter()
        shown = mirror.now(60)
        while not shown.complete:
            shown = mirror.now(60)
        took, spent = time.perf_counter() - begun, _cpu(server) - before
        before, looked = _cpu(server), time.perf_counter()
        while time.perf_counter() - looked < _LOOK_S:
            mirror.wait(shown.version, 1.0)
        looking = (_cpu(server) - before) / _LOOK_S
        mirror.close()
        client, theirs, token = MlflowClient(url), time.perf_counter(), None
        experiments = [each.experiment_id for each in client.search_experiments()]
        while True:
            page = client.search_runs(experiments, max_results=500, page_token=token)
            token = page.token
            if not token:
                break
        return Figure(
            name=f"all of {what} read over HTTP",
            unit="s",
            values=[took],
            baseline="MlflowClient.search_runs, all pages of 500 runs",
            baseline_values=[time.perf_counter() - theirs],
            notes={
                "server_CPU_s": round(spent, 1),
                "server_CPU_while_somebody_looks": f"{looking:.0%} of a core",
            },
        )


def _serves(process: psutil.Process) -> bool:
    try:
        return any("mlflow" in part for part in process.cmdline())
    except psutil.Error:  # it has ended
        return False


def _cpu(processes: list[psutil.Process]) -> float:
    return sum(each.cpu_times().user + each.cpu_times().system for each in processes)


async def _first_rows(uri: str, cache: Path) -> tuple[float, float]:
    """Milliseconds, and those of the process's CPU: what else a busy machine does counts in the first alone."""
    worker = Worker("Runs", {"tracking_uri": uri, "cache": str(cache)}, env={"OPENBLAS_NUM_THREADS": "1"})
    begun = time.perf_counter()
    table = await worker.call(RunMirror.table, RunTableQuery(columns=_SHOWN, limit=_WINDOW))
    took = (time.perf_counter() - begun) * 1000
    assert table.run_ids and worker.pid
    spent = psutil.Process(worker.pid).cpu_times()
    await worker.stop()
    return took, (spent.user + spent.system) * 1000


def _polls(file: Path, times: int) -> list[float]:
    from genops_lab.experiments.columns.snapshot import Snapshot
    from genops_lab.experiments.columns.sqlite_source import SqliteSource

    source, known = SqliteSource(file), Snapshot()
    for block in source.blocks():
        known = known.apply(block)
    found = []
    with sqlite3.connect(file) as writer:
        for at in range(times):
            run = known.ids[at * 7 % known.rows]
            writer.execute("INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
                           "VALUES ('metric_00', 0.5, 1, ?, ?, 0)", (run, 100 + at))  # fmt: skip
            writer.execute(
                "UPDATE latest_metrics SET value = 0.5 + ? WHERE run_uuid = ? AND key = 'metric_00'",
                (at, run),
            )
            writer.commit()
            begun = time.process_time()
            after = known.apply(source.poll(known, frozenset()))
            found.append((time.process_time() - begun) * 1000)
            assert after is not known
            known = after
    writer.close()
    source.close()
    return found


def _memory(file: Path, what: str, *, whole: bool = False) -> Iterator[Figure]:
    found = _in_a_process("memory", str(file))
    notes = {
        "values": found["values"],
        "arrays_MB": round(found["arrays"] / 2**20, 1),
        "measure": "unique set size after reading, less that after reading 30 runs",
    }
    if whole:
        yield Figure(
            name=f"memory of {what}", unit="MB", values=[found["uss"] / 2**20], target=100, notes=notes
        )
    else:
        yield Figure(
            name=f"memory of a value, {what}", unit="bytes", values=[found["uss"] / found["values"]], target=20,
            notes=notes,
        )  # fmt: skip


def _side_by_side(uri: str, cache: Path, experiment: str, store: str, *, times: int) -> Iterator[Figure]:
    times *= 3  # of a few questions the first, which load what the next ones need, would be the median
    ours, rows, ids = asyncio.run(_table_times(uri, cache, experiment, times))
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    for what, asked in _SEARCH.items():

        def search(asked: dict[str, Any] = asked) -> list[str]:
            page = client.search_runs([experiment], max_results=_WINDOW, **asked)
            return [run.info.run_id for run in page]

        theirs, found = _times(search, times)
        assert found == ids[what], f"{what}: not the runs that MLflow finds"
        ratio = sorted(theirs)[times // 2] / sorted(ours[what])[times // 2]
        yield Figure(
            name=f"{what} of {rows:,} runs, {store}",
            unit="ms",
            values=ours[what],
            target=50,
            baseline="MlflowClient.search_runs, the same store, the same 100 runs",
            baseline_values=theirs,
            notes={"times_faster": round(ratio)},
        )


async def _table_times(
    uri: str, cache: Path, experiment: str, times: int
) -> tuple[dict[str, list[float]], int, dict[str, list[str]]]:
    """To the answer in the server's process; each question is one that was not asked before."""
    worker = Worker("Runs", {"tracking_uri": uri, "cache": str(cache)})
    found: dict[str, list[float]] = {}
    ids: dict[str, list[str]] = {}

    async def ask(**more: Any) -> RunTable:
        return await worker.call(
            RunMirror.table, RunTableQuery(experiments=[experiment], columns=_SHOWN, limit=_WINDOW, **more)
        )

    await ask(wait_s=60)
    table = await ask(wait_s=60)
    assert table.state.complete, table.state
    for what, asked in _ASKED.items():
        found[what] = []
        for at in range(times + 1):
            # With blanks it is another question: the remembered answer of an earlier one is of no use.
            more: dict[str, Any] = {**asked, "query": str(asked.get("query", "")) + " " * at}
            begun = time.perf_counter()
            answer = await ask(**more)
            if at:  # the first question loads what it needs
                found[what].append((time.perf_counter() - begun) * 1000)
            ids[what] = answer.run_ids
    await worker.stop()
    return found, table.total, ids


async def _groups(uri: str, cache: Path, times: int) -> list[Figure]:
    """The first heads; each question is one that was not asked before."""
    worker = Worker("Runs", {"tracking_uri": uri, "cache": str(cache)})
    found = []
    for name in ("params.param_02", "params.param_00"):
        values, groups = [], 0
        for at in range(times + 1):
            asked = RunTableQuery(columns=_SHOWN, limit=_WINDOW, wait_s=0 if at else 60, query=" " * at,
                                  groups=RunGrouping(by=[name]))  # fmt: skip
            begun = time.perf_counter()
            table = await worker.call(RunMirror.table, asked)
            if at:  # the first one reads all runs
                values.append((time.perf_counter() - begun) * 1000)
            groups = table.places
        found.append(
            Figure(
                name=f"{table.matched:,} runs in {groups:,} groups of a parameter",
                unit="ms",
                values=values,
                target=50,
            )
        )
    await worker.stop()
    return found


def _times(work: Callable[[], list[str]], times: int) -> tuple[list[float], list[str]]:
    found = work()
    values = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        values.append((time.perf_counter() - begun) * 1000)
    return values, found


def _in_a_process(what: str, *arguments: str) -> dict[str, Any]:
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.runs_process", what, *arguments],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(answer.stdout)
    return found
