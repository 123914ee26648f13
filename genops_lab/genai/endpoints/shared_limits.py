"""Hold the limits of an endpoint together: all models, judges and evaluations of one Lab that ask it share them.

The limits are in a folder of the endpoint: the turns of a minute are in a file, and each call in flight holds a lock
file. A lock ends with its process, so a process that is killed leaves at most the turn of one call.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from genops_lab.core.locks import FileLock, locked
from genops_lab.core.paths import private_dir

from .limits import Limits

#: How often a slot is looked for that another process holds.
_LOOK_S = 0.05
#: A call that waited and is late by less than this does not delay the turns of the calls after it.
_LATE_S = 0.25
_TURNS = struct.Struct("<ddd")


def limits_folder(data_dir: Path, *identity: str) -> str:
    """Return the folder with the limits of an endpoint. ``identity``: what names the endpoint; no key."""
    name = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:24]
    return str(data_dir / "endpoint-limits" / name)


class _Turns(NamedTuple):
    """When the last call had its turn, and from when on the next has one: by requests, and by tokens."""

    at: float = 0.0
    requests: float = 0.0
    tokens: float = 0.0


class SharedLimits:
    """The limits by minute and of calls at once. Without a ``folder`` they are of this object alone."""

    def __init__(self, limits: Limits, folder: str = "", clock: Callable[[], float] = time.time) -> None:
        self._folder = private_dir(private_dir(Path(folder).parent) / Path(folder).name) if folder else None
        self._at_once, self._clock = limits.at_once, clock
        self._request_s = 60.0 / limits.requests_per_minute if limits.requests_per_minute else 0.0
        self._token_s = 60.0 / limits.tokens_per_minute if limits.tokens_per_minute else 0.0
        self._own = _Turns()

    @contextlib.asynccontextmanager
    async def one_of_at_once(self) -> AsyncIterator[None]:
        """Hold one of the calls at once."""
        if self._folder is None:  # as many tasks ask as may ask at once
            yield
            return
        slots = _Slots.of(self._folder, self._at_once)
        slot = await slots.take()
        try:
            yield
        finally:
            slots.leave(slot)

    async def turn(self, tokens: float) -> None:
        """Wait for the turn of a call with this many tokens, so that no minute has more than its limits."""
        waited = False
        while (pause := self._taken(tokens, waited)) > 0:
            await asyncio.sleep(pause)
            waited = True

    def give_back(self, tokens: float) -> None:
        """Give back tokens that a call did not use."""
        if self._token_s and tokens:
            with self._turns() as (turns, keep):
                keep(turns._replace(tokens=turns.tokens - tokens * self._token_s))

    def _taken(self, tokens: float, waited: bool) -> float:
        """Take a turn, or return the seconds until there is one."""
        if not (self._request_s or self._token_s):
            return 0.0
        with self._turns() as (turns, keep):
            now = self._clock()
            frees = [turns.requests] * bool(self._request_s) + [turns.tokens] * bool(self._token_s)
            if turns.at <= now < max(frees):  # a clock that was set back holds nobody up
                return max(frees) - now
            late = now - max(frees)
            at = now - late if waited and 0 <= late < _LATE_S else now
            requests = at + self._request_s if self._request_s else turns.requests
            keep(_Turns(now, requests, at + tokens * self._token_s if self._token_s else turns.tokens))
        return 0.0

    @contextlib.contextmanager
    def _turns(self) -> Iterator[tuple[_Turns, Callable[[_Turns], None]]]:
        """Give the turns and a function that keeps others, alone among all threads and processes. Raises OSError."""

        def keep(turns: _Turns) -> None:
            self._own = turns
            if path is not None:
                path.write_bytes(_TURNS.pack(*turns))

        path = self._folder and self._folder / "turns"
        if path is None:
            yield self._own, keep
            return
        with locked(path.with_suffix(".lock"), every_s=0.001):
            kept = path.read_bytes() if path.exists() else b""
            yield _Turns(*_TURNS.unpack(kept)) if len(kept) == _TURNS.size else _Turns(), keep


class _Slots:
    """The calls at once of an endpoint, each a lock file. Tasks of one event loop wait in their order."""

    _known: ClassVar[dict[asyncio.AbstractEventLoop, dict[tuple[Path, int], _Slots]]] = {}

    def __init__(self, folder: Path, count: int) -> None:
        # The last first: an asker with fewer calls at once finds the first ones free.
        names = [f"call-{number}.lock" for number in reversed(range(count))]
        self._slots = [FileLock(folder / name, stays_open=True) for name in names]
        self._queue, self._left = asyncio.Lock(), asyncio.Event()

    @classmethod
    def of(cls, folder: Path, count: int) -> _Slots:
        """Return those of the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in cls._known:
            cls._close_ended()
            cls._known[loop] = {}
        own = cls._known[loop]
        if (folder, count) not in own:
            own[folder, count] = cls(folder, count)
        return own[folder, count]

    @classmethod
    def _close_ended(cls) -> None:
        """Close the files of event loops that ended."""
        for loop in [each for each in list(cls._known) if each.is_closed()]:
            for slots in cls._known.pop(loop, {}).values():
                for slot in slots._slots:
                    slot.close()

    async def take(self) -> FileLock:
        """Wait for a slot that nobody holds. Raises OSError."""
        async with self._queue:
            while True:
                self._left.clear()
                for slot in self._slots:
                    if not slot.held and slot.try_acquire():
                        return slot
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._left.wait(), _LOOK_S)

    def leave(self, slot: FileLock) -> None:
        """Leave a slot."""
        slot.release()
        self._left.set()
