"""Registry and deployments over a real embedded MLflow, without a web server, driven from plain tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub
from genops_lab.core.settings import Settings
from genops_lab.core.store import LocalStore, SharedStore
from genops_lab.core.store.tables import model_hashes
from genops_lab.core.store.work import WorkTable
from genops_lab.core.tasks import TasksService
from genops_lab.core.work import WorkService
from genops_lab.deployments.check import ModelChecker
from genops_lab.deployments.environments import Environments
from genops_lab.deployments.lifetime import Lifetime
from genops_lab.deployments.loading import model_loading
from genops_lab.deployments.models import Deployment
from genops_lab.deployments.rollout_service import RolloutsService
from genops_lab.deployments.service import DeploymentsService
from genops_lab.deployments.targets.base import Capabilities
from genops_lab.deployments.targets.local import LocalTarget
from genops_lab.evaluations.service import EvaluationsService
from genops_lab.experiments.hashes import model_digest
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.experiments.service import ExperimentsService
from genops_lab.experiments.tracking import TrackingService
from genops_lab.registry.importing import ModelImports
from genops_lab.registry.moves import AliasMoves
from genops_lab.registry.service import RegistryService
from genops_lab.registry.using import ModelUses

from .warm import SCORING, program

T = TypeVar("T")


@dataclass
class Rooms:
    """The services, on an event loop in a thread of its own."""

    settings: Settings
    life: Lifetime = field(default_factory=lambda: Lifetime(True))
    events_seen: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.run(self._open())

    async def _open(self) -> None:
        self.store = LocalStore(self.settings.data_dir / "store.db")
        self.events = EventBus(self.store)
        self.events.listen(lambda kind, id, _revision: self.events_seen.append((kind, id)))
        self.live = LiveHub()
        works = WorkTable(self.store)
        self.tasks = TasksService(self.events, works)
        self.work = WorkService(self.settings, self.tasks, works)
        self.mlflow = MlflowConnection(self.settings)
        self.experiments = ExperimentsService(self.mlflow, self.events, self.live)
        self.tracking = TrackingService(self.mlflow, self.store, self.events, self.live)
        self.shared = SharedStore.at(self.settings.store_url, self.settings.data_dir)
        self.moves = AliasMoves(self.settings, self.mlflow, self.shared, self.work, self.events)
        self.registry = RegistryService(self.mlflow, self.experiments, self.store, self.events, self.moves)
        self.imports = ModelImports(self.settings, self.mlflow, self.registry, self.work, self.events)
        self.uses = ModelUses(self.settings, self.mlflow, self.registry, self.tasks, self.events)
        target = LocalTarget(
            self.settings.data_dir / "deployments",
            Environments(self.settings.data_dir / "environments"),
            self.life,
        )
        self.deployments = DeploymentsService(
            self.settings, self.registry, self.store, self.events, self.live, self.work, works, target
        )
        self.rollouts = RolloutsService(self.deployments, target)
        root = self.settings.data_dir / "evaluations" / ".checked"
        checker = ModelChecker(root, self.registry, self.store, Capabilities(outlives_server=True))
        environments = Environments(self.settings.data_dir / "environments")
        self.evaluations = EvaluationsService(
            self.settings,
            self.mlflow,
            self.registry,
            model_loading(checker, environments),
            self.events,
            self.work,
        )
        services = (self.work, self.moves, self.deployments)
        self._supervising = [asyncio.create_task(each.supervise()) for each in services]

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float = 120) -> T:
        """The result of a coroutine."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)

    def gather(self, *works: Coroutine[Any, Any, T]) -> list[T]:
        """The results of coroutines that run at once."""

        async def together() -> list[T]:
            return await asyncio.gather(*works)

        return self.run(together())

    def close(self) -> None:
        """As the Lab stops: deployments go on."""
        self.run(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def _close(self) -> None:
        for each in self._supervising:
            each.cancel()
        await asyncio.wait(self._supervising)
        await self.tasks.close()
        await self.moves.close()
        await self.work.close()
        await self.events.close()
        await self.mlflow.close()
        self.store.close()
        self.shared.close()

    def trust(self, folder: Path, run_id: str) -> None:
        """Remember a model's files as a tracked run does."""
        with self.store.transaction() as connection:
            connection.execute(
                model_hashes.insert().values(
                    digest=model_digest(folder), run_id=run_id, name="model", recorded_at=time.time()
                )
            )

    def settled(self, name: str) -> Deployment:
        """The deployment once it is neither preparing nor starting."""
        return eventually(
            lambda: self.run(self.deployments.get_deployment(name)),
            lambda found: found.state not in ("preparing", "starting", "stopping"),
        )


def eventually(look: Callable[[], T], good: Callable[[T], bool], timeout_s: float = 60) -> T:
    """What ``look`` saw when it was good; fails with what it saw last."""
    deadline = time.monotonic() + timeout_s
    while not good(found := look()):
        assert time.monotonic() < deadline, f"still {found!r} after {timeout_s:.0f} s"
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def open_rooms(settings: Settings, life: Lifetime | None = None) -> Iterator[Rooms]:
    """Services that are closed afterwards."""
    rooms = Rooms(settings, life or Lifetime(True))
    try:
        yield rooms
    finally:
        rooms.close()


@dataclass(frozen=True)
class Logged:
    """A run's model: ids, its files, some inputs and what the notebook itself predicts for them."""

    run_id: str
    folder: Path
    inputs: np.ndarray
    predictions: list[Any]


class Training:
    """Logs real models into the rooms' MLflow, as a notebook does."""

    def __init__(self, rooms: Rooms) -> None:
        import mlflow

        rooms.run(rooms.mlflow.ensure())
        self._uri = rooms.mlflow.uri
        mlflow.set_tracking_uri(self._uri)
        self._client = mlflow.MlflowClient(self._uri)
        found = self._client.get_experiment_by_name("digits")
        self._experiment = (
            found.experiment_id
            if found
            else self._client.create_experiment(
                "digits",
                artifact_location=(rooms.settings.data_dir / "mlflow" / "artifacts" / "digits").as_uri(),
            )
        )

    @contextlib.contextmanager
    def run(self) -> Iterator[Any]:
        """An active run."""
        import mlflow

        with mlflow.start_run(experiment_id=self._experiment) as run:
            yield run

    def digits(
        self,
        *names: str,
        serialization_format: str = "skops",
        requirements: list[str] | None = None,
        rows: int = 300,
        pixels: int = 64,
    ) -> Logged:
        """A scikit-learn classifier of the first ``pixels`` of digits, logged under each of the names ("model" without
        any)."""
        given = {
            "uri": self._uri,
            "experiment": self._experiment,
            "names": names or ("model",),
            "rows": rows,
            "pixels": pixels,
            "options": {
                "serialization_format": serialization_format,
                "pip_requirements": requirements or ["mlflow", "scikit-learn", "skops"],
            },
        }
        done = subprocess.run(
            [*program("tests.support.training", SCORING), json.dumps(given)],
            stdout=subprocess.PIPE,
            check=True,
            timeout=300,
        )
        content = json.loads(done.stdout.splitlines()[-1])
        folder = self.folder(content["model"])
        return Logged(content["run"], folder, np.array(content["inputs"]), content["predictions"])

    def folder(self, model_id: str) -> Path:
        """Where a logged model's files are."""
        return Path(self._client.get_logged_model(model_id).artifact_location.removeprefix("file://"))
