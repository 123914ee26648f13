"""Starts that take a kernel which stood ready on the host, beside starts that make one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

from .remote_bed import DELAYS_MS, LOCAL, OURS, Bed, Place
from .remote_measures import Kernel

STARTS = 7
WANTED_MS = 50.0
_PATIENCE_S = 120.0


def ahead(made: Bed) -> Iterator[dict[str, Any]]:
    """From nothing to the first reply, over a link that is up."""
    for delay in DELAYS_MS:
        for way in OURS:
            cold, warm, local = _starts(made, way, delay)
            target = {"target": WANTED_MS} if delay == 0 else {}
            notes = {"local_kernel_ms": round(statistics.median(local), 1)}
            base = {"baseline": "a fresh kernel there", "baseline_values": cold}
            figure = {"name": f"start_ahead_{way}_{delay}ms", "unit": "ms", "values": warm}
            yield {**figure, **base, **target, "notes": notes}


def _starts(made: Bed, way: str, delay: Place) -> tuple[list[float], list[float], list[float]]:
    name = made.kernel(way, delay)
    _begin(name)  # connects
    cold, warm, local = [], [], []
    for _ in range(STARTS):
        _keep_ready(f"{way}-{delay}", 0)
        cold.append(_begin(name))
        local.append(_begin(LOCAL))
        _keep_ready(f"{way}-{delay}", 1)
        warm.append(_begin(name))
    _keep_ready(f"{way}-{delay}", 0)
    return cold, warm, local


def _begin(name: str) -> float:
    kernel = Kernel(name)
    kernel.close()
    return kernel.started_s * 1e3


def _keep_ready(target: str, count: int) -> None:
    """Have the host keep so many, and wait until they are ready."""
    from genops_lab.kernels.kernelspecs import ARGV
    from genops_lab.kernels.process import PROCESS

    own = PROCESS.remote
    link = own.links.link(own.find(target).route)
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        spares = own.links.submit(link.call("kernels.warm", {"argv": ARGV, "count": count})).result(60)
        if spares["ready"] == count:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"no kernel stands ready: {spares}")
        time.sleep(0.2)
