"""Find the users of a folder of this host: kernels started in it or with its interpreter, and the user's
other processes. All functions block."""

from __future__ import annotations

import os
import subprocess
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from . import processes
from .paths import known_units, unit_folder
from .state_file import read_state

#: The most users that are named per folder.
_MAX_NAMED = 5
_MAX_COMMAND_BYTES = 65536
_MAX_OPEN = 2000


class Program(NamedTuple):
    """A process of this user, with the paths that it uses."""

    pid: int
    name: str
    paths: List[str]


class Occupants:
    """The present processes and kernels."""

    def __init__(self) -> None:
        self._kernels = list(_kernels())
        self._programs = list(_programs())

    def of(self, *folders: str) -> List[Dict[str, Any]]:
        """Return the users of one of these folders: ``kernel_id`` and ``notebook``, or ``pid`` and ``name``."""
        found: List[Dict[str, Any]] = [
            {"kernel_id": state["kernel_id"], "notebook": state.get("notebook") or ""}
            for state, paths in self._kernels
            if _any_below(paths, folders)
        ]
        if not found:  # otherwise they are mostly the kernels' own
            found = [
                {"pid": program.pid, "name": program.name}
                for program in self._programs
                if _any_below(program.paths, folders)
            ]
        return found[:_MAX_NAMED]


def _any_below(paths: List[str], folders: Tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + os.sep) for path in paths for folder in folders)


def _kernels() -> Iterator[Tuple[Dict[str, Any], List[str]]]:
    for kernel_id in known_units():
        folder = unit_folder(kernel_id)
        state = read_state(folder) if folder is not None else None
        if state is None or state.get("state") != "running":
            continue
        if processes.start_time(int(state.get("pid") or 0)) == state.get("pid_started"):
            yield state, [str(state.get(name) or "") for name in ("cwd", "python")]


def _programs() -> Iterator[Program]:
    if not os.path.isdir("/proc/self"):
        yield from _programs_of_ps()
        return
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        place = f"/proc/{name}"
        try:
            if os.stat(place).st_uid != os.getuid():
                continue
            with open(f"{place}/cmdline", "rb") as stream:
                words = [os.fsdecode(word) for word in stream.read(_MAX_COMMAND_BYTES).split(b"\0") if word]
        except OSError:  # it has ended meanwhile
            continue
        links = [_link(f"{place}/{link}") for link in ("cwd", "exe")]
        yield Program(int(name), _name(words), [*links, *_open_files(place), *words])


def _open_files(place: str) -> List[str]:
    try:
        return [_link(f"{place}/fd/{name}") for name in os.listdir(f"{place}/fd")[:_MAX_OPEN]]
    except OSError:
        return []


def _programs_of_ps() -> Iterator[Program]:
    command = ["ps", "-U", str(os.getuid()), "-o", "pid=,command="]
    try:
        printed = subprocess.run(command, capture_output=True, timeout=10, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return
    for line in printed.decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) > 1 and words[0].isdigit():
            yield Program(int(words[0]), _name(words[1:]), words[1:])


def _name(words: List[str]) -> str:
    return os.path.basename(words[0])[:80] if words else ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
