"""``python -m benchmarks.runs_process sync|keep|load FILE [CACHE]``: what one process measures of itself."""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from genops_lab.experiments.columns import disk
from genops_lab.experiments.columns.asking import Asked
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


def _keep(file: Path, cache: Path) -> dict[str, Any]:
    source = SqliteSource(file)
    disk.save(cache, source.identity(), disk.Kept(_read(source), "", time.time()))
    return {}


def _load(file: Path, cache: Path) -> dict[str, Any]:
    identity = SqliteSource(file).identity()
    Asked(Snapshot()).find([], "", [], "active")
    gc.collect()
    before = psutil.Process().memory_full_info().uss
    kept = disk.load(cache, identity)
    assert kept is not None
    gc.collect()
    uss = psutil.Process().memory_full_info().uss - before
    return {"uss": uss, "values": kept.snapshot.values, "arrays": kept.snapshot.nbytes}


if __name__ == "__main__":
    what, *paths = sys.argv[1:]
    print(json.dumps({"sync": _sync, "keep": _keep, "load": _load}[what](*map(Path, paths))))
