"""Clean up after a kernel under one of Nsight's tools, also when the server was killed.

ipykernel ends when its parent does. Under a tool its parent is the tool, which keeps running. So each such
kernel has a guard: a process of its own that waits for the end of the server. The guard recognises kernels of
any environment, before they have run a cell and while they are busy. It needs only the standard library and
psutil.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_ANSWERS_WITHIN_S = 20.0
_ENDS_WITHIN_S = 5.0
_LOOK_S = 1.0
_GUARD = "from genops_lab.kernels.nsight.cleanup import guard; guard()"


@dataclass(frozen=True)
class Ending:
    """The remains of a kernel that ``command`` started with ``variables``, under a tool that runs with
    ``env``."""

    command: list[str]
    variables: dict[str, str]
    env: dict[str, str]
    #: Ends the tool's agent, which outlives a killed launcher; empty without an agent.
    shutdown: list[str]
    #: Has what the kernel's user computes; empty without such a folder.
    folder: str

    def do(self) -> None:
        """End the processes and remove the folder. Blocks."""
        _end_kernel(self.command, self.variables)
        if self.shutdown:
            with contextlib.suppress(subprocess.TimeoutExpired, OSError):
                subprocess.run(
                    self.shutdown, env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                    timeout=_ANSWERS_WITHIN_S, check=False,
                )  # fmt: skip
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def guarded(ending: Ending) -> subprocess.Popen[bytes]:
    """Start a process that cleans up once this one was killed; kill it after a normal cleanup. Blocks. Raises
    OSError."""
    # Through a pipe: an environment has secrets. In its own session: Ctrl-C in the server's terminal must not
    # reach it.
    process = subprocess.Popen(
        [sys.executable, "-c", _GUARD, str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdin is not None
        with process.stdin as stdin:
            stdin.write(json.dumps(asdict(ending)).encode())
    except OSError:
        process.kill()
        process.wait()
        raise
    return process


def guard() -> None:
    """Run the process that ``guarded`` starts."""
    ending = Ending(**json.loads(sys.stdin.buffer.read()))
    server = int(sys.argv[1])
    while os.getppid() == server:
        time.sleep(_LOOK_S)
    ending.do()


def _end_kernel(command: Sequence[str], variables: Mapping[str, str]) -> None:
    """End the tool and the kernel: tools put the kernel into its own process group, and the next kernel has
    the same ports. Processes that the kernel has started keep running, as with other kernels."""
    import psutil  # on first use: the server's start imports the provisioner

    words, left = [*command[1:]], []
    for process in psutil.process_iter():
        # OSError: psutil passes FileNotFoundError on where a process ends while it is read.
        with contextlib.suppress(psutil.Error, OSError):
            started = process.cmdline()[-len(words) :] == words
            if words and started and variables.items() <= process.environ().items():
                process.kill()
                left.append(process)
    deadline = time.monotonic() + _ENDS_WITHIN_S
    while any(_runs(process) for process in left) and time.monotonic() < deadline:
        time.sleep(0.02)


def _runs(process: psutil.Process) -> bool:
    """Return whether a process has not ended. A zombie has ended: ``psutil.wait_procs`` would wait for it in
    vain, and the first process of many containers never reaps zombies."""
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
