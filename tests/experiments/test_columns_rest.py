"""The mirror of an MLflow server over HTTP."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genops_lab.experiments.columns.api import ApiSource, HttpApi
from tests.support.exhaustive import times
from tests.support.homes import Home
from tests.support.mlflow_server import running_mlflow
from tests.support.run_changes import CHANGES

from .columns_stands import Stand, make_changes

_EVERY_S = 0.05


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is away is noticed at once, as in the Lab."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture(scope="module")
def server(module_home: Home, empty_store: Path) -> Iterator[str]:
    folder = module_home.path / "far"
    folder.mkdir()
    shutil.copy(empty_store, folder / "far.db")
    with running_mlflow(module_home, f"sqlite:///{folder}/far.db", folder / "artifacts") as url:
        yield url


def opens(url: str) -> ApiSource:
    """A source that need not wait, with pages of few runs."""
    return ApiSource(HttpApi(url), page=4, sweep=4, every_s=_EVERY_S)


@settings(
    max_examples=times(5, 2),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=st.lists(st.tuples(CHANGES, st.booleans()), min_size=10, max_size=40))
def test_it_says_what_mlflow_says(server: str, tmp_path: Path, changes: list[Any]) -> None:
    stand = Stand(server, tmp_path / "kept", lambda: opens(server))
    try:
        make_changes(stand, changes)
    finally:
        stand.close()
