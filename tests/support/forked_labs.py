"""JupyterLabs that are forked from a process which has imported what a Lab imports: 1.3 of the 2 s of CPU of a start.

The fork is a session of its own with the arguments, folder, environment and log of the Lab that was asked for, and its
pid is the Lab's. What starts otherwise is cold: another Python, ``warm=False``, variables that Python reads at its
start. ``tests/packaging`` starts Labs as users do.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.minutes import forked_process, shared_process

from .homes import LEAKING

_ROOT = Path(__file__).parents[2]
_HOME = os.environ.get("HOME", "/")
_LENGTH, _NUMBER = struct.Struct(">I"), struct.Struct(">i")

#: With what they import, nearly all of what a Lab has imported when it answers.
_OF_LABS = (
    "tests.support.warm_lab",
    "alembic.command",
    "genops_lab.kernels.nsight.tools",
    "genops_lab.kernels.local_provisioner",
    "genops_lab.app.extension",
    "genops_lab.app.application",
    "genops_lab.kernels.outputs.server",
    "genops_lab.kernels.local_agent",
    "genops_lab.kernels.remote_provisioner",
    "genops_lab.app.features",
    "genops_lab.jobs.kernels",
    "genops_lab.hosts.inventory",
    "genops_lab.kernels.warm_pool",
    "httpcore",
    "jupyter_lsp.virtual_documents_shadow",
    "jupyter_server_terminals.app",
    "jupyterlab.labapp",
    "notebook_shim.nbserver",
    "tornado.platform.asyncio",
)

#: The address of the process that forks the Labs of all of pytest's workers.
_OF_ALL = "TEST_RUN_LABS"

_own: tuple[subprocess.Popen[bytes], str] | None = None


class ForkedLab:
    """A Lab's process, as ``subprocess.Popen`` has it. The Lab ends with the process that holds this."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._connection = connection

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"the Lab of pid {self.pid}", timeout or 0.0)
            received = self._connection.recv(_NUMBER.size)
            self._connection.close()
            # Nothing is told where the one that forks was killed, and its forks with it.
            self.returncode = _NUMBER.unpack(received)[0] if received else -signal.SIGKILL
        return self.returncode

    def send_signal(self, sign: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # its end is not told yet
                os.kill(self.pid, sign)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def fork_lab(arguments: Sequence[str], folder: Path, environment: dict[str, str], log: int) -> ForkedLab:
    """Fork a Lab: ``arguments`` are those of ``tests.support.warm_lab``, ``log`` is a file to write to."""
    given = {
        "arguments": ["tests.support.warm_lab", *arguments],
        "folder": str(folder),
        "environment": environment,
    }
    payload = json.dumps(given).encode()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(_address())
    with open(os.devnull) as nothing:
        files = array.array("i", [nothing.fileno(), log, log])
        connection.sendmsg([_LENGTH.pack(len(payload))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        connection.sendall(payload)
        (pid,) = _NUMBER.unpack(connection.recv(_NUMBER.size))
    forked_process(pid)
    return ForkedLab(pid, connection)


def _address() -> str:
    if _own is not None and _own[0].poll() is None:
        return f"{_own[1]}/s"
    return os.environ.get(_OF_ALL) or _start()


def start_for_all() -> None:
    """Start the process that forks the Labs of the workers that this process is about to start."""
    os.environ[_OF_ALL] = _start()


def _start() -> str:
    global _own
    folder = tempfile.mkdtemp(prefix="gol-labs-")
    own = {name: value for name, value in os.environ.items() if not name.startswith(LEAKING)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.forked_labs", f"{folder}/s"],
        cwd=_ROOT,
        env={**own, "HOME": _HOME},  # it outlives the home of the test that needs it first
        stdin=subprocess.PIPE,  # its end tells it to end
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    shared_process("what has imported JupyterLab and forks", process.pid)
    if _own is None:
        atexit.register(end)
    _own = (process, folder)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n", "the process that forks Labs did not start"
    return f"{folder}/s"


def end() -> None:
    """End the process that forks, if there is one, and its forks."""
    global _own
    if _own is None:
        return
    (process, folder), _own = _own, None
    assert process.stdin is not None
    process.stdin.close()
    process.kill()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def serve(address: str) -> None:
    """Fork for whoever connects, until standard input ends."""
    from . import warm_server

    listener = warm_server._listener(address)
    print("ready", flush=True)
    warm_server._import(_OF_LABS)
    from jupyter_server.serverapp import JUPYTER_SERVICE_HANDLERS

    for modules in JUPYTER_SERVICE_HANDLERS.values():
        warm_server._import(modules or ())
    warm_server._forks_for(listener)


if __name__ == "__main__":
    serve(sys.argv[1])
