"""Kernels in jobs of a real Slurm on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from genops_lab.hosts.providers.base import Resources
from genops_lab.hosts.providers.slurm.provider import PROVIDER
from tests.kernels.places import Place, a_place
from tests.support import slurm
from tests.support.homes import Home

from .compute_measures import Line, Starts, cost_of_waiting, of_a_kernel, waiting_hosts, warm_starts

STARTS = int(os.environ.get("GENOPS_BENCH_STARTS", "5"))
JOBS = int(os.environ.get("GENOPS_BENCH_PODS", "200"))


def figures(home: Home, parts: list[str]) -> Iterator[Line]:
    """Yield the figures of kernels on an idle node, and the cost of many jobs that wait."""
    cluster = slurm.Cluster.running("linuxproc")
    try:
        with cluster.login() as login, a_place(home, cluster.route(login, python=sys.executable)) as place:
            if "slurm" in parts:
                yield from _kernels(place)
            if "waiting_jobs" in parts:
                # Both nodes are full: what waits asks for a GPU.
                holder = cluster.run(
                    "sbatch", "--parsable", "-N2", "--gres=gpu:4", "--wrap=sleep 3600"
                ).strip()
                try:
                    with waiting_hosts(place, PROVIDER, JOBS, Resources(gpus=1)):
                        yield cost_of_waiting("slurm_jobs_waiting", JOBS)
                finally:
                    cluster.run("scancel", holder)
    finally:
        slurm.end()


def _kernels(place: Place) -> Iterator[Line]:
    starts = Starts(place, PROVIDER, ["seen running"])
    watched: Any = PROVIDER
    open_stream = PROVIDER.open_stream

    async def seen(*arguments: Any) -> Any:
        starts.marks.mark("seen running")
        return await open_stream(*arguments)

    watched.open_stream = seen
    marks = []
    for number in range(STARTS + 1):
        kernel, one = starts.start()
        marks.append(one)
        if number == STARTS:
            yield from starts.figures("slurm", marks, 4.0)
            yield from of_a_kernel("slurm", place, kernel, 20.0, {})
        kernel.close()
    yield warm_starts("slurm", place, PROVIDER, STARTS)
