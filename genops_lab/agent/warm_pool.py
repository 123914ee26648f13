"""Keep the requested number of spare kernels on this host, for ``attach``; starts take them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
import uuid
from typing import Any, Awaitable, Callable, Dict, Iterator, List, NamedTuple, Optional

from . import paths, processes, version
from .channels import ChannelReset
from .launching import spare as spare_command
from .state_file import FolderLock
from .threads import in_thread

SPARE = "spare.json"
MAX_SPARES = 8
#: Seconds after which a spare ends that no connection renews.
LEASE_S = 600.0
_LOOK_S = 60.0
#: Seconds in which a taken kernel is left alone: its first cells matter more than the next start.
_AFTER_TAKE_S = 2.0
_AFTER_FAILURE_S = 60.0
_STAND_S = 130.0
_CALL_S = 8.0
_BEING_MADE_S = 10.0

Call = Callable[[str, str, Dict[str, Any], float], Awaitable[Any]]


class Found(NamedTuple):
    """A living spare."""

    folder: str
    fits: str
    ready: bool


def fits(argv: List[str], scheme: str) -> str:
    """Return a key that is equal for orders that one spare fits."""
    return hashlib.sha256(json.dumps([version(), argv, scheme]).encode()).hexdigest()[:32]


def write_spare(folder: str, spare: Dict[str, Any]) -> None:
    """Write a spare's own record. Raises OSError."""
    part = os.path.join(folder, f"{SPARE}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, json.dumps(spare).encode())
    finally:
        os.close(descriptor)
    os.replace(part, os.path.join(folder, SPARE))


def _roots() -> Iterator[str]:
    for state in paths.candidates():
        root = os.path.join(state, "spares")
        try:
            paths.check_own(state)
            paths.check_own(root)
        except OSError:
            continue
        yield root


def look() -> List[Found]:
    """Return the waiting spares; remove the remains of dead ones."""
    found = []
    for root in _roots():
        for name in sorted(os.listdir(root)):
            folder = os.path.join(root, name)
            if not os.path.isdir(folder):
                continue
            spare = _read_spare(folder)
            try:
                if _has_keeper(folder):
                    if spare is not None:  # otherwise it was taken
                        found.append(Found(folder, str(spare.get("fits")), bool(spare.get("ready"))))
                    continue
                if spare is not None and spare.get("pid"):
                    processes.end_orphans(int(spare["pid"]), str(spare.get("pid_started", "")))
                paths.forget(folder)
            except OSError:  # it has ended meanwhile
                continue
    return found


def _has_keeper(folder: str) -> bool:
    """Return whether a spare's keeper lives, or is being started. Raises OSError."""
    if time.time() - os.stat(folder).st_mtime < _BEING_MADE_S:
        return True
    lock = FolderLock(folder)
    if not lock.take():
        return True
    lock.release()
    return False


def _read_spare(folder: str) -> Optional[Dict[str, Any]]:
    try:
        with open(os.path.join(folder, SPARE), encoding="utf-8") as stream:
            spare = json.load(stream)
    except (OSError, ValueError):
        return None
    return spare if isinstance(spare, dict) else None


class WarmPool:
    """The spares that one connection requests. ``call`` calls a keeper in a folder; ``start`` starts one in
    it."""

    def __init__(self, call: Call, start: Callable[[str, List[str], str], Awaitable[Any]]) -> None:
        self._call = call
        self._start = start
        self._argv: List[str] = []
        self._scheme = ""
        self._wanted = 0
        self._trouble = ""
        self._task: "Optional[asyncio.Task[None]]" = None
        self._wake = asyncio.Event()
        self._taken_at = 0.0

    @property
    def _fits(self) -> str:
        return fits(self._argv, self._scheme)

    async def keep(self, argv: List[str], scheme: str, count: int) -> Dict[str, Any]:
        """Keep ``count`` spares of this command from now on, while this connection lasts; return how many are
        ready."""
        if not 0 <= count <= MAX_SPARES:
            raise ValueError(f"warm_kernels cannot be {count}")
        if count and spare_command(argv) is None:
            raise ChannelReset("not_warm", "Only ipykernel's usual command can be kept ready.")
        if self._argv and (argv, scheme) != (self._argv, self._scheme):
            await self._end_all()
        if (argv, scheme, count) != (self._argv, self._scheme, self._wanted):
            self._argv, self._scheme, self._wanted, self._trouble = argv, scheme, count, ""
            self._wake.set()
        if self._wanted and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._fill())
        elif not self._wanted:
            await self._end_all()
        ready = sum(each.ready for each in await self._own())
        return {"wanted": count, "ready": ready, "trouble": self._trouble}

    def close(self) -> None:
        """Stop: the connection ends, and the spares stay for the next one, for as long as their lease."""
        if self._task is not None:
            self._task.cancel()

    async def take(self, folder: str, order: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Return the KernelInfo of a spare that has become the kernel of this order; None: start a new
        kernel."""
        wanted = fits(order["argv"], order["signature_scheme"])
        for found in await in_thread(look):
            if found.fits == wanted and found.ready:
                try:
                    info: Dict[str, Any] = await self._call(
                        found.folder, "take", {"folder": folder, "order": order}, _CALL_S
                    )
                except (ChannelReset, ConnectionError, asyncio.IncompleteReadError) as error:
                    if isinstance(error, ChannelReset) and error.code == "does_not_fit":
                        return None  # the others are the same
                    continue
                finally:
                    self._taken_at = time.monotonic()
                    self._wake.set()
                return info
        return None

    async def _own(self) -> List[Found]:
        return [each for each in await in_thread(look) if each.fits == self._fits]

    async def _end_all(self) -> None:
        for each in await self._own():
            await self._ask(each, "end", {})

    async def _ask(self, spare: Found, method: str, params: Dict[str, Any]) -> None:
        try:
            await self._call(spare.folder, method, params, _CALL_S)
        except (ChannelReset, ConnectionError, asyncio.IncompleteReadError):
            return  # it has ended, or was taken

    async def _fill(self) -> None:
        while self._wanted:
            self._wake.clear()
            spares = await self._own()
            for each in spares[self._wanted :]:
                await self._ask(each, "end", {})
            for each in spares[: self._wanted]:
                await self._ask(each, "renew", {"seconds": LEASE_S})
            pause = _LOOK_S
            if len(spares) < self._wanted:
                pause = self._taken_at + _AFTER_TAKE_S - time.monotonic()
                if pause <= 0:
                    pause = 0.0 if await self._one_more() else _AFTER_FAILURE_S
            try:
                await asyncio.wait_for(self._wake.wait(), pause)
            except asyncio.TimeoutError:
                continue

    async def _one_more(self) -> bool:
        """Start one spare, and wait until it is ready: one at a time on this host."""
        try:
            state, _ = paths.state_folder()
            root = paths.private_folder(os.path.join(state, "spares"))
            lock = FolderLock(root)
            if not lock.take():  # another connection starts one
                await asyncio.sleep(1.0)
                return True
            try:
                folder = paths.private_folder(os.path.join(root, uuid.uuid4().hex[:16]))
                await self._start(folder, self._argv, self._scheme)
                await self._stands(folder)
            finally:
                lock.release()
        except (OSError, ChannelReset) as error:
            self._trouble = str(error)
            return False
        self._trouble = ""
        return True

    async def _stands(self, folder: str) -> None:
        deadline = time.monotonic() + _STAND_S
        while time.monotonic() < deadline:
            spare, there = await in_thread(lambda: (_read_spare(folder), os.path.isdir(folder)))
            if not there:
                raise ChannelReset("start_failed", "A kernel that was kept ready has ended by itself.")
            if spare is None or spare.get("ready"):
                return
            await asyncio.sleep(0.1)
        raise ChannelReset("start_failed", "A kernel that was kept ready does not answer.")
