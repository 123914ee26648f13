"""Tests that passed only on a second try: remembered for this machine's last runs, so that none stays unmended."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

#: How many runs are remembered. A test that was unsteady in two of them fails the run.
REMEMBERED_RUNS = 20


def history_file() -> Path:
    """Return where this machine remembers, in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "genops-lab" / "unsteady-tests.json"


def remember(tests: Iterable[str], file: Path) -> dict[str, str]:
    """Add a run with its unsteady tests; return those that were unsteady before, with the date of the last time."""
    runs = _runs(file)
    before = {test: run["at"] for run in runs[-(REMEMBERED_RUNS - 1) :] for test in run["tests"]}
    now = sorted(set(tests))
    runs = [*runs, {"at": time.strftime("%Y-%m-%d %H:%M"), "tests": now}][-REMEMBERED_RUNS:]
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(f".{os.getpid()}.new")
    new.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    new.replace(file)
    return {test: before[test] for test in now if test in before}


def _runs(file: Path) -> list[dict[str, list[str]]]:
    try:
        found: list[dict[str, list[str]]] = json.loads(file.read_text(encoding="utf-8"))
        return found
    except (FileNotFoundError, ValueError):
        return []
