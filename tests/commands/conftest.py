"""A running Lab behind its private socket, and the ``genops`` program that finds it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from genops_lab import __version__
from genops_lab.app.features import OPERATIONS
from genops_lab.app.socket_server import SocketServer
from genops_lab.core.api import ServiceGate
from genops_lab.core.settings import Settings
from tests.support.application import open_lab
from tests.support.homes import Home, temporary_home
from tests.support.mlflow_file import place_store
from tests.support.rooms import Logged, Training
from tests.support.warm import program, warm_workers

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


def genops(
    home: Home, *arguments: str, stdin: str | None = None, cold: bool = False, **environment: str
) -> Outcome:
    """Run the program as a user would; its process is forked from a warm one, but for a ``cold`` one."""
    command = (sys.executable, "-m", "genops_lab.commands") if cold else program("genops_lab.commands.main")
    done = subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        cwd=home.work,
        env=home.environment(**environment),
        stdin=subprocess.DEVNULL if stdin is None else None,
        input=stdin,
        timeout=150,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


class RunningLab:
    """The services on a loop of their own, served on the private socket as the Jupyter server does."""

    def __init__(self, home: Home, mlflow_uri: str = "") -> None:
        self.home = home
        self.settings = Settings(data_dir=home.data, mlflow_uri=mlflow_uri)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.run(self._open())

    async def _open(self) -> None:
        self.lab = await open_lab(self.settings)
        self.mlflow, self.store = self.lab.mlflow, self.lab.store
        gate = ServiceGate()
        gate.open(self.lab.application.services)
        self.doorway = SocketServer(OPERATIONS, gate)
        self.doorway.open("http://127.0.0.1:1/", __version__)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine on the Lab's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(120)

    def call(self, *arguments: str, **environment: str) -> Outcome:
        """Run a command that finds this Lab."""
        return genops(self.home, *arguments, **environment)

    def follow(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that goes on."""
        return subprocess.Popen(
            [*program("genops_lab.commands.main"), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            cwd=self.home.work, env=self.home.environment(),
        )  # fmt: skip

    def close(self) -> None:
        """As the server stops."""

        async def close() -> None:
            for each in (await self.lab.deployments.list_deployments()).items:
                await self.lab.deployments.stop_deployment(each.name)
            self.doorway.close()
            await self.lab.stop()

        self.run(close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@pytest.fixture(scope="module")
def lab_home() -> Iterator[Home]:
    """One home for the tests of the commands; this process lives in it too."""
    with temporary_home() as home, pytest.MonkeyPatch.context() as patch:
        for name, value in home.environment().items():
            patch.setenv(name, value)
        home.data.mkdir(parents=True, mode=0o700)
        yield home


@pytest.fixture(scope="module")
def lab(lab_home: Home) -> Iterator[RunningLab]:
    place_store(lab_home.data)
    with warm_workers():
        running = RunningLab(lab_home)
        try:
            yield running
        finally:
            running.close()


@pytest.fixture(scope="module")
def digits(lab: RunningLab) -> Logged:
    """A run with a model, whose files no run of this user recorded."""
    return Training(lab).digits()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trusted(lab: RunningLab, digits: Logged) -> Callable[[], None]:
    """Records the model's files as a tracked run does."""
    import time

    from genops_lab.core.store.tables import model_hashes
    from genops_lab.experiments.hashes import model_digest

    def trust() -> None:
        with lab.store.transaction() as connection:
            connection.execute(model_hashes.delete())
            connection.execute(
                model_hashes.insert().values(
                    digest=model_digest(digits.folder),
                    run_id=digits.run_id,
                    name="m",
                    recorded_at=time.time(),
                )
            )

    return trust
