"""Scripts in processes of their own that have PyTorch from the start: forked from one that imported it.

Importing PyTorch and what its optimizers import takes two seconds of CPU time, more than most scripts here. The one
that imports does nothing else (no thread, no profiler), so what a script finds is what a new process has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
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

_SERVER = """
import gc, json, os, runpy, sys, time
sys.dont_write_bytecode = True
import torch, torch._dynamo, torch.profiler
assert len(os.listdir("/proc/self/task")) == 1, "a fork would lose the other threads"
gc.collect()
gc.freeze()  # else each script's end looks through all of PyTorch's objects: half a second

def become(task):
    for number, path in ((1, task["out"]), (2, task["err"])):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.environ.clear()
    os.environ.update(task["env"])
    os.chdir(task["cwd"])
    sys.argv[:] = [task["path"]]
    sys.path[0] = os.path.dirname(task["path"])
    runpy.run_path(task["path"], run_name="__main__")

for request in sys.stdin:
    task = json.loads(request)
    child = os.fork()
    if not child:
        become(task)
        break
    ends = time.monotonic() + task["timeout_s"]
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > ends:
            os.kill(child, 9)
        time.sleep(0.005)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """What a script said, and its exit status."""

    out: str
    err: str
    code: int


class ForkServer:
    """Runs one script after another."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, script: Path, env: dict[str, str], timeout_s: float = TIMEOUT_S) -> Ended:
        """Run a file to its end, in its folder."""
        out, err = script.with_suffix(".out"), script.with_suffix(".err")
        task = {
            "path": str(script), "cwd": str(script.parent), "env": env, "out": str(out), "err": str(err),
            "timeout_s": timeout_s,
        }  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that forks has ended"
        return Ended(out.read_text(), err.read_text(), int(answer))


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
def fork_server() -> Iterator[ForkServer]:
    """One, ended afterwards."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    try:
        yield ForkServer(process)
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.wait(TIMEOUT_S)
        process.stdout.close()
