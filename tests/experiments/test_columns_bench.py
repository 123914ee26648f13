"""The benchmark of the run table, with stores of a few runs: it must not rot."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from benchmarks import runs
from tests.support.postgres import missing


def test_a_child_that_has_ended_is_no_server() -> None:
    """A process that nobody has waited for has no command line."""
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""], stdout=subprocess.PIPE)
    assert ended.stdout is not None and ended.stdout.read() == b""
    process = psutil.Process(ended.pid)
    while process.status() != psutil.STATUS_ZOMBIE:  # the test's time limit bounds it
        time.sleep(0.01)
    assert not runs._serves(process)
    ended.wait()


@pytest.mark.exhaustive
def test_each_figure_is_made(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_LOOK_S", 0.1)
    made = [figure.line() for figure in runs.measured(40, 60, 200, times=1)]
    beside_mlflow = 2 * (3 if missing() else 4)
    assert len(made) == 8 + beside_mlflow
    assert all(line["n"] for line in made)
    assert sum("baseline" in line for line in made) == 1 + beside_mlflow
