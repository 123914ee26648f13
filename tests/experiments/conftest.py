"""The room on a real MLflow, without a server around it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_core.utils import ensure_event_loop

import genops_lab
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub
from genops_lab.core.settings import Settings
from genops_lab.core.store import LocalStore
from genops_lab.experiments.columns.service import DeploymentsOfRuns, RunTableService
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.experiments.models import TrackedProcess, TrackingAck, TrackingBatch, TrackingEvent
from genops_lab.experiments.service import ExperimentsService
from genops_lab.experiments.tracking import TrackingService
from tests.support.homes import Home
from tests.support.mlflow_file import made_store, place_server_store, place_store
from tests.support.warm import warm_workers


@dataclass
class Room:
    """The room's services and what they told."""

    mlflow: MlflowConnection
    store: LocalStore
    events: EventBus
    live: LiveHub
    experiments: ExperimentsService
    run_table: RunTableService
    tracking: TrackingService
    events_seen: list[tuple[str, str]]

    async def close(self) -> None:
        """End what was started."""
        await self.run_table.close()
        await self.events.close()
        await self.mlflow.close()
        self.store.close()


def in_the_tests_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` in the loop in which pytest-jupyter runs the tests."""
    ensure_event_loop(prefer_selector_loop=True).run_until_complete(work)


async def no_deployments(_run_ids: set[str]) -> list[str]:
    return []


def open_room(data: Path, uri: str = "") -> Room:
    """The room on a data folder."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    mlflow = MlflowConnection(Settings(data_dir=data, mlflow_uri=uri))
    store, live = LocalStore(data / "store.db"), LiveHub()
    events = EventBus(store)
    events_seen: list[tuple[str, str]] = []
    events.listen(lambda kind, id, _revision: events_seen.append((kind, id)))
    experiments = ExperimentsService(mlflow, events, live)
    return Room(
        mlflow=mlflow,
        store=store,
        events=events,
        live=live,
        experiments=experiments,
        run_table=RunTableService(mlflow, experiments, events, live, DeploymentsOfRuns(no_deployments)),
        tracking=TrackingService(mlflow, store, events, live),
        events_seen=events_seen,
    )


@pytest.fixture(scope="package", autouse=True)
def warm() -> Iterator[None]:
    """Workers that need not import mlflow first."""
    with warm_workers():
        yield


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No MLflow of the person who runs the tests."""
    use_clean_environment(monkeypatch)


def use_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out what is the person's who runs the tests."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    # The children of a test that left the checkout's folder find the package as well.
    monkeypatch.setenv("PYTHONPATH", str(Path(genops_lab.__file__).parents[1]))


@pytest.fixture(scope="session")
def made_folder() -> Path:
    """The embedded MLflow's folder, made once."""
    return made_store()


def move_made(_made_folder: Path, data: Path) -> None:
    """Put a copy of it into a data folder."""
    place_store(data)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server's SQLite store that MLflow made, without runs, to be copied."""
    file = tmp_path_factory.mktemp("store") / "empty.db"
    place_server_store(file)
    return file


@pytest.fixture
def empty_room(home: Home, clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """The room on an embedded MLflow that is not made yet; the working folder is the user's."""
    monkeypatch.chdir(home.work)
    opened = open_room(home.data)
    yield opened
    in_the_tests_loop(opened.close())
    assert list(home.work.iterdir()) == [], "something was left in the user's folder"


@pytest.fixture
def room(home: Home, empty_room: Room) -> Room:
    """The room on an embedded MLflow that is made already."""
    place_store(home.data)
    return empty_room


def this_process(**more: Any) -> TrackedProcess:
    """The test's own process as the sender."""
    own = psutil.Process()
    return TrackedProcess(pid=own.pid, created=own.create_time(), **more)


class Sender:
    """What a kernel does: counts its events and sends them."""

    def __init__(self, run_key: str, process: TrackedProcess | None = None) -> None:
        self.run_key = run_key
        self.process = process or this_process()
        self.events: list[TrackingEvent] = []

    def add(self, kind: Any, **data: Any) -> TrackingEvent:
        """One more event."""
        event = TrackingEvent(seq=len(self.events) + 1, kind=kind, timestamp=time.time(), data=data)
        self.events.append(event)
        return event

    def metrics(self, step: int, **values: Any) -> TrackingEvent:
        """One more step's metrics."""
        return self.add("metrics", values=values, step=step, timestamp=1000.0 + step)

    def batch(self, begin: int = 0, end: int | None = None) -> TrackingBatch:
        """Some of the events, by position."""
        return TrackingBatch(run_key=self.run_key, process=self.process, events=self.events[begin:end])

    async def send(self, room: Room, begin: int = 0, end: int | None = None) -> TrackingAck:
        """Send some of the events."""
        return await room.tracking.track(self.batch(begin, end))


async def until(condition: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """Wait for something to become true."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)
    return found
