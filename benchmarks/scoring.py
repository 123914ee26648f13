"""The scoring process with batches and workers beside itself without, and a row beside the least that it can cost.

The model is a random forest of scikit-learn, which costs some ms a call and hardly more for 32 rows. All processes run
at once, and each round asks them one after the other, so that the machine's other work counts for all. Clients send the
next request when they have the answer. There is no gateway between.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.serving.scoring import KEY, ScoringProcess

from .figure import Figure

ROUNDS, ROUND_S = 3, 1.0
CLIENTS = (1, 8, 32)
PLAIN = "one process"
SETTINGS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "batch 32": {"batch_rows": 32, "batch_wait_ms": 2},
    "2 workers": {"workers": 2},
    "2 workers and batch 32": {"workers": 2, "batch_rows": 32, "batch_wait_ms": 2},
}
TRAIN = """
import sys, mlflow.sklearn
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
x, y = load_iris(return_X_y=True)
models = {"forest": RandomForestClassifier(100, random_state=1), "iris": LogisticRegression(max_iter=300)}
for name, model in models.items():
    mlflow.sklearn.save_model(
        model.fit(x, y), f"{sys.argv[1]}/{name}", serialization_format="skops", input_example=x[:2],
        skops_trusted_types=["sklearn.tree._tree.Tree"],
    )
"""
#: What a row costs at least: asyncio, JSON and the model, without HTTP's rules, keys, limits, checks or counts.
FLOOR = """
import asyncio, json, sys
import mlflow.sklearn, numpy as np
model = mlflow.sklearn.load_model(sys.argv[1])
class Protocol(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        rows = json.loads(data.partition(b"\\r\\n\\r\\n")[2])["inputs"]
        body = json.dumps({"predictions": model.predict(np.asarray(rows)).tolist()}).encode()
        self.transport.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body)
async def main():
    server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
BODY = json.dumps({"inputs": [[5.1, 3.5, 1.4, 0.2]]}).encode()
REQUEST = (
    f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
    f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode() + BODY


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="gol-scoring-") as found:
        folder = Path(found)
        subprocess.run([sys.executable, "-c", TRAIN, found], check=True, stderr=subprocess.DEVNULL)
        with _running(folder, "forest", SETTINGS) as processes:
            yield from _gains(processes)
        with _running(folder, "iris", {"iris": {}}) as processes, _floor(folder / "iris") as floor:
            scorer = processes["iris"]
            yield _row((scorer.process.pid, scorer.state["port"]), floor)


@contextmanager
def _running(
    folder: Path, model: str, settings: dict[str, dict[str, Any]]
) -> Iterator[dict[str, ScoringProcess]]:
    started: dict[str, ScoringProcess] = {}
    try:
        for name, given in settings.items():
            own = folder / f"of-{name.replace(' ', '-')}"
            started[name] = ScoringProcess(own, folder / model, cold=True, **given)
            started[name].runs(300)
        yield started
    finally:
        for each in started.values():
            each.end()


@contextmanager
def _floor(model: Path) -> Iterator[tuple[int, int]]:
    process = subprocess.Popen([sys.executable, "-c", FLOOR, str(model)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def _gains(processes: dict[str, ScoringProcess]) -> Iterator[Figure]:
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    medians: dict[tuple[str, int], list[float]] = defaultdict(list)
    cpu: dict[tuple[str, int], list[float]] = defaultdict(list)
    for number in range(ROUNDS + 1):  # the first one warms up
        for clients in CLIENTS:
            for name, process in processes.items():
                used = _cpu_s(process.process.pid)
                taken = asyncio.run(_load(process.state["port"], clients, ROUND_S))
                if number:
                    cpu[name, clients].append(1000 * (_cpu_s(process.process.pid) - used) / len(taken))
                    rates[name, clients].append(len(taken) / ROUND_S)
                    medians[name, clients].append(1000 * statistics.median(taken))
    for name in processes:
        for clients in CLIENTS:
            if name != PLAIN:
                yield Figure(
                    name=f"scorer with {name}, {_many(clients)}", unit="1/s", values=rates[name, clients],
                    baseline=f"{PLAIN}, no batches", baseline_values=rates[PLAIN, clients],
                    notes={
                        "p50_ms": _beside(medians, name, clients),
                        "cpu_ms_a_request": _beside(cpu, name, clients),
                        "load_of_the_machine": round(os.getloadavg()[0], 1),
                    },
                )  # fmt: skip


def _beside(values: dict[tuple[str, int], list[float]], name: str, clients: int) -> str:
    own, baseline = (statistics.median(values[each, clients]) for each in (name, PLAIN))
    return f"{own:.1f} (baseline {baseline:.1f})"


def _row(scorer: tuple[int, int], floor: tuple[int, int]) -> Figure:
    """Ask both by turns. ``scorer`` and ``floor`` are a pid and a port."""
    taken: dict[int, list[float]] = {port: [] for _, port in (scorer, floor)}
    cpu: dict[int, float] = dict.fromkeys(taken, 0.0)
    for number in range(ROUNDS + 1):
        for pid, port in (scorer, floor):
            used = _cpu_s(pid)
            found = asyncio.run(_load(port, 1, ROUND_S))
            if number:
                taken[port] += [1000 * each for each in found]
                cpu[port] += 1000 * (_cpu_s(pid) - used)
    each = {port: cpu[port] / len(taken[port]) for port in taken}
    return Figure(
        name="scorer one row, without a gateway", unit="ms", values=taken[scorer[1]],
        baseline="asyncio, JSON and the model's predict alone", baseline_values=taken[floor[1]],
        notes={
            "cpu_ms_a_request": f"{each[scorer[1]]:.2f} (baseline {each[floor[1]]:.2f})",
            "load_of_the_machine": round(os.getloadavg()[0], 1),
        },
    )  # fmt: skip


def _cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and its children."""
    process = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:2]) for each in (process, *process.children()))


def _many(clients: int) -> str:
    return f"{clients} client{'s' * (clients > 1)}"


async def _load(port: int, clients: int, seconds: float) -> list[float]:
    """Return the times in seconds of the requests that so many clients had answered; each sends one at least."""
    until = time.perf_counter() + seconds
    taken: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while True:
                began = time.perf_counter()
                writer.write(REQUEST)
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(size)
                if b" 200 " not in head.partition(b"\r\n")[0]:
                    raise RuntimeError(f"{head!r} {body[:300]!r}")
                taken.append(time.perf_counter() - began)
                if time.perf_counter() >= until:
                    return
        finally:
            writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return taken
