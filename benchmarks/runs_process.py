"""``python -m benchmarks.runs_process sync|memory FILE``: what one process measures of itself."""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from genops_lab.core.arrow import give_memory_back
from genops_lab.experiments.columns.selection import Asked
from genops_lab.experiments.columns.snapshot import Snapshot
from genops_lab.experiments.columns.sqlite_source import SqliteSource


def _read(source: SqliteSource) -> Snapshot:
    known = Snapshot()
    for block in source.blocks():
        known = known.apply(block)
    return known


def _sync(file: Path) -> dict[str, Any]:
    begun = time.process_time()
    source = SqliteSource(file)
    known = _read(source)
    return {"cpu_s": time.process_time() - begun, "values": known.values}


def _memory(file: Path) -> dict[str, Any]:
    """What the process has more after it has read all runs than after it has read a few."""
    source = SqliteSource(file)
    few = Snapshot().apply(source.newest(20))
    Asked(few.apply(source.newest(30))).find([], "", [], "active")
    before = _uss()
    known = _read(source)
    uss = _uss() - before
    return {"uss": uss, "values": known.values, "arrays": known.nbytes}


def _uss() -> int:
    gc.collect()
    give_memory_back()
    return int(psutil.Process().memory_full_info().uss)


if __name__ == "__main__":
    what, path = sys.argv[1:]
    print(json.dumps({"sync": _sync, "memory": _memory}[what](Path(path))))
