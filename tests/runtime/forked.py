"""Scripts and kernels in processes of their own that have PyTorch from the start: forked from one that imported it.

Importing PyTorch and what its optimizers import takes two to five seconds of CPU time, more than most scripts here. The
one that imports does nothing else (no thread, no profiler), so what a script finds is what a new process has.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.homes import Home

TIMEOUT_S = 170.0

TRAINING = """
import torch, genops, sys, threading
torch.set_num_threads(1)
net = torch.nn.Linear(8, 8)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.ones(4, 8)
def step():
    optimizer.zero_grad()
    net(x).square().mean().backward()
    optimizer.step()
def memory():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
"""

#: What the one that forks imports, for scripts and kernels that use PyTorch, and for any kernels.
TORCH = "torch, torch._dynamo, torch.profiler"
IPYKERNEL = "ipykernel.kernelapp, ipykernel.ipkernel, ipykernel.zmqshell, IPython.core.debugger"

_SERVER = """
import atexit, gc, json, os, runpy, signal, sys, threading
sys.dont_write_bytecode = True
exec(f"import {sys.argv[1]}")
assert len(os.listdir("/proc/self/task")) == 1, "a fork would lose the other threads"
gc.collect()
gc.freeze()  # else each script's end looks through all of PyTorch's objects: half a second

def become(task):
    os.setpgid(0, 0)
    for number, path in ((1, task["out"]), (2, task["err"])):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.environ.clear()
    os.environ.update(task["env"], JPY_PARENT_PID=str(os.getppid()))
    os.chdir(task["cwd"])
    sys.argv[:] = task["argv"]
    if task["module"]:
        sys.path[0] = task["cwd"]
        runpy.run_module(task["module"], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(sys.argv[0])
        runpy.run_path(sys.argv[0], run_name="__main__")

def end(task):
    # As Python ends, but for taking down PyTorch's modules: that copies 120 MB and costs more than most scripts.
    code = 0
    try:
        become(task)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if code and ended.code is not code:
            print(ended.code, file=sys.stderr)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)

for request in sys.stdin:
    task = json.loads(request)
    if "ended" in task:
        done, status = os.waitpid(task["ended"], os.WNOHANG)
        print(json.dumps(os.waitstatus_to_exitcode(status) if done else None), flush=True)
        continue
    child = os.fork()
    if not child:
        if not task["whole"]:
            end(task)
        become(task)
        break
    os.setpgid(child, child)  # whoever is told of it may signal its group
    print(child, flush=True)
else:
    os._exit(0)
"""


@dataclass(frozen=True)
class Ended:
    """What a script said, and its exit status."""

    out: str
    err: str
    code: int


class Forked:
    """A process as ``subprocess.Popen`` shows it, without pipes."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, ended: Callable[[int], int | None]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        """Its exit status, once it has ended."""
        if self.returncode is None:
            self.returncode = self._ended(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status. Raises TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        """Nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """Starts scripts and kernels."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lock = threading.Lock()

    def run(
        self, script: Path, env: dict[str, str], timeout_s: float = TIMEOUT_S, *, whole: bool = False
    ) -> Ended:
        """Run a file to its end, in its folder; one that takes longer is killed. ``whole``: Python takes down all its
        modules at the end."""
        started = self._start("", [str(script)], env, script.parent, script, whole=whole)
        try:
            code = started.wait(timeout_s)
        except subprocess.TimeoutExpired:
            started.kill()
            code = started.wait()
        return Ended(script.with_suffix(".out").read_text(), script.with_suffix(".err").read_text(), code)

    def launch_kernel(self, command: list[str], *, env: dict[str, str], cwd: str, **_: object) -> Forked:
        """Start a kernel, in place of ``jupyter_client``'s function of this name."""
        assert command[1:3] == ["-m", "ipykernel_launcher"], command
        connection_file = Path(command[-1])
        return self._start(command[2], [*command[2:]], env, Path(cwd), connection_file)

    def _start(
        self,
        module: str,
        argv: list[str],
        env: dict[str, str],
        cwd: Path,
        beside: Path,
        *,
        whole: bool = False,
    ) -> Forked:
        out, err = beside.with_suffix(".out"), beside.with_suffix(".err")
        task = {
            "module": module, "argv": argv, "env": env, "cwd": str(cwd), "out": str(out), "err": str(err),
            "whole": whole,
        }  # fmt: skip
        return Forked(self._ask(task), lambda pid: self._ask({"ended": pid}))

    def _ask(self, task: Mapping[str, object]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(task) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        assert answer, "the process that forks has ended"
        return json.loads(answer)


@dataclass
class Ran:
    """A script that has ended."""

    out: str
    err: str
    code: int
    home: Home

    @property
    def trace(self) -> dict[str, Any]:
        (path,) = (self.home.data / "profiles").glob("*/trace.json")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    @property
    def names(self) -> list[str]:
        return [event.get("name", "") for event in self.trace["traceEvents"] if event.get("ph") == "X"]

    def steps(self) -> list[str]:
        return sorted(name for name in set(self.names) if name.startswith("ProfilerStep#"))


@contextmanager
def fork_server(imported: str = TORCH) -> Iterator[ForkServer]:
    """One that has ``imported`` these modules, ended afterwards."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, imported], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    try:
        yield ForkServer(process)
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.wait(TIMEOUT_S)
        process.stdout.close()
