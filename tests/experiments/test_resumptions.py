"""Two processes that go on with one run at the same moment: one does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from genops_lab.core.errors import Conflict
from genops_lab.experiments import resumptions
from genops_lab.experiments.models import MetricsQuery, ResumableRun, ResumeRequest, TrackedProcess
from tests.support.homes import Home

from .conftest import Room, Sender, in_the_tests_loop, open_room, this_process


class Kernel:
    """Another process of this user."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        created = psutil.Process(self.process.pid).create_time()
        self.tracked = TrackedProcess(pid=self.process.pid, created=created)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def kernels() -> Iterator[tuple[Kernel, Kernel]]:
    found = Kernel(), Kernel()
    yield found
    for kernel in found:
        kernel.end()


@pytest.fixture
def other_lab(room: Room, home: Home) -> Iterator[Room]:
    """A second server of the same user, on the same data."""
    opened = open_room(home.data)
    yield opened
    in_the_tests_loop(opened.close())


async def ended_run(room: Room) -> str:
    """The id of a run with one point that has ended."""
    sender = Sender("before")
    sender.add("start", name="before")
    sender.metrics(0, loss=1.0)
    sender.add("end", status="FINISHED")
    return (await sender.send(room)).run_id


async def resume(room: Room, kernel: Kernel) -> ResumableRun:
    return await room.tracking.resume(ResumeRequest(run="before", process=kernel.tracked))


def session(kernel: Kernel, key: str, run_id: str) -> Sender:
    """What a kernel sends that goes on with the run."""
    sender = Sender(key, kernel.tracked)
    sender.add("start", name="", resume={"run_id": run_id, "run_key": ""})
    sender.metrics(1, loss=0.5)
    return sender


@pytest.mark.parametrize("labs", [1, 2])
async def test_the_second_of_two_is_refused(
    room: Room, other_lab: Room, kernels: tuple[Kernel, Kernel], labs: int
) -> None:
    run_id = await ended_run(room)
    asked = [
        resume(lab, kernel)
        for lab, kernel in zip((room, other_lab if labs == 2 else room), kernels, strict=True)
    ]
    answers: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(answer) for answer in answers} == {Conflict, ResumableRun}, answers
    [refused] = [answer for answer in answers if isinstance(answer, Conflict)]
    [taken] = [answer for answer in answers if isinstance(answer, ResumableRun)]
    winner, loser = kernels if answers[0] is taken else kernels[::-1]
    assert refused.message == f"The process {winner.tracked.pid} still writes the run 'before'."
    # Who may goes on is not hindered by itself, also when it asks again.
    assert await resume(room, winner) == taken
    goes_on = session(winner, "after", run_id)
    assert (await goes_on.send(room)).run_id == run_id
    with pytest.raises(Conflict, match=f"The process {winner.tracked.pid} still writes"):
        await resume(room, loser)
    goes_on.add("end", status="FINISHED")
    await goes_on.send(room)
    assert (await resume(room, loser)).next_step == 2


async def test_who_was_told_so_and_never_began_hinders_nobody_for_long(
    room: Room, kernels: tuple[Kernel, Kernel], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = kernels
    await ended_run(room)
    await resume(room, one)
    with pytest.raises(Conflict):
        await resume(room, other)
    with monkeypatch.context() as later:
        later.setattr(resumptions, "PROMISED_S", 0.0)
        await resume(room, other)
    with pytest.raises(Conflict, match=str(other.tracked.pid)):
        await resume(room, one)
    other.end()
    await resume(room, one)


async def test_what_is_sent_unasked_becomes_a_run_of_its_own(
    room: Room, kernels: tuple[Kernel, Kernel]
) -> None:
    """A kernel whose Lab was away goes on with what its spool knows, and asks nobody."""
    one, other = kernels
    run_id = await ended_run(room)
    await resume(room, one)
    late = session(other, "late", run_id)
    own = (await late.send(room)).run_id
    assert own != run_id
    assert (await session(one, "after", run_id).send(room)).run_id == run_id
    later = session(other, "later", run_id)
    assert (await later.send(room)).run_id not in (run_id, own)
    for each, points in ((run_id, [1.0, 0.5]), (own, [0.5])):
        series = (await room.experiments.get_run_metrics(each, MetricsQuery())).series
        assert [one.values for one in series if one.key == "loss"] == [points]
    note = (await room.experiments.get_run(own)).run.tags["genops.notes"]
    assert f"continue the run {run_id}, which the process {one.tracked.pid} continues." in note


async def test_one_process_goes_on_again(room: Room) -> None:
    run_id = await ended_run(room)
    for number in (1, 2):
        await room.tracking.resume(ResumeRequest(run="before", process=this_process()))
        sender = Sender(f"again-{number}")
        sender.add("start", name="", resume={"run_id": run_id, "run_key": ""})
        sender.add("end", status="FINISHED")
        assert (await sender.send(room)).run_id == run_id
