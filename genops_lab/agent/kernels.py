"""The kernels of this host as ``attach`` sees them: their folders, and the sockets of their keepers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

from . import processes, records, survival
from .channels import ChannelReset
from .environment import kernel_environment, kernel_site
from .idle_policy import policy_of
from .lab_side import lab_environment
from .launch_spec import command_of, disk_words, home, order_of
from .logs import tail
from .paths import (
    forget,
    kernel_folder,
    kernel_id_is_valid,
    known_kernels,
    new_kernel_folder,
    socket_folder,
    state_folder,
)
from .starter import keeper_python, start_keeper
from .state_file import KERNEL_LOG, SOCKET, FolderLock, public, read_state, write_state
from .threads import in_thread
from .warm_pool import LEASE_S, WarmPool, fits

#: An ended kernel is listed for so long, unless it is forgotten before.
KEPT_ENDED_S = 7 * 86400.0
_CONNECT_S = 10.0
#: A list waits for one keeper so long: less than the Lab waits for the list.
_LIST_S = 3.0
_PAUSE_S = 0.02
_MAX_LOG_BYTES = 1024 * 1024
Streams = Tuple[asyncio.StreamReader, asyncio.StreamWriter]


def not_found(kernel_id: str) -> ChannelReset:
    """The error for a kernel that this host does not know."""
    return ChannelReset("not_found", f"This host knows no kernel {kernel_id}.", "It may have been forgotten.")


def _unresponsive(kernel_id: Any) -> ChannelReset:
    return ChannelReset(
        "unresponsive",
        f"The keeper of kernel {kernel_id} does not answer.",
        "The host may be overloaded; try again.",
    )


class Kernels:
    """All methods belong to one loop; each names kernels by id and raises :class:`ChannelReset`."""

    def __init__(self) -> None:
        self._locks: Dict[str, asyncio.Lock] = {}
        self._survival: Optional[survival.Survival] = None
        self.pool = WarmPool(self._ask_spare, self._start_spare)

    def _folder(self, kernel_id: Any) -> str:
        folder = kernel_folder(kernel_id) if kernel_id_is_valid(kernel_id) else None
        if folder is None:
            raise not_found(str(kernel_id))
        return folder

    def _lock(self, kernel_id: str) -> asyncio.Lock:
        return self._locks.setdefault(kernel_id, asyncio.Lock())

    async def start(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """``kernels.start``."""
        order = order_of(params)
        async with self._lock(order["kernel_id"]):
            if kernel_folder(order["kernel_id"]) is not None:
                await self._make_room(order["kernel_id"])
            try:
                state, _ = state_folder()
                folder = new_kernel_folder(order["kernel_id"])
                if not order["here"]:
                    to_the_lab = lab_environment(order["kernel_id"], order["notebook"])
                    env = kernel_environment(order["env"], kernel_site(state), os.environ)
                    order["env"] = {**env, **to_the_lab}
            except OSError as error:
                raise ChannelReset(*disk_words(error)) from error
            if order["here"]:
                return await self._start_here(folder, order)
            taken = await self.pool.take(folder, order)
            if taken is not None:
                return taken
            if os.listdir(folder):  # a spare that could not be taken has begun there
                folder = new_kernel_folder(order["kernel_id"])
            python = await keeper_python(order["argv"], order["env"])
            return await start_keeper(python, folder, order, await self._how_to_survive())

    async def _start_here(self, folder: str, order: Dict[str, Any]) -> Dict[str, Any]:
        """The Lab's own machine: its kernels stay in the Lab's control group, whose limits and end are theirs too."""
        python = await keeper_python(order["argv"], order["env"])
        return await start_keeper(python, folder, order, survival.Survival("", "", False))

    async def warm(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """``kernels.warm``: keep ``count`` kernels of this command ready while the connection lasts."""
        scheme = str(params.get("signature_scheme") or "hmac-sha256")
        return await self.pool.keep(command_of(params), scheme, int(params["count"]))

    async def _start_spare(self, folder: str, argv: List[str], scheme: str) -> None:
        state, _ = state_folder()
        env = kernel_environment({}, kernel_site(state), os.environ)
        order = {
            "spare": True,
            "argv": argv,
            "env": env,
            "cwd": home(),
            "signature_scheme": scheme,
            "fits": fits(argv, scheme),
            "lease_s": LEASE_S,
        }
        await start_keeper(await keeper_python(argv, env), folder, order, await self._how_to_survive())

    async def _ask_spare(self, folder: str, method: str, params: Dict[str, Any], timeout_s: float) -> Any:
        streams = await self._connect(folder)
        if streams is None:
            raise ConnectionError("the spare kernel has ended, or was taken")
        return await _call(streams, method, params, timeout_s)

    async def _how_to_survive(self) -> survival.Survival:
        if self._survival is None:
            self._survival = await in_thread(lambda: survival.look(prepare=True))
        return self._survival

    async def _make_room(self, kernel_id: str) -> None:
        info = await self.info({"kernel_id": kernel_id})
        if info["state"] == "running":
            raise ChannelReset(
                "running", f"The kernel {kernel_id} runs already.", "Attach to it, or stop it first."
            )
        await self._forget(kernel_id)

    async def list(self, params: Dict[str, Any]) -> List[Dict[str, Any]]:
        """``kernels.list``. A Lab's kernels on its own machine are listed where they are asked for (``here``).

        A kernel whose keeper does not answer is listed by its state file, with the reason.
        """
        asked = [self._listed(kernel_id) for kernel_id in known_kernels()]
        found = []
        for info in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(info, ChannelReset):  # forgotten meanwhile
                continue
            if isinstance(info, BaseException):
                raise info
            if info["state"] == "ended" and (info.get("ended_at") or 0) < time.time() - KEPT_ENDED_S:
                with contextlib.suppress(ChannelReset):  # somebody else is at it
                    await self.forget({"kernel_id": info["kernel_id"]})
                continue
            if bool(info.get("here")) == bool(params.get("here")):
                found.append(info)
        return found

    async def _listed(self, kernel_id: str) -> Dict[str, Any]:
        try:
            return await self._ask(kernel_id, "info", {}, timeout_s=_LIST_S, patience_s=_LIST_S)
        except ChannelReset as reset:
            state = await in_thread(read_state, self._folder(kernel_id))
            if reset.code != "unresponsive" or state is None:
                raise
            return {**_info_of(state), "reason": reset.message, "execution_state": "unknown"}

    async def info(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """``kernels.info``."""
        return await self._ask(params["kernel_id"], "info", {})

    async def runs(self, kernel_id: Any) -> bool:
        """Whether a kernel of this id runs here now."""
        if not kernel_id_is_valid(kernel_id) or kernel_folder(kernel_id) is None:
            return False
        try:
            return bool((await self.info({"kernel_id": kernel_id}))["state"] == "running")
        except ChannelReset:
            return False

    async def signal(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """``kernels.signal``: to the kernel's process group."""
        return await self._ask_running(params["kernel_id"], "signal", {"signal": int(params["signal"])})

    async def stop(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """``kernels.stop``: answers when the kernel has ended; a keeper that does not answer is ended with it."""
        kernel_id, grace_s = params["kernel_id"], float(params.get("grace_s", 5.0))
        try:
            await self._ask(kernel_id, "info", {})
        except ChannelReset as reset:
            if reset.code != "unresponsive":
                raise
            await in_thread(_kill_keeper, self._folder(kernel_id))
        return await self._ask(kernel_id, "stop", {"grace_s": grace_s}, timeout_s=grace_s + 30.0)

    async def lease(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """``kernels.lease``: renew it, with this length."""
        return await self._ask_running(params["kernel_id"], "lease", {"seconds": float(params["seconds"])})

    async def policy(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """``kernels.policy``: when it is ended for doing nothing; ``idle`` null: never."""
        policy_of(params.get("idle"))  # raises ValueError here, where it can be answered
        return await self._ask_running(params["kernel_id"], "policy", {"idle": params.get("idle")})

    async def keep(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """``kernels.keep``: a person needs it, though it does nothing."""
        return await self._ask_running(params["kernel_id"], "keep", {})

    async def log(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """``kernels.log``: what the kernel printed outside of cells."""
        folder = self._folder(params["kernel_id"])
        size = min(int(params.get("max_bytes", 65536)), _MAX_LOG_BYTES)
        return {"text": tail(os.path.join(folder, KERNEL_LOG), size)}

    async def forget(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """``kernels.forget``: remove what is left of an ended kernel."""
        kernel_id = params["kernel_id"]
        async with self._lock(str(kernel_id)):  # who asks a second time waits for the first one's work
            await self._forget(kernel_id)
        return {}

    async def _forget(self, kernel_id: Any) -> None:
        folder = self._folder(kernel_id)
        streams = await self._connect(folder)
        if streams is not None:
            await _call(streams, "forget", {}, _CONNECT_S)
        elif await in_thread(self._settled, folder) is None:
            raise _unresponsive(kernel_id)
        await in_thread(forget, folder)

    async def open(self, kernel_id: Any) -> socket.socket:
        """The keeper's socket, for a Lab; of an ended kernel too: its journal is served still."""
        async with self._lock(str(kernel_id)):
            deadline = time.monotonic() + _CONNECT_S
            while True:
                folder = self._folder(kernel_id)
                sock = _socket_of(folder)
                if sock is not None:
                    return sock
                if await in_thread(self._settled, folder) is not None:
                    await self._serve_ended(folder)
                elif time.monotonic() > deadline:
                    raise _unresponsive(kernel_id)
                else:
                    await asyncio.sleep(_PAUSE_S)

    async def _serve_ended(self, folder: str) -> None:
        try:
            await start_keeper(sys.executable, folder, {"ended": True}, survival.Survival("", "", False))
        except ChannelReset as reset:
            if reset.code != "running":  # another connection was quicker
                raise

    async def _ask_running(self, kernel_id: Any, method: str, params: Dict[str, Any]) -> Dict[str, Any]:
        info = await self._ask(kernel_id, method, params)
        if info["state"] != "running":
            raise ChannelReset("ended", f"The kernel {kernel_id} has ended. {info['reason']}")
        return info

    async def _ask(
        self,
        kernel_id: Any,
        method: str,
        params: Dict[str, Any],
        timeout_s: float = _CONNECT_S,
        patience_s: float = _CONNECT_S,
    ) -> Dict[str, Any]:
        """``patience_s``: for a keeper that cannot be connected; ``timeout_s``: for its answer."""
        folder = self._folder(kernel_id)
        deadline = time.monotonic() + patience_s
        while True:
            streams = await self._connect(folder)
            if streams is not None:
                try:
                    found: Dict[str, Any] = await _call(streams, method, params, timeout_s)
                    return found
                except (asyncio.IncompleteReadError, ConnectionError):  # it ended meanwhile
                    pass
            settled = await in_thread(self._settled, folder)
            if settled is not None:
                return _info_of(settled)
            if time.monotonic() > deadline:
                raise _unresponsive(kernel_id)
            await asyncio.sleep(_PAUSE_S)

    async def _connect(self, folder: str) -> Optional[Streams]:
        sock = _socket_of(folder)
        return None if sock is None else await asyncio.open_unix_connection(sock=sock)

    def _settled(self, folder: str) -> Optional[Dict[str, Any]]:
        """The state of a kernel that has no keeper any more, brought up to date; None: it has one."""
        lock = FolderLock(folder)
        try:
            if not lock.take():
                return None
        except OSError:
            pass  # a disk that can only be read
        try:
            state = read_state(folder)
            if state is None:
                state = {
                    "kernel_id": os.path.basename(folder),
                    "state": "ended",
                    "reason": "It never started.",
                    "ended_at": _changed_at(folder),  # another connection may be starting it this moment
                }
            elif state["state"] == "running":
                state.update(_end_without_keeper(state))
                write_state(folder, state)
            return state
        finally:
            lock.release()


def _kill_keeper(folder: str) -> None:
    """End a keeper that does not answer, if the pid is still its own; its kernel is found without a keeper then."""
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


def _end_without_keeper(state: Dict[str, Any]) -> Dict[str, Any]:
    found = {"state": "ended", "ended_at": time.time(), "execution_state": "dead", "noted": False}
    if state.get("boot_id") != processes.boot_id():
        return {**found, "reason": "The host was restarted."}
    reason = "Its agent was killed."
    if state.get("pid") and processes.end_orphans(state["pid"], state.get("pid_started", "")):
        reason = "Its agent was killed, and the kernel ended with it."
    return {**found, "reason": reason}


def _info_of(state: Dict[str, Any]) -> Dict[str, Any]:
    empty = {
        "incarnation": "",
        "name": "",
        "pid": 0,
        "exit_code": None,
        "reason": "",
        "started_at": None,
        "ended_at": None,
        "notebook": "",
        "owner": "",
        "first_seq": 1,
        "last_seq": 0,
        "acked_seq": 0,
        "agent_version": "",
        "journal_bytes": 0,
        "execution_state": "dead",
        "ended_by": "",
        "idle": None,
    }
    return {**empty, **public(state), "attached": None, "lease_until": None, "lease_seconds": 0.0}


def _socket_of(folder: str) -> Optional[socket.socket]:
    """Connected to the keeper; None when there is none."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.connect(os.path.join(socket_folder(folder), SOCKET))
    except OSError:
        sock.close()
        return None
    return sock


async def _call(streams: Streams, method: str, params: Dict[str, Any], timeout_s: float) -> Any:
    reader, writer = streams
    try:
        writer.write(records.json_record(records.CALL, {"method": method, "params": params}))
        header = await asyncio.wait_for(reader.readexactly(records.HEADER.size), timeout_s)
        kind, _, length = records.HEADER.unpack(header)
        if kind != records.ANSWER or length > records.MAX_JSON_BYTES:
            raise ChannelReset("broken", "The keeper's answer cannot be read.")
        answer = json.loads(await asyncio.wait_for(reader.readexactly(length), timeout_s))
    except asyncio.TimeoutError:
        raise ChannelReset("unresponsive", "The kernel's keeper does not answer.") from None
    finally:
        writer.close()
    if "error" in answer:
        error = answer["error"]
        raise ChannelReset(error["code"], error["message"], error["hint"])
    return answer["result"]
