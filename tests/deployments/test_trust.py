"""Which models load without a question: those that a kernel of this user logged, and no other process, host or person.

A real kernel, a real MLflow (a file, and a server over HTTP that is shared with a teammate), the real services. Only
the HTTP server between the kernel and the services is a stand-in.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from genops_lab.core.errors import GenOpsError
from genops_lab.core.settings import Settings
from genops_lab.deployments.models import CheckDeploy, DeployCheck
from genops_lab.experiments.hashes import model_digest
from genops_lab.experiments.models import (
    KernelTracking,
    OwnModel,
    ResumeRequest,
    TrackedProcess,
    TrackingBatch,
    TrackingEvent,
)
from genops_lab.registry.models import RegisterModel
from tests.runtime.kernels import RunningKernel, running_kernel
from tests.runtime.stand_in import Answer, LabStandIn, lab_stand_in
from tests.support.homes import Home, temporary_home
from tests.support.mlflow_server import running_mlflow
from tests.support.rooms import Rooms, open_rooms
from tests.support.warm import SCORING, program, warm_workers

pytestmark = pytest.mark.slow

MLMODEL = "flavors:\n  python_function: {loader_module: evilmod, code: code}\n"
EVIL = "class M:\n    def predict(self, x, params=None): return [0]\ndef _load_pyfunc(path): return M()\n"
SAME = """
import mlflow
class Same(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return model_input
def log_same(**options):
    return mlflow.pyfunc.log_model(name='model', python_model=Same(), pip_requirements=[], **options)
"""


class Place(NamedTuple):
    """A kernel, its Lab's services and their MLflow."""

    rooms: Rooms
    kernel: RunningKernel
    home: Home

    def registered(self, name: str, run_id: str) -> DeployCheck:
        """What is to be known of the run's model before it is loaded."""
        self.rooms.run(self.rooms.registry.register_model(RegisterModel(name=name, run=run_id)))
        return self.check(name)

    def check(self, name: str) -> DeployCheck:
        return self.rooms.run(self.rooms.deployments.check_deploy(CheckDeploy(model=name)))


class Door(LabStandIn):
    """Gives what a kernel sends to the real services."""

    def __init__(self, path: Path, rooms: Rooms) -> None:
        super().__init__(path)
        self._rooms = rooms

    def answer(self, method: str, path: str, body: Any) -> Answer:
        tracking = self._rooms.tracking
        try:
            if path == "/genops/tracking/events":
                return 200, self._of(tracking.track(msgspec.convert(body, TrackingBatch)))
            if path == "/genops/tracking/resume":
                return 200, self._of(tracking.resume(msgspec.convert(body, ResumeRequest)))
            if path == "/genops/tracking/models":
                return 200, self._of(tracking.remember_model(msgspec.convert(body, OwnModel)))
        except GenOpsError as error:
            return error.status, {"error": msgspec.to_builtins(error.info())}
        return super().answer(method, path, body)

    def _of(self, work: Any) -> Any:
        return msgspec.to_builtins(self._rooms.run(work))


@pytest.fixture(scope="module", params=["file", "server"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with temporary_home() as home:
        if request.param == "server":
            with running_mlflow(home, f"sqlite:///{home.path}/team.db", home.path / "team") as url:
                # Forked with MLflow imported. The other one imports it after the extension, as a user's does.
                yield from opened(home, url, program("tests.support.warm_kernel", SCORING))
        else:
            yield from opened(home, "")


#: What is the same with a server, and costs a process more that imports mlflow there.
ONE_PLACE = pytest.mark.parametrize(
    "place", ["file", pytest.param("server", marks=pytest.mark.exhaustive)], indirect=True, scope="module"
)


def opened(home: Home, uri: str, under: Sequence[str] = ()) -> Iterator[Place]:
    with warm_workers(), open_rooms(Settings(data_dir=home.data, mlflow_uri=uri)) as rooms:
        door = Door(home.path / "door", rooms)
        door.open()
        tracking: KernelTracking = rooms.run(rooms.mlflow.kernel_tracking(version("mlflow")))
        env = home.environment(
            GENOPS_SOCKET=str(door.path), GENOPS_KERNEL_ID="mine", MLFLOW_TRACKING_URI=tracking.tracking_uri,
            _MLFLOW_SERVER_ARTIFACT_ROOT=tracking.artifact_root,
            MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT="1",  # else a process of 4 s of CPU finds what the flavor knows
        )  # fmt: skip
        if not tracking.artifact_root:
            del env["_MLFLOW_SERVER_ARTIFACT_ROOT"]
        try:
            with running_kernel(sys.executable, env, home.work, under) as kernel:
                kernel.ok("%load_ext genops_lab\nimport genops")
                kernel.ok(SAME)
                yield Place(rooms, kernel, home)
        finally:
            door.close()


def evil_folder(folder: Path) -> Path:
    """A model that runs code of its own as soon as it is loaded."""
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "code" / "evilmod.py").write_text(EVIL)
    return folder


def test_a_model_that_a_tracked_cell_logs(place: Place) -> None:
    place.kernel.ok("%%track --name tracked\nlog_same()")
    run = place.rooms.run(place.rooms.experiments.resolve_run("tracked"))
    found = place.registered("tracked", run.run_id)
    assert (found.trusted, found.reason) == (True, f"Your run {run.run_id} recorded exactly these files.")


def test_a_model_that_is_logged_and_registered_by_mlflow_alone(place: Place) -> None:
    place.kernel.ok("info = log_same()\n_ = mlflow.register_model(info.model_uri, 'alone')\nmlflow.end_run()")
    assert place.check("alone").trusted


@ONE_PLACE
def test_a_model_that_autologging_logs(place: Place) -> None:
    place.kernel.ok(
        "mlflow.sklearn.autolog()\nfrom sklearn.linear_model import LogisticRegression\n"
        "with mlflow.start_run() as own:\n    LogisticRegression().fit([[0.0], [1.0]], [0, 1])\n"
        "mlflow.sklearn.autolog(disable=True)"
    )
    run_id = place.kernel.ok("own.info.run_id").result.strip("'")
    found = place.registered("autologged", run_id)
    assert (found.trusted, found.reason) == (True, f"Your run {run_id} recorded exactly these files.")


def test_what_a_teammate_puts_into_an_open_run(place: Place, tmp_path: Path) -> None:
    import mlflow

    place.kernel.ok("_ = genops.start('open'); genops.log({'a': 1})")
    place.kernel.ok("_ = genops.start('below')\ngenops.end()")  # what comes before is with the Lab by now
    run = place.rooms.run(place.rooms.experiments.resolve_run("open"))
    client = mlflow.MlflowClient(place.rooms.mlflow.uri)
    client.log_artifacts(run.run_id, str(evil_folder(tmp_path / "evil")), "evil")
    place.kernel.ok("genops.end()")
    found = place.registered("teammate", run.run_id)
    assert (found.trusted, found.loader) == (False, "evilmod")


@ONE_PLACE
def test_a_subprocess_of_the_kernel(place: Place) -> None:
    """Also where it logs into the kernel's own run."""
    place.kernel.ok(
        "import os, subprocess, sys\n"
        "parent = genops.start('parent')\n"
        f"code = {SAME!r} + \"log_same(registered_model_name='subprocess')\"\n"
        "env = {**os.environ, 'MLFLOW_RUN_ID': parent.wait_started(60)}\n"
        f"_ = subprocess.run([*{program('tests.support.warm_python')!r}, code], env=env, check=True)\n"
        "genops.end()"
    )
    assert not place.check("subprocess").trusted


def of_a_host(rooms: Rooms, *events: TrackingEvent) -> str:
    """The id of a run that a kernel on another host sent."""
    host = TrackedProcess(pid=4242, created=time.time(), kernel_id="theirs", place="gpu1")
    start = TrackingEvent(seq=1, kind="start", timestamp=time.time(), data={"name": "theirs"})
    end = TrackingEvent(seq=len(events) + 2, kind="end", timestamp=time.time(), data={"status": "FAILED"})
    batch = TrackingBatch(run_key=f"host{time.time_ns()}", process=host, events=[start, *events, end])
    return rooms.run(rooms.tracking.track(batch)).run_id


def test_a_hosts_model_whose_run_is_resumed_here(place: Place) -> None:
    files = {"evil/MLmodel": MLMODEL, "evil/code/evilmod.py": EVIL}
    events = [
        TrackingEvent(seq=seq, kind="text", timestamp=time.time(), data={"path": path, "content": content})
        for seq, (path, content) in enumerate(files.items(), 2)
    ]
    run_id = of_a_host(place.rooms, *events)
    assert not place.registered("theirs", run_id).trusted
    place.kernel.ok(f"%%track --resume {run_id}\ngenops.log({{'loss': 1.0}})")
    assert not place.check("theirs").trusted


def test_a_hosts_word_for_a_model(place: Place, tmp_path: Path) -> None:
    digest = model_digest(evil_folder(tmp_path / "evil"))
    files = {"evil/MLmodel": MLMODEL, "evil/code/evilmod.py": EVIL}
    events = [
        TrackingEvent(seq=seq, kind="text", timestamp=time.time(), data={"path": path, "content": content})
        for seq, (path, content) in enumerate(files.items(), 2)
    ]
    word = TrackingEvent(seq=4, kind="model", timestamp=time.time(), data={"name": "evil", "digest": digest})
    assert not place.registered("forged", of_a_host(place.rooms, *events, word)).trusted


WITH_MLFLOW_2 = """
import genops, mlflow
class Same(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input
assert mlflow.__version__.startswith("2."), mlflow.__version__
with mlflow.start_run() as run:
    mlflow.pyfunc.log_model("model", python_model=Same(), pip_requirements=[])
print(run.info.run_id)
"""


@pytest.mark.exhaustive
def test_a_model_that_mlflow_2_logs(home: Home, tmp_path: Path) -> None:
    """Its files alone are exchanged: what it needs is here."""
    old = tmp_path / "old"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(old)]
    subprocess.run([*pip, "mlflow-skinny>=2.20,<3"], check=True, capture_output=True, timeout=120)
    with lab_stand_in(home.path / "s") as lab:
        lab.answers["POST", "/genops/tracking/models"] = lambda _body: (200, None)
        env = home.environment(
            GENOPS_SOCKET=str(lab.path), PYTHONPATH=str(old), MLFLOW_TRACKING_URI=f"file://{tmp_path}/runs"
        )
        done = subprocess.run(
            [sys.executable, "-c", WITH_MLFLOW_2], env=env, cwd=home.work, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (mlmodel,) = (tmp_path / "runs").rglob("MLmodel")
    (sent,) = [body for _, path, body in lab.requests if path == "/genops/tracking/models"]
    assert sent == {"name": "model", "digest": model_digest(mlmodel.parent), "run_id": done.stdout.strip()}
