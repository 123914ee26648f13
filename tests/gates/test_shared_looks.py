"""Looks in the store of a team, a real PostgreSQL: claimed before the judging, so two checks at once share none."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from genops_lab.core.errors import Unavailable
from genops_lab.core.settings import Settings
from genops_lab.core.store import SharedStore
from genops_lab.evaluations.backends.judgings import Judgings
from genops_lab.evaluations.models import EvaluationReport, LoggedPredictions
from genops_lab.gates.backends.look_ledger import LookLedger
from genops_lab.gates.looks import LOOKS_TAG, Look
from genops_lab.gates.models import CheckGates
from genops_lab.gates.service import GatesService
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.postgres import Postgres, missing, postgres
from tests.support.rooms import Rooms, open_rooms
from tests.support.warm import warm_workers

from .made import Made, pair

T = TypeVar("T")
BETTER = "kind: Gates\ndata: holdout\nrules:\n  - {rule: better, metric: accuracy}\n"
AT_ONCE = 6


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    if missing():
        pytest.skip(missing())
    with postgres() as found:
        yield found


@pytest.fixture
def url(server: Postgres) -> str:
    """The address of an empty database."""
    return server.database()


def at_once(*works: Callable[[], T]) -> list[T]:
    """What each returned; all begin together."""
    begin = threading.Barrier(len(works))

    def one(work: Callable[[], T]) -> T:
        begin.wait(30)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def look(mine: str, theirs: str = "t", at: int = 1) -> Look:
    return Look("plan", "holdout", "1", mine, theirs, at)


def test_looks_at_the_same_moment_have_numbers_of_their_own(url: str) -> None:
    stores = [SharedStore(url), SharedStore(url)]  # two Labs
    stores[0].open()
    ledgers = [LookLedger(each, "http://mlflow", "digits") for each in stores]

    def claim(at: int) -> Callable[[], int]:
        return lambda: ledgers[at % 2].claim("2", 7, look(f"m{at}"), [], 99)[0]

    numbers = at_once(*(claim(at) for at in range(AT_ONCE)))
    assert sorted(numbers) == list(range(1, AT_ONCE + 1))
    # The same predictions are the same look, whoever asks; another version has its own.
    assert at_once(claim(3), claim(0)) == [numbers[3], numbers[0]]
    assert ledgers[0].claim("3", 7, look("m9"), [], 99)[0] == 1
    for each in stores:
        each.close()


def test_looks_of_before_the_store_count_too(url: str) -> None:
    store = SharedStore(url)
    ledger = LookLedger(store, "http://mlflow", "digits")
    number, before, looks = ledger.claim("2", 7, look("m2", at=9), [look("m1", "", 5)], 2)
    assert (number, before, [each.mine for each in looks]) == (2, look("m1", "", 5), ["m1", "m2"])
    # The other version has predictions now: the first look is the same, and fuller.
    assert ledger.claim("2", 7, look("m1"), [], 2)[2][0] == look("m1")
    # A look after the planned ones is counted and not kept.
    assert ledger.claim("2", 7, look("m3"), [], 2)[0] == 3
    assert ledger.claim("2", 7, look("m4"), [], 2)[0] == 3
    store.close()


@pytest.fixture
def rooms(home: Home, url: str) -> Iterator[Rooms]:
    place_store(home.data)
    with warm_workers(), open_rooms(Settings(data_dir=home.data, store_url=url)) as found:
        found.run(found.mlflow.ensure())
        yield found


def test_a_look_counts_although_its_tag_is_gone(rooms: Rooms, server: Postgres) -> None:
    made = Made(rooms.mlflow.uri, None)
    gates = GatesService(rooms.mlflow, rooms.registry, rooms.events)
    name = made.compared("looked", *pair(("A", 300, 20, 10)))

    def checked() -> int:
        return rooms.run(gates.check_gates(name, "2", CheckGates(text=BETTER))).data[0].look

    assert checked() == 1
    made.client.delete_model_version_tag(name, "2", LOOKS_TAG)
    assert checked() == 1
    made.client.delete_model_version_tag(name, "2", LOOKS_TAG)
    made.evaluate(name, "2", pair(("A", 300, 30, 10))[0])
    report = rooms.run(gates.check_gates(name, "2", CheckGates(text=BETTER)))
    assert (report.verdict, report.data[0].look) == ("cannot_be_checked", 2)
    assert "holdout judged this pair before" in report.headline
    server.stop()
    try:
        with pytest.raises(Unavailable, match="The shared GenOps store"):
            checked()
    finally:
        server.start()


def test_a_data_set_has_judged_versions_whose_runs_are_gone(rooms: Rooms, url: str, tmp_path: Path) -> None:
    made = Made(rooms.mlflow.uri, None)
    made.model("judged")
    rows = {"ids": ["a", "b"], "labels": [0, 1], "predictions": [0, 1]}
    (tmp_path / "given.json").write_text(json.dumps(rows))

    def logged() -> EvaluationReport:
        version = made.version("judged")
        body = LoggedPredictions(
            path=str(tmp_path / "given.json"), model="judged", version=version, data="rows", digest="d1"
        )
        return rooms.run(rooms.evaluations.log_predictions(body))

    first = logged()
    assert first.judged == 1
    made.client.delete_run(first.evaluation.run_id)
    assert logged().judged == 2

    store = SharedStore(url)
    judgings = [Judgings(store, rooms.mlflow.shown_uri), Judgings(store, rooms.mlflow.shown_uri)]
    claims = [lambda at=at: judgings[at].claim("d1", [("other", "1"), ("other", str(at))]) for at in (0, 1)]
    at_once(*claims)
    assert judgings[0].of("d1") == {("judged", "1"), ("judged", "2"), ("other", "0"), ("other", "1")}
    store.close()
