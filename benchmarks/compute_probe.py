"""The process that measures kernels in pods and jobs: ``kubernetes`` or ``slurm``, and the parts to run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.homes import Home

from . import compute_pods, compute_slurm, gateway_provisioners
from .compute_measures import Line, left_out


def main() -> None:
    cluster, *parts = sys.argv[1:]
    try:
        for line in _lines(cluster, parts, Home(Path(os.environ["GENOPS_BENCH_HOME"]))):
            print(json.dumps(line), flush=True)
    except pytest.skip.Exception as skipped:
        left_out(f"{', '.join(parts)}: {skipped}")


def _lines(cluster: str, parts: list[str], home: Home) -> Iterator[Line]:
    if cluster == "slurm":
        yield from compute_slurm.figures(home, parts)
        return
    from tests.support.kubernetes import a_cluster

    with a_cluster() as found:
        peer: Line = {}
        if "gateway_provisioners" in parts:
            peer = gateway_provisioners.measured(found, home)
        if "pods" in parts:
            yield from compute_pods.figures(found, home, peer)
        elif peer:
            yield from gateway_provisioners.alone(peer)
        if "waiting_pods" in parts:
            yield from compute_pods.waiting(found, home)


if __name__ == "__main__":
    main()
