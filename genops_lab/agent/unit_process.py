"""Run a unit's process in a session of its own, and read its output from pipes."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import time
from typing import Dict, List, Optional, Set

from . import processes
from .logs import BoundedLog
from .records import STDERR, STDOUT

_READ_BYTES = 65536
#: Bytes of its last output, for the reason of its end.
_LAST_BYTES = 2000
_PR_SET_CHILD_SUBREAPER = 36
#: Seconds between two looks for processes that a command has left running.
LOOK_S = 0.05
#: Seconds after SIGKILL. A process that still exists then cannot be ended by this user.
_KILLED_S = 2.0


class UnitProcess:
    """``pid`` leads the unit's process group."""

    def __init__(self, argv: List[str], env: Dict[str, str], cwd: str, *, apart: bool) -> None:
        """Start the process; ``apart``: standard error has its own pipe. Raises OSError."""
        self._oom_kills = processes.oom_kills()
        self._signal_sent = 0
        self._last: Dict[int, bytes] = {}
        pipes = [os.pipe() for _ in range(2 if apart else 1)]
        try:
            self._process: "subprocess.Popen[bytes]" = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd or None,
                stdin=subprocess.DEVNULL,
                stdout=pipes[0][1],
                stderr=pipes[-1][1],
                start_new_session=True,
            )
        except BaseException:
            for reading, _ in pipes:
                os.close(reading)
            raise
        finally:
            for _, writing in pipes:
                os.close(writing)
        #: Descriptors to poll for reading, each until its end: STDOUT's and, where it is apart, STDERR's.
        self.outputs: Dict[int, int] = {}
        for number, (reading, _) in enumerate(pipes):
            os.set_blocking(reading, False)
            self.outputs[reading] = (STDOUT, STDERR)[number]
        self.pid = self._process.pid
        self.started = processes.start_time(self.pid)

    def read(self, descriptor: int) -> Optional[bytes]:
        """Read printed bytes; None at the end."""
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            del self.outputs[descriptor]
            os.close(descriptor)
            return None
        stream = self.outputs[descriptor]
        self._last[stream] = (self._last.get(stream, b"") + data)[-_LAST_BYTES:]
        return data

    def poll(self) -> Optional[int]:
        """Return the exit code once it has ended; negative: the signal."""
        return self._process.poll()

    def signal(self, number: int) -> bool:
        """Send a signal to the whole unit. False when it has ended."""
        if self._process.returncode is not None and not processes.group_members(self.pid):
            return False
        if number in (signal.SIGTERM, signal.SIGKILL):
            self._signal_sent = number
        return self._reach(number)

    def _reach(self, number: int) -> bool:
        return processes.signal_group(self.pid, number)

    def why(self, code: int) -> str:
        """Return the reason of the end as text."""
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            if -code == self._signal_sent:
                return f"It was ended ({name})."
            return f"It was killed by signal {-code} ({name}{self._memory(-code)})."
        if code == 0:
            return "It ended by itself (exit code 0)."
        printed = self._last.get(STDERR) or self._last.get(STDOUT) or b""
        words = printed.decode("utf-8", "replace").strip().splitlines()
        last = f": {words[-1][:300]}" if words else ""
        return f"It ended with exit code {code}{last}"

    def _memory(self, number: int) -> str:
        if number != signal.SIGKILL:
            return ""
        now = processes.oom_kills()
        if now is not None and self._oom_kills is not None and now > self._oom_kills:
            return ", out of memory"
        return ", out of memory?"

    def memory_bytes(self) -> int:
        """Return the resident memory of the group."""
        return sum(processes.group_members(self.pid).values())

    def close(self) -> None:
        """Close the descriptors; the processes stay."""
        for descriptor in self.outputs:
            os.close(descriptor)
        self.outputs.clear()


class KernelProcess(UnitProcess):
    """Its output outside of cells goes to a log of limited size."""

    def __init__(self, argv: List[str], env: Dict[str, str], cwd: str, log_path: str) -> None:
        self._log = BoundedLog(log_path)
        self._log_path = log_path
        # ipykernel ends with its keeper
        super().__init__(argv, {**env, "JPY_PARENT_PID": str(os.getpid())}, cwd, apart=False)

    @property
    def output(self) -> int:
        """The descriptor of its output; -1 at the end."""
        return next(iter(self.outputs), -1)

    def read_output(self) -> bool:
        """Read printed bytes. False at the end."""
        data = self.read(self.output)
        if data:
            self._log.write(data)
        return data is not None

    def move_log(self, path: str) -> None:
        """Write the log to this path from now on. Raises OSError."""
        self._log.close()
        os.replace(self._log_path, path)
        self._log, self._log_path = BoundedLog(path), path

    def close(self) -> None:
        super().close()
        self._log.close()


class CommandProcess(UnitProcess):
    """A command with all processes that it starts. A process that its parent leaves becomes this process's
    child (on Linux), also where it has left the group: it is found, and ended with the command. This process
    starts nothing else."""

    def __init__(self, argv: List[str], env: Dict[str, str], cwd: str) -> None:
        _adopt_orphans()
        #: Whether the first process has ended and others of the command have not.
        self.left_others = False
        self._give_up_at = math.inf
        self._next_look = 0.0
        super().__init__(argv, env, cwd, apart=True)

    def poll(self) -> Optional[int]:
        """Return the first process's exit code, once all have ended."""
        self._reap()
        code, now = super().poll(), time.monotonic()
        if code is not None and now >= self._next_look:
            self._next_look = now + LOOK_S
            killed = self._give_up_at < math.inf
            # killed again: one may have been started while the others were killed
            self.left_others = self._reach(signal.SIGKILL) if killed else bool(self._members())
        return None if self.left_others and now < self._give_up_at else code

    def _reap(self) -> None:
        """Reap the processes that were left to this one."""
        if not hasattr(os, "waitid"):
            return
        with contextlib.suppress(ChildProcessError):
            while True:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None or ended.si_pid == self.pid:
                    return
                os.waitpid(ended.si_pid, os.WNOHANG)

    def signal(self, number: int) -> bool:
        if number in (signal.SIGTERM, signal.SIGKILL) and self._process.returncode is None:
            self._signal_sent = number
        if number == signal.SIGKILL:
            self._give_up_at = time.monotonic() + _KILLED_S
        return self._reach(number)

    def _reach(self, number: int) -> bool:
        members = self._members()
        for pid in members:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        if os.path.isdir("/proc/self"):
            return bool(members)
        return super()._reach(number) or bool(members)

    def _members(self) -> Set[int]:
        own = os.getpid()
        return set(processes.trees([own])[own]) - {own}

    def memory_bytes(self) -> int:
        own = os.getpid()
        return sum(each.memory_bytes for pid, each in processes.trees([own])[own].items() if pid != own)


def _adopt_orphans() -> None:
    with contextlib.suppress(ImportError, OSError, AttributeError):  # another system than Linux
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
