"""The demo and a promotion over MLflow's own server, and over PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.core.errors import Unavailable
from genops_lab.core.settings import Settings
from genops_lab.gates.models import CheckGates, PromoteVersion
from genops_lab.gates.service import GatesService
from tests.support.homes import Home
from tests.support.mlflow_file import place_server_store
from tests.support.mlflow_server import running_mlflow
from tests.support.postgres import missing, running_postgres
from tests.support.rooms import Rooms, open_rooms
from tests.support.warm import warm_workers

from .made import DEMO_RULES, DEMO_SENTENCE, Made, demo, pair


@contextlib.contextmanager
def store(kind: str, home: Home, folder: Path) -> Iterator[str]:
    if kind == "http":
        place_server_store(folder / "far.db")
        with running_mlflow(home, f"sqlite:///{folder}/far.db", folder / "artifacts") as url:
            yield url
        return
    if missing():
        pytest.skip(missing())
    with running_postgres() as url:
        yield url


@pytest.mark.parametrize("kind", ["http", pytest.param("postgresql", marks=pytest.mark.exhaustive)])
def test_a_red_and_a_green_version(kind: str, home: Home, tmp_path: Path) -> None:
    with (
        store(kind, home, tmp_path) as url,
        warm_workers(),
        open_rooms(Settings(data_dir=home.data, mlflow_uri=url)) as rooms,
    ):
        made = Made(url, None if kind == "http" else tmp_path.as_uri())
        gates = GatesService(rooms.mlflow, rooms.registry, rooms.events)
        red = made.compared("red", *demo())
        report = rooms.run(gates.check_gates(red, "2", CheckGates(text=DEMO_RULES)))
        assert report.headline == DEMO_SENTENCE
        assert rooms.run(gates.get_gates(red, "latest")) == report
        better = DEMO_RULES.partition("  - {rule: worse")[0]
        green = made.compared("green", *pair(("A", 1000, 60, 5)))
        done = rooms.run(gates.promote_version(green, "2", PromoteVersion(text=better)))
        assert done.moved and made.champion(green) == "2"
        left_behind(rooms)


def left_behind(rooms: Rooms) -> None:
    """Copies of predictions and reports are removed."""
    assert list(rooms.mlflow.scratch.iterdir()) == []


def test_an_mlflow_that_is_away_is_no_verdict(home: Home) -> None:
    with warm_workers(), open_rooms(Settings(data_dir=home.data, mlflow_uri="http://127.0.0.1:9")) as rooms:
        gates = GatesService(rooms.mlflow, rooms.registry, rooms.events)
        with pytest.raises(Unavailable):
            rooms.run(gates.check_gates("any", "2", CheckGates(text=DEMO_RULES)))
