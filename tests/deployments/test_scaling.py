"""Replicas of a deployment: started by the gateway, shown, changed without a new revision, ended with a stop."""

from __future__ import annotations

import json

import pytest

from genops_lab.core.errors import Conflict, InvalidRequest
from genops_lab.deployments.models import Deployment
from genops_lab.deployments.needs import Needs, refuse_too_many
from genops_lab.deployments.scaling import Replicas, Scale
from genops_lab.deployments.targets.base import Machine
from tests.support.processes import runs
from tests.support.rooms import Logged, Rooms, eventually

from .conftest import ask, deploy, handle_path, key_of


def test_replicas_are_asked_for_shown_changed_and_stopped(rooms: Rooms, digits: Logged) -> None:
    def now() -> Deployment:
        return rooms.run(rooms.deployments.get_deployment("scaled"))

    def replicas() -> Replicas | None:
        return now().revisions[0].replicas

    needs = Needs(machine=Machine(name="here", free_bytes=2 * 2**30), memory_bytes=3 * 2**30, replicas=3)
    with pytest.raises(
        Conflict, match=r"'scaled' needs about 3 GiB of memory for 3 replicas; here has 2 GiB free\."
    ):
        refuse_too_many("scaled", needs, None)
    with pytest.raises(InvalidRequest, match="2 to 1 replicas"):
        deploy(rooms, "digits", name="scaled", scale=Scale(min=2, max=1))
    deploy(rooms, "digits", name="scaled", scale=Scale(min=2, max=2))
    assert rooms.settled("scaled").state == "running"
    eventually(replicas, lambda found: found is not None and found.ready == 2, 120)
    folder = handle_path(rooms, "scaled").parent
    second = next((folder / "replicas").iterdir())
    pid = int((second / "pid").read_text())
    for _ in range(6):
        assert ask(now().url, key_of(rooms, "scaled"), digits.inputs.tolist())[0] == 200
    seen = lambda: json.loads((second / "state.json").read_bytes())["requests"]  # noqa: E731
    assert eventually(seen, lambda count: count == 3) and eventually(now, lambda found: found.requests == 6)
    changed = deploy(rooms, "digits", name="scaled", scale=Scale(max=1))
    assert changed.revision == 1 and not changed.updating_to, "settings are no revision"
    eventually(lambda: (replicas(), runs(pid)), lambda seen: seen == (None, False), 60)
    assert now().requests == 6
    deploy(rooms, "digits", name="scaled", scale=Scale(min=2, max=3))
    found = eventually(replicas, lambda found: found is not None and found.ready == 2, 120)
    assert found is not None and found.text == "2 of 2–3 replicas"
    third = int((next((folder / "replicas").iterdir()) / "pid").read_text())
    assert rooms.run(rooms.deployments.stop_deployment("scaled")).state == "stopped"
    assert not runs(third), "a stop waits for all of them"
    rooms.run(rooms.deployments.delete_deployment("scaled"))
