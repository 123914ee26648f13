"""A deployment that nobody uses unloads its model until the next request."""

from __future__ import annotations

from tests.support.rooms import Logged, Rooms, eventually

from .conftest import ask, deploy, key_of


def test_a_deployment_sleeps_and_wakes(rooms: Rooms, digits: Logged) -> None:
    deploy(rooms, "digits", name="sleepy", sleep_minutes=0.01)
    assert rooms.settled("sleepy").state == "running"
    get = lambda: rooms.run(rooms.deployments.get_deployment("sleepy"))  # noqa: E731
    found = eventually(get, lambda seen: bool(seen.message), 60)
    assert found.state == "running" and found.message.startswith("It sleeps, because nobody used it.")
    answer = ask(found.url, key_of(rooms, "sleepy"), digits.inputs.tolist())
    assert answer == (200, {"predictions": digits.predictions})
    assert get().message == ""
    rooms.run(rooms.deployments.stop_deployment("sleepy"))
    rooms.run(rooms.deployments.delete_deployment("sleepy"))
