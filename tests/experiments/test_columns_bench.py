"""The benchmark of the run table, with stores of a few runs: it must not rot."""

from __future__ import annotations

import pytest

from benchmarks import runs
from tests.support.postgres import missing


def test_each_figure_is_made(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_LOOK_S", 0.1)
    made = [figure.line() for figure in runs.measured(40, 60, 200, times=1)]
    beside_mlflow = 2 * (3 if missing() else 4)
    assert len(made) == 8 + beside_mlflow
    assert all(line["n"] for line in made)
    assert sum("baseline" in line for line in made) == 1 + beside_mlflow
