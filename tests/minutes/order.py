"""The order of files: those that share a Lab in a row, then the longest first: the end of a run waits for none."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from .figures import Run

#: Seconds of each file in a complete run, committed: all workers must have one order.
DURATIONS = Path(__file__).with_name("durations.json")

#: Seconds taken for a file that is not in it.
UNKNOWN_S = 20.0

#: Modules that share a Lab and a Chromium as long as a worker has them in a row.
TOGETHER = "tests/ui/"

#: Folders whose files one worker runs: what they have in common (PyTorch imported, a Lab, real traces that were read)
#: costs more than the tests of some files.
ONE_WORKER = ("tests/runtime/", "tests/profiling/", "tests/sweeps/")
#: Files that the worker of another one runs: they share what a machine can have once (a Slurm, a Kubernetes). In other
#: workers they would wait for it until their time is over.
SAME_WORKER = dict.fromkeys(
    (
        "tests/hosts/test_slurm.py",
        "tests/hosts/test_slurm_ends.py",
        "tests/hosts/test_on_clusters.py",
        "tests/kernels/test_kubernetes.py",
        "tests/kernels/test_kubernetes_kueue.py",
        "tests/kernels/test_kubernetes_nodes.py",
        "tests/ui/test_clusters.py",
        "tests/ui/test_pods.py",
    ),
    "tests/hosts/test_provider_contract.py",
)

T = TypeVar("T")


def scope(file: str) -> str:
    """Return what one worker runs in a row: the file, or its folder.

    >>> scope("tests/sweeps/test_engine.py"), scope("tests/core/test_store.py")
    ('tests/sweeps/', 'tests/core/test_store.py')
    """
    file = SAME_WORKER.get(file, file)
    return next((folder for folder in ONE_WORKER if file.startswith(folder)), file)


def longest_first(items: Sequence[T], files: Sequence[str], seconds: dict[str, float]) -> list[T]:
    """Return the tests with those of ``TOGETHER`` first, then those of the longest files and of the folders that one
    worker runs. ``files``: each one's.

    >>> longest_first(["a1", "b1", "b2"], ["a", "b", "b"], {"a": 1, "b": 9})
    ['b1', 'b2', 'a1']
    """

    of_file = {file: seconds.get(file, UNKNOWN_S) for file in files}
    of_scope: defaultdict[str, float] = defaultdict(float)
    for file, length in of_file.items():
        of_scope[scope(file)] += length

    def place(index: int) -> tuple[bool, float, float]:
        file = files[index]
        return not file.startswith(TOGETHER), -of_scope[scope(file)], -of_file[file]

    return [items[index] for index in sorted(range(len(items)), key=place)]


def durations() -> dict[str, float]:
    """Return the committed seconds of each file."""
    found: dict[str, float] = json.loads(DURATIONS.read_text(encoding="utf-8")) if DURATIONS.exists() else {}
    return found


def keep_durations(run: Run) -> None:
    """Write the seconds of a run's files, whole ones: small changes are no change."""
    seconds = {row.name: max(1, round(row.wall_s)) for row in run.rows if row.kind == "file"}
    DURATIONS.write_text(json.dumps(dict(sorted(seconds.items())), indent=2) + "\n", encoding="utf-8")
