"""``python -m benchmarks.remote_probe PART``: measures in a home of its own; one JSON line a figure (see remote.py)."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psutil

from .remote_ahead import ahead
from .remote_bed import CUT, DELAYS_MS, LOCAL, OURS, SSHPYK, Bed, bed, echoes_ms
from .remote_measures import (
    PRINT_100_MB,
    Kernel,
    Tally,
    count_outputs,
    interrupt_ms,
    interrupt_printing_ms,
    passes_ms,
    print_100_mb_s,
)

Line = dict[str, Any]
STARTS = 5
PASSES, ROUNDS = 100, 5
INTERRUPTS = 7
PRINTS = 3
DISPLAYS = 100_000
CUTS = int(os.environ.get("GENOPS_BENCH_CUTS", "40"))
_CELL, _PAUSE_S = 400, 0.005


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def _figure(name: str, unit: str, values: list[float], **rest: Any) -> Line:
    return {"name": name, "unit": unit, "values": values, **rest}


# Starts


def starts(made: Bed) -> Iterator[Line]:
    """From nothing to the first reply; the first of a process connects, the others find the link. A local kernel is
    started in turns."""
    for delay in DELAYS_MS:
        for way in made.ways[1:]:
            made.forget_connection(way, delay)
            command = [sys.executable, "-m", "benchmarks.remote_probe", "_starts", made.kernel(way, delay)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=600)
            found = json.loads(done.stdout.splitlines()[-1])
            local = found["local"]
            limit = statistics.median(local) + 100 if delay == 0 else 4 * delay + 400
            base = {"baseline": "local kernel", "baseline_values": local}
            target = {"target": limit} if way in OURS else {}
            yield _figure(f"start_{way}_{delay}ms", "ms", found["warm"], **base, **target)
            yield _figure(f"first_connection_{way}_{delay}ms", "ms", found["first"], **base)


def _starts_here(name: str) -> None:
    def start(kernel_name: str) -> float:
        kernel = Kernel(kernel_name)
        kernel.close()
        return kernel.started_s * 1e3

    found: dict[str, list[float]] = {"first": [start(name)], "warm": [], "local": []}
    for _ in range(STARTS):
        found["local"].append(start(LOCAL))
        found["warm"].append(start(name))
    print(json.dumps(found))


# A kernel that runs


def steady(made: Bed) -> Iterator[Line]:
    """``pass``, interrupts and throughput, all ways in turns."""
    kernels = {way: Kernel(made.kernel(way)) for way in made.ways}
    try:
        yield from _passes(made, kernels, 0)
        yield from _interrupts(made, kernels)
        yield from _throughput(made, kernels)
    finally:
        for kernel in kernels.values():
            kernel.close()


def far(made: Bed) -> Iterator[Line]:
    """``pass`` behind a delay: beside a local kernel that rests for as long before each, and a round trip as such a
    proxy makes it."""
    for delay in DELAYS_MS[1:]:
        trips = echoes_ms(delay, PASSES)
        yield _figure(f"round_trip_{delay}ms", "ms", trips)
        kernels = {way: Kernel(made.kernel(way, delay)) for way in made.ways}
        try:
            yield from _passes(made, kernels, delay, statistics.median(trips))
        finally:
            for kernel in kernels.values():
                kernel.close()


def _passes(made: Bed, kernels: dict[str, Kernel], delay: int, trip_ms: float = 0.0) -> Iterator[Line]:
    halves: dict[str, list[float]] = {way: [] for way in kernels}
    tails: dict[str, list[float]] = {way: [] for way in kernels}
    for kernel in kernels.values():
        passes_ms(kernel, 20)
    for _ in range(ROUNDS):
        for way, kernel in kernels.items():
            rest = delay / 1e3 if way == LOCAL else 0.0
            found = passes_ms(kernel, PASSES if delay == 0 else 20, rest)
            halves[way].append(_percentile(found, 0.5))
            tails[way].append(_percentile(found, 0.99))
    for way in made.ways[1:]:
        for part, shares, allowed in (("p50", halves, 1.0), ("p99", tails, 2.0)):
            limit = statistics.median(shares[LOCAL]) + trip_ms + allowed
            yield _figure(
                f"pass_{part}_{way}_{delay}ms", "ms", shares[way], **({"target": limit} if way in OURS else {}),
                baseline=f"local kernel after {delay} ms of rest" if delay else "local kernel",
                baseline_values=shares[LOCAL],
            )  # fmt: skip


def _interrupts(made: Bed, kernels: dict[str, Kernel]) -> Iterator[Line]:
    for name, measure in (("interrupt", interrupt_ms), ("interrupt_printing", interrupt_printing_ms)):
        found: dict[str, list[float]] = {way: [] for way in kernels}
        for _ in range(INTERRUPTS):
            for way, kernel in kernels.items():
                found[way].append(measure(kernel))
                kernel.drain()
        limit = statistics.median(found[LOCAL]) + 10
        for way in made.ways[1:]:
            yield _figure(
                f"{name}_{way}", "ms", found[way], **({"target": limit} if way in OURS else {}),
                baseline="local kernel", baseline_values=found[LOCAL],
            )  # fmt: skip


def _throughput(made: Bed, kernels: dict[str, Kernel]) -> Iterator[Line]:
    found: dict[str, list[float]] = {way: [] for way in kernels}
    for _ in range(PRINTS):
        for way, kernel in kernels.items():
            with suppress(RuntimeError):  # sshpyk and the local kernel may lose some
                found[way].append(100.0 / print_100_mb_s(kernel))
            kernel.drain()
    for way in made.ways[1:]:
        if found[way] and found[LOCAL]:
            share = 100.0 * statistics.median(found[way]) / statistics.median(found[LOCAL])
            yield _figure(
                f"stdout_100_mb_{way}", "MB/s", found[way], baseline="local kernel",
                baseline_values=found[LOCAL], notes={"percent_of_local": round(share, 1), "wanted_percent": 80},
            )  # fmt: skip


# What is lost


def stalled(made: Bed) -> Iterator[Line]:
    """100,000 outputs to a reader that sleeps for 5 s first."""
    for way in made.ways:
        kernel = Kernel(made.kernel(way))
        try:
            tally = count_outputs(kernel, DISPLAYS, stall_s=5.0, patience_s=300.0)
        finally:
            kernel.close()
        yield _loss(f"stalled_reader_{way}", tally, {"target": 0} if way in OURS else {})


def _loss(name: str, tally: Tally, rest: Line, **notes: Any) -> Line:
    tallied = {"of": tally.expected, "twice": tally.twice, "out_of_order": tally.out_of_order, **notes}
    if not tally.complete:
        tallied["complete"] = False
    return _figure(name, "lost", [tally.lost], **rest, notes=tallied)


def cuts(made: Bed) -> Iterator[Line]:
    """Cuts in the middle of cells, of each kind; how many outputs are lost, and the silence that a cut makes."""
    for way in made.ways[1:]:
        few = way == SSHPYK
        for kind, fault in _faults(made, way).items():
            kernel = Kernel(made.kernel(way, CUT))
            try:
                tally, gaps = _cut_often(kernel, fault, 1 if few else max(1, CUTS // 4))
            finally:
                # sshpyk's kernel may be out of reach for good, and it waits for that.
                closing = threading.Thread(target=kernel.close, daemon=True)
                closing.start()
                closing.join(30.0)
            rest = {"target": 0} if way in OURS else {}
            yield _loss(f"cut_{kind}_{way}", tally, rest, cuts=len(gaps))
            if not tally.complete:
                continue
            wanted = {"reset": 250.0, "black_hole": 5000.0}.get(kind)
            limit = {"target": wanted} if wanted and way in OURS else {}
            yield _figure(f"silence_{kind}_{way}", "ms", [gap * 1e3 for gap in gaps], **limit)


def _faults(made: Bed, way: str) -> dict[str, Callable[[], object]]:
    proxy = made.proxies[CUT]

    def hole() -> None:
        """The connection that is there is dead for good; a new one gets through."""
        proxy.hole(existing=True, new=False)

    found: dict[str, Callable[[], object]] = {"reset": proxy.reset}
    if way in OURS:
        found["black_hole"] = hole
        found["child_killed"] = _kill_child
        found["sshd_killed"] = made.host.kill_sessions
    return found


def _kill_child() -> None:
    """The processes that carry the stream."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            words = child.cmdline()
            if "genops_lab.hosts.providers.ssh.paramiko_child" in " ".join(words) or words[:1] == [
                shutil.which("ssh")
            ]:
                child.kill()


def _cut_often(kernel: Kernel, fault: Callable[[], object], count: int) -> tuple[Tally, list[float]]:
    whole, gaps = Tally(expected=0), []
    for _ in range(count):
        cut_at: list[float] = []

        def cut(at: list[float] = cut_at) -> None:
            at.append(time.perf_counter())
            fault()

        timer = threading.Timer(random.uniform(0.2, 1.2), cut)
        timer.start()
        tally = count_outputs(kernel, _CELL, pause_s=_PAUSE_S, patience_s=20.0)
        timer.join()
        offset = whole.expected
        whole.expected += tally.expected
        whole.numbers += [offset + number for number in tally.numbers]
        whole.complete = whole.complete and tally.complete
        gaps.append(tally.longest_gap_s(cut_at[0], cut_at[0] + 20.0))
        if not tally.complete:
            break
    return whole, gaps


# The loops


def loops(made: Bed) -> Iterator[Line]:
    """The longest time for which the server's loop and the links' loop do not answer, while 100 MB go to a client
    in another process. Beside each what of it was work of the loop's own thread, and how late a loop was that does
    nothing in a process of its own: what remains is waiting for one of the machine's cores."""
    local = asyncio.run(_loops_of(made.kernel(LOCAL)))
    for way in OURS:
        found = asyncio.run(_loops_of(made.kernel(way)))
        for loop in ("server", "links"):
            yield _figure(
                f"loop_blocked_{loop}_{way}", "ms", [found[loop].worst_s * 1e3], target=10,
                baseline="the server's loop, local kernel", baseline_values=[local["server"].worst_s * 1e3],
                notes={
                    "own work ms": round(found[loop].work_s * 1e3, 2),
                    "an idle process's loop ms": round(found["idle"].worst_s * 1e3, 2),
                },
            )  # fmt: skip


async def _loops_of(name: str) -> dict[str, Heart]:
    from jupyter_client.manager import AsyncKernelManager

    manager = AsyncKernelManager(kernel_name=name)
    await manager.start_kernel()
    try:
        hearts = {"server": Heart(), "links": Heart(), "idle": Heart()}
        watched = [asyncio.create_task(hearts["server"].beat())]
        if name != LOCAL:
            from genops_lab.kernels.process import PROCESS

            watched.append(asyncio.create_task(PROCESS.remote.links.run(hearts["links"].beat())))
        idle = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.remote_probe", "_idle",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        reader = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.remote_probe", "_read", manager.connection_file
        )
        await reader.wait()
        for task in watched:
            task.cancel()
        await asyncio.gather(*watched, return_exceptions=True)
        answer, _ = await idle.communicate(b"")  # its standard input ends
        hearts["idle"].worst_s = float(answer)
        return hearts
    finally:
        await manager.shutdown_kernel(now=True)


class Heart:
    """Beats each millisecond. ``worst_s``: how late it was at worst; ``work_s``: the most CPU time that its thread
    used between two beats."""

    def __init__(self) -> None:
        self.worst_s = self.work_s = 0.0

    async def beat(self) -> None:
        last, worked = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now, work = time.perf_counter(), time.thread_time()
            self.worst_s, last = max(self.worst_s, now - last - 0.001), now
            self.work_s, worked = max(self.work_s, work - worked), work


async def _idle() -> None:
    heart = Heart()
    beating = asyncio.create_task(heart.beat())
    await asyncio.to_thread(sys.stdin.read)
    beating.cancel()
    print(heart.worst_s)


def _read(connection_file: str) -> None:
    from jupyter_client.blocking.client import BlockingKernelClient

    client = BlockingKernelClient(connection_file=connection_file)
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    for _ in range(3):
        message_id = client.execute(PRINT_100_MB)
        while True:
            message = client.get_iopub_msg(timeout=60)
            idle = message["content"].get("execution_state") == "idle"
            if idle and message["parent_header"].get("msg_id") == message_id:
                break
    client.stop_channels()


PARTS = {
    "starts": starts,
    "ahead": ahead,
    "steady": steady,
    "far": far,
    "stalled": stalled,
    "cuts": cuts,
    "loops": loops,
}


def main() -> None:
    part, *arguments = sys.argv[1:]
    if part == "_starts":
        _starts_here(*arguments)
    elif part == "_read":
        _read(*arguments)
    elif part == "_idle":
        asyncio.run(_idle())
    else:
        with bed() as made:
            for line in PARTS[part](made):
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
