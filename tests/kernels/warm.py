"""Kernels that stand ready on a host, for tests."""

from __future__ import annotations

import json
from pathlib import Path

from genops_lab.kernels.kernelspecs import ARGV
from tests.kernels.places import Place, wait


def warmed(place: Place, home: Path, count: int = 1) -> list[int]:
    """The pids of those that stand ready in ``home`` of the host, once they are so many."""
    wait(
        lambda: place.call("kernels.warm", argv=ARGV, count=count)["ready"] == count, "no kernel stands ready"
    )
    return spare_pids(home)


def spare_pids(home: Path) -> list[int]:
    """Of the kernels that wait, as their keepers tell."""
    files = (home / ".local/state/genops-lab/spares").glob("*/spare.json")
    return sorted(int(json.loads(file.read_text())["pid"]) for file in files)
