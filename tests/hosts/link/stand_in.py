"""What the carriers' tests share: a small agent, people who answer, one connection."""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from genops_lab.hosts.link.carrier import HostStream, open_carriage
from genops_lab.hosts.link.errors import LinkError
from genops_lab.hosts.link.questions import Question
from genops_lab.hosts.link.route import Route
from tests.support.processes import runs
from tests.support.sshd import Sshd

Answer = TypeVar("Answer")

#: Seconds before a test that hangs fails.
DEADLINE_S = 120.0

# Speaks as the agent does at first, then sends everything back; "?" as the first line asks where it lies.
_AGENT = r"""
import json, os, sys

os.write(1, b"\0GENOPS1 " + json.dumps({"argv": sys.argv, "pid": os.getpid(), "path": sys.path}).encode() + b"\n")
while True:
    data = os.read(0, 1 << 18)
    if not data:
        break
    if data == b"die":
        sys.stderr.write("these are my last words\n")
        sys.exit(9)
    if data[:5] == b"flood":
        block, left = b"x" * (1 << 16), int(data[5:])
        while left:
            left -= os.write(1, block[:left])
        continue
    if data == b"swallow":
        left = int(os.read(0, 16))
        while left:
            left -= len(os.read(0, min(left, 1 << 18)))
        data = b"swallowed"
    while data:
        data = data[os.write(1, data):]
"""


def zipped(main: str = _AGENT, padding: int = 0) -> tuple[bytes, str]:
    """An agent's zip and its SHA-256; ``padding`` bytes larger than it needs to be."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("__main__.py", main)
        archive.writestr("padding", b"\0" * padding)
    data = buffer.getvalue()
    return data, hashlib.sha256(data).hexdigest()


PAYLOAD = zipped()


class People:
    """Answers by the question's kind: a list is used up one by one, None is nobody."""

    def __init__(self, **answers: str | list[str | None] | None) -> None:
        self.answers = answers
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> str | None:
        """What this person says."""
        self.asked.append(question)
        answer = self.answers.get(question.kind)
        if isinstance(answer, list):
            return answer.pop(0) if answer else None
        return answer

    def kinds(self) -> list[str]:
        """The kinds of the questions so far."""
        return [question.kind for question in self.asked]


async def connect(
    route: Route, folder: Path, people: People | None = None, payload: tuple[bytes, str] = PAYLOAD
) -> HostStream:
    """Open, and read the agent's first line."""
    carriage = await open_carriage(route, people or People(), folder, payload=payload)
    line = await carriage.reader.readline()
    assert line.startswith(b"\0GENOPS1 {"), line
    return carriage


async def echo(carriage: HostStream, data: bytes) -> bytes:
    """Send it there and back."""
    carriage.writer.write(data)
    await carriage.writer.drain()
    return await carriage.reader.readexactly(len(data))


def run(work: Awaitable[Answer]) -> Answer:
    """In a loop of its own, with a deadline."""

    async def bounded() -> Answer:
        return await asyncio.wait_for(work, DEADLINE_S)

    return asyncio.run(bounded())


def try_once(
    route: Route,
    folder: Path,
    people: People | None = None,
    then: Callable[[HostStream], Awaitable[Any]] | None = None,
    payload: tuple[bytes, str] = PAYLOAD,
) -> Any:
    """Connect, do something (an echo), close."""

    async def work() -> Any:
        carriage = await connect(route, folder, people, payload)
        try:
            return await (then(carriage) if then else echo(carriage, b"hello"))
        finally:
            await carriage.close()

    return run(work())


def failure(host: Sshd, tmp_path: Path, people: People | None = None, **route: Any) -> LinkError:
    """Why it does not connect."""
    with pytest.raises(LinkError) as caught:
        try_once(host.route(**route), tmp_path, people)
    assert caught.value.message and caught.value.hint
    return caught.value


def gone(pid: int) -> None:
    """Wait until a process has ended."""
    deadline = time.monotonic() + 60
    while runs(pid):
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.02)
