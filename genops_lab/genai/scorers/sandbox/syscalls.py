"""A seccomp filter: the system calls that a program in the sandbox must not make. Standard library only."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

# Numbers of system calls by machine: (x86_64, aarch64); -1 where the machine has none.
_NUMBERS = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "clone": (56, 220), "fork": (57, -1), "vfork": (58, -1), "clone3": (435, 435), "kill": (62, 129),
    "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "process_madvise": (440, 440),
    "kcmp": (312, 272), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "acct": (163, 89), "syslog": (103, 116), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "prlimit64": (302, 261),
}  # fmt: skip
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_NAMESPACES = 0x7E020080
_THREAD = 0x10000
_LOAD, _EQUAL, _AT_LEAST, _ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_FAMILY_UNIX, _STREAM = 1, 1
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 38, 22

_libc = ctypes.CDLL(None, use_errno=True)


def forbid(*, alone: bool) -> None:
    """Forbid system calls to this process and all that it starts.

    alone: there are no namespaces around the process. Then it may not start processes, send signals to others, or
    connect to anything. Raises OSError where the kernel or the machine has no such filter.
    """
    machine = platform.machine()
    if machine not in _MACHINES:
        raise OSError(errno.ENOSYS, f"no filter of system calls for {machine}")
    program = _program(*_MACHINES[machine], alone=alone)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))

    given = Filter(len(program) // 8, program)
    if _libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(given), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def _program(machine: int, architecture: int, *, alone: bool) -> bytes:
    """Return the filter in the kernel's BPF."""
    refuse = _ERRNO | errno.EPERM
    lines: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0),
    ]  # fmt: skip
    if machine == 0:  # calls of x32 have numbers of their own
        lines += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, refuse)]
    special = {"clone", "clone3", "tgkill", "socketpair", "socket", "prlimit64"}
    only_alone = {"connect", "bind", "listen", "fork", "vfork", "kill", "tkill", "rt_sigqueueinfo",
                  "rt_tgsigqueueinfo", "pidfd_send_signal", "pidfd_open"}  # fmt: skip

    def on(name: str, then: list[tuple[int, int, int, int]]) -> None:
        number = _NUMBERS[name][machine]
        if number >= 0:
            lines.append((_EQUAL, 0, len(then), number))
            lines.extend(then)

    for name in _NUMBERS:
        if name not in special and (alone or name not in only_alone):
            on(name, [(_RETURN, 0, 0, refuse)])
    on(
        "clone3", [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    )  # the C library then uses clone, whose flags a filter sees
    flags = [(_LOAD, 0, 0, 16), (_ANY, 0, 1, _NAMESPACES), (_RETURN, 0, 0, refuse)]
    if alone:
        flags += [(_ANY, 1, 0, _THREAD), (_RETURN, 0, 0, refuse)]
    on("clone", [*flags, (_RETURN, 0, 0, _ALLOW)])
    # The first argument: 0 is the process itself.
    on("prlimit64", [(_LOAD, 0, 0, 16), (_EQUAL, 1, 0, 0), (_RETURN, 0, 0, refuse), (_RETURN, 0, 0, _ALLOW)])
    allow = (_RETURN, 0, 0, _ALLOW)
    if alone:
        on("socket", [(_RETURN, 0, 0, refuse)])
        # A socket of datagrams could be sent to another socket's file.
        kinds = [_STREAM, _STREAM | 0o2000000, _STREAM | 0o2004000]
        same = [(_EQUAL, len(kinds) - at, 0, kind) for at, kind in enumerate(kinds)]
        on("socketpair", [(_LOAD, 0, 0, 24), *same, (_RETURN, 0, 0, refuse), allow])
        on("tgkill", [(_LOAD, 0, 0, 16), (_EQUAL, 1, 0, os.getpid()), (_RETURN, 0, 0, refuse), allow])
    else:
        on("socket", [(_LOAD, 0, 0, 16), (_EQUAL, 1, 0, _FAMILY_UNIX), (_RETURN, 0, 0, refuse), allow])
    lines.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
