"""Build one environment (``agent build``), or add to the agent's own, independent of any connection.

The order comes on standard input; one line on standard output says whether it could start. Events go into a
log that attachments follow. SIGTERM cancels a build: the unfinished environment is removed before the last
event.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Dict, List, Optional

from . import environments, recipes
from .build_messages import disk_words, without_passwords, words_of
from .build_state import LOG, end_leftovers, write_state
from .environments import Refused
from .state_file import FolderLock

_MAX_LOG_BYTES = 8 * 1024 * 1024
_MAX_LINE = 2000
_KEPT_LINES = 40
#: Seconds in which pip may undo an unfinished installation before it is killed.
_GRACE_S = 10
_LOCK_S = 2.0


class _Failed(Exception):
    def __init__(self, message: str, hint: str, code: str = "build_failed") -> None:
        super().__init__(message)
        self.end = {"state": "failed", "code": code, "message": message, "hint": hint}


class _Cancelled(Exception):
    pass


class _Log:
    """Events as JSON lines, bounded. A full disk loses events, never the work."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._left = _MAX_LOG_BYTES

    def write(self, event: Dict[str, Any], *, always: bool = False) -> bool:
        data = json.dumps(event).encode() + b"\n"
        if self._left < len(data) and not always:
            return False
        self._left -= len(data)
        try:
            at = os.fstat(self._descriptor).st_size
            if os.write(self._descriptor, data) == len(data):
                return True
            os.ftruncate(self._descriptor, at)
        except OSError:
            pass  # no space: tried again with the next event
        return False


class Build:
    """One order, carried out once."""

    def __init__(self, order: Dict[str, Any], work: str) -> None:
        self._order = order
        self._folder = str(order["folder"])
        self._fresh = not order["adds"]
        self._work = work
        self._files = os.path.join(work, "files")
        self._tools = os.path.join(work, "tools")
        self._child: Optional["subprocess.Popen[bytes]"] = None
        self._cancelled = threading.Event()
        self._log = _Log(os.path.join(work, LOG))
        self._claimed = False
        signal.signal(signal.SIGTERM, self._on_cancel)
        signal.signal(signal.SIGINT, self._on_cancel)
        signal.signal(signal.SIGALRM, self._on_grace_over)

    def run(self) -> None:
        """Carry out the order; the last event says whether it succeeded, failed or was cancelled."""
        try:
            end = self._add() if self._order["adds"] else self._make()
        except _Cancelled:
            end = {"state": "cancelled"}
        except _Failed as failure:
            end = failure.end
        except Refused as refused:
            end = {"state": "failed", "code": refused.code, "message": refused.message, "hint": refused.hint}
        except OSError as error:
            end = {"state": "failed", "code": "disk", **disk_words(error, self._folder)}
        except Exception as error:  # the process's outermost boundary: a caller waits for its end
            message = f"The builder failed: {type(error).__name__}: {error}"
            end = {"state": "failed", "code": "unexpected", "message": message, "hint": "Please report it."}
        self._clean_up(whole=end["state"] == "done")
        deadline = time.monotonic() + 60
        while not self._log.write({"end": end}, always=True) and time.monotonic() < deadline:
            time.sleep(1)

    def _clean_up(self, *, whole: bool) -> None:
        for folder in (self._files, self._tools):
            shutil.rmtree(folder, ignore_errors=True)
        if self._claimed and not whole:
            try:
                environments.remove(self._folder)
            except OSError as error:
                self._tell({"line": f"The unfinished files at {self._folder} cannot be removed: {error}"})

    # The build

    def _make(self) -> Dict[str, Any]:
        order = self._order
        description = {"digest": order["digest"], "project": order["project"], "packages": order["packages"]}
        before = environments.made_before(self._folder, order["digest"])
        if before is not None:  # by a build that had the lock until now
            return before
        environments.check_free(self._folder)
        self._claimed = True
        environments.claim(self._folder, description)
        self._write_files(order["source"]["files"])
        uv = recipes.find_uv()
        try:
            steps = recipes.steps_to_make(self._folder, self._files, self._tools, order, uv)
        except recipes.NoInterpreter as error:
            raise _Failed(
                f"This host has no Python {error}.",
                "Install it on the host, name another (--python), or install uv on the host: uv "
                "downloads Python.",
                "no_python",
            ) from None
        printed = self._run_all(steps)
        if self._cancelled.is_set():
            raise _Cancelled
        version, _, packages = printed.partition(" ")
        made = {
            **description,
            "python": version,
            "tool": "uv" if uv or order["source"]["kind"] in ("uv", "pylock") else "pip",
            "made_at": time.time(),
        }
        environments.finish(self._folder, made)
        return {**self._done(), "version": version, "count": int(packages or 0), "tool": made["tool"]}

    def _add(self) -> Dict[str, Any]:
        own = environments.own_environment()
        packages = self._order["packages"]
        if own["fixed"]:
            raise _Failed(
                f"{own['prefix']} accepts no packages: {own['fixed']}.",
                "Build an environment on the host instead.",
                "fixed",
            )
        steps = recipes.steps_to_add(packages, recipes.find_uv(), own["pip"])
        if steps is None:
            raise _Failed(
                f"{sys.executable} has no pip, and this host has no uv.",
                f"Install pip ({sys.executable} -m ensurepip), or build an environment on the host.",
                "no_tool",
            )
        self._run_all(steps)
        return self._done()

    def _done(self) -> Dict[str, Any]:
        python = sys.executable if self._order["adds"] else recipes.python_in(self._folder)
        return {"state": "done", "folder": self._folder, "interpreter": python, "reused": False}

    def _write_files(self, files: Dict[str, str]) -> None:
        shutil.rmtree(self._files, ignore_errors=True)
        os.mkdir(self._files, 0o700)
        for name, text in files.items():
            path = os.path.normpath(os.path.join(self._files, name))
            if not path.startswith(self._files + os.sep):
                raise _Failed(f"{name} is outside of the project.", "Move it into the project.")
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)

    # Commands

    def _run_all(self, steps: List[recipes.Step]) -> str:
        title = printed = ""
        for index, step in enumerate(steps):
            if step.title != title:
                title = step.title
                self._tell({"step": title, "share": round(index / len(steps), 3)})
            printed = self._run(step)
        return printed

    def _run(self, step: recipes.Step) -> str:
        """Run a command; return its last printed line. Raises _Failed, _Cancelled."""
        if self._cancelled.is_set():
            raise _Cancelled
        lines: List[str] = []
        try:
            self._child = child = subprocess.Popen(
                step.argv,
                env={**recipes.environment(self._order["env"]), **step.env},
                cwd=self._files if os.path.isdir(self._files) else self._work,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise _Failed(
                f"{step.argv[0]} cannot be run: {error.strerror}.", "Check this file on the host."
            ) from error
        write_state(self._work, self._order, child.pid)
        if self._cancelled.is_set():  # between the check above and the start
            self._end_child()
        assert child.stdout is not None
        for raw in child.stdout:
            line = without_passwords(raw.decode("utf-8", "replace").rstrip())[:_MAX_LINE]
            if line:
                lines = [*lines[-_KEPT_LINES:], line]
                if step.kind != "check":
                    self._tell({"line": line})
        code = child.wait()
        signal.alarm(0)
        self._child = None
        if self._cancelled.is_set():
            raise _Cancelled
        if code != 0:
            message, hint = words_of(step, lines, code, shutil.disk_usage(self._folder).free)
            raise _Failed(message, hint)
        return lines[-1] if lines else ""

    def _tell(self, event: Dict[str, Any]) -> None:
        self._log.write(event)

    # Cancelling

    def _on_cancel(self, _number: int, _frame: Any) -> None:
        self._cancelled.set()
        self._end_child()

    def _end_child(self) -> None:
        # A new environment is removed; an existing one gets time to recover.
        if self._fresh:
            self._signal_child(signal.SIGKILL)
        else:
            self._signal_child(signal.SIGINT)
            signal.alarm(_GRACE_S)

    def _on_grace_over(self, _number: int, _frame: Any) -> None:
        self._signal_child(signal.SIGKILL)

    def _signal_child(self, number: int) -> None:
        child = self._child
        if child is not None and child.returncode is None:
            try:
                os.killpg(child.pid, number)
            except ProcessLookupError:
                return


def main() -> int:
    """Carry out the order on standard input."""
    order = json.loads(sys.stdin.buffer.read())
    work = str(order["work"])
    lock = FolderLock(work)
    deadline = time.monotonic() + _LOCK_S  # a process that only checks the lock holds it for a moment
    while not lock.take():
        if time.monotonic() > deadline:
            print("busy", flush=True)
            return 0
        time.sleep(0.05)
    end_leftovers(work)
    try:
        build = Build(order, work)
        write_state(work, order, 0)
    except OSError as error:
        print(json.dumps(disk_words(error, work)), flush=True)
        return 1
    print("begun", flush=True)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    build.run()
    return 0
