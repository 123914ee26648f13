"""Run a program without network, home, keys and other processes, within bounds, or refuse.

Three ways, the first that works: bubblewrap, namespaces made here, Landlock with seccomp. A filter of system calls
stands in each of them. A way counts only after a program inside has tried to get out and failed.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from genops_lab.genai.scorers.base import CannotScore

Way = Literal["bubblewrap", "namespaces", "landlock"]
WAYS: tuple[Way, ...] = ("bubblewrap", "namespaces", "landlock")
_CONFINE = Path(__file__).parent / "confine.py"
_LOOK_S = 0.05
_LINES = 300
#: Users of this machine that nobody is: each program of root gets one of its own, so that its processes are counted.
_FIRST_USER, _USERS = 1_900_000_000, 1_000_000

_TRY = """
import os, socket, sys
def refused(attempt):
    try:
        attempt()
    except OSError:
        return True
    return False
held = [
    refused(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)),
    refused(lambda: open(sys.argv[2]).read()),
    refused(lambda: os.remove(sys.argv[2])),
    refused(lambda: open("/usr/genops-sandbox", "w")),
    refused(lambda: os.kill(int(sys.argv[3]), 0)),
]
print("held" if all(held) else held)
"""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a program.

    - timeout_s: wall time. memory_mb: the address space of each process, and the memory of all.
    - processes: processes and threads at once. With Landlock a program cannot start processes at all.
    - disk_mb: what it may write to /tmp. With Landlock it cannot write at all.
    - output_mb: what it may print. A program that prints more is ended.
    """

    timeout_s: float = 10.0
    memory_mb: int = 1024
    processes: int = 16
    disk_mb: int = 64
    output_mb: float = 1.0


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A program's end. ``why``: the bound that ended it; empty: the program ended by itself, with ``code``."""

    code: int
    out: str
    errors: str
    why: str = ""


def run(
    program: str,
    *,
    files: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    stdin: str = "",
    bounds: Bounds | None = None,
    way: Way | None = None,
) -> Ended:
    """Run a program of Python in the sandbox. Blocks. Raises CannotScore where no sandbox works.

    files: texts by name, beside the program in /sandbox. way: that of `chosen` if None.

    >>> run("print(2 + 2)").out  # doctest: +SKIP
    '4\\n'
    """
    limits, way = bounds or Bounds(), way or chosen()
    with box({"main.py": program, **(files or {})}) as folder:
        command = [sys.executable, "-I", "/sandbox/main.py", *arguments]
        if way == "landlock":
            command[2] = f"{folder}/files/main.py"
        process = subprocess.Popen(
            confined(command, folder, limits, way), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True, env={}, cwd="/",
        )  # fmt: skip
        return _Watch(process, limits).until_end(stdin.encode())


@contextmanager
def box(files: Mapping[str, str]) -> Iterator[Path]:
    """Make the folder of a sandbox, with files that its program may read."""
    folder = Path(tempfile.mkdtemp(prefix="genops-sandbox-"))
    try:
        folder.chmod(0o755)
        (folder / "root").mkdir()
        (folder / "files").mkdir(mode=0o755)
        for name, text in files.items():
            (folder / "files" / Path(name).name).write_text(text)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def confined(
    command: Sequence[str],
    folder: Path,
    bounds: Bounds,
    way: Way,
    *,
    readable: Sequence[Path] = (),
    die_with_parent: bool = True,
) -> list[str]:
    """Return the command that runs ``command`` in the sandbox of a `box`.

    readable: folders that it may read, besides programs, libraries and this Python.
    """
    folders = sorted(
        {str(path) for path in (*readable, *_python()) if str(path) not in ("/", os.environ.get("HOME"))}
    )
    root = os.getuid() == 0
    given = {
        "way": way, "box": str(folder), "readable": folders, "folder": "/" if way == "landlock" else "/tmp",  # noqa: S108
        "memory_mb": bounds.memory_mb, "processes": bounds.processes, "disk_mb": bounds.disk_mb,
        "cpu_s": int(bounds.timeout_s * 2) + 2 if die_with_parent else 0, "die_with_parent": die_with_parent,
        "user": _FIRST_USER + (os.getpid() * 7919 + time.monotonic_ns() // 1000) % _USERS if root else None,
        "environment": {
            "PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",  # noqa: S108
            "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8",
        },
    }  # fmt: skip
    inner = [sys.executable, "-I", "-S", str(_CONFINE), json.dumps(given), *command]
    return (
        _bubblewrap(folder, folders, bounds, root, die_with_parent) + inner if way == "bubblewrap" else inner
    )


def _bubblewrap(
    folder: Path, folders: list[str], bounds: Bounds, root: bool, die_with_parent: bool
) -> list[str]:
    found = [
        shutil.which("bwrap") or "bwrap",  # it starts without a PATH
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
        "--unshare-cgroup-try",
    ]
    if root:  # it changes to a user that nobody is
        found += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        found += ["--unshare-user", "--disable-userns", "--as-pid-1"]
    if die_with_parent:
        found.append("--die-with-parent")
    found += ["--clearenv", "--perms", "0755", "--size", str(1 << 20), "--tmpfs", "/"]
    # First of all, because this Python may lie in /tmp.
    found += ["--perms", "1777", "--size", str(bounds.disk_mb << 20), "--tmpfs", "/tmp"]  # noqa: S108
    made: list[str] = []
    parents = {"/tmp"}  # noqa: S108
    for path in sorted({*folders, *_SYSTEM, "/dev/null"}):
        if any(path.startswith(other + "/") for other in made) or not os.path.lexists(path):
            continue
        for parent in reversed(Path(path).parents[:-1]):
            if str(parent) not in parents:
                parents.add(str(parent))
                found += ["--perms", "0755", "--dir", str(parent)]
        if path == "/dev/null":
            continue
        if Path(path).is_symlink() and path in _SYSTEM:
            found += ["--symlink", str(Path(path).readlink()), path]
        else:
            found += ["--ro-bind", path, path]
            made.append(path)
    found += ["--ro-bind", f"{folder}/files", "/sandbox", "--proc", "/proc"]
    for name in ("null", "zero", "full", "random", "urandom"):
        found += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    return [*found, "--symlink", "/tmp", "/dev/shm", "--remount-ro", "/", "--"]  # noqa: S108


_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
    "/etc/alternatives", "/etc/localtime", "/etc/mime.types", "/etc/nsswitch.conf",
)  # fmt: skip


def _python() -> list[Path]:
    """Return the folders of this Python, its environment and this package."""
    found = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent}
    return [*found, *(path.resolve() for path in found), Path(__file__).parents[3]]


@functools.cache
def chosen() -> Way:
    """Return the first way that holds on this machine. Raises CannotScore. Blocks at the first call."""
    problems = {way: problem(way) for way in WAYS}
    for way, found in problems.items():
        if not found:
            return way
    raise CannotScore(
        "This machine has no sandbox, so code of answers cannot run here: "
        + "; ".join(f"{way}: {found}" for way, found in problems.items()) + ".",
        "Install bubblewrap (apt install bubblewrap). Or run genops evaluate FILE as a job on a target, or in a "
        "container on Linux 5.13 or newer, whose kernel has Landlock.",
    )  # fmt: skip


@functools.cache
def problem(way: Way) -> str:
    """Return why a way does not work here; empty if a program inside could not get out. Blocks."""
    if sys.platform != "linux":
        return "it needs Linux"
    if way == "bubblewrap" and shutil.which("bwrap") is None:
        return "it is not installed"
    import socket

    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        tempfile.NamedTemporaryFile(dir=_home()) as kept,
    ):
        given = [str(server.getsockname()[1]), kept.name, str(os.getpid())]
        kept.write(b"kept")
        kept.flush()
        try:
            found = run(_TRY, arguments=given, bounds=Bounds(timeout_s=20), way=way)
        except OSError as error:
            return str(error)
        unchanged = Path(kept.name).read_bytes() == b"kept"
    if found.code == 0 and found.out.strip() == "held" and unchanged:
        return ""
    said = found.why or found.errors.strip().rpartition("\n")[2] or found.out.strip()
    return said.removeprefix("genops sandbox: ")[:_LINES] or f"it ended with {found.code}"


def _home() -> str | None:
    """Return the home, or None where it cannot be written: a file in /tmp is hidden as well."""
    home = os.environ.get("HOME", "")
    return home if home and os.access(home, os.W_OK) else None


class _Watch:
    """Reads what a program prints, looks at its memory, and ends it at a bound."""

    def __init__(self, process: subprocess.Popen[bytes], bounds: Bounds) -> None:
        self._process, self._bounds = process, bounds
        self._why = ""
        self._printed = 0
        self._texts = [bytearray(), bytearray()]

    def until_end(self, stdin: bytes) -> Ended:
        """Return how the program ended. Nothing of it is left then."""
        process = self._process
        threads = [
            threading.Thread(target=self._read, args=(at,), daemon=True, name="output of a sandbox")
            for at in (0, 1)
        ]
        threads.append(
            threading.Thread(target=self._write, args=(stdin,), daemon=True, name="input of a sandbox")
        )
        for each in threads:
            each.start()
        until = time.monotonic() + self._bounds.timeout_s
        try:
            while not self._why:
                left = until - time.monotonic()
                if left <= 0:
                    self._why = f"it ran for over {self._bounds.timeout_s:g} s"
                    break
                with suppress(subprocess.TimeoutExpired):
                    process.wait(min(_LOOK_S, left))
                    break
                self._look_at_memory()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for each in threads:
            each.join(5)
        out, errors = (bytes(text).decode(errors="replace") for text in self._texts)
        return Ended(code=process.returncode, out=out, errors=errors, why=self._why)

    def _read(self, at: int) -> None:
        pipe = (self._process.stdout, self._process.stderr)[at]
        most = int(self._bounds.output_mb * 2**20)
        assert pipe
        with pipe:
            while part := os.read(pipe.fileno(), 65536):
                self._printed += len(part)
                if self._printed > most:
                    self._why = self._why or f"it printed over {self._bounds.output_mb:g} MB"
                    return  # the next write of the program fails, and it is ended
                self._texts[at] += part

    def _write(self, stdin: bytes) -> None:
        pipe = self._process.stdin
        assert pipe
        with suppress(BrokenPipeError), pipe:
            pipe.write(stdin)

    def _look_at_memory(self) -> None:
        import psutil

        used = 0
        with suppress(psutil.Error):
            for each in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    memory = each.memory_info()
                    used += memory.rss - memory.shared
        if used > self._bounds.memory_mb << 20:
            self._why = f"its processes used over {self._bounds.memory_mb:,} MB"
