"""Second tries. CI runs the files of failed tests once more, and remembers what passes then: it is to be mended.

A whole file in a new pytest: its tests share a Lab, an MLflow or a page, and what a failed test left there fails its
own second try.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

#: How many runs are remembered. A test that was unsteady in two of them fails the run.
REMEMBERED_RUNS = 20


#: More failed files than this are no chance: there is no second try.
MOST_FILES = 5

#: In the folder of the figures: the failed tests of the last run.
FAILED = "failed.json"


def keep_failed(tests: Iterable[str], folder: Path) -> None:
    """Keep what a run's second try may mend: its failed tests, in the order in which they failed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILED).write_text(json.dumps(list(dict.fromkeys(tests))) + "\n", encoding="utf-8")


def failed(folder: Path) -> list[str]:
    """Return the failed tests of the run that ended last."""
    found: list[str] = json.loads((folder / FAILED).read_text(encoding="utf-8"))
    return found


def files_to_try_again(tests: Iterable[str]) -> list[str]:
    """Return the files of failed tests; none where a failure is no test's, or too many failed for a chance.

    >>> files_to_try_again(["tests/a.py::test_x", "tests/a.py::test_y"]), files_to_try_again(["the run"])
    (['tests/a.py'], [])
    """
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    if len(files) > MOST_FILES or not all(file.endswith(".py") for file in files):
        return []
    return files


def first_of_each_file(tests: Iterable[str]) -> list[str]:
    """Return the test of each file that failed first: those after it may have failed by it.

    >>> first_of_each_file(["a.py::test_x", "a.py::test_y", "b.py::test_z"])
    ['a.py::test_x', 'b.py::test_z']
    """
    first: dict[str, str] = {}
    for test in tests:
        first.setdefault(test.partition("::")[0], test)
    return list(first.values())


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
