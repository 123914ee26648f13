"""What was tracked on a server of MLflow 2 is looked at, compared, restored and registered."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.core.paging import FIRST
from genops_lab.experiments.comparison.models import ComparisonQuery
from genops_lab.experiments.restoring.service import RestoringService
from genops_lab.registry.backends.mlflow_aliases import TAG, MlflowAliases
from genops_lab.registry.backends.mlflow_models import MlflowModels
from genops_lab.registry.origins import Origin
from genops_lab.runtime.artifacts import CELLS
from tests.support.homes import Home
from tests.support.lab_server import free_port
from tests.support.mlflow_server import wait_for
from tests.support.warm import program

from .conftest import Sender, open_room

MLMODEL = "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n"
#: The MLflow that the exhaustive test installs.
MLFLOW_2 = "mlflow==2.20.0"


@pytest.fixture(scope="module")
def stand_in(module_home: Home, empty_store: Path) -> Iterator[str]:
    folder = module_home.path / "two"
    folder.mkdir()
    shutil.copy(empty_store, folder / "far.db")
    port = free_port()
    process = subprocess.Popen(
        [*program("tests.support.mlflow_2_server"), str(port)],
        env=module_home.environment(
            _MLFLOW_SERVER_FILE_STORE=f"sqlite:///{folder}/far.db",
            _MLFLOW_SERVER_ARTIFACT_ROOT="mlflow-artifacts:/",
            _MLFLOW_SERVER_ARTIFACT_DESTINATION=str(folder / "artifacts"),
            _MLFLOW_SERVER_SERVE_ARTIFACTS="true",
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


@pytest.fixture(scope="module")
def installed(module_home: Home) -> Iterator[str]:
    """MLflow 2.20's own server, in an environment of its own."""
    environment = module_home.path / "mlflow-2"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    older = ("setuptools<81", "sqlalchemy<2.1")  # of the newest ones it misses what it imports
    subprocess.run([python, "-m", "pip", "install", "-q", MLFLOW_2, *older], check=True)
    folder = module_home.path / "installed"
    folder.mkdir()
    port = free_port()
    process = subprocess.Popen(
        [
            *(python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder}/far.db"),
            *("--artifacts-destination", str(folder / "artifacts")),
        ],
        cwd=folder,
        env=module_home.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


@pytest.mark.parametrize(
    "server",
    ["stand_in", pytest.param("installed", marks=[pytest.mark.exhaustive, pytest.mark.timeout(900)])],
)
async def test_runs_are_read_compared_restored_and_registered(
    server: str, request: pytest.FixtureRequest, home: Home, clean_environment: None
) -> None:
    url = request.getfixturevalue(server)
    room = open_room(home.data, url)
    try:
        ids = []
        for loss in (0.5, 0.25):
            sender = Sender(f"run{len(ids)}")
            sender.add("start", name=f"net-{loss}", experiment="two", params={"lr": str(loss)})
            sender.metrics(0, loss=loss)
            sender.add("text", path="model/MLmodel", content=MLMODEL)
            cell = {"position": 0, "execution_count": 1, "source": "loss = 1"}
            sender.add("text", path=CELLS, content=json.dumps([cell]))
            sender.add("end", status="FINISHED")
            ack = await sender.send(room)
            assert ack.run_id
            ids.append(ack.run_id)

        detail = await room.experiments.get_run(ids[0])
        assert [model.name for model in detail.models] == ["model"]
        restored = await RestoringService(room.mlflow, room.experiments).restore_notebook(ids[0])
        assert restored.cells == 1
        compared = await room.experiments.compare_runs(ComparisonQuery(run_ids=ids))
        assert [run.run_id for run in compared.runs] == ids
        version = await room.mlflow.worker.call(
            MlflowModels.register, ids[1], "net", "", "key", Origin(kind="run", run=ids[1])
        )
        assert (version.run_id, version.flavors) == (ids[1], ["python_function"])
        assert (await room.mlflow.worker.call(MlflowModels.list_models, FIRST)).items[0].versions[
            0
        ].version == version.version
        await room.mlflow.worker.call(MlflowAliases.point, "net", "champion", version.version)
        await room.mlflow.worker.call(MlflowAliases.tag, "net", f"{TAG}größe.1", "é" * 5000)
        read = await room.mlflow.worker.call(MlflowAliases.read, "net")
        assert (read.aliases, read.tags) == ({"champion": "1"}, {f"{TAG}größe.1": "é" * 5000})
    finally:
        await room.close()
