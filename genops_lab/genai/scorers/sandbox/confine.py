"""The first program in a sandbox: gives up what the program must not have, and becomes it.

It is called with a description as JSON and the program's command. Standard library only, Linux only.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - started as a file, with -I
from syscalls import forbid  # type: ignore[import-not-found]

_libc = ctypes.CDLL(None, use_errno=True)
_NEW_NAMESPACES = 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x02000000
_NEW_USER = 0x10000000
_BIND, _REC, _PRIVATE, _NOSUID, _NODEV, _NOEXEC = 4096, 16384, 1 << 18, 2, 4, 8
_DETACH = 2
_MOUNT_SETATTR, _PIVOT_ROOT = 442, {"x86_64": 155, "aarch64": 41}
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, read a folder
_WRITE_FILE = 1 << 1
_FILE_ONLY = 1 << 0 | 1 << 1 | 1 << 2
_DEATH_SIGNAL, _DUMPABLE, _CAPBSET_DROP, _NO_NEW_PRIVS = 1, 4, 24, 38
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LIBRARIES = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_SETTINGS = (
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "alternatives",
    "localtime",
    "mime.types",
    "nsswitch.conf",
)


def main() -> None:
    """Confine this process and become the program."""
    given = json.loads(sys.argv[1])
    command = sys.argv[2:]
    {"bubblewrap": _inside_bubblewrap, "namespaces": _namespaces, "landlock": _landlock}[given["way"]](given)
    os.chdir(given["folder"])
    os.umask(0o077)
    for kind, most in (
        (resource.RLIMIT_AS, given["memory_mb"] << 20), (resource.RLIMIT_CPU, given["cpu_s"]),
        (resource.RLIMIT_FSIZE, given["disk_mb"] << 20), (resource.RLIMIT_NOFILE, 128), (resource.RLIMIT_CORE, 0),
(resource.RLIMIT_MEMLOCK, 0), (resource.RLIMIT_MSGQUEUE, 0),
    ):  # fmt: skip
        if most or kind not in (resource.RLIMIT_AS, resource.RLIMIT_CPU):
            resource.setrlimit(kind, (most, most))
    if given["way"] != "landlock":  # there, the limit would count all processes of the user
        resource.setrlimit(resource.RLIMIT_NPROC, (given["processes"], given["processes"]))
    forbid(alone=given["way"] == "landlock")
    os.execve(command[0], command, given["environment"])  # noqa: S606


def _inside_bubblewrap(given: dict) -> None:  # type: ignore[type-arg]
    """Give up root, or keep the first process out of reach of the program. Bubblewrap made the rest."""
    if given["user"] is not None:
        _become(given["user"])
        return
    # The program has the user of the first process, which has no filter and no bounds: without this, the program
    # could write to its memory.
    _check(_libc.prctl(_DUMPABLE, 0, 0, 0, 0), "dumpable")
    child = os.fork()
    if child:
        _end_with(child, given)


def _namespaces(given: dict) -> None:  # type: ignore[type-arg]
    """Leave for namespaces of processes, files, network and users, with a root of their own."""
    user, group = os.getuid(), os.getgid()
    root = user == 0
    _check(_libc.unshare(_NEW_NAMESPACES | (0 if root else _NEW_USER)), "unshare")
    if not root:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    first = os.fork()
    if first:
        _end_with(first, given)
    _libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    _new_root(given)
    if root:
        _become(given["user"])
        _libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)  # a change of the user clears it
    second = os.fork()
    if second:
        _end_with(second, given)


def _end_with(child: int, given: dict) -> None:  # type: ignore[type-arg]
    """Wait for a process, and end as it did. All of a namespace ends with its first process."""
    if given["die_with_parent"]:
        _libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    while True:
        ended, status = os.wait()
        if ended == child:
            os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def _new_root(given: dict) -> None:  # type: ignore[type-arg]
    """Make a root folder of what may be read, and leave the old one."""
    root = given["box"] + "/root"
    _mount("none", "/", None, _REC | _PRIVATE)
    _mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, "size=1m,mode=755")
    for name in ("tmp", "proc"):
        os.makedirs(f"{root}/{name}")  # noqa: PTH103
    # First of all, because this Python may lie in /tmp.
    _mount("tmpfs", root + "/tmp", "tmpfs", _NOSUID | _NODEV, f"size={given['disk_mb']}m,mode=1777")  # noqa: S108
    for path in _readable(given):
        if os.path.islink(path):  # noqa: PTH114
            os.makedirs(os.path.dirname(root + path), exist_ok=True)  # noqa: PTH103, PTH120
            os.symlink(os.readlink(path), root + path)  # noqa: PTH115, PTH211
            continue
        _bind(path, root + path)
    _bind(given["box"] + "/files", root + "/sandbox")
    for name in _DEVICES:
        _bind("/dev/" + name, root + "/dev/" + name, devices=True)
    os.symlink("/tmp", root + "/dev/shm")  # noqa: PTH211, S108
    # A container may forbid it: then the program has no /proc.
    _libc.mount(b"proc", (root + "/proc").encode(), b"proc", _NOSUID | _NODEV | _NOEXEC, None)
    _attributes(root, recursive=False)
    os.chdir(root)
    machine = os.uname().machine
    _check(_libc.syscall(_PIVOT_ROOT[machine], b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _DETACH), "umount")
    os.chdir("/")


def _readable(given: dict) -> list:  # type: ignore[type-arg]
    """Return the folders that the program may read: parents before what is in them."""
    settings = ["/etc/" + name for name in _SETTINGS]
    there = [path for path in (*_LIBRARIES, *settings, *given["readable"]) if os.path.lexists(path)]
    found: list = []  # type: ignore[type-arg]
    for path in sorted(set(there)):
        if not any(path.startswith(other + "/") for other in found if not os.path.islink(other)):  # noqa: PTH114
            found.append(path)
    return found


def _bind(source: str, target: str, *, devices: bool = False) -> None:
    if os.path.isdir(source):  # noqa: PTH112
        os.makedirs(target, exist_ok=True)  # noqa: PTH103
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    _mount(source, target, None, _BIND | _REC)
    _attributes(target, recursive=True, devices=devices)


def _attributes(path: str, *, recursive: bool, devices: bool = False) -> None:
    """Make a mount read-only, without programs that change the user."""
    wanted = 1 | 2 | (0 if devices else 4)
    given = struct.pack("=QQQQ", wanted, 0, 0, 0)
    flags = 0x8000 if recursive else 0
    _check(_libc.syscall(_MOUNT_SETATTR, -100, path.encode(), flags, given, len(given)), f"read-only {path}")


def _landlock(given: dict) -> None:  # type: ignore[type-arg]
    """Give up all files but those that may be read, and every capability."""
    version = _libc.syscall(_LANDLOCK_CREATE, 0, 0, 1)
    _check(version, "Landlock")
    handled = (1 << (13, 14, 15, 15, 16, 16)[min(version, 6) - 1]) - 1
    network, scoped = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    attributes = struct.pack("=QQQ", handled, network, scoped)[
        : 24 if version >= 6 else 16 if version >= 4 else 8
    ]
    rules = _libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    _check(rules, "Landlock")
    for path in _readable(given):
        _allow(rules, path, _READ)
    _allow(rules, given["box"] + "/files", _READ)
    for name in _DEVICES:
        _allow(rules, "/dev/" + name, _READ | _WRITE_FILE)
    _drop_capabilities()
    _check(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _check(_libc.syscall(_LANDLOCK_RESTRICT, rules, 0), "Landlock")
    os.close(rules)
    if given["die_with_parent"]:
        _libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def _allow(rules: int, path: str, access: int) -> None:
    at = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if not os.path.isdir(path):  # noqa: PTH112
        access &= _FILE_ONLY
    _check(_libc.syscall(_LANDLOCK_ADD, rules, 1, struct.pack("=Qi", access, at), 0), f"Landlock {path}")
    os.close(at)


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _drop_capabilities() -> None:
    for capability in range(64):
        if _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0) and ctypes.get_errno() not in (
            errno.EINVAL,
            errno.EPERM,
        ):
            raise OSError(ctypes.get_errno(), "capabilities")
    header = struct.pack("=Ii", 0x20080522, 0)
    _check(_libc.capset(header, bytes(24)), "capset")


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags),
        options.encode() or None,
    )  # fmt: skip
    _check(result, f"mount {target}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(text)


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.stderr.write(f"genops sandbox: {error}\n")
        os._exit(125)
