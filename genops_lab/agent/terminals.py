"""Run a shell of this host in a terminal of its own, for a person (service ``terminal``).

The parameters are ``rows``, ``columns`` and ``term`` (the kind of terminal), and ``kernel_id`` for a shell in
the folder of a kernel, which counts as in use meanwhile. From the Lab come records: a kind (1 byte), a length
(4 bytes) and the content. It is what was typed (:data:`TYPED`), or a new size (:data:`SIZE`: rows and columns,
2 bytes each). To the Lab go pieces of output, each after its length (4 bytes). After a length of 0 comes JSON: the exit
``code``, or why there is no shell (``message``, ``hint``). The shell ends with its channel, as with a terminal
that is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pwd
import signal
import struct
import sys
import termios
from typing import Any, Dict, List, Optional

from . import presence
from .channels import Channel, ChannelReset
from .kernels import Kernels
from .launch_spec import home
from .paths import unit_folder, unit_id_is_valid
from .programs import LENGTH

RECORD = struct.Struct("!BI")
TYPED, SIZE = 0, 1
SIZES = struct.Struct("!HH")
_PORTION_BYTES = 65536
#: Seconds for the programs of a terminal to end by themselves after SIGHUP.
_GRACE_S = 2.0
#: Makes standard input the controlling terminal of the new session, then becomes the shell: code between fork and exec
#: of a process with threads would not be safe.
_STARTER = (
    "import fcntl,os,sys,termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[2:])"
)


async def serve(channel: Channel, kernels: Kernels) -> None:
    """Run a shell until it ends, or the channel does."""
    attendance: Optional[int] = None
    try:
        kernel_id, folder = str(channel.params.get("kernel_id") or ""), home()
        if kernel_id:
            folder = _folder_of((await kernels.info({"kernel_id": kernel_id})).get("pid"))
            attendance = _attend(kernel_id)
        shell = await _Shell.start(channel.params, folder)
    except ChannelReset as reset:
        _end(channel, {"message": reset.message, "hint": reset.hint})
        return
    except (OSError, ValueError) as error:
        _end(channel, {"message": f"No shell can be started on this host: {error}.", "hint": ""})
        return
    else:
        await shell.serve(channel)
    finally:
        if attendance is not None:
            os.close(attendance)


def _end(channel: Channel, ending: Dict[str, Any]) -> None:
    channel.write(LENGTH.pack(0) + json.dumps(ending).encode())
    channel.write_eof()


def _attend(kernel_id: str) -> Optional[int]:
    found = unit_folder(kernel_id) if unit_id_is_valid(kernel_id) else None
    return None if found is None else presence.attend(found)


def _folder_of(pid: Any) -> str:
    """Return the folder in which a process works; the home where the system does not say."""
    with contextlib.suppress(OSError):
        folder = os.readlink(f"/proc/{pid}/cwd")
        if os.path.isdir(folder):
            return folder
    return home()


def login_shell() -> str:
    """Return the user's shell, or sh where the user has none that can be started."""
    names: List[str] = [os.environ.get("SHELL") or ""]
    with contextlib.suppress(KeyError):  # a container's user may have no entry
        names.append(pwd.getpwuid(os.getuid()).pw_shell)
    for name in (*names, "/bin/bash"):
        if os.path.basename(name) not in ("nologin", "false") and os.access(name, os.X_OK):
            return name
    return "/bin/sh"


class _Shell:
    """A shell and the terminal that it runs in. ``master`` is our end of the terminal."""

    def __init__(self, process: Any, master: int) -> None:
        self._process = process
        self._master = master
        self._readable = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def start(cls, params: Dict[str, Any], folder: str) -> "_Shell":
        """Start a login shell. Raises OSError, ValueError."""
        shell = login_shell()
        master, slave = os.openpty()
        try:
            resize(master, int(params.get("rows") or 24), int(params.get("columns") or 80))
            os.set_blocking(master, False)
            argv = [sys.executable, "-I", "-S", "-c", _STARTER, shell, f"-{os.path.basename(shell)}"]
            env = {**os.environ, "TERM": str(params.get("term") or "xterm-256color"), "SHELL": shell}
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=env, start_new_session=True
            )
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        return cls(process, master)

    async def serve(self, channel: Channel) -> None:
        """Carry bytes until the shell or the channel ends; then end what runs in the terminal."""
        showing = asyncio.ensure_future(self._show(channel))
        typing = asyncio.ensure_future(self._type(channel))
        ending = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait([typing, ending, showing], return_when=asyncio.FIRST_COMPLETED)
            if typing.done() and not ending.done() and not showing.done():
                return  # the Lab has left
            with contextlib.suppress(asyncio.TimeoutError):
                # Nobody reads on where a program that was left running keeps the terminal open.
                await asyncio.wait_for(asyncio.shield(showing), _GRACE_S if ending.done() else None)
            code = await asyncio.wait_for(asyncio.shield(ending), _GRACE_S)
            _end(channel, {"code": code})
        except asyncio.TimeoutError:
            _end(channel, {"code": None})
        finally:
            await self._hang_up(showing, typing, ending)

    async def _show(self, channel: Channel) -> None:
        self._loop.add_reader(self._master, self._readable.set)
        while True:
            try:
                data = os.read(self._master, _PORTION_BYTES)
            except BlockingIOError:
                self._readable.clear()
                await self._readable.wait()
                continue
            except OSError:  # nobody has the terminal open any more
                return
            if not data:
                return
            channel.write(LENGTH.pack(len(data)) + data)
            if channel.crowded:
                self._loop.remove_reader(self._master)
                await channel.drain()
                self._loop.add_reader(self._master, self._readable.set)

    async def _type(self, channel: Channel) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ChannelReset, OSError):
            while True:
                kind, size = RECORD.unpack(await channel.read_exactly(RECORD.size))
                data = await channel.read_exactly(size)
                if kind == SIZE:
                    resize(self._master, *SIZES.unpack(data))
                else:
                    await self._write(data)

    async def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:  # the program does not read what was typed
                writable = asyncio.Event()
                self._loop.add_writer(self._master, writable.set)
                try:
                    await writable.wait()
                finally:
                    self._loop.remove_writer(self._master)

    async def _hang_up(self, *tasks: "asyncio.Future[Any]") -> None:
        self._loop.remove_reader(self._master)
        for task in tasks[:2]:
            task.cancel()
        await asyncio.wait(tasks[:2])
        os.close(self._master)  # the system sends SIGHUP to the shell and to the program in front
        if self._process.returncode is None:
            await asyncio.wait(tasks[2:], timeout=_GRACE_S)
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        tasks[2].cancel()


def resize(terminal: int, rows: int, columns: int) -> None:
    """Set the size of a terminal. Raises OSError."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
