"""Processes that have imported mlflow already: forked from one that did so once for the whole session of tests.

A program that starts here is a small process that hands its arguments, folder, environment and first three files to
the warm one, which forks. The fork calls the module's ``main``; it ends with the small process, and the small process
ends as it did. What runs is the same code on the same MLflow; what it spares is importing both, 1.3 s of CPU a
process. Cold starts are tested by ``tests/core/test_worker.py`` and wherever commands, benchmarks or another
environment's Python start what they need.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from genops_lab.core.worker import Worker
from tests.minutes import shared_process

from .homes import LEAKING

_ROOT = Path(__file__).parents[2]
_HOME = os.environ.get("HOME", "/")
_address: str | None = None
_own: tuple[subprocess.Popen[bytes], str] | None = None


def program(module: str) -> tuple[str, ...]:
    """Return the command that runs ``module`` in a warm process, instead of ``python -m module``."""
    starter = str(Path(__file__).with_name("warm_start.py"))
    return (sys.executable, "-I", "-S", starter, warm_address(), module)


def warm_address() -> str:
    """Return the path of the warm process's socket; start it if there is none, to end with this one."""
    global _address
    if _own is not None and _own[0].poll() is not None:
        end()
    if _address is None:
        _address = _start()
    return _address


def use(address: str) -> None:
    """Have this process's workers forked by the warm process at ``address``, which another one has started."""
    global _address
    _address = address
    Worker.program = program("genops_lab.core.worker_child")


def _start() -> str:
    folder = tempfile.mkdtemp(prefix="gol-warm-")
    address = f"{folder}/s"
    own = {name: value for name, value in os.environ.items() if not name.startswith(LEAKING)}
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "WARNING"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm_server", address],
        cwd=_ROOT,
        # It outlives the home of the test that needs it first, and what lives in that home is ended with it.
        env={**own, **quiet, "OPENBLAS_NUM_THREADS": "1", "HOME": _HOME},
        stdin=subprocess.PIPE,  # its end tells the warm process to end
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    shared_process("what has imported mlflow and forks", process.pid)
    global _own
    _own = (process, folder)
    atexit.register(end)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n", "the warm process did not start"
    return address


def end() -> None:
    """End the warm process that this one has started, if there is one."""
    global _own, _address
    if _own is None:
        return
    (process, folder), _own, _address = _own, None, None
    process.kill()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


class _Worker:
    """A worker's command; the warm process starts with the first one."""

    def __iter__(self) -> Iterator[str]:
        return iter(program("genops_lab.core.worker_child"))


@contextlib.contextmanager
def warm_workers() -> Iterator[None]:
    """Have the workers that this process starts come from the warm process."""
    before = Worker.program
    Worker.program = _Worker()
    try:
        yield
    finally:
        Worker.program = before
