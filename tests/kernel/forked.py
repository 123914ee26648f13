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

TIMEOUT_S = 170.0

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

    def run(self, script: Path, env: dict[str, str]) -> Ended:
        """Run a file to its end, in its folder."""
        out, err = script.with_suffix(".out"), script.with_suffix(".err")
        task = {
            "path": str(script), "cwd": str(script.parent), "env": env, "out": str(out), "err": str(err),
            "timeout_s": TIMEOUT_S,
        }  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that forks has ended"
        return Ended(out.read_text(), err.read_text(), int(answer))


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
