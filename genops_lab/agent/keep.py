"""``agent keep``: becomes the keeper of a kernel, apart from the connection that asked for it.

The order comes as JSON on standard input; one line of JSON on standard output says that the kernel was started,
or why not. Nothing secret is in the arguments or in a file of its own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from . import processes, version, wire
from .idle_policy import policy_of
from .journal import Journal
from .kernel_process import KernelProcess
from .launching import without_dropping
from .logs import log
from .paths import listen, socket_folder
from .state_file import (
    CONNECTION,
    IPC,
    JOURNAL,
    KEEPER_LOG,
    KERNEL_LOG,
    SOCKET,
    FolderLock,
    read_state,
    write_state,
)

if TYPE_CHECKING:
    from .keeper import Keeper

_LOG_BYTES = 1024 * 1024
#: The state file has room for this much.
_MAX_PATH = 1000
#: Who looks whether a folder's keeper lives holds its lock for a moment.
_LOOKED_AT_S = 0.3


class CannotStart(Exception):
    """``code``, message, hint: for the Lab."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def main(arguments: List[str]) -> int:
    """``keep [--foreground] FOLDER``: daemonise unless told otherwise, then keep."""
    foreground = "--foreground" in arguments
    folder = arguments[-1]
    order = json.loads(sys.stdin.buffer.read())
    if not foreground:
        if os.fork():
            return 0
        os.setsid()
    os.chdir("/")
    answer = os.dup(1)
    redirect(folder)
    try:
        if order.get("spare"):
            return _keep_spare(folder, order, answer)
        keeper, signer, prefix = _start(folder, order)
    except CannotStart as error:
        _say(answer, {"error": {"code": error.code, "message": str(error), "hint": error.hint}})
        return 1
    except OSError as error:
        _log_traceback()
        _say(answer, {"error": _os_error(error)})
        return 1
    _say(answer, {"result": keeper.info()})
    try:
        keeper.run(signer, prefix)
    except Exception as error:
        _log_traceback()
        keeper.fail(error)
        return 1
    return 0


def _keep_spare(folder: str, order: Dict[str, Any], answer: int) -> int:
    from .warm_kernel import WarmKernel

    made = WarmKernel(folder, order)
    _say(answer, {"result": {"pid": made.process.pid}})
    return made.run()


def _log_traceback() -> None:
    import traceback

    traceback.print_exc()


def _say(descriptor: int, answer: Dict[str, Any]) -> None:
    try:
        os.write(descriptor, json.dumps(answer).encode() + b"\n")
    except BrokenPipeError:
        log("Nobody waits for the start any more.")
    os.close(descriptor)


def _os_error(error: OSError) -> Dict[str, str]:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        code, hint = "disk_full", "Free some space there."
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        code, hint = "read_only", "Make the folder writable, or set GENOPS_AGENT_STATE there to one that is."
    else:
        code, hint = "start_failed", "Look at the kernel's log."
    return {"code": code, "message": f"The kernel could not be started: {error}", "hint": hint}


def redirect(folder: str) -> None:
    """No terminal and no pipe of the connection stays open here."""
    path = os.path.join(folder, KEEPER_LOG)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    if os.path.exists(path) and os.path.getsize(path) > _LOG_BYTES:
        flags |= os.O_TRUNC
    nothing, words = os.open(os.devnull, os.O_RDWR), os.open(path, flags, 0o600)
    os.dup2(nothing, 0)
    os.dup2(words, 1)
    os.dup2(words, 2)
    os.close(nothing)
    os.close(words)


def _start(folder: str, order: Dict[str, Any]) -> "tuple[Keeper, Optional[wire.Signer], str]":
    hold(folder)
    if order.get("ended"):
        return _serve_ended(folder)
    sockets = socket_folder(folder)
    state = first_state(order)
    write_state(folder, state)
    journal = Journal(os.path.join(folder, JOURNAL))
    prefix = os.path.join(sockets, IPC)
    try:
        signer = wire.Signer(state["key"], state["signature_scheme"])
    except ValueError as error:
        raise CannotStart("bad_scheme", f"{state['signature_scheme']}: {error}") from error
    connection = os.path.join(folder, CONNECTION)
    wire.write_connection_file(connection, prefix, state["key"], state["signature_scheme"], state["name"])
    listener = listen(os.path.join(sockets, SOCKET))
    argv = without_dropping([part.replace("{connection_file}", connection) for part in order["argv"]])
    # what is ignored here would be ignored in the kernel, which could not be interrupted
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    try:
        process = KernelProcess(argv, order["env"], order["cwd"], os.path.join(folder, KERNEL_LOG))
    except OSError as error:
        state.update(state="ended", reason=str(error), ended_at=time.time())
        write_state(folder, state)
        raise CannotStart(
            "no_such_program",
            f"{argv[0]} could not be started: {error}",
            "Look at the kernel's command and folder.",
        ) from error
    state.update(pid=process.pid, pid_started=process.started)
    write_state(folder, state)
    return new_keeper(folder, order, state, journal, listener, process), signer, prefix


def new_keeper(
    folder: str,
    order: Dict[str, Any],
    state: Dict[str, Any],
    journal: Journal,
    listener: socket.socket,
    process: KernelProcess,
) -> Keeper:
    """The keeper of a kernel that was started, or given, for ``order``."""
    # A third of a start's imports, made while the kernel makes its own.
    from .keeper import Keeper

    visible = order["env"].get("CUDA_VISIBLE_DEVICES")
    idle = policy_of(order.get("idle"))
    return Keeper(folder, state, journal, listener, process, order.get("lease"), idle, visible)


#: Held for the life of the process.
_locks: List[FolderLock] = []


def hold(folder: str) -> FolderLock:
    """The folder is this process's from now on. Raises CannotStart, OSError."""
    lock = FolderLock(folder)
    deadline = time.monotonic() + _LOOKED_AT_S
    while not lock.take():
        if time.monotonic() > deadline:
            raise CannotStart("running", "The kernel has a keeper already.")
        time.sleep(0.01)
    _locks.append(lock)
    return lock


def _serve_ended(folder: str) -> "tuple[Keeper, None, str]":
    state = read_state(folder)
    if state is None or state.get("state") != "ended":
        raise CannotStart("not_found", "The kernel's folder cannot be read.")
    from .keeper import Keeper

    journal = Journal(os.path.join(folder, JOURNAL))
    journal.acknowledge(int(state.get("acked_seq") or 0))
    if not state.get("noted"):
        journal.skip_after_crash()
        text = f"The kernel has ended. {state['reason']}"
        journal.note("ended", exit_code=None, reason=state["reason"], text=text)
    state["noted"] = True
    write_state(folder, state)
    listener = listen(os.path.join(socket_folder(folder), SOCKET))
    return Keeper(folder, state, journal, listener, None), None, ""


def first_state(order: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "kernel_id": order["kernel_id"],
        "incarnation": order["incarnation"],
        "name": order["name"],
        "notebook": order["notebook"],
        "owner": order["owner"],
        "here": bool(order.get("here")),
        "cwd": order["cwd"][:_MAX_PATH],
        "python": order["argv"][0][:_MAX_PATH],
        "state": "running",
        "pid": 0,
        "pid_started": "",
        "exit_code": None,
        "reason": "",
        "ended_by": "",
        "started_at": time.time(),
        "ended_at": None,
        "agent_version": version(),
        "boot_id": processes.boot_id(),
        "keeper_pid": os.getpid(),
        "keeper_started": processes.start_time(os.getpid()),
        "key": order["key"],
        "signature_scheme": order.get("signature_scheme") or "hmac-sha256",
        "seen": {},
        "noted": False,
    }
