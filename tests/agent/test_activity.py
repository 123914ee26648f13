"""Whether a kernel is busy, from what it says."""

from __future__ import annotations

import json

import pytest

from genops_lab.agent.wire import Activity
from genops_lab.kernels.client.exchange import BusyStatus


def message(kind: str, request: str, **content: str) -> list[bytes]:
    asked = "execute_request" if "cell" in request else "debug_request"
    parts = ({"msg_type": kind}, {"msg_id": request, "msg_type": asked}, {}, content)
    return [b"topic", b"<IDS|MSG>", b"signature", *(json.dumps(part).encode() for part in parts)]


def status(request: str, state: str) -> list[bytes]:
    return message("status", request, execution_state=state)


def test_what_ends_beside_a_cell_is_corrected_until_the_cell_ends() -> None:
    said: list[str] = []
    statuses = BusyStatus(said.append)
    for frames in (status("cell", "busy"), status("info", "busy"), status("info", "idle")):
        statuses.heard(frames)
    statuses.answered(message("kernel_info_reply", "info"))
    assert said == ["busy"]
    statuses.heard(status("cell", "idle"))
    assert said == ["busy"]


def test_a_cell_without_its_own_idle_ends_with_its_reply() -> None:
    """Two requests that ipykernel 6 works at in one thread: both times it says idle of the later one."""
    said: list[str] = []
    statuses = BusyStatus(said.append)
    for frames in (status("cell", "busy"), status("later", "busy")):
        statuses.heard(frames)
    statuses.answered(message("debug_reply", "later"))
    statuses.heard(status("later", "idle"))
    statuses.heard(status("later", "idle"))
    assert said == ["busy", "busy"]
    statuses.answered(message("execute_reply", "cell"))
    assert said == ["busy", "busy", "idle"]


def test_nothing_else_keeps_a_kernel_busy() -> None:
    """Its idle may be said of another, and the reply to a keeper's own request goes no further."""
    said: list[str] = []
    statuses = BusyStatus(said.append)
    for frames in (
        status("info", "busy"),
        status("later", "busy"),
        status("later", "idle"),
        status("later", "idle"),
    ):
        statuses.heard(frames)
    statuses.tell()
    assert said == []


def test_a_reply_that_overtakes_its_busy() -> None:
    activity = Activity("idle")
    activity.answered(message("execute_reply", "cell"))
    activity.saw(status("cell", "busy"))
    assert activity.requests == []


@pytest.mark.parametrize(
    "frames", [[], [b"x"], message("stream", "cell", text="idle"), message("status", "cell")]
)
def test_what_is_no_status_counts_for_nothing(frames: list[bytes]) -> None:
    activity = Activity("idle")
    assert activity.saw(frames) is None and activity.state == "idle"


def test_a_new_client_goes_on_from_what_the_keeper_knows() -> None:
    said: list[str] = []
    statuses = BusyStatus(said.append)
    statuses.follow({"execution_state": "busy", "requests": ["cell"]})
    statuses.tell()
    statuses.heard(status("cell", "idle"))
    statuses.tell()
    assert said == ["busy"]
