"""Become the keeper of a unit (a kernel, a command), independent of the connection that asked for it (``agent
keep``).

The order comes as JSON on standard input. One line of JSON on standard output says that the unit was started,
or why not. Neither the arguments nor a separate file has a secret.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, TypeVar

from . import processes, version, wire
from .journal import MAX_BYTES, SEGMENT_BYTES, Journal
from .launching import without_dropping
from .logs import log
from .paths import forget, listen, socket_folder
from .state_file import (
    CONNECTION,
    IPC,
    JOURNAL,
    KEEPER_LOG,
    KERNEL_LOG,
    SOCKET,
    FolderLock,
    kind_of,
    read_state,
    write_state,
)
from .unit_process import CommandProcess, KernelProcess, UnitProcess

if TYPE_CHECKING:
    from .keeper import Keeper
    from .unit import Unit

P = TypeVar("P", bound=UnitProcess)

_LOG_BYTES = 1024 * 1024
#: The most characters of a path that fit into the state file.
_MAX_PATH = 1000
#: Seconds. A process that only checks whether a keeper lives holds its lock for a moment.
_LOOKED_AT_S = 0.3


class CannotStart(Exception):
    """``code``, message, hint: for the Lab."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def main(arguments: List[str]) -> int:
    """Run ``keep [--foreground] FOLDER``: become a daemon unless --foreground is given, then keep the unit."""
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
        keeper = _start(folder, order)
    except CannotStart as error:
        _say(answer, {"error": {"code": error.code, "message": str(error), "hint": error.hint}})
        return 1
    except OSError as error:
        _log_traceback()
        _say(answer, {"error": _os_error(error, kind_of(order))})
        return 1
    _say(answer, {"result": keeper.info()})
    try:
        keeper.run()
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


def _os_error(error: OSError, kind: str) -> Dict[str, str]:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        code, hint = "disk_full", "Free some space on the host."
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        code, hint = (
            "read_only",
            ("Make the folder writable, or set GENOPS_AGENT_STATE on the host to a writable folder."),
        )
    else:
        code, hint = "start_failed", f"Check the {kind}'s log."
    return {"code": code, "message": f"The {kind} could not be started: {error}", "hint": hint}


def redirect(folder: str) -> None:
    """Close the terminal and the connection's pipes."""
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


def _start(folder: str, order: Dict[str, Any]) -> Keeper:
    hold(folder)
    if order.get("ended"):
        return _serve_ended(folder)
    of_command = kind_of(order) == "command"
    if of_command and read_state(folder) is not None:
        raise CannotStart("running", "Another keeper had it, and it has ended.")
    state = first_state(order)
    try:
        write_state(folder, state)
        journal = journal_of(folder, state)
        listener = listen(os.path.join(socket_folder(folder), SOCKET))
        unit = (_command if of_command else _kernel)(folder, order, state)
    except (CannotStart, OSError):
        if of_command:
            forget(folder)  # a retry fails again: nothing has run
        raise
    return new_keeper(folder, order, state, journal, listener, unit)


def _kernel(folder: str, order: Dict[str, Any], state: Dict[str, Any]) -> Unit:
    prefix = os.path.join(socket_folder(folder), IPC)
    try:
        signer = wire.Signer(state["key"], state["signature_scheme"])
    except ValueError as error:
        raise CannotStart("bad_scheme", f"{state['signature_scheme']}: {error}") from error
    connection = os.path.join(folder, CONNECTION)
    wire.write_connection_file(connection, prefix, state["key"], state["signature_scheme"], state["name"])
    argv = without_dropping([part.replace("{connection_file}", connection) for part in order["argv"]])
    log_path = os.path.join(folder, KERNEL_LOG)
    process = _launched(
        folder, state, argv, lambda: KernelProcess(argv, order["env"], order["cwd"], log_path)
    )
    # A third of a start's imports, done while the kernel does its own.
    from .kernel_unit import KernelUnit

    return KernelUnit(state, process, signer, prefix, order=order)


def _command(folder: str, order: Dict[str, Any], state: Dict[str, Any]) -> Unit:
    from .unit import CommandUnit

    argv = order["argv"]
    return CommandUnit(
        _launched(folder, state, argv, lambda: CommandProcess(argv, order["env"], order["cwd"]))
    )


def _launched(folder: str, state: Dict[str, Any], argv: List[str], start: Callable[[], P]) -> P:
    # signals ignored here would be ignored in the unit, which could not be interrupted
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    try:
        process = start()
    except (OSError, ValueError) as error:
        state.update(state="ended", reason=str(error), ended_at=time.time())
        write_state(folder, state)
        words = getattr(error, "strerror", None) or error
        raise CannotStart(
            "no_such_program",
            f"{argv[0]} cannot be started: {words}",
            _hint(kind_of(state), error),
        ) from error
    state.update(pid=process.pid, pid_started=process.started)
    write_state(folder, state)
    return process


def _hint(kind: str, error: Exception) -> str:
    if kind == "command" and isinstance(error, FileNotFoundError):
        return "Install it on the host, or give its full path."
    if kind == "command" and isinstance(error, PermissionError):
        return "Make it executable on the host (chmod +x), or begin the command with its interpreter."
    return f"Check the {kind}'s command and folder."


def new_keeper(
    folder: str,
    order: Dict[str, Any],
    state: Dict[str, Any],
    journal: Journal,
    listener: socket.socket,
    unit: Unit,
    poller: Any = None,
) -> Keeper:
    """Return the keeper of a started or given unit for ``order``."""
    from .keeper import Keeper

    return Keeper(folder, state, journal, listener, unit, order.get("lease"), poller)


def journal_of(folder: str, state: Dict[str, Any]) -> Journal:
    """Return a unit's journal. Raises OSError."""
    most = int(state.get("journal_max_bytes") or MAX_BYTES)
    path, segment = os.path.join(folder, JOURNAL), min(SEGMENT_BYTES, most // 8)
    return Journal(path, segment_bytes=segment, max_bytes=most, thins=kind_of(state) == "kernel")


#: Held for the life of the process.
_locks: List[FolderLock] = []


def hold(folder: str) -> FolderLock:
    """Lock the folder for this process. Raises CannotStart, OSError."""
    lock = FolderLock(folder)
    deadline = time.monotonic() + _LOOKED_AT_S
    while not lock.take():
        if time.monotonic() > deadline:
            raise CannotStart("running", "Another keeper already has it.")
        time.sleep(0.01)
    _locks.append(lock)
    return lock


def _serve_ended(folder: str) -> Keeper:
    state = read_state(folder)
    if state is None or state.get("state") != "ended":
        raise CannotStart("not_found", "Its folder cannot be read.")
    kind = kind_of(state)
    journal = journal_of(folder, state)
    journal.acknowledge(int(state.get("acked_seq") or 0))
    if not state.get("noted"):
        journal.skip_after_crash()
        text = f"The {kind} has ended. {state['reason']}"
        journal.note("ended", exit_code=None, reason=state["reason"], text=text)
    state["noted"] = True
    write_state(folder, state)
    listener = listen(os.path.join(socket_folder(folder), SOCKET))
    if kind == "command":
        from .unit import CommandUnit

        return new_keeper(folder, {}, state, journal, listener, CommandUnit(None))
    from .kernel_unit import KernelUnit

    return new_keeper(folder, {}, state, journal, listener, KernelUnit(state))


def first_state(order: Dict[str, Any]) -> Dict[str, Any]:
    """Return the first content of a unit's state file."""
    kind = kind_of(order)
    state = {
        "kind": kind,
        f"{kind}_id": order[f"{kind}_id"],
        "incarnation": order["incarnation"],
        "name": order["name"],
        "owner": order["owner"],
        "cwd": order["cwd"][:_MAX_PATH],
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
        "seen": {},
        "noted": False,
    }
    if kind == "command":
        own = {name: order[name] for name in ("order_digest", "journal_max_bytes")}
        return {**state, **own, "program": order["argv"][0][:_MAX_PATH]}
    return {
        **state,
        "notebook": order["notebook"],
        "here": bool(order.get("here")),
        "python": order["argv"][0][:_MAX_PATH],
        "key": order["key"],
        "signature_scheme": order.get("signature_scheme") or "hmac-sha256",
    }
