"""Kernels in pods and in Slurm jobs: their starts in phases, their output, and what many of them cost the Lab.

Kubernetes stands beside gateway-provisioners on the same cluster. The clusters are those of the tests: root on Debian,
``shared/k8s`` and ``shared/slurm`` beside the checkout. What cannot be had is left out, by name.

``GENOPS_BENCH_STARTS`` sets how many starts there are of each kind (5), ``GENOPS_BENCH_PODS`` how many pods and jobs
wait at once (200). ``GENOPS_BENCH_COMPUTE`` names the parts to run: pods,
gateway_provisioners, waiting_pods, slurm, waiting_jobs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from .figure import Figure
from .process import figures_of

PARTS = {
    "pods": "kubernetes",
    "gateway_provisioners": "kubernetes",
    "waiting_pods": "kubernetes",
    "slurm": "slurm",
    "waiting_jobs": "slurm",
}


def figures() -> Iterator[Figure]:
    chosen = [part for part in os.environ.get("GENOPS_BENCH_COMPUTE", "").split(",") if part] or list(PARTS)
    for cluster in dict.fromkeys(PARTS[part] for part in chosen):
        parts = [part for part in chosen if PARTS[part] == cluster]
        yield from figures_of("benchmarks.compute_probe", cluster, *parts)
