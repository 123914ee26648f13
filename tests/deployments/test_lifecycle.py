"""From a version to a process and back: once, with consent, found again, ended for a reason that is told."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import signal
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from genops_lab import core
from genops_lab.core.errors import Conflict, NotFound
from genops_lab.core.settings import Settings
from genops_lab.core.store.tables import deployments
from genops_lab.core.work import WorkService
from genops_lab.deployments.lifetime import Lifetime
from genops_lab.deployments.models import CheckDeploy, Deployment, LogQuery, NewDeployment, RollBack
from genops_lab.deployments.records import Records
from genops_lab.deployments.service import DeploymentsService
from genops_lab.deployments.targets.local import LocalTarget
from tests.commands.conftest import genops
from tests.support.homes import Home
from tests.support.processes import commands_with, runs
from tests.support.rooms import Logged, Rooms, Training, eventually, open_rooms

from .conftest import ask, deploy, handle_of, handle_path, key_of, process_of, register, shown
from .older import start_as_before


@pytest.fixture
def second_lab(rooms: Rooms) -> Iterator[Rooms]:
    """Another Lab of the same user, with a short lease."""
    with open_rooms(
        Settings(data_dir=rooms.settings.data_dir, deployment_lease_s=8), Lifetime(False, "pod")
    ) as lab:
        yield lab


def test_double_clicks_begin_one_deployment_whose_task_tells_how_it_goes(
    rooms: Rooms, digits: Logged
) -> None:
    body = NewDeployment(model="digits", name="clicked", idempotency_key="clicks")
    begun = rooms.gather(*(rooms.deployments.deploy(body) for _ in range(3)))
    assert len({each.created_at for each in begun}) == 1
    assert rooms.run(rooms.deployments.deploy(body)).created_at == begun[0].created_at
    assert begun[0].state in ("preparing", "starting")
    task = rooms.run(rooms.tasks.wait(begun[0].task_id))
    found = rooms.run(rooms.deployments.get_deployment("clicked"))
    assert found.state == "running"
    assert (task.state, task.subject) == ("done", "deployment:clicked")
    assert found.url in task.message
    pid = process_of(rooms, "clicked").pid
    stopped = rooms.run(rooms.deployments.stop_deployment("clicked"))
    assert (stopped.state, stopped.url) == ("stopped", "")
    with pytest.raises(Conflict, match="no key"):
        key_of(rooms, "clicked")
    assert not runs(pid)
    assert rooms.run(rooms.deployments.stop_deployment("clicked")).state == "stopped"
    for _ in range(2):
        rooms.run(rooms.deployments.delete_deployment("clicked"))
    with pytest.raises(NotFound):
        rooms.run(rooms.deployments.get_deployment("clicked"))
    assert not (rooms.settings.data_dir / "deployments" / "clicked").exists()


def test_a_killed_process_is_noticed_and_what_ended_unseen_is_told_so(rooms: Rooms, digits: Logged) -> None:
    deploy(rooms, "digits", name="killed")
    assert rooms.settled("killed").state == "running"
    time.sleep(1.5)  # what came before is told by then
    rooms.events_seen.clear()
    process_of(rooms, "killed").kill()
    eventually(lambda: rooms.events_seen, lambda events: ("deployment", "killed") in events, 10)
    found = rooms.run(rooms.deployments.get_deployment("killed"))
    assert (found.state, found.url) == ("failed", "")
    assert "signal 9" in found.message
    assert found.hint
    records = Records(rooms.store)
    # As a Lab that starts finds it: the number is another process's by now, which must not be taken for it.
    for state, outlives_server, shown_state, message in (
        ("running", 0, "ended", "The deployment ended with its Jupyter server."),
        ("running", 1, "ended", "The deployment ended while JupyterLab was not running"),
        ("preparing", 1, "failed", "JupyterLab ended while it prepared the deployment."),
    ):
        handle = msgspec.structs.replace(
            handle_of(rooms, "killed"),
            pid=os.getpid(),
            pid_created=1.0,
            outlives_server=bool(outlives_server),
        )
        if state == "preparing":
            handle = msgspec.structs.replace(handle, pid=None, begun=False)
        handle_path(rooms, "killed").write_bytes(msgspec.json.encode(handle))
        records.change(records.get("killed"), state=state)
        found = rooms.run(rooms.deployments.get_deployment("killed"))
        assert found.state == shown_state
        assert found.message.startswith(message)
        assert found.hint
    rooms.run(rooms.deployments.stop_deployment("killed"))


def test_a_restarted_lab_finds_it_again(rooms: Rooms, second_lab: Rooms, digits: Logged) -> None:
    deploy(second_lab, "digits", name="lasting")
    before = second_lab.settled("lasting")
    assert before.state == "running"
    assert not before.outlives_server
    key = key_of(second_lab, "lasting")
    second_lab.close()
    second_lab.__post_init__()
    found = second_lab.run(second_lab.deployments.get_deployment("lasting"))
    assert (found.state, found.url, key_of(second_lab, "lasting")) == ("running", before.url, key)
    assert ask(found.url, key, digits.inputs.tolist())[1] == {"predictions": digits.predictions}
    # Nobody uses or renews it: the lease of 8 s ends it.
    ended = eventually(
        lambda: second_lab.run(second_lab.deployments.get_deployment("lasting")),
        lambda seen: seen.state != "running",
        30,
    )
    assert ended.state == "ended"
    assert "nobody extended its time" in ended.message


class Interrupted:
    """A Lab that begins a deployment, and is killed or held up when it comes to one of its moments."""

    def __init__(self, rooms: Rooms, name: str, moment: str, *, killed: bool) -> None:
        self._given = (rooms.settings, name, moment, killed)
        fork = multiprocessing.get_context("fork")
        self.is_held_up, self.goes_on = fork.Event(), fork.Event()
        self.process = fork.Process(target=self._live)
        self.process.start()

    def _live(self) -> None:
        settings, name, moment, killed = self._given
        kind, method = {
            "begun": (WorkService, "_carry_on"),
            "taken": (WorkService, "hold"),
            "checked": (LocalTarget, "_place"),
            "placed": (LocalTarget, "_start"),
            "started": (DeploymentsService, "_until_it_answers"),
            "answered": (WorkService, "_ended"),
        }[moment]
        call = getattr(kind, method)

        begun: list[Deployment] = []

        def interrupted(*arguments: Any) -> Any:
            if killed:
                os.kill(os.getpid(), signal.SIGKILL)
            # Neither this thread nor the event loop goes on. SIGSTOP could come while another thread writes to the
            # store: then no process can.
            lab.loop.call_soon_threadsafe(self.goes_on.wait)
            self.is_held_up.set()
            self.goes_on.wait()
            return call(*arguments)

        async def once_begun(*arguments: Any) -> Any:
            while not begun:
                await asyncio.sleep(0.01)
            return await interrupted(*arguments)

        setattr(kind, method, once_begun if asyncio.iscoroutinefunction(call) else interrupted)
        with open_rooms(settings) as lab:
            begun.append(deploy(lab, "digits", name=name))
            lab.run(lab.tasks.wait(begun[0].task_id))

    def __enter__(self) -> Interrupted:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.join()


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(each, marks=() if each == "taken" else pytest.mark.exhaustive)
        for each in ("begun", "taken", "placed", "started", "answered")
    ],
)
def test_the_next_lab_goes_on_where_one_was_killed(rooms: Rooms, digits: Logged, moment: str) -> None:
    name = f"{moment}-and-killed"
    with Interrupted(rooms, name, moment, killed=True) as lab:
        lab.process.join(60)
        assert lab.process.exitcode == -signal.SIGKILL
    found = rooms.settled(name)
    assert found.state == "running", found
    task = rooms.run(rooms.tasks.wait(found.task_id))
    assert (task.state, task.title) == ("done", f"Deploy digits version {found.version} as {name}")
    lines = rooms.run(rooms.tasks.get_task_log(found.task_id)).lines
    assert sum(line.startswith("running: ") for line in lines) == 1, lines
    assert len(commands_with(str(handle_path(rooms, name).with_name("spec.json")))) == 1
    assert rooms.work._table.get(task.id).token == 2
    assert rooms.run(rooms.deployments.stop_deployment(name)).state == "stopped"


def test_a_command_without_a_lab_leaves_nothing_to_the_next_one(
    package_home: Home, rooms: Rooms, digits: Logged
) -> None:
    # A warm scoring process may answer within the second.
    given_up = genops(package_home, "deploy", "digits", "--name", "hurried", "--timeout", "1", cold=True)
    assert given_up.code != 0 and "larger --timeout" in given_up.err
    found = rooms.run(rooms.deployments.get_deployment("hurried"))
    assert (found.state, found.message) == ("stopped", "Cancelled before it was ready.")


@pytest.mark.parametrize("moment", [pytest.param("taken", marks=pytest.mark.exhaustive), "checked"])
def test_a_lab_that_was_held_up_starts_nothing_that_was_deleted(
    rooms: Rooms, digits: Logged, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    name = f"{moment}-and-held-up"
    with Interrupted(rooms, name, moment, killed=False) as lab:
        assert lab.is_held_up.wait(60)
        assert rooms.run(rooms.deployments.get_deployment(name)).state == "preparing"
        with monkeypatch.context() as patch:
            patch.setattr(core.work, "LEASE_S", 0.5)
            patch.setattr(core.work, "LOOK_S", 0.5)
            assert rooms.settled(name).state == "running"
        assert rooms.run(rooms.deployments.stop_deployment(name)).state == "stopped"
        rooms.run(rooms.deployments.delete_deployment(name))
        lab.goes_on.set()
        lab.process.join(60)
        assert lab.process.exitcode == 0
    folder = rooms.settings.data_dir / "deployments" / name
    assert not folder.exists() and commands_with(f"{folder}/") == []


def test_what_an_older_version_started_goes_on_and_is_updated(rooms: Rooms, digits: Logged) -> None:
    """It had one process, in the deployment's own folder, with a port of its own. The oldest wrote no handle."""
    register(rooms, "digits", digits)
    process = start_as_before(rooms.settings.data_dir / "deployments" / "older", digits.folder)
    with rooms.store.transaction() as connection:
        row = {
            "name": "older",
            "model": "digits",
            "version": "1",
            "state": "running",
            "message": "",
            "hint": "",
        }
        times = {"created_at": time.time(), "lease_until": time.time() + 600}
        connection.execute(deployments.insert().values(**row, **times))
    try:
        found = rooms.settled("older")
        key = key_of(rooms, "older")
        assert (found.state, found.revision, urlsplit(found.url).path) == ("running", 1, "")
        assert ask(found.url, key, digits.inputs.tolist())[0] == 200
        renewed = rooms.run(rooms.deployments.renew_deployment("older"))
        assert renewed.lease_until > found.lease_until and process.poll() is None
        deploy(rooms, "digits", name="older", version="2")
        updated = eventually(
            lambda: rooms.run(rooms.deployments.get_deployment("older")), lambda seen: not seen.updating_to
        )
        assert (updated.state, updated.revision, updated.version) == ("running", 2, "2"), updated
        assert updated.url != found.url and key_of(rooms, "older") == key
        for url in (found.url, updated.url):
            assert ask(url, key, digits.inputs.tolist())[1] == {"predictions": digits.predictions}
        back = rooms.run(rooms.deployments.roll_back_deployment("older", RollBack()))
        assert (back.revision, back.url) == (1, updated.url)
        assert ask(back.url, key, digits.inputs.tolist())[0] == 200 and process.poll() is None
        assert rooms.run(rooms.deployments.stop_deployment("older")).state == "stopped"
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(10)
    rooms.run(rooms.deployments.delete_deployment("older"))
    assert not (rooms.settings.data_dir / "deployments" / "older").exists()


def test_unknown_files_are_not_loaded_unasked(rooms: Rooms, training: Training) -> None:
    foreign = training.digits()
    register(rooms, "foreign", foreign)
    with pytest.raises(Conflict) as caught:
        deploy(rooms, "foreign")
    assert caught.value.code == "confirmation_needed"
    check = caught.value.details["check"]
    assert not check["trusted"]
    assert check["loader"] == "mlflow.sklearn"
    assert check["flavors"] == ["sklearn", "python_function"]
    assert not check["holds_pickle"]
    assert {file["path"] for file in check["files"]} >= {"MLmodel", "model.skops"}
    with pytest.raises(NotFound):
        rooms.run(rooms.deployments.get_deployment("foreign"))
    deploy(rooms, "foreign", trust=shown(rooms, "foreign"))
    assert rooms.settled("foreign").state == "running"
    rooms.run(rooms.deployments.stop_deployment("foreign"))


def test_files_that_changed_after_their_run_are_not_loaded_unasked(rooms: Rooms, training: Training) -> None:
    logged = training.digits()
    rooms.trust(logged.folder, logged.run_id)
    register(rooms, "changed", logged)
    with (logged.folder / "requirements.txt").open("a") as stream:
        stream.write("\n# changed")
    assert not rooms.run(rooms.deployments.check_deploy(CheckDeploy(model="changed"))).trusted


def test_a_pickle_is_loaded_only_when_confirmed_or_recorded_by_a_run_of_ours(
    rooms: Rooms, training: Training
) -> None:
    logged = training.digits(serialization_format="cloudpickle")
    register(rooms, "pickled", logged)
    check = rooms.run(rooms.deployments.check_deploy(CheckDeploy(model="pickled")))
    assert check.holds_pickle
    assert not check.trusted
    with pytest.raises(Conflict, match="did not record these files"):
        deploy(rooms, "pickled")
    deploy(rooms, "pickled", trust=shown(rooms, "pickled"))
    assert rooms.settled("pickled").state == "running"
    rooms.run(rooms.deployments.stop_deployment("pickled"))

    rooms.trust(logged.folder, logged.run_id)
    check = rooms.run(rooms.deployments.check_deploy(CheckDeploy(model="pickled")))
    assert check.holds_pickle
    assert check.trusted
    assert logged.run_id in check.reason
    deploy(rooms, "pickled")
    found = rooms.settled("pickled")
    assert ask(found.url, key_of(rooms, "pickled"), logged.inputs.tolist())[1] == {
        "predictions": logged.predictions
    }
    rooms.run(rooms.deployments.stop_deployment("pickled"))


def test_a_model_that_cannot_load_fails_with_its_log_and_a_hint(rooms: Rooms, training: Training) -> None:
    import mlflow

    class Broken(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            import a_package_that_nobody_has  # noqa: F401

        def predict(self, context, model_input, params=None):
            return model_input

    with training.run() as run:
        info = mlflow.pyfunc.log_model(name="model", python_model=Broken(), pip_requirements=["mlflow"])
    register(rooms, "broken", Logged(run.info.run_id, training.folder(info.model_id), None, []))  # type: ignore[arg-type]
    begun = deploy(rooms, "broken", trust=shown(rooms, "broken"))
    task = rooms.run(rooms.tasks.wait(begun.task_id))
    found = rooms.run(rooms.deployments.get_deployment("broken"))
    assert (task.state, found.state, found.url) == ("failed", "failed", "")
    assert "a_package_that_nobody_has" in found.message
    assert "pip_requirements" in found.hint
    log = rooms.run(rooms.deployments.get_deployment_log("broken", LogQuery(lines=50))).lines
    assert any("ModuleNotFoundError" in line for line in log)
    # The same name is free again.
    assert deploy(rooms, "digits", name="broken").state == "preparing"
    rooms.run(rooms.deployments.stop_deployment("broken"))


def test_a_model_of_a_unicode_name_gets_a_plain_one(rooms: Rooms, digits: Logged) -> None:
    register(rooms, "Größe 数字 é", digits)
    begun = deploy(rooms, "Größe 数字 é")
    assert begun.name == "Groe-e"
    assert begun.model == "Größe 数字 é"
    rooms.run(rooms.deployments.stop_deployment(begun.name))


def test_stopping_answers_the_requests_in_flight(rooms: Rooms, training: Training) -> None:
    import threading

    import mlflow

    class Slow(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            import time

            time.sleep(1.5)
            return [7]

    with training.run() as run:
        mlflow.pyfunc.log_model(name="model", python_model=Slow(), pip_requirements=["mlflow"])
    register(rooms, "slow", Logged(run.info.run_id, None, None, []))  # type: ignore[arg-type]
    deploy(rooms, "slow", trust=shown(rooms, "slow"))
    found = rooms.settled("slow")
    answers: list[object] = []
    key = key_of(rooms, "slow")
    thread = threading.Thread(target=lambda: answers.append(ask(found.url, key, [[1.0]])))
    thread.start()
    metrics = found.url.rpartition("/")[0] + "/metrics"
    request = urllib.request.Request(metrics, headers={"Authorization": f"Bearer {key}"})
    gateways = lambda: urllib.request.urlopen(request, timeout=10).read().decode()  # noqa: E731
    eventually(gateways, lambda text: 'genops_requests_in_flight{deployment="slow"} 1' in text)
    assert rooms.run(rooms.deployments.stop_deployment("slow")).state == "stopped"
    thread.join()
    assert answers == [(200, {"predictions": [7]})]


@pytest.mark.parametrize(
    "moment",
    [
        "key",
        *(pytest.param(each, marks=pytest.mark.exhaustive) for each in ("spec.json", "log.txt")),
        "state.json",
    ],
)
def test_stopping_while_it_starts_leaves_no_process(rooms: Rooms, digits: Logged, moment: str) -> None:
    folder = rooms.settings.data_dir / "deployments" / "hasty"
    shutil.rmtree(folder, ignore_errors=True)
    deploy(rooms, "digits", name="hasty")
    eventually(lambda: list(folder.glob(f"revisions/*/{moment}")), bool)
    assert rooms.run(rooms.deployments.stop_deployment("hasty")).state == "stopped"
    assert commands_with(f"{folder}/") == []


def test_a_torch_model_without_pickle_answers_as_in_the_notebook(rooms: Rooms, training: Training) -> None:
    torch = pytest.importorskip("torch", reason="the torch extra is not installed")
    import mlflow
    import numpy as np

    network = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10)).eval()
    inputs = np.random.default_rng(0).random((4, 64), dtype="float32")
    with training.run() as run:
        info = mlflow.pytorch.log_model(
            network, name="model", input_example=inputs, pip_requirements=["mlflow", "torch"]
        )
    folder = training.folder(info.model_id)
    rooms.trust(folder, run.info.run_id)
    register(rooms, "network", Logged(run.info.run_id, folder, inputs, []))
    deploy(rooms, "network")
    found = rooms.settled("network")
    assert found.state == "running", found
    environment = process_of(rooms, "network").environ()
    assert environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    for count in (1, 4):
        status, answer = ask(found.url, key_of(rooms, "network"), inputs[:count].tolist())
        assert status == 200
        expected = network(torch.from_numpy(inputs[:count])).detach().numpy()
        np.testing.assert_allclose(answer["predictions"], expected, rtol=1e-5)
    rooms.run(rooms.deployments.stop_deployment("network"))
