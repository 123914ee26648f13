"""Processes that have imported mlflow already: forked from one that did so once for the whole session of tests.

A program that starts here is a small process that hands its arguments, folder, environment and first three files to
the warm one, which forks. The fork calls the module's ``main``; it ends with the small process, and the small process
ends as it did. What runs is the same code on the same MLflow; what it spares is importing both, 1.3 s of CPU a
process. Cold starts are tested by ``tests/core/test_worker.py`` and wherever commands, benchmarks or another
environment's Python start what they need.

All of pytest's workers have one warm process together: the process that leads them starts it (``start_for_all``).

Scoring processes are forked likewise, from a second warm process. It is the small process that is seen, killed and
frozen in their place: what looks at the process itself has it cold (``cold_scoring``).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from genops_lab.core.worker import Worker
from genops_lab.deployments.targets import local
from genops_lab.evaluations import processes
from genops_lab.experiments.server import MlflowServer
from tests.minutes import shared_process

from .homes import LEAKING, Home

_ROOT = Path(__file__).parents[2]
_STARTER = str(Path(__file__).with_name("warm_start.py"))
_HOME = os.environ.get("HOME", "/")
_SERVER = local.SERVER
_RUNNER = processes.RUNNER

#: What follows the address of the warm process in that of the one that has imported what loads models.
SCORING = "-scoring"

#: The same for the one that has imported MLflow's server.
SERVER = "-server"

#: The same for the one that has imported ipykernel, and not MLflow.
KERNELS = "-kernels"

#: The address of the warm process of all of pytest's workers.
_OF_ALL = "TEST_RUN_WARM"

_address: str | None = None
_own: tuple[subprocess.Popen[bytes], str] | None = None


def program(module: str, which: str = "") -> tuple[str, ...]:
    """Return the command that runs ``module`` in a warm process, instead of ``python -m module``.

    ``which``: ``SCORING`` or ``SERVER`` for the one that has imported that too.
    """
    return (sys.executable, "-I", "-S", _STARTER, warm_address() + which, module)


def script(code: str, *arguments: str, scikit_learn: bool = False) -> tuple[str, ...]:
    """Return the command that runs ``code`` in a warm process, instead of ``python -c``; in the one that has imported
    scikit-learn too."""
    return (*program("tests.support.warm_python", SCORING if scikit_learn else ""), code, *arguments)


def warm_address() -> str:
    """Return the path of the warm process's socket; start it if there is none, to end with this one."""
    global _address
    if _own is not None and _own[0].poll() is not None:
        end()
    if _address is None:
        _address = os.environ.get(_OF_ALL) or _start()
    return _address


def start_for_all() -> None:
    """Start the warm process of the workers that this process is about to start."""
    os.environ[_OF_ALL] = _start()


def use(address: str) -> None:
    """Have this process's workers forked by the warm process at ``address``, which another one has started."""
    global _address
    _address = address
    Worker.program = program("genops_lab.core.worker_child")
    MlflowServer.program = program("genops_lab.experiments.server_guard", SERVER)
    local.SERVER = _model_program(address, "scoring")
    processes.RUNNER = _model_program(address, "evaluating")


def _model_program(address: str, module: str) -> Path:
    """Return the file that stands for a process of models; where a model's own environment runs it, it is that one."""
    return Path(address).with_name(f"{module}.py")


_MODEL_PROGRAM = """
import runpy, sys
if sys.executable == {python!r}:
    sys.argv[1:1] = [{address!r}, "tests.support.{module}"]
    runpy.run_path({starter!r}, run_name="__main__")
else:
    runpy.run_path({original!r}, run_name="__main__")
"""


def _start() -> str:
    folder = tempfile.mkdtemp(prefix="gol-warm-")
    address = f"{folder}/s"
    of = {"python": sys.executable, "address": address + SCORING, "starter": _STARTER}
    for module, original in (("scoring", _SERVER), ("evaluating", _RUNNER)):
        text = _MODEL_PROGRAM.format(**of, module=module, original=str(original))
        _model_program(address, module).write_text(text)
    own = {name: value for name, value in os.environ.items() if not name.startswith(LEAKING)}
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "WARNING",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }  # fmt: skip
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


def forked_kernels(home: Home, *names: str) -> dict[str, str]:
    """Return the variables with which a Lab forks kernels of these names, and of ``python3``: a cold one takes three
    times the CPU."""
    argv = [*program("tests.support.warm_kernel", KERNELS), "-f", "{connection_file}"]
    kind = json.dumps({"argv": argv, "display_name": "Forked", "language": "python"})
    for name in ("python3", *names):
        folder = home.path / "forked" / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(kind, encoding="utf-8")
    return {"JUPYTER_PATH": str(home.path / "forked")}


def end() -> None:
    """End the warm process that this one has started, if there is one."""
    global _own, _address
    if _own is None:
        return
    (process, folder), _own, _address = _own, None, None
    assert process.stdin is not None
    process.stdin.close()  # which ends the second one too
    process.kill()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _disown() -> None:
    """A fork of this process uses the warm process, and does not end it: it is no child of its own."""
    global _own
    _own = None


os.register_at_fork(after_in_child=_disown)


class _Program:
    """The command of a module; the warm process starts with the first one."""

    def __init__(self, module: str, which: str = "") -> None:
        self._asked = module, which

    def __iter__(self) -> Iterator[str]:
        return iter(program(*self._asked))


@contextlib.contextmanager
def warm_workers() -> Iterator[None]:
    """Have the workers, MLflow servers and scoring processes that this process starts come from the warm ones."""
    before = Worker.program, MlflowServer.program, local.SERVER, processes.RUNNER
    Worker.program = _Program("genops_lab.core.worker_child")
    MlflowServer.program = _Program("genops_lab.experiments.server_guard", SERVER)
    local.SERVER = _model_program(warm_address(), "scoring")
    processes.RUNNER = _model_program(warm_address(), "evaluating")
    try:
        yield
    finally:
        Worker.program, MlflowServer.program, local.SERVER, processes.RUNNER = before


@contextlib.contextmanager
def cold_scoring() -> Iterator[None]:
    """Have the scoring processes that this process starts be processes of their own, as a user's are."""
    before = local.SERVER, processes.RUNNER
    local.SERVER, processes.RUNNER = _SERVER, _RUNNER
    try:
        yield
    finally:
        local.SERVER, processes.RUNNER = before
