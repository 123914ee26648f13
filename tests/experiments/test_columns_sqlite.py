"""The mirror of a SQLite file against MLflow's own answers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from genops_lab.experiments.columns.api import ApiSource, ClientApi, Experiment
from genops_lab.experiments.columns.snapshot import Snapshot
from tests.support.exhaustive import examples
from tests.support.run_changes import CHANGES

from .columns_stands import make_changes, sqlite_stand

_GONE = st.tuples(st.just("delete for good"), st.integers(0, 5), st.none())
#: Each with whether the mirror is looked at after it.
SOME_CHANGES = st.lists(st.tuples(st.one_of(CHANGES, _GONE), st.booleans()), min_size=5, max_size=40)


@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=SOME_CHANGES)
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
def test_a_file_read_directly(tmp_path: Path, empty_store: Path, changes: list[Any]) -> None:
    stand = sqlite_stand(tmp_path, empty_store)
    try:
        make_changes(stand, changes)
    finally:
        stand.close()


@settings(
    max_examples=examples(15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=SOME_CHANGES)
def test_a_store_read_by_the_api(tmp_path: Path, empty_store: Path, changes: list[Any]) -> None:
    uri = ""

    def opens() -> ApiSource:
        # Pages of two runs: what is swept, and what vanishes between two pages, must be seen as well.
        return ApiSource(ClientApi(uri), page=2, sweep=2, every_s=0.01)

    stand = sqlite_stand(tmp_path, empty_store, opens=opens)
    uri = stand.uri
    try:
        make_changes(stand, changes)
    finally:
        stand.close()


class _Changed(ClientApi):
    """A store whose experiment is renamed right after the experiments were read."""

    def __init__(self, uri: str, experiment: str) -> None:
        super().__init__(uri)
        self._experiment = experiment
        self.renamed_at: list[float] = []

    def experiments(self) -> list[Experiment]:
        found = super().experiments()
        self._client.rename_experiment(self._experiment, f"renamed {len(self.renamed_at)}")
        self.renamed_at.append(time.time())
        return found


def test_what_is_read_is_as_old_as_its_experiments(tmp_path: Path, empty_store: Path) -> None:
    stand = sqlite_stand(tmp_path, empty_store)
    try:
        stand.changer.change("create", 0, "a")
        api = _Changed(stand.uri, stand.changer.experiments[0])
        source = ApiSource(api)
        known = Snapshot()
        for block in source.blocks():
            known = known.apply(block)
        assert source.swept_since is not None and source.swept_since <= api.renamed_at[0]
        changes = source.poll(known, frozenset())
        assert [each.run_id for each in changes.runs] == stand.changer.runs, "the sweep is whole"
        assert source.swept_since <= api.renamed_at[1]
    finally:
        stand.close()
