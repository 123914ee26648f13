"""Work in a child process: answers, errors, death, idle end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import msgspec
import pytest

from genops_lab.core.call_progress import report_progress
from genops_lab.core.errors import GenOpsError, NotFound, Unavailable
from genops_lab.core.worker import Worker
from tests.support.processes import runs


class Answer(msgspec.Struct):
    """What the backend below returns."""

    text: str
    pid: int


class Backend:
    """Built in the child."""

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    def greet(self, name: str) -> Answer:
        """An answer of a declared type."""
        print("this must not come between the frames")
        return Answer(f"{self.greeting}, {name}", os.getpid())

    def fail(self, text: str) -> None:
        """An error of ours."""
        raise NotFound(text, hint="look again")

    def crash(self) -> None:
        """An error of somebody else's."""
        raise ZeroDivisionError("by zero")

    def sleep(self, seconds: float) -> float:
        """Something slow."""
        time.sleep(seconds)
        return seconds

    def count(self, file: str) -> int:
        """Tells a figure again and again, until it is cancelled; then writes a file."""
        done = 0
        try:
            while True:
                done += 1
                report_progress(done)
                time.sleep(0.01)
        finally:
            Path(file).write_text(str(done))


async def test_calls_run_in_the_child_and_come_back_typed() -> None:
    worker = Worker("test", {"greeting": "hello"})
    answer = await worker.call(Backend.greet, "Ada")
    assert (answer.text, answer.pid) == ("hello, Ada", worker.pid)
    assert answer.pid != os.getpid()
    await worker.stop()


async def test_errors_keep_their_kind_and_hint() -> None:
    worker = Worker("test", {"greeting": "hello"})
    with pytest.raises(NotFound, match="no such thing") as caught:
        await worker.call(Backend.fail, "no such thing")
    assert caught.value.hint == "look again"
    with pytest.raises(GenOpsError, match="ZeroDivisionError: by zero"):
        await worker.call(Backend.crash)
    await worker.stop()


async def test_progress_is_told_and_a_cancelled_call_ends(tmp_path: Path) -> None:
    worker = Worker("test", {"greeting": "hello"})
    told: list[int] = []
    ended = tmp_path / "ended"
    counting = asyncio.create_task(worker.follow(told.append, Backend.count, str(ended)))
    while len(told) < 2:
        await asyncio.sleep(0.01)
    counting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await counting
    assert told == sorted(told) and int(ended.read_text()) >= told[-1]
    assert (await worker.follow(told.append, Backend.greet, "Di")).text == "hello, Di"
    await worker.stop()


async def test_a_cancelled_call_that_tells_nothing_is_given_up() -> None:
    worker = Worker("test", {"greeting": "hello"})
    sleeping = asyncio.create_task(worker.follow(lambda _: None, Backend.sleep, 30.0))
    assert (await worker.call(Backend.greet, "Ed")).text == "hello, Ed"
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(sleeping, 10)
    assert (await worker.call(Backend.greet, "Flo")).text == "hello, Flo"
    await worker.stop(0)


async def test_slow_calls_do_not_hold_up_others() -> None:
    worker = Worker("test", {"greeting": "hello"})
    slow = asyncio.create_task(worker.call(Backend.sleep, 30.0))
    assert (await worker.call(Backend.greet, "Bo")).text == "hello, Bo"
    assert not slow.done()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(Unavailable, match="ended during a call"):
        await slow
    # and the next call starts a new one
    assert (await worker.call(Backend.greet, "Cy")).text == "hello, Cy"
    await worker.stop()


async def test_an_unused_child_ends() -> None:
    worker = Worker("test", {"greeting": "hello"}, idle_s=0.2)
    pid = (await worker.call(Backend.greet, "Di")).pid
    deadline = time.monotonic() + 10
    while runs(pid) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert not runs(pid)
    assert (await worker.call(Backend.greet, "Ed")).pid != pid
    await worker.stop()
