"""The kernel's process: started in its own session, its words kept in a log of bounded size."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any, Dict, List, Optional

from . import processes
from .logs import BoundedLog, tail

_READ_BYTES = 65536


class KernelProcess:
    """``pid`` leads the kernel's process group."""

    def __init__(self, argv: List[str], env: Dict[str, str], cwd: str, log_path: str) -> None:
        """Start it. Raises OSError."""
        self._log = BoundedLog(log_path)
        self._log_path = log_path
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._oom_kills = processes.oom_kills()
        self._signal_sent = 0
        try:
            self._process: "subprocess.Popen[bytes]" = subprocess.Popen(
                argv,
                env={**env, "JPY_PARENT_PID": str(os.getpid())},  # ipykernel ends with its keeper
                cwd=cwd or None,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        #: What the kernel prints outside of cells; to be polled for reading. -1 at its end.
        self.output = reading
        self.pid = self._process.pid
        self.started = processes.start_time(self.pid)

    def read_output(self) -> bool:
        """Take what was printed. False at the end."""
        try:
            data = os.read(self.output, _READ_BYTES)
        except BlockingIOError:
            return True
        self._log.write(data)
        if not data:
            os.close(self.output)
            self.output = -1
        return bool(data)

    def poll(self) -> Optional[int]:
        """The exit code once it has ended; negative: the signal."""
        return self._process.poll()

    def signal(self, number: int) -> bool:
        """Signal the whole group. False when it has ended."""
        if self._process.returncode is not None and not processes.group_members(self.pid):
            return False
        if number in (signal.SIGTERM, signal.SIGKILL):
            self._signal_sent = number
        return processes.signal_group(self.pid, number)

    def why(self, code: int) -> str:
        """The reason for people."""
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
        words = tail(self._log_path, 2000).strip().splitlines()
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
        """Resident memory of the group."""
        return sum(processes.group_members(self.pid).values())

    def move_log(self, path: str) -> None:
        """Keep the log there from now on. Raises OSError."""
        self._log.close()
        os.replace(self._log_path, path)
        self._log, self._log_path = BoundedLog(path), path

    def close(self) -> Any:
        """Close what is open; the processes stay as they are."""
        if self.output >= 0:
            os.close(self.output)
            self.output = -1
        self._log.close()
