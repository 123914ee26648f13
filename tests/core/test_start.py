"""The services' start in the background of a Jupyter server, and its end before they are open."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.homes import Home
from tests.support.lab_server import running_lab

#: What opens with a server, in this order: kernels of before are there before a request is answered, and the socket
#: before a kernel starts that is told its name.
OPENS = [
    "store", "targets", "kernels' outputs", "requests", "events to Jupyter", "socket", "kernels' environment", "sweeps",
]  # fmt: skip
#: Who asks, then what works, then each service before what it was made from, the store at the very end.
CLOSES = [
    "socket", "tasks", "sweeps", "run table", "kernels' runs", "profiles", "kernels' outputs", "kernels elsewhere",
    "folders", "outputs", "targets", "mlflow", "events", "store closed",
]  # fmt: skip
# Two servers, one after the other: the first one's extension ends as soon as the server's start hooks are done. Where
# modules move, the imports below move with them; the order stays.
PROGRAM = """
import asyncio, json
from jupyterlab.labapp import LabApp
from jupyter_server.serverapp import ServerApp
from genops_lab.kernels.process import ProcessKernels
from genops_lab.core.api import ServiceGate
from genops_lab.app.socket_server import SocketServer
from genops_lab.core.events import EventBus
from genops_lab.core.store import LocalStore
from genops_lab.core.tasks import TasksService
from genops_lab.experiments.columns.service import RunTableService
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.kernels.folders.service import FoldersService
from genops_lab.kernels.outputs.server import ServerOutputs
from genops_lab.kernels.outputs.service import OutputsService
from genops_lab.profiling.service import ProfilesService
from genops_lab.kernel_api.service import RemoteTracking
from genops_lab.sweeps.service import SweepsService
from genops_lab.kernels.remote_service import RemoteKernelsService
from genops_lab.hosts.service import TargetsService

done = []
def note(owner, name, what):
    found = getattr(owner, name)
    def noted(*arguments, **named):
        done.append(what)
        return found(*arguments, **named)
    setattr(owner, name, noted)
note(LocalStore, "__init__", "store")
note(TargetsService, "open", "targets")
note(ServerOutputs, "open", "kernels' outputs")
note(ServiceGate, "open", "requests")
listen = EventBus.listen
def listens(events, listener):
    if listener.__name__ == "_publish":  # services listen too
        done.append("events to Jupyter")
    listen(events, listener)
EventBus.listen = listens
note(SocketServer, "open", "socket")
note(ProcessKernels, "open", "kernels' environment")
note(SweepsService, "ready", "sweeps")
for owner, what in (
    (SocketServer, "socket"), (ServerOutputs, "kernels' outputs"), (SweepsService, "sweeps"),
    (RunTableService, "run table"),
    (FoldersService, "folders"), (TasksService, "tasks"), (RemoteTracking, "kernels' runs"),
    (RemoteKernelsService, "kernels elsewhere"), (TargetsService, "targets"), (OutputsService, "outputs"),
    (EventBus, "events"), (ProfilesService, "profiles"), (MlflowConnection, "mlflow"), (LocalStore, "store closed"),
):
    note(owner, "close", what)

arguments = ["--no-browser", "--allow-root", "--ServerApp.port=0"]

async def ends_while_it_opens():
    extensions = "--ServerApp.jpserver_extensions={'jupyterlab': True, 'genops_lab': True}"
    server = LabApp.initialize_server(argv=[*arguments, extensions])
    await server._post_start()
    (app,) = server.extension_manager.extension_apps["genops_lab"]
    open_at_once = app.lab is not None
    await asyncio.wait_for(app.stop_extension(), 60)
    left = [task.get_name() for task in asyncio.all_tasks() if "genops_lab" in repr(task.get_coro())]
    return [open_at_once, app.lab is not None and not app.lab.supervises, app.opening.done(), left]

async def opens_and_closes():
    done.clear()
    server = ServerApp(jpserver_extensions={"genops_lab": True})
    server.initialize(argv=arguments)
    await server._post_start()
    (app,) = server.extension_manager.extension_apps["genops_lab"]
    await asyncio.wait_for(app.opening, 60)
    opened, done[:] = list(done), []
    await asyncio.wait_for(app.stop_extension(), 60)
    return [opened, done]

async def main():
    print(json.dumps([await ends_while_it_opens(), *await opens_and_closes()]))
asyncio.run(main())
"""


class Ended(NamedTuple):
    """What the servers did, what they wrote to standard error, and the files that they left where sockets are."""

    printed: list[Any]
    err: str
    left: list[Path]


@pytest.fixture(scope="module")
def ended(module_home: Home) -> Ended:
    home = module_home
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=home.work,
        env=home.environment(), check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    left = [*(home.path / "run").glob("genops-*.json"), *(home.path / "s").glob("*.sock")]
    return Ended(json.loads(done.stdout.splitlines()[-1]), done.stderr, left)


def test_a_server_that_ends_while_the_lab_opens_leaves_nothing(ended: Ended) -> None:
    assert ended.printed[0] == [False, True, True, []]
    assert not ended.left
    assert "never retrieved" not in ended.err and "was destroyed" not in ended.err


def test_services_open_and_close_in_an_order(ended: Ended) -> None:
    _, opened, closed = ended.printed
    assert opened == OPENS
    assert closed == CLOSES


def test_a_forked_lab_keeps_its_settings_in_its_own_home(home: Home) -> None:
    with running_lab(home) as lab:
        path, body = "lab/api/settings/@jupyterlab/apputils-extension:themes", {"raw": "{}"}
        assert lab.request("PUT", path, body)[0] == 204
    assert list((home.path / "settings").rglob("themes.jupyterlab-settings"))
