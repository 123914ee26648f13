"""Connect kernels on this host to the Lab: a unix socket for each, open while a Lab is connected.

A connection to it becomes a channel ``lab`` that this side opens. Without a Lab nobody listens, so that the
kernel's sender notices at once and keeps its events.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from typing import Any, Callable, Dict, List, Optional, Set

from . import paths
from .channels import Channel, ChannelReset
from .environment import kernel_environment, kernel_site
from .lab_proxy import known_lab_folder, known_lab_kernels, lab_environment, lab_folder, socket_path
from .state_file import FolderLock
from .threads import in_thread

LOCK, SPOOL = "lab.lock", "spool"
#: Events of a run, and predictions (:mod:`genops_lab.runtime.kept_predictions`).
_LEFT = (".jsonl", ".predictions")
_PIECE_BYTES = 65536
_FILES_AT_ONCE = 50
_TORN_AFTER_S = 60.0
#: The kernel side reads its start time to a clock tick of the boot time.
_TOLERANCE_S = 2.0
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")

Opener = Callable[[str, Dict[str, Any]], Channel]


# Files that ended processes of a kernel left


def is_gone(pid: object, created: object) -> bool:
    """Return whether a process of this host has ended, also where another one has its pid by now."""
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        return True
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()
        if fields[0] in (b"Z", b"X"):
            return True
        if isinstance(created, (int, float)):
            started = _boot_time() + int(fields[19]) / os.sysconf("SC_CLK_TCK")
            return abs(started - created) > _TOLERANCE_S
        return False
    except (OSError, IndexError, ValueError):
        if os.path.isdir("/proc/self"):
            return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _boot_time() -> float:
    with open("/proc/stat", "rb") as stream:
        for line in stream:
            if line.startswith(b"btime"):
                return float(line.split()[1])
    raise ValueError("the boot time is unknown")


def leftovers(folder: str) -> List[str]:
    """Return the spools and predictions of ended processes, the oldest first."""
    spool = os.path.join(folder, SPOOL)
    found = []
    try:
        names = [name for name in os.listdir(spool) if name.endswith(_LEFT)]
    except OSError:
        return []
    for name in names:
        path = os.path.join(spool, name)
        try:
            changed = os.stat(path).st_mtime
            with open(path, "rb") as stream:
                process = json.loads(stream.readline())["process"]
            if is_gone(process["pid"], process.get("created")):
                found.append((changed, path))
        except OSError:
            continue  # a kernel just deleted its own
        except (ValueError, KeyError, TypeError, AttributeError):
            if time.time() - changed > _TORN_AFTER_S:
                found.append((changed, path))  # the header will not come any more: the file is set aside
    return [path for _, path in sorted(found)]


# The sockets, while a Lab is connected


class KernelSockets:
    """The sockets of one connection. Everything here belongs to the loop of its mux."""

    def __init__(self, open_channel: Opener) -> None:
        self._open_channel = open_channel
        self._doors: Dict[str, _Door] = {}
        self._draining: Dict[str, "asyncio.Future[None]"] = {}
        self._tidied = False

    async def open(self, kernel_id: str) -> None:
        """Open the socket of a kernel that was started over this connection, so that its first cell reaches
        the Lab. Raises OSError."""
        if kernel_id not in self._doors:
            door = await _Door.claim(kernel_id, lab_folder(kernel_id), self._open_channel)
            if door is not None:
                self._doors[kernel_id] = door

    async def sync(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Serve the Lab's kernels and no others, and check the processes of its runs.

        ``{"kernels": {kernel_id: [{"run_key", "pid", "created"}]}}`` is answered by ``{"kernels": {kernel_id:
        {"gone": [run_key], "spooled": [run_key]}}}``. Files that ended processes left are sent meanwhile.
        Raises ValueError for an invalid question, OSError.
        """
        asked = params.get("kernels")
        if not isinstance(asked, dict) or not all(paths.unit_id_is_valid(key) for key in asked):
            raise ValueError("kernels must be an object of kernel ids")
        for kernel_id in set(self._doors) - set(asked):
            self._doors.pop(kernel_id).close()
        if not self._tidied:
            self._tidied = True
            await in_thread(_tidy)
        return {"kernels": {kernel_id: await self._look(kernel_id, asked[kernel_id]) for kernel_id in asked}}

    async def forgotten(self, kernel_id: str) -> None:
        """Remove the folder of a kernel that the host has forgotten, for the Lab may never come back."""
        if kernel_id in self._doors:
            self._doors.pop(kernel_id).close()
        folder = known_lab_folder(kernel_id)
        if folder is not None and kernel_id not in self._draining:
            await in_thread(_remove_if_empty, folder)

    async def _look(self, kernel_id: str, runs: Any) -> Dict[str, List[str]]:
        known = paths.unit_folder(kernel_id) is not None
        folder = lab_folder(kernel_id) if known else known_lab_folder(kernel_id)
        left = await in_thread(leftovers, folder) if folder is not None else []
        if folder is not None and (known or left):
            await self.open(kernel_id)
            if left and kernel_id in self._doors and kernel_id not in self._draining:
                self._draining[kernel_id] = asyncio.ensure_future(self._drain(kernel_id, folder, left))
        elif folder is not None:
            if kernel_id in self._doors:
                self._doors.pop(kernel_id).close()
            await in_thread(_remove_if_empty, folder)
        gone = [
            str(run["run_key"])
            for run in (runs if isinstance(runs, list) else [])
            if isinstance(run, dict) and "run_key" in run and is_gone(run.get("pid"), run.get("created"))
        ]
        return {"gone": gone, "spooled": [os.path.splitext(os.path.basename(path))[0] for path in left]}

    async def _drain(self, kernel_id: str, folder: str, files: List[str]) -> None:
        """Let the kernel side send the files; the next sync looks at those that stay."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        try:
            site = kernel_site(paths.state_folder()[0])
            env = {**kernel_environment({}, site, kept), **lab_environment(kernel_id, "")}
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "genops_lab.kernel.drain", *files[:_FILES_AT_ONCE],
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL, env=env, cwd=folder,
            )  # fmt: skip
            try:
                await process.wait()
            finally:
                if process.returncode is None:
                    process.terminate()
        except OSError as error:
            print(f"Files of kernel {kernel_id} cannot be sent: {error}", file=sys.stderr)
        finally:
            self._draining.pop(kernel_id, None)

    def close(self) -> None:
        """Close all sockets: the Lab has left."""
        for door in self._doors.values():
            door.close()
        self._doors.clear()
        for draining in self._draining.values():
            draining.cancel()


class _Door:
    """One kernel's socket. A lock ensures that only one connection listens for a kernel."""

    def __init__(self, kernel_id: str, path: str, lock: FolderLock, open_channel: Opener) -> None:
        self._kernel_id = kernel_id
        self._path = path
        self._lock = lock
        self._open_channel = open_channel
        self._server: Optional[asyncio.AbstractServer] = None
        self._tasks: Set["asyncio.Future[None]"] = set()

    @classmethod
    async def claim(cls, kernel_id: str, folder: str, open_channel: Opener) -> "Optional[_Door]":
        """Listen, or return None where another connection already does. Raises OSError."""
        path = socket_path(folder)
        lock = FolderLock(folder, LOCK)
        if not lock.take():
            return None
        try:
            _unlink(path)  # left by a killed connection
            door = cls(kernel_id, path, lock, open_channel)
            door._server = await asyncio.start_unix_server(door._connected, path)
            os.chmod(path, 0o600)
            return door
        except BaseException:
            lock.release()
            raise

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait([task])

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until the Lab's side has ended. Its end, or the connection's, ends the
        kernel's side."""
        try:
            channel = self._open_channel("lab", {"kernel_id": self._kernel_id})
        except ChannelReset:
            writer.close()
            return

        async def outward() -> None:
            while True:
                data = await reader.read(_PIECE_BYTES)
                if not data:
                    channel.write_eof()
                    return
                channel.write(data)
                await channel.drain()

        sending = asyncio.ensure_future(outward())
        try:
            while True:
                data = await channel.read(_PIECE_BYTES)
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        except ChannelReset:
            return
        except OSError:
            channel.reset("closed", "The kernel has closed its connection.")
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            channel.reset("done", "")
            writer.close()

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        _unlink(self._path)
        self._lock.release()


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _tidy() -> None:
    """Remove the folders of kernels that were forgotten while no Lab asked."""
    for kernel_id in known_lab_kernels():
        folder = known_lab_folder(kernel_id)
        if folder is not None and paths.unit_folder(kernel_id) is None:
            _remove_if_empty(folder)


def _remove_if_empty(folder: str) -> None:
    """Remove a forgotten kernel's folder, unless it has unsent files."""
    for _path, _folders, names in os.walk(folder):
        if set(names) - {LOCK}:
            return
    sockets = paths.socket_folder(folder)
    if sockets != folder:
        shutil.rmtree(sockets, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
