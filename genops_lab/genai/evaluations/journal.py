"""Keep each call before it is counted: a file of lines that only grows, and survives a killed process."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections import Counter
from pathlib import Path

import msgspec
from msgspec.structs import replace

from genops_lab.genai.endpoints.endpoint import Answer
from genops_lab.genai.endpoints.limits import Reserved, Usage

from .steps import Step, summed

_SYNC_S = 1.0
#: One object, which the journal leaves out.
NOTHING = Usage()


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer that was asked for: that to ``example``, the ``repeat``-th (from 0), by ``model``.

    ``failure`` and ``message`` say why there is no answer. ``joined``: another example with the same messages was
    asked, and this one shares its answer and cost. ``at``: seconds since 1970. ``steps``: all turns of a conversation
    after those that were given. ``lost``: the most tokens of tries that ended without an answer and may have been paid.
    """

    model: str
    example: str
    repeat: int
    at: float = 0.0
    latency_s: float = 0.0
    tries: int = 1
    answer: Answer | None = None
    failure: str = ""
    message: str = ""
    joined: bool = False
    steps: list[Step] = []
    lost: Usage = NOTHING

    @property
    def key(self) -> Key:
        """Return what identifies the call."""
        return (self.model, self.example, self.repeat)


Key = tuple[str, str, int]


class Begun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A try that is about to be sent, and the tokens set aside for it.

    ``lost``: those of earlier tries that may have been paid.
    """

    begun: Key
    most: Reserved = Reserved()
    lost: Usage = NOTHING


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A process opened the journal: calls that are in flight above this line have no end."""

    opened: float


class Journal:
    """The calls of an evaluation. Each line is written whole before its call counts, and synced every second.

    Use as an asynchronous context manager. A line that a crash cut is removed when the journal opens.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: dict[Key, Call] = {}
        #: The tokens set aside for each call that was begun.
        self.most: dict[Key, Reserved] = {}
        #: Calls that were in flight when a process ended, of any process before: they may have been paid for.
        self.lost: list[tuple[Key, Usage]] = []

    async def __aenter__(self) -> Journal:
        self.calls, self.lost, self.most = await asyncio.to_thread(_read, self.path, mend=True)
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._is_dirty = False
        try:
            self._write(Opened(opened=time.time()))
        except OSError:
            os.close(self._file)
            raise
        self._syncing = asyncio.create_task(self._sync_on())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._syncing.cancel()
        await asyncio.gather(self._syncing, return_exceptions=True)
        try:
            await asyncio.to_thread(os.fsync, self._file)
        finally:
            os.close(self._file)

    def begin(self, key: Key, reserved: Reserved, lost: Usage = NOTHING) -> None:
        """Keep that a try of a call is about to be sent. Raises OSError."""
        self._write(Begun(begun=key, most=reserved, lost=lost))
        self.most[key] = reserved

    def end(self, call: Call) -> None:
        """Keep the end of a call. Raises OSError."""
        self._write(call)
        self.calls[call.key] = call

    def spent(self, model: str) -> Usage:
        """Return what all calls of a model used, those that were lost and those of earlier processes too."""
        return _spent(self.calls, self.lost, self.most, model)

    def _write(self, line: msgspec.Struct) -> None:
        data = msgspec.json.encode(line) + b"\n"
        written = os.write(self._file, data)
        if written != len(data):  # a full disk: no other line may follow the part
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self._is_dirty = True

    async def _sync_on(self) -> None:
        while True:
            await asyncio.sleep(_SYNC_S)
            if self._is_dirty:
                self._is_dirty = False
                await asyncio.to_thread(os.fsync, self._file)


def read(path: Path) -> dict[Key, Call]:
    """Return the calls that ended, by key; the last one of each. Blocks."""
    return _read(path)[0]


class SoFar:
    """How far the calls of a journal are that another process may write. Blocks."""

    def __init__(self, path: Path) -> None:
        self._calls, self._lost, self._most = _read(path)
        #: The answers of each model.
        self.answered = Counter(key[0] for key, call in self._calls.items() if call.answer is not None)

    def spent(self, model: str) -> Usage:
        """Return what all calls of a model used; calls in flight count at their most."""
        return _spent(self._calls, self._lost, self._most, model)


def spent_in(path: Path, model: str) -> Usage:
    """Return what all calls of a model used, and all that were lost. Blocks."""
    return _spent(*_read(path), model)


def _spent(
    calls: dict[Key, Call], lost: list[tuple[Key, Usage]], most: dict[Key, Reserved], model: str
) -> Usage:
    """Return what a model used. An answer whose tokens the endpoint did not count used its most."""
    used = [tokens for key, tokens in lost if key[0] == model]
    for key, call in calls.items():
        if key[0] != model or call.joined:
            continue
        used.append(call.lost)
        if call.answer is not None:
            usage = call.answer.usage
            used.append(usage if usage.known else replace(most.get(key, NOTHING), known=False))
    return summed(used)


def _read(
    path: Path, *, mend: bool = False
) -> tuple[dict[Key, Call], list[tuple[Key, Usage]], dict[Key, Reserved]]:
    """Return the calls that ended, those that were lost, and the most tokens of each that was begun."""
    calls: dict[Key, Call] = {}
    lost: list[tuple[Key, Usage]] = []
    most: dict[Key, Reserved] = {}
    open_: dict[Key, Usage] = {}
    decoder = msgspec.json.Decoder(type=Call)
    begins = msgspec.json.Decoder(type=Begun)
    try:
        file = path.open("rb+" if mend else "rb")
    except FileNotFoundError:
        return calls, lost, most
    with file:
        whole = 0
        for line in file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            if line.startswith(b'{"begun"'):
                begun = begins.decode(line)
                most[begun.begun] = begun.most
                open_[begun.begun] = summed([begun.most, begun.lost])
            elif line.startswith(b'{"opened"'):
                lost += open_.items()
                open_ = {}
            else:
                call = decoder.decode(line)
                calls[call.key] = call
                open_.pop(call.key, None)
        if mend:
            file.truncate(whole)
    return calls, [*lost, *open_.items()], most
