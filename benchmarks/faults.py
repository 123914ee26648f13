"""Cuts of each kind while a cell in a pod or a Slurm job counts: how many numbers are lost or come twice.

``FAULTS`` sets how many cuts each kind gets (100). ``GENOPS_BENCH_FAULTS`` names the kinds to run, as
``kubernetes:api_server``. The clusters are those of the suite ``compute``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from .figure import Figure
from .process import figures_of

KINDS = {
    "kubernetes": ("carrier", "api_server", "kubelet", "proxy_reset", "proxy_hole", "lab"),
    "slurm": ("carrier", "slurmctld", "login", "lab"),
}


def figures() -> Iterator[Figure]:
    asked = [each for each in os.environ.get("GENOPS_BENCH_FAULTS", "").split(",") if each]
    for cluster, kinds in KINDS.items():
        chosen = [kind for kind in kinds if not asked or f"{cluster}:{kind}" in asked]
        if chosen:
            yield from figures_of("benchmarks.faults_probe", cluster, *chosen)
