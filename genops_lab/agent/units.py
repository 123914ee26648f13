"""Manage the units of one kind on this host (its kernels, its commands) for ``attach``: their folders, and
the sockets of their keepers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from . import processes, records, survival
from .channels import ChannelReset
from .paths import forget, known_units, socket_folder, unit_folder, unit_id_is_valid
from .starter import start_keeper
from .state_file import SOCKET, FolderLock, public, read_state, write_state
from .threads import in_thread

#: Seconds for which an ended unit is listed, unless it is forgotten before.
KEPT_ENDED_S = 7 * 86400.0
_CONNECT_S = 10.0
#: Seconds that a list waits for one keeper: less than the Lab waits for the list.
_LIST_S = 3.0
_PAUSE_S = 0.02
Streams = Tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Units(ABC):
    """All methods belong to one loop. Each names units by their id (``kernel_id``, ``command_id``) and raises
    :class:`ChannelReset`."""

    kind = ""
    #: Fields of a UnitInfo that no keeper reports.
    untold: Mapping[str, Any] = MappingProxyType({})

    def __init__(self) -> None:
        self._locks: Dict[str, asyncio.Lock] = {}
        self._survival: Optional[survival.Survival] = None

    def _id(self, params: Dict[str, Any]) -> Any:
        return params[f"{self.kind}_id"]

    def _folder(self, unit_id: Any) -> str:
        folder = unit_folder(unit_id, self.kind) if unit_id_is_valid(unit_id) else None
        if folder is None:
            raise ChannelReset(
                "not_found", f"This host has no {self.kind} {unit_id}.", "It may have been forgotten."
            )
        return folder

    def _unresponsive(self, unit_id: Any) -> ChannelReset:
        return ChannelReset(
            "unresponsive",
            f"The keeper of {self.kind} {unit_id} does not answer.",
            "The host may be overloaded. Try again.",
        )

    def _lock(self, unit_id: str) -> asyncio.Lock:
        return self._locks.setdefault(unit_id, asyncio.Lock())

    async def _how_to_survive(self) -> survival.Survival:
        if self._survival is None:
            self._survival = await in_thread(lambda: survival.look(prepare=True))
        return self._survival

    @abstractmethod
    async def start(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Start a unit; return its UnitInfo."""

    async def list(self, params: Dict[str, Any]) -> List[Dict[str, Any]]:
        """List units; a Lab's units on its own machine only where they are requested (``here``).

        A unit whose keeper does not answer is listed by its state file, with the reason.
        """
        asked = [self._listed(unit_id) for unit_id in known_units(self.kind)]
        found = []
        for info in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(info, ChannelReset):  # forgotten meanwhile
                continue
            if isinstance(info, BaseException):
                raise info
            if info["state"] == "ended" and (info.get("ended_at") or 0) < time.time() - KEPT_ENDED_S:
                with contextlib.suppress(ChannelReset):  # another process is doing it
                    await self.forget(info)
                continue
            if bool(info.get("here")) == bool(params.get("here")):
                found.append({"kind": self.kind, **info})
        return found

    async def _listed(self, unit_id: str) -> Dict[str, Any]:
        try:
            return await self._ask(unit_id, "info", {}, timeout_s=_LIST_S, patience_s=_LIST_S)
        except ChannelReset as reset:
            state = await in_thread(read_state, self._folder(unit_id))
            if reset.code != "unresponsive" or state is None:
                raise
            found = {**self._info_of(state), "reason": reset.message}
            return {**found, "execution_state": "unknown"} if "execution_state" in found else found

    async def info(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Return a UnitInfo."""
        return await self._ask(self._id(params), "info", {})

    async def signal(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Send a signal to the processes of a unit."""
        return await self._ask_running(self._id(params), "signal", {"signal": int(params["signal"])})

    async def stop(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Stop a unit; answer when it has ended. A keeper that does not answer is ended with it."""
        unit_id, grace_s = self._id(params), float(params.get("grace_s", 5.0))
        try:
            await self._ask(unit_id, "info", {})
        except ChannelReset as reset:
            if reset.code != "unresponsive":
                raise
            await in_thread(_kill_keeper, self._folder(unit_id))
        return await self._ask(unit_id, "stop", {"grace_s": grace_s}, timeout_s=grace_s + 30.0)

    async def lease(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Renew the lease, with this length in seconds."""
        return await self._ask_running(self._id(params), "lease", {"seconds": float(params["seconds"])})

    async def forget(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Remove the records of an ended unit."""
        unit_id = self._id(params)
        async with self._lock(str(unit_id)):  # a second call waits for the first one
            await self._forget(unit_id)
        return {}

    async def _forget(self, unit_id: Any) -> None:
        folder = self._folder(unit_id)
        streams = await self._connect(folder)
        if streams is not None:
            await call_keeper(streams, "forget", {}, _CONNECT_S)
        elif await in_thread(self._settled, folder) is None:
            raise self._unresponsive(unit_id)
        await in_thread(forget, folder)

    async def open(self, unit_id: Any) -> socket.socket:
        """Open the keeper's socket for a Lab; also for an ended unit, whose journal is still served."""
        async with self._lock(str(unit_id)):
            deadline = time.monotonic() + _CONNECT_S
            while True:
                folder = self._folder(unit_id)
                sock = _socket_of(folder)
                if sock is not None:
                    return sock
                if await in_thread(self._settled, folder) is not None:
                    await self._serve_ended(folder)
                elif time.monotonic() > deadline:
                    raise self._unresponsive(unit_id)
                else:
                    await asyncio.sleep(_PAUSE_S)

    async def _serve_ended(self, folder: str) -> None:
        try:
            await start_keeper(sys.executable, folder, {"ended": True}, survival.Survival("", "", False))
        except ChannelReset as reset:
            if reset.code != "running":  # another connection was quicker
                raise

    async def _ask_running(self, unit_id: Any, method: str, params: Dict[str, Any]) -> Dict[str, Any]:
        info = await self._ask(unit_id, method, params)
        if info["state"] != "running":
            raise ChannelReset("ended", f"The {self.kind} {unit_id} has ended. {info['reason']}")
        return info

    async def _ask(
        self,
        unit_id: Any,
        method: str,
        params: Dict[str, Any],
        timeout_s: float = _CONNECT_S,
        patience_s: float = _CONNECT_S,
    ) -> Dict[str, Any]:
        """``patience_s``: for a keeper that cannot be connected; ``timeout_s``: for its answer."""
        folder = self._folder(unit_id)
        deadline = time.monotonic() + patience_s
        while True:
            streams = await self._connect(folder)
            if streams is not None:
                try:
                    found: Dict[str, Any] = await call_keeper(streams, method, params, timeout_s)
                    return found
                except (asyncio.IncompleteReadError, ConnectionError):  # it ended meanwhile
                    pass
            settled = await in_thread(self._settled, folder)
            if settled is not None:
                return self._info_of(settled)
            if time.monotonic() > deadline:
                raise self._unresponsive(unit_id)
            await asyncio.sleep(_PAUSE_S)

    async def _connect(self, folder: str) -> Optional[Streams]:
        sock = _socket_of(folder)
        return None if sock is None else await asyncio.open_unix_connection(sock=sock)

    def _settled(self, folder: str) -> Optional[Dict[str, Any]]:
        """Return the updated state of a unit without a keeper; None: it has one."""
        lock = FolderLock(folder)
        try:
            if not lock.take():
                return None
        except OSError:
            pass  # a read-only disk
        try:
            state = read_state(folder)
            if state is None:
                state = {
                    f"{self.kind}_id": os.path.basename(folder),
                    "state": "ended",
                    "reason": "It never started.",
                    "ended_at": _changed_at(folder),  # another connection may be starting it right now
                }
            elif state["state"] == "running":
                state.update(self._end_without_keeper(state))
                write_state(folder, state)
            return state
        finally:
            lock.release()

    def _end_without_keeper(self, state: Dict[str, Any]) -> Dict[str, Any]:
        found = {"state": "ended", "ended_at": time.time(), "noted": False}
        # Of a pod whose container was killed, only the Lab knows why: it says so with the command.
        if reason := os.environ.get("GENOPS_ENDED_BECAUSE"):
            return {**found, "reason": reason}
        if state.get("boot_id") != processes.boot_id():
            return {**found, "reason": "The host was restarted."}
        reason = "Its agent was killed."
        if state.get("pid") and processes.end_orphans(
            state["pid"], state.get("pid_started", ""), lambda: self._others(state)
        ):
            reason = f"Its agent was killed, and the {self.kind} ended with it."
        return {**found, "reason": reason}

    def _others(self, state: Dict[str, Any]) -> Set[int]:
        """Return the processes of a unit without a keeper that have left its group."""
        return set()

    def _info_of(self, state: Dict[str, Any]) -> Dict[str, Any]:
        empty = {
            "incarnation": "",
            "name": "",
            "pid": 0,
            "exit_code": None,
            "reason": "",
            "started_at": None,
            "ended_at": None,
            "owner": "",
            "first_seq": 1,
            "last_seq": 0,
            "acked_seq": 0,
            "agent_version": "",
            "journal_bytes": 0,
            "ended_by": "",
            **self.untold,
        }
        return {**empty, **public(state), "attached": None, "lease_until": None, "lease_seconds": 0.0}


def _kill_keeper(folder: str) -> None:
    """Kill a keeper that does not answer, if the pid is still its own; its unit then has no keeper."""
    state = read_state(folder) or {}
    pid = state.get("keeper_pid")
    if pid and processes.start_time(pid) == state.get("keeper_started"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _changed_at(folder: str) -> float:
    try:
        return os.stat(folder).st_mtime
    except OSError:  # forgotten meanwhile
        return 0.0


def _socket_of(folder: str) -> Optional[socket.socket]:
    """Return a socket connected to the keeper; None without a keeper."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.connect(os.path.join(socket_folder(folder), SOCKET))
    except OSError:
        sock.close()
        return None
    return sock


async def call_keeper(streams: Streams, method: str, params: Dict[str, Any], timeout_s: float) -> Any:
    """Call a keeper of this host. Raises ChannelReset, ConnectionError, asyncio.IncompleteReadError."""
    reader, writer = streams
    try:
        writer.write(records.json_record(records.CALL, {"method": method, "params": params}))
        header = await asyncio.wait_for(reader.readexactly(records.HEADER.size), timeout_s)
        kind, _, length = records.HEADER.unpack(header)
        if kind != records.ANSWER or length > records.MAX_JSON_BYTES:
            raise ChannelReset("broken", "The keeper's answer is invalid.")
        answer = json.loads(await asyncio.wait_for(reader.readexactly(length), timeout_s))
    except asyncio.TimeoutError:
        raise ChannelReset("unresponsive", "The keeper does not answer.") from None
    finally:
        writer.close()
    if "error" in answer:
        error = answer["error"]
        raise ChannelReset(error["code"], error["message"], error["hint"])
    return answer["result"]
