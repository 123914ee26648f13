"""The process that has imported what MLflow's workers need, and forks: one thread, so that forking is safe.

What loads models needs more (scikit-learn, skops, which imports PyTorch): 5 s of CPU. A second such process, forked
from this one when the first model is loaded, imports that too, and listens at the address with ``SCORING`` behind it.
A third does the same for MLflow's servers (``SERVER``), whose app takes 1 s. One that was forked before anything was
imported imports ipykernel when the first kernel is asked for (``KERNELS``): what runs in kernels finds nothing else.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import select
import selectors
import signal
import socket
import struct
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from tests.minutes import forked_process
from tests.minutes.processes import MARK
from tests.support import warm, warm_databases

_OF_WORKERS = (
    "genops_lab.experiments.backends.embedded",
    "genops_lab.experiments.backends.runs",
    "genops_lab.experiments.backends.writing",
    "genops_lab.experiments.charts.readers",
    "genops_lab.experiments.columns.backend",
    "genops_lab.experiments.columns.grouping",
    "genops_lab.experiments.columns.mirror",
    "genops_lab.experiments.query.evaluate",
    "genops_lab.profiling.backends.artifacts",
    "genops_lab.profiling.engine",
    "genops_lab.registry.backends.mlflow_models",
    "git",
    "litellm",  # by which MLflow asks models, and its server prices traces
    "mlflow.genai",  # of prompts, judges and labels
    "scipy.special",  # of comparisons
)
#: With what they import when they need it: without a Lab its services, else the operations.
_OF_COMMANDS = (
    "genops_lab.commands.main",
    "genops_lab.commands.run_listing",
    "genops_lab.commands.terminal",
    "genops_lab.core.running_labs",
    "genops_lab.experiments.query.grammar",
    "genops_lab.app.application",
    "genops_lab.app.features",
    "jupyter_core.paths",
    "lark.parsers.earley",
    "rich.console",
    "rich.table",
    "typer._click.decorators",
)
_OF_SCORING = (
    "mlflow.pyfunc.scoring_server",
    "mlflow.sklearn",
    "skops.io",
    "uvicorn",
    "tests.support.scoring",
)
#: The first makes MLflow's app that of a server.
_OF_SERVERS = ("uvicorn", "mlflow.server.fastapi_app", "tests.support.mlflow_app")
_OF_KERNELS = ("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "IPython.core.debugger")
_MOST_FILES = 8
#: Above the files that a process has when it starts.
_ABOVE = 500
_LENGTH = struct.Struct(">I")
_NUMBER = struct.Struct(">i")


def _import(modules: Iterable[str]) -> None:
    for module in modules:
        importlib.import_module(module)


def _import_all(folder: Path) -> None:
    """Import what workers and commands need, and what MLflow imports at its first calls. ``folder``: this process's."""
    from mlflow import MlflowClient

    from genops_lab.commands.main import grammar
    from genops_lab.experiments.backends.client import _known_revisions

    _import(_OF_WORKERS)
    _import(_OF_COMMANDS)
    for word in grammar().list_commands(None):
        grammar().get_command(None, word)
    _known_revisions()
    warm_databases.make_once(folder / "made.db")
    with tempfile.TemporaryDirectory() as folder:
        client = MlflowClient(f"sqlite:///{folder}/warm.db")
        client.search_experiments()
        client.search_registered_models()
        for store in (client._tracking_client.store, client._get_registry_client().store):
            store.engine.dispose()
            type(store)._engine_map.clear()


def _go_on_as(modules: Iterable[str], listener: socket.socket) -> None:
    """In a fork: import more, and fork for whoever needs that."""
    _import(modules)
    assert psutil.Process().num_threads() == 1, "a fork would lose the other threads"
    _forks_for(listener)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    files = array.array("i")
    head, ancillary, _flags, _address = connection.recvmsg(
        _LENGTH.size, socket.CMSG_LEN(_MOST_FILES * files.itemsize)
    )
    for _level, _kind, data in ancillary:
        files.frombytes(data)
    with connection.makefile("rb") as stream:
        return json.loads(stream.read(_LENGTH.unpack(head)[0])), list(files)


def _moved(file: int) -> int:
    moved = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    os.close(file)
    return moved


def _run(starter: socket.socket, given: dict[str, Any], files: list[int]) -> None:
    """In the fork: become the process that was asked for."""
    # None of them may lie where another one belongs.
    connection, *files = (_moved(file) for file in (starter.detach(), *files))
    for place, file in zip(given.get("places", range(3)), files, strict=True):
        os.dup2(file, place)
        os.close(file)
    os.environ.clear()
    os.environ.update(given["environment"])
    os.chdir(given["folder"])
    tempfile.tempdir = None  # that of the environment
    for sign in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler if sign == signal.SIGINT else signal.SIG_DFL)

    def end_with_the_starter() -> None:
        os.read(connection, 1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=end_with_the_starter, daemon=True).start()
    module, *arguments = given["arguments"]
    sys.argv = [module, *arguments]
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    _end(_code_of(module))


def _code_of(module: str) -> int:
    """Run the module's ``main`` and return the exit code, as Python makes one."""
    try:
        importlib.import_module(module).main()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException:  # as an uncaught one ends a program
        traceback.print_exc()
        return 1
    return 0


def _end(code: int) -> None:
    """End the fork without taking down the interpreter: libraries wait there for threads that a fork has not."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def serve(address: str) -> None:
    """Fork for whoever connects, until standard input ends. Who connects before everything is imported waits."""
    warm.use(address)
    kernels = _listener(address + warm.KERNELS)
    if not os.fork():
        _serve_kernels(kernels)
        return
    kernels.close()
    more = {warm.SCORING: _OF_SCORING, warm.SERVER: _OF_SERVERS}
    later = {_listener(address + name): modules for name, modules in more.items()}
    own = _listener(address)
    print("ready", flush=True)
    _import_all(Path(address).parent)
    assert threading.active_count() == 1, threading.enumerate()
    if asked := _forks_for(own, later):
        _go_on_as(later[asked], asked)


def _listener(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(256)
    return listener


def _forks_for(listener: socket.socket, later: Iterable[socket.socket] = ()) -> socket.socket | None:
    """Fork for whoever connects to ``listener``, until standard input has ended. The first time that somebody connects
    to one of ``later``, a fork returns it, to go on with that one."""
    gc.collect()
    gc.freeze()
    later = list(later)
    waiting: dict[int, socket.socket] = {}
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    selector = selectors.DefaultSelector()
    for file in (listener, woken, 0, *later):
        selector.register(file, selectors.EVENT_READ)

    def close(but: socket.socket | None = None) -> None:
        signal.set_wakeup_fd(-1)
        for other in (listener, selector, *waiting.values(), *later):
            if other is not but:
                other.close()
        os.close(woken)
        os.close(wake)

    while True:
        ready = [key.fd for key, _events in selector.select()]
        if 0 in ready:
            return None
        if woken in ready:
            os.read(woken, 1000)
            _tell_ends(waiting)
        for asked in [each for each in later if each.fileno() in ready]:
            if not os.fork():
                close(but=asked)
                return asked
            selector.unregister(asked)
            later.remove(asked)
            asked.close()
        if listener.fileno() in ready:
            connection, _ = listener.accept()
            given, files = _receive(connection)
            pid = os.fork()
            if not pid:
                close()
                _run(connection, given, files)
            for file in files:
                os.close(file)
            waiting[pid] = connection
            forked_process(pid, given["environment"].get(MARK, ""))
            _send(connection, pid)


def _tell_ends(waiting: dict[int, socket.socket]) -> None:
    while waiting:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        if pid in waiting:  # the later ones are not
            with waiting.pop(pid) as connection:
                _send(connection, os.waitstatus_to_exitcode(status))


def _send(connection: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the starter was killed
        connection.sendall(_NUMBER.pack(number))


def _serve_kernels(listener: socket.socket) -> None:
    """Fork kernels, until standard input ends."""
    if 0 in select.select([listener, 0], [], [])[0]:
        return
    assert "mlflow" not in sys.modules, "the kernels' runs would look as if the user had imported it"
    _go_on_as(_OF_KERNELS, listener)


if __name__ == "__main__":
    serve(sys.argv[1])
    os._exit(0)  # to take down all that was imported costs half a second and more
