"""The mirror of a SQLite file against MLflow's own answers."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from genops_lab.core.errors import Unavailable
from genops_lab.experiments.columns import disk
from genops_lab.experiments.columns.mirror import Mirror
from genops_lab.experiments.columns.opening import ways_to
from tests.support.run_changes import CHANGES, Changer, as_mirrored, as_mlflow_says

_GONE = st.tuples(st.just("delete for good"), st.integers(0, 5), st.none())
LONG_S = 60.0


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that MLflow made, to be copied."""
    file = tmp_path_factory.mktemp("store") / "empty.db"
    client = MlflowClient(f"sqlite:///{file}")
    client.search_experiments()
    engine: Any = client._tracking_client.store
    engine.engine.dispose()
    return file


class Stand:
    """A store, a client of it and a mirror."""

    def __init__(self, folder: Path, empty: Path) -> None:
        self.file = folder / f"{uuid.uuid4().hex}.db"
        shutil.copy(empty, self.file)
        self.client = MlflowClient(f"sqlite:///{self.file}")
        self.changer = Changer(self.client)
        self.mirror = Mirror(ways_to(f"sqlite:///{self.file}"), folder / "kept")

    def same(self) -> None:
        """The mirror says what MLflow says."""
        assert as_mirrored(self.mirror.now(LONG_S)) == as_mlflow_says(self.client)

    def close(self) -> None:
        self.mirror.close()
        store: Any = self.client._tracking_client.store
        store.engine.dispose()
        self.file.unlink(missing_ok=True)


@pytest.fixture
def stand(tmp_path: Path, empty_store: Path) -> Iterator[Stand]:
    made = Stand(tmp_path, empty_store)
    yield made
    made.close()


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=st.lists(st.tuples(st.one_of(CHANGES, _GONE), st.booleans()), min_size=5, max_size=40))
@example(
    changes=[
        (("create", 0, "a"), False),
        (("create", 0, "b"), True),
        (("metric", 0, ("loss", 1.0, 5, 1)), True),
        (("metric", 0, ("loss", float("nan"), 5, 1)), True),
        (("param", 1, ("a", "1")), True),
        (("tag", 1, ("a", "1")), True),
        (("tag", 1, ("a", "2")), True),
        (("untag", 1, "a"), True),
        (("delete", 1, None), True),
        (("delete for good", 1, None), False),
        (("create", 0, "c"), False),
        (("tag", 1, ("a", "1")), True),
    ]
)
def test_it_says_what_mlflow_says(tmp_path: Path, empty_store: Path, changes: list[Any]) -> None:
    stand = Stand(tmp_path, empty_store)
    try:
        for (what, which, how), look in changes:
            stand.changer.change(what, which, how)
            if look:
                stand.same()
        stand.same()
    finally:
        stand.close()
