"""The figures of a run by row (a file, a shared server, a worker's collection), and where they are kept."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

#: How many complete runs' figures stay in ``.cache/minutes``, and how many narrowed ones'.
KEPT_RUNS = 20

Kind = Literal["file", "shared", "collection", "other"]


@dataclass
class Row:
    """``wall_s`` of a file: from the end of the worker's previous one to its own end."""

    name: str
    kind: Kind
    worker: str = ""
    tests: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def folder(self) -> str:
        """``tests/core`` of ``tests/core/test_store.py``."""
        return str(Path(self.name).parent)


@dataclass
class Run:
    """``complete``: every test of the project was asked for. ``started_at``: seconds since 1970.

    ``loop_ms``: CPU milliseconds of :func:`calibrating_ms` at the start and at the end.
    """

    id: str
    started_at: float
    complete: bool
    workers: int
    cores: int = field(default_factory=lambda: available_cores())
    wall_s: float = 0.0
    cpu_s: float = 0.0
    loop_ms: list[float] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def idle(self) -> float:
        """The share of the cores' time that this run did not use, 0 to 1."""
        return max(0.0, 1 - self.cpu_s / max(1e-9, self.wall_s * self.cores))

    def dearest(self, count: int = 10) -> list[Row]:
        """Return the rows with most CPU."""
        return sorted(self.rows, key=lambda row: -row.cpu_s)[:count]

    def by_folder(self) -> dict[str, float]:
        """Return the CPU seconds of the files of each folder."""
        sums: dict[str, float] = {}
        for row in self.rows:
            if row.kind == "file":
                sums[row.folder] = sums.get(row.folder, 0.0) + row.cpu_s
        return sums


def calibrating_ms() -> float:
    """Return the CPU milliseconds of a loop that is always the same: one machine needs twice as many on some days."""
    before = time.thread_time()
    total = 0
    for number in range(2_000_000):
        total += number & 7
    return (time.thread_time() - before) * 1000


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep(run: Run, folder: Path) -> Path:
    """Write a run's figures into a file of its own, and remove those of old runs."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = "complete" if run.complete else "run"
    file = folder / f"{kind}-{run.id}.json"
    content: dict[str, Any] = {**asdict(run), "idle": run.idle}
    content["rows"] = [_rounded(asdict(row)) for row in run.dearest(len(run.rows))]
    file.write_text(json.dumps(_rounded(content), indent=1) + "\n", encoding="utf-8")
    for old in _kept(folder, kind)[:-KEPT_RUNS]:
        old.unlink()
    return file


def newest(folder: Path) -> Run | None:
    """Return the newest complete run that was kept."""
    for file in _kept(folder, "complete")[-1:]:
        content = json.loads(file.read_text(encoding="utf-8"))
        content.pop("idle")
        return Run(**{**content, "rows": [Row(**row) for row in content["rows"]]})
    return None


def table(rows: Iterable[Row]) -> list[str]:
    """Return lines for people: CPU, wall, tests, name."""
    return [f"{row.cpu_s:8.1f} s CPU {row.wall_s:8.1f} s {row.tests:5d} tests  {row.name}" for row in rows]


def clock(seconds: float) -> str:
    """Return minutes and seconds.

    >>> clock(130.4)
    '2:10'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _kept(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"{kind}-*.json"))


def _rounded(content: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in content.items()}
