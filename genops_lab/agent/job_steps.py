"""Run in a job: ``serve`` is the batch script's own process, ``attach COMMAND...`` a step that srun adds.

A step only hands its standard streams to the server, which starts the command. So all that a command leaves (a
kernel's keeper) belongs to the batch script: Slurm ends what a step leaves with the step (proctrack/cgroup).

The file travels in the batch script. It needs Python 3.6 and its standard library.
"""

import array
import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any, Dict, List, Set, Tuple

FOLDER = os.path.dirname(os.path.abspath(__file__))
SOCKET = os.path.join(FOLDER, "s")
LENGTH = struct.Struct("!I")
#: Seconds. A job that runs nothing for so long ends by itself.
IDLE_S = 900.0
#: Seconds from the signal that ends the job until its processes are killed.
GRACE_S = 2.0
_PR_SET_CHILD_SUBREAPER = 36


def serve() -> None:
    """Start the commands of steps until the job ends."""
    # Processes whose parent has ended come to this one: Slurm finds them there, and so does the end below.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(SOCKET)
    listener.listen(64)
    used = time.monotonic()
    try:
        while time.monotonic() - used < IDLE_S:
            if select.select([listener], [], [], 0.5)[0]:
                stream, _ = listener.accept()
                if os.fork() == 0:
                    listener.close()
                    signal.signal(signal.SIGTERM, signal.SIG_DFL)
                    try:
                        run(stream)
                    finally:
                        os._exit(0)
                stream.close()
            if reap():
                used = time.monotonic()
    finally:
        end_all()
        shutil.rmtree(FOLDER, ignore_errors=True)


def reap() -> bool:
    """Return whether processes are left; collect those that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def run(stream: socket.socket) -> None:
    """Run the command of one step on the step's streams; tell the step its exit code."""
    argv, descriptors = received(stream)
    answer: Dict[str, Any] = {}
    try:
        argv[0] = os.path.expanduser(argv[0])
        command = subprocess.Popen(
            argv,
            stdin=descriptors[0],
            stdout=descriptors[1],
            stderr=descriptors[2],
            cwd=os.path.expanduser("~"),
            start_new_session=True,
        )
    except OSError as error:
        answer = {"code": 127, "error": f"{argv[0]}: {error.strerror}"}
    for each in descriptors:
        os.close(each)
    with contextlib.suppress(BrokenPipeError):  # the step has ended
        stream.sendall(json.dumps(answer or {"code": command.wait()}).encode())


def received(stream: socket.socket) -> "Tuple[List[str], List[int]]":
    """Return the command and the three descriptors that a step sent."""
    found = array.array("i")
    size = found.itemsize
    head, extra, _, _ = stream.recvmsg(LENGTH.size, socket.CMSG_SPACE(3 * size))
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % size])
    body = b""
    while len(body) < LENGTH.unpack(head)[0]:
        body += stream.recv(65536)
    return json.loads(body.decode()), list(found)


def attach(argv: "List[str]") -> int:
    """Let the server run the command on this process's streams; return its exit code."""
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.connect(SOCKET)
    body = json.dumps(argv).encode()
    streams = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))
    stream.sendmsg([LENGTH.pack(len(body))], [streams])
    stream.sendall(body)
    os.close(0)
    os.close(1)
    answer = b""
    while True:
        data = stream.recv(4096)
        if not data:
            break
        answer += data
    if not answer:
        print("The job has ended.", file=sys.stderr)
        return 1
    found = json.loads(answer.decode())
    if found.get("error"):
        print(found["error"], file=sys.stderr)
    code: int = found["code"]
    return code if code >= 0 else 128 - code


def end_all() -> None:
    """End all processes below this one, also those that left its session."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    number, deadline = signal.SIGTERM, time.monotonic() + GRACE_S
    while True:
        below = descendants()
        if not below:
            return
        for pid in below:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        if number == signal.SIGKILL:
            return
        while reap() and time.monotonic() < deadline:
            time.sleep(0.05)
        number = signal.SIGKILL


def descendants() -> "Set[int]":
    """Return the pids of all living processes below this one."""
    parents = {}
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{int(name)}/stat", encoding="utf-8", errors="replace") as stream:
                fields = stream.read().rpartition(")")[2].split()
        except (OSError, ValueError):  # not a process, or an ended one
            continue
        if fields[0] not in "ZX":
            parents[int(name)] = int(fields[1])
    below = {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in below} - below
        if not more:
            return below - {os.getpid()}
        below |= more


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        sys.exit(attach(sys.argv[2:]))
