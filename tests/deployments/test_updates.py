"""A new version takes the place of the old one without a failed request, and one goes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, NotFound, Unavailable
from genops_lab.core.work import WorkService
from genops_lab.deployments import memory
from genops_lab.deployments.check import ModelChecker
from genops_lab.deployments.judging import Judging
from genops_lab.deployments.models import (
    CheckDeploy,
    Deployment,
    LogQuery,
    NewCallerKey,
    NewDeployment,
    RollBack,
)
from genops_lab.deployments.policy import RolloutPolicy
from genops_lab.deployments.records import Records
from genops_lab.deployments.targets.local import LocalTarget
from tests.serving.callers import calling
from tests.support.processes import commands_with
from tests.support.rooms import Logged, Rooms, Training, eventually

from .conftest import ask, deploy, key_of, process_of, register, shown

NAME = "updated"


@pytest.fixture(scope="module")
def numbers(rooms: Rooms, digits: Logged) -> Logged:
    """Three versions of a model that loads."""
    for _ in range(3):
        register(rooms, "numbers", digits)
    return digits


@pytest.fixture(scope="module")
def running(rooms: Rooms, numbers: Logged) -> Iterator[Deployment]:
    """Version 1, deployed; each test goes on where the one before ended."""
    deploy(rooms, "numbers", name=NAME, version="1")
    found = rooms.settled(NAME)
    assert found.state == "running", found
    yield found
    rooms.run(rooms.deployments.stop_deployment(NAME))
    rooms.run(rooms.deployments.delete_deployment(NAME))


def now(rooms: Rooms) -> Deployment:
    return rooms.run(rooms.deployments.get_deployment(NAME))


def after_update(rooms: Rooms) -> Deployment:
    """The deployment once no update is in progress."""
    return eventually(lambda: now(rooms), lambda found: not found.updating_to, 120)


def back(rooms: Rooms, to: int = 0) -> Deployment:
    return rooms.run(rooms.deployments.roll_back_deployment(NAME, RollBack(to=to)))


def states(found: Deployment) -> dict[int, tuple[str, int]]:
    return {each.number: (each.state, each.weight) for each in found.revisions}


def gateway_of(rooms: Rooms) -> psutil.Process:
    spec = str(rooms.settings.data_dir / "gateway" / "spec.json")
    look = lambda: [each for each in psutil.process_iter() if commands_with(spec, [each])]  # noqa: E731
    # The Lab and a scoring process may both start one; then one of them ends.
    (found,) = eventually(look, lambda seen: len(seen) == 1, 20)
    return found


def test_no_request_fails_over_an_update_a_way_back_and_a_killed_process(
    rooms: Rooms, running: Deployment, numbers: Logged
) -> None:
    key, address = key_of(rooms, NAME), urlsplit(running.url)
    assert address.path == f"/{NAME}" and states(running) == {1: ("running", 100)}
    body = json.dumps({"inputs": numbers.inputs.tolist()}).encode()
    with calling(address.port or 0, f"{address.path}/invocations", key, body, 2) as callers:

        def more(count: int = 10) -> None:
            done = callers.done
            eventually(lambda: callers.done, lambda now: now > done + count)

        more()
        begun = deploy(rooms, "numbers", name=NAME, version="2", settings={"batch": "16"})
        assert (begun.state, begun.revision, begun.updating_to) == ("running", 1, 2)
        assert begun.message.startswith("Updating to revision 2 (numbers version 2): ")
        with pytest.raises(Conflict) as caught:
            deploy(rooms, "numbers", name=NAME, version="3")
        assert caught.value.code == "under_way" and "rollback" in caught.value.hint
        found = after_update(rooms)
        assert (found.state, found.revision, found.version, found.url) == ("running", 2, "2", running.url), (
            found
        )
        assert states(found) == {2: ("running", 100), 1: ("running", 0)}
        assert [each.settings for each in found.revisions] == [{"batch": "16"}, {}]
        placed = (rooms.settings.data_dir / "deployments" / NAME).glob("revisions/*/spec.json")
        assert 16 in [json.loads(each.read_bytes()).get("batch_rows") for each in placed]
        warm = next(each for each in found.revisions if each.number == 1)
        assert 0 < warm.lease_until - found.revisions[0].created_at < 3700, "it is ready for an hour"
        more()
        found = back(rooms)
        assert (found.revision, found.version, found.updating_to) == (1, "1", 0), found
        more()
        assert back(rooms, 2).revision == 2
        more()
        process_of(rooms, NAME).kill()
        found = eventually(lambda: now(rooms), lambda seen: bool(seen.message), 20)
        assert found.state == "running" and "was killed by signal 9" in found.message
        assert found.message.endswith("Revision 1 answers.") and "rollback updated --to 1" in found.hint
        more()
    assert callers.failed == [] and set(callers.answers) == {"1", "2"}, callers.failed[:3]
    assert key_of(rooms, NAME) == key
    found = back(rooms, 1)
    assert (found.revision, found.message, states(found)[1]) == (1, "", ("running", 100))
    with pytest.raises(Conflict, match="current one already"):
        back(rooms, 1)
    with pytest.raises(NotFound, match="no revision 7"):
        back(rooms, 7)
    with pytest.raises(Conflict, match="no revision before 1"):
        back(rooms)


def test_a_revision_that_has_ended_is_started_again(
    rooms: Rooms, running: Deployment, numbers: Logged
) -> None:
    begun = back(rooms, 2)
    assert begun.updating_to == 2 or begun.revision == 2
    found = after_update(rooms)
    assert (found.revision, states(found)) == (2, {2: ("running", 100), 1: ("running", 0)})
    assert ask(found.url, key_of(rooms, NAME), numbers.inputs.tolist())[1] == {
        "predictions": numbers.predictions
    }


@pytest.fixture(scope="module")
def bad(rooms: Rooms, training: Training) -> dict[str, str]:
    """Versions that do not load, and that load slowly: their digests."""
    import mlflow

    class Broken(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            import a_package_that_nobody_has  # noqa: F401

        def predict(self, context, model_input, params=None):
            return model_input

    class Slow(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            import time

            print("loading slowly", flush=True)
            time.sleep(600)

        def predict(self, context, model_input, params=None):
            return model_input

    found = {}
    mlflow.set_tracking_uri(rooms.mlflow.uri)  # other modules set it to theirs
    for name, model in (("broken", Broken()), ("slowly", Slow())):
        with training.run() as run:
            info = mlflow.pyfunc.log_model(name="model", python_model=model, pip_requirements=["mlflow"])
        register(rooms, f"of-{name}", Logged(run.info.run_id, training.folder(info.model_id), None, []))  # type: ignore[arg-type]
        found[name] = shown(rooms, f"of-{name}")
    return found


def test_a_version_that_does_not_load_changes_nothing(
    rooms: Rooms, running: Deployment, bad: dict[str, str], numbers: Logged
) -> None:
    begun = deploy(rooms, "of-broken", name=NAME, trust=bad["broken"])
    found = after_update(rooms)
    assert (found.state, found.revision, found.model) == ("running", 2, "numbers")
    assert found.message.startswith("Revision 3 (of-broken version 1) did not start: ")
    assert "a_package_that_nobody_has" in found.message and found.message.endswith("Revision 2 goes on.")
    task = rooms.run(rooms.tasks.wait(begun.task_id))
    assert task.state == "failed" and "pip_requirements" in task.hint
    log = rooms.run(rooms.deployments.get_deployment_log(NAME, LogQuery(revision=3))).lines
    assert any("ModuleNotFoundError" in line for line in log)
    assert states(found)[3] == ("failed", 0)
    assert ask(found.url, key_of(rooms, NAME), numbers.inputs.tolist())[0] == 200


def test_a_version_that_loads_slowly_is_cancelled_by_going_back(
    rooms: Rooms, running: Deployment, bad: dict[str, str], numbers: Logged
) -> None:
    deploy(rooms, "of-slowly", name=NAME, trust=bad["slowly"])
    log = lambda: rooms.run(rooms.deployments.get_deployment_log(NAME, LogQuery())).lines  # noqa: E731
    eventually(log, lambda lines: "loading slowly" in lines, 60)
    assert ask(now(rooms).url, key_of(rooms, NAME), numbers.inputs.tolist())[0] == 200
    process = process_of(rooms, NAME)
    found = back(rooms)
    assert (found.state, found.revision, found.updating_to) == ("running", 2, 0)
    assert found.message == "Revision 4 (of-slowly version 1) was cancelled. Revision 2 goes on."
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_memory_for_both_is_asked_for_before_and_replacing_first_ends_well(
    rooms: Rooms, running: Deployment, bad: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    check = rooms.run(rooms.deployments.check_deploy(CheckDeploy(model="numbers", version="3", name=NAME)))
    assert check.update is not None and check.update.fits and check.update.serving == 2
    monkeypatch.setattr(memory, "free_bytes", lambda: 100 * 2**20)
    check = rooms.run(rooms.deployments.check_deploy(CheckDeploy(model="numbers", version="3", name=NAME)))
    assert check.update is not None and not check.update.fits
    with pytest.raises(Conflict) as caught:
        deploy(rooms, "numbers", name=NAME, version="3")
    assert (
        caught.value.code == "memory" and "this machine has 100.0 MiB free: replace" in caught.value.message
    )
    assert "--replace-first" in caught.value.hint and "Nobody is answered" in caught.value.hint
    deploy(rooms, "of-broken", name=NAME, trust=bad["broken"], replace_first=True)
    found = after_update(rooms)
    assert (found.state, found.revision) == ("running", 2) and "Revision 2 goes on." in found.message, found
    eventually(lambda: ask(found.url, key_of(rooms, NAME), [[0.0] * 64])[0], lambda status: status == 200, 20)
    deploy(rooms, "numbers", name=NAME, version="3", replace_first=True)
    found = after_update(rooms)
    assert (found.state, found.version, found.message) == ("running", "3", ""), found
    assert {state for state, _ in states(found).values()} == {"running", "stopped", "failed"}
    assert states(found)[found.revision] == ("running", 100)


def test_named_keys_are_kept_as_hashes_limited_and_revoked_in_use(
    rooms: Rooms, running: Deployment, numbers: Logged
) -> None:
    service, url = rooms.deployments, now(rooms).url
    made = rooms.run(service.add_caller_key(NAME, NewCallerKey(name="ci", limit=2)))
    [listed] = rooms.run(service.list_caller_keys(NAME))
    assert made.key and (listed.key, listed.last_used_at) == ("", 0.0)
    asked = [ask(url, made.key, numbers.inputs.tolist())[0] for _ in range(3)]
    assert asked == [200, 200, 429]
    [listed] = rooms.run(service.list_caller_keys(NAME))
    assert made.created_at <= listed.last_used_at <= time.time()
    holding = [
        path.name
        for path in (rooms.settings.data_dir / "deployments" / NAME).rglob("*")
        if path.is_file() and made.key.encode() in path.read_bytes()
    ]
    assert holding == []
    with pytest.raises(Conflict, match="already"):
        rooms.run(service.add_caller_key(NAME, NewCallerKey(name="ci")))
    for wrong in (NewCallerKey(name="default"), NewCallerKey(name="a b"), NewCallerKey(name="x", limit=-1)):
        with pytest.raises(InvalidRequest):
            rooms.run(service.add_caller_key(NAME, wrong))
    for _ in range(2):
        rooms.run(service.revoke_caller_key(NAME, "ci"))
    assert ask(url, made.key, numbers.inputs.tolist())[0] == 401
    with pytest.raises(Conflict, match="own"):
        rooms.run(service.revoke_caller_key(NAME, "default"))
    assert ask(url, key_of(rooms, NAME), numbers.inputs.tolist())[0] == 200


def test_a_killed_gateway_is_started_again_on_its_port(
    rooms: Rooms, running: Deployment, numbers: Logged
) -> None:
    before, key = gateway_of(rooms), key_of(rooms, NAME)
    before.kill()

    def answer() -> Any:
        try:
            return ask(now(rooms).url, key, numbers.inputs.tolist())[0]
        except OSError:
            return 0

    eventually(answer, lambda status: status == 200, 30)
    assert gateway_of(rooms).pid != before.pid and now(rooms).url == running.url


#: What fails while an update begins, loads and becomes the current one; how often; what the record says then.
FAULTS = [
    (ModelChecker, "take", 1, OSError(28, "No space left on device"), "No space left on device"),
    (LocalTarget, "apply", 99, RuntimeError("a fault"), "a fault. Its processes may still run for a while."),
    (Judging, "until_it_ends", 1, ValueError("a fault"), "was rolled back: ValueError: a fault."),
    (WorkService, "hold", 99, RuntimeError("a fault"), "RuntimeError: a fault."),
    (Records, "end_update", 2, Unavailable("The store is locked."), "did not start: The store is locked."),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[each[1] for each in FAULTS])
def test_an_update_ends_whatever_fails_in_it(
    rooms: Rooms, running: Deployment, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    owner, method, times, error, said = fault
    before, left, call = now(rooms), [times], getattr(owner, method)

    def fails(*given: Any, **options: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise error
        return call(*given, **options)

    version = "1" if before.version != "1" else "2"
    policy = RolloutPolicy(kind="blue-green") if owner is Judging else None
    monkeypatch.setattr(owner, method, fails)
    begun = deploy(rooms, "numbers", name=NAME, version=version, rollout=policy)
    found = after_update(rooms)
    monkeypatch.undo()
    assert rooms.run(rooms.tasks.wait(begun.task_id)).state == "failed" and left[0] < times
    assert (found.state, found.revision, found.url) == ("running", before.revision, running.url)
    assert said in found.message, found.message
    assert not any(each.is_update for each in found.revisions)


@pytest.mark.parametrize("how", ["deploy", "rollback"])
def test_an_update_that_no_work_carries_out_is_ended(rooms: Rooms, running: Deployment, how: str) -> None:
    """An earlier GenOps Lab could leave one, after which nothing but a stop helped."""
    before, records = now(rooms), Records(rooms.store)
    record = records.get(NAME)
    other = next(each for each in record.revisions if each.id != record.revision)
    with rooms.store.transaction() as connection:
        records.begin_update(connection, record, other, "")
    assert now(rooms).updating_to == other.number
    again = {"model": "numbers", "name": NAME, "version": before.version}
    found = back(rooms) if how == "rollback" else deploy(rooms, **again)
    assert "JupyterLab ended while it was updated." in found.message
    assert (found.state, found.revision, found.updating_to) == ("running", before.revision, 0)


def test_two_who_update_at_once(rooms: Rooms, running: Deployment) -> None:
    async def begin(version: str) -> Any:
        try:
            return await rooms.deployments.deploy(NewDeployment(model="numbers", version=version, name=NAME))
        except GenOpsError as error:
            return error.code

    ends = rooms.gather(begin("1"), begin("2"))
    assert [each for each in ends if isinstance(each, str)] == ["under_way"], ends
    found = after_update(rooms)
    (begun,) = [each for each in ends if isinstance(each, Deployment)]
    assert (found.state, found.revision) == ("running", begun.updating_to)


def test_a_stopped_deployment_keeps_its_address_keys_and_revisions(
    rooms: Rooms, running: Deployment, numbers: Logged
) -> None:
    key, before = key_of(rooms, NAME), now(rooms)
    assert rooms.run(rooms.deployments.stop_deployment(NAME)).state == "stopped"
    assert all(each.state != "running" for each in now(rooms).revisions)
    begun = back(rooms, before.revision)
    assert begun.state in ("preparing", "starting", "running")
    found = rooms.settled(NAME)
    assert (found.state, found.revision) == ("running", before.revision), found
    assert (found.url, key_of(rooms, NAME)) == (before.url, key)
    assert ask(found.url, key, numbers.inputs.tolist())[0] == 200
