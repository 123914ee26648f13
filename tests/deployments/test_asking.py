"""A person at the screen asks a deployment, and tests it under load: through the gateway, with a real model."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.deployments.asking import AskingService
from genops_lab.deployments.load_models import NewLoadTest, NewRecording, TryRequest
from genops_lab.deployments.load_tests import LoadTestsService
from genops_lab.deployments.recording import RecordingService
from tests.support.rooms import Logged, Rooms

from .conftest import deploy


@pytest.fixture(scope="module")
def asking(rooms: Rooms, digits: Logged) -> Iterator[AskingService]:
    """The service, and a deployment ``asked`` of the module's own."""
    deploy(rooms, "digits", name="asked")
    assert rooms.settled("asked").state == "running"
    yield AskingService(rooms.deployments)
    rooms.run(rooms.deployments.stop_deployment("asked"))


def test_the_interface_is_that_of_the_running_revision(rooms: Rooms, asking: AskingService) -> None:
    found = rooms.run(asking.get_deployment_interface("asked"))
    assert (found.name, found.version, found.kind) == ("asked", "1", "unknown"), (
        "it was logged without a signature"
    )
    assert (found.inputs, found.params, found.example) == ([], {}, "")


def test_a_request_is_answered_with_time_and_revision(
    rooms: Rooms, asking: AskingService, digits: Logged
) -> None:
    body = json.dumps({"inputs": digits.inputs.tolist()})
    found = rooms.run(asking.try_deployment("asked", TryRequest(body=body)))
    assert (found.status, found.revision, json.loads(found.body)) == (
        200,
        1,
        {"predictions": digits.predictions},
    )
    assert found.ms > 0
    assert found.request_id
    refused = rooms.run(asking.try_deployment("asked", TryRequest(body="{", content_type="application/json")))
    assert (refused.status, json.loads(refused.body)["error_code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "path", ["/metrics", "http://elsewhere/", "/invocations/../../metrics", "/v1/x HTTP/1.1\r\nX: 1"]
)
def test_only_paths_of_a_model_are_asked(rooms: Rooms, asking: AskingService, path: str) -> None:
    with pytest.raises(InvalidRequest):
        rooms.run(asking.try_deployment("asked", TryRequest(body="{}", path=path)))


def test_only_a_running_deployment_is_asked(rooms: Rooms, asking: AskingService) -> None:
    with pytest.raises(NotFound):
        rooms.run(asking.try_deployment("nobody", TryRequest(body="{}")))
    deploy(rooms, "digits", name="ended")
    rooms.settled("ended")
    rooms.run(rooms.deployments.stop_deployment("ended"))
    with pytest.raises(Conflict, match="does not answer"):
        rooms.run(asking.get_deployment_interface("ended"))


def test_a_load_test_reaches_the_model(rooms: Rooms, asking: AskingService, digits: Logged) -> None:
    recording = RecordingService(asking, rooms.deployments.target)
    service = LoadTestsService(rooms.settings, rooms.tasks, asking, recording)
    body = json.dumps({"inputs": digits.inputs[:1].tolist()})
    plan = NewLoadTest(first_rate=5, last_rate=10, seconds=2, limit_ms=5000, requests=[body])
    task = rooms.run(service.load_deployment("asked", plan))
    ended = rooms.run(rooms.tasks.wait(task.id))
    assert ended.state == "done", ended
    (test,) = rooms.run(service.list_load_tests("asked"))
    assert (test.revision, test.version, test.figures.knee, test.figures.failures) == (1, "1", 10.0, [])
    lines = rooms.run(rooms.tasks.get_task_log(task.id)).lines
    assert [line.partition(":")[0] for line in lines][:2] == ["5 requests/s", "10 requests/s"]


def test_requests_are_recorded_in_memory_for_a_load_test(
    rooms: Rooms, asking: AskingService, digits: Logged
) -> None:
    recording = RecordingService(asking, rooms.deployments.target)
    service = LoadTestsService(rooms.settings, rooms.tasks, asking, recording)
    plan = NewLoadTest(first_rate=5, last_rate=5, seconds=1, limit_ms=5000, recorded=True)
    with pytest.raises(NotFound, match="No requests of 'asked' are recorded"):
        rooms.run(service.load_deployment("asked", plan))
    assert rooms.run(recording.record_requests("asked", NewRecording(requests=2))).requests == 0
    bodies = [json.dumps({"inputs": digits.inputs[at : at + 1].tolist()}) for at in range(3)]
    for body in (bodies[0], "not json", *bodies[1:]):
        kind = "application/json" if body in bodies else "text/csv"
        rooms.run(asking.try_deployment("asked", TryRequest(body=body, content_type=kind)))
    found = rooms.run(recording.get_recording("asked"))
    assert (found.requests, found.wanted, found.full, found.path) == (2, 2, True, "/invocations")
    assert rooms.run(recording.requests("asked")) == ("/invocations", bodies[:2])
    task = rooms.run(service.load_deployment("asked", plan))
    assert rooms.run(rooms.tasks.wait(task.id)).state == "done"
    newest = rooms.run(service.list_load_tests("asked"))[0]
    assert (newest.plan.source, newest.plan.requests, newest.figures.failures) == (
        "recorded requests",
        [],
        [],
    )
    files = [each for each in rooms.settings.data_dir.rglob("*") if each.is_file() and "asked" in each.parts]
    assert files and not [each for each in files if bodies[0].encode() in each.read_bytes()]
    rooms.run(recording.delete_recording("asked"))
    with pytest.raises(NotFound):
        rooms.run(recording.get_recording("asked"))
