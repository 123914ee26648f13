"""Programs in the sandbox attack what is outside, in each of its ways that works on this machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from genops_lab.genai.scorers import running as scorers
from genops_lab.genai.scorers.base import Answered, CannotScore
from genops_lab.genai.scorers.programs import Function
from genops_lab.genai.scorers.sandbox import sandbox
from genops_lab.genai.scorers.sandbox.sandbox import WAYS, Bounds, Ended, Way, run

_ATTACKS = r"""
import ctypes, glob, json, os, socket, sys
key, port, path, parent, mark = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
won = []

def attack(name, attempt):
    try:
        if attempt() is not False:
            won.append(name)
    except (OSError, ValueError, AttributeError):
        pass

def unix(address):
    one = socket.socket(socket.AF_UNIX)
    one.connect(address)

def datagram(address):
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"x", address)

def packets():
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

def called(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)

attack("reads a key", lambda: open(key).read())
attack("lists the home", lambda: os.path.basename(key) in os.listdir(os.path.dirname(key)))
attack("reads passwords", lambda: open("/etc/shadow").read())
attack("reads an environment", lambda: [open(each).read() for each in glob.glob(f"/proc/{parent}/environ")] or False)
attack("writes to the memory of the first process", lambda: open("/proc/1/mem", "r+b"))
attack("sees the environment", lambda: "KEY_OF_A_MODEL" in os.environ)
attack("connects", lambda: socket.create_connection(("127.0.0.1", int(port)), 1))
attack("sends a packet", lambda: packets().sendto(b"x", ("127.0.0.1", int(port))))
attack("connects to a socket file", lambda: unix(path))
attack("sends to a socket file", lambda: datagram(path + ".datagram"))
attack("connects to an abstract socket", lambda: unix("\0" + path))
attack("writes a file", lambda: open(key + ".new", "w").write("x"))
attack("changes a file", lambda: open(key, "a").write("x"))
attack("removes a file", lambda: os.remove(key))
attack("changes a program", lambda: open(sys.executable, "ab"))
attack("writes to /usr", lambda: open("/usr/" + mark, "w"))
attack("writes to /", lambda: open("/" + mark, "w"))
attack("changes its own files", lambda: open(__file__, "a"))
attack("signals its parent", lambda: os.kill(int(parent), 0) if os.getppid() else False)
attack("traces", lambda: called("ptrace", 16, os.getppid(), 0, 0))
attack("mounts", lambda: called("mount", b"none", b"/tmp", b"tmpfs", 0, None))
attack("makes namespaces", lambda: called("unshare", 0x10000000))
attack("becomes root", lambda: os.setuid(0) if os.getuid() else False)
attack("holds capabilities", lambda: any(
    line.startswith("CapEff") and int(line.split()[1], 16) for line in open("/proc/self/status")) or False)
attack("gets new privileges", lambda: libc.prctl(39, 0, 0, 0, 0) != 1 or False)
attack("makes a file of memory", lambda: os.memfd_create("x"))
attack("raises its limit", lambda: __import__("resource").setrlimit(__import__("resource").RLIMIT_AS, (-1, -1)))
attack("fills the disk", lambda: open("/tmp/" + mark, "wb").write(bytes(80 << 20)))
def many_files():
    for number in range(30):
        open(f"/tmp/{mark}-{number}", "wb").write(bytes(20 << 20))
attack("fills the disk with files", many_files)
print(json.dumps(won))
"""
_BOMB = """
import os, sys, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
"""
_HOG = """
import os
try:
    for _ in range(7):
        if not os.fork():
            break
except OSError:
    pass
held = [bytearray(40_000_000) for _ in range(5)]
while True:
    pass
"""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """Each way that works here."""
    found = sandbox.problem(request.param)
    if found:
        pytest.skip(f"{request.param}: {found}")
    return request.param


@pytest.fixture
def key() -> Iterator[Path]:
    """A file with a key in the home."""
    path = Path.home() / f".genops-sandbox-{os.getpid()}"
    path.write_text("a key")
    yield path
    path.unlink(missing_ok=True)


def _left(mark: str) -> list[int]:
    return [each.pid for each in psutil.process_iter(["cmdline"]) if mark in (each.info["cmdline"] or [])]


def _nothing_is_left_of(mark: str) -> bool:
    until = time.monotonic() + 10
    while _left(mark) and time.monotonic() < until:
        time.sleep(0.02)
    return not _left(mark)


def test_no_attack_gets_out(way: Way, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_A_MODEL", "sk-1")
    path = f"/tmp/genops-sandbox-socket-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as file,
        socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
    ):  # fmt: skip
        file.bind(path), file.listen()
        abstract.bind("\0" + path), abstract.listen()
        datagrams.bind(path + ".datagram")
        try:
            os.chmod(path, 0o777), os.chmod(path + ".datagram", 0o777)
            mark = f"mark-{os.getpid()}"
            given = [str(key), str(server.getsockname()[1]), path, str(os.getpid()), mark]
            found = run(_ATTACKS, arguments=given, bounds=Bounds(timeout_s=60), way=way)
        finally:
            os.unlink(path), os.unlink(path + ".datagram")
    assert found.errors == "" and json.loads(found.out) == []
    assert key.read_text() == "a key" and not Path("/tmp", mark).exists()


@pytest.mark.parametrize(
    ("program", "bounds", "why"),
    [
        ("for _ in range(2**10): print('x' * 2**20)", Bounds(), "it printed over 1 MB"),
        ("import time; time.sleep(60)", Bounds(timeout_s=1), "it ran for over 1 s"),
        (_BOMB, Bounds(timeout_s=2), "it ran for over 2 s"),
        (_HOG, Bounds(timeout_s=20, memory_mb=500), "its processes used over 500 MB"),
    ],
    ids=["prints 1 GB", "sleeps", "fork bomb", "much memory in many processes"],
)  # fmt: skip
def test_a_program_that_passes_a_bound_is_ended_with_all_its_processes(
    way: Way, program: str, bounds: Bounds, why: str
) -> None:
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    if program is _HOG and way == "landlock":
        bounds, why = Bounds(timeout_s=2, memory_mb=500), "it ran for over 2 s"  # it has one process
    found = run(program, arguments=[mark], bounds=bounds, way=way)
    assert found.why == why
    assert _nothing_is_left_of(mark)


def test_a_process_of_the_program_does_not_outlive_it(way: Way) -> None:
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    program = """
import os, time
try:
    if not os.fork():
        os.setsid()
        time.sleep(60)
except OSError as error:
    print(error.strerror)
"""
    found = run(program, arguments=[mark], way=way)
    assert found == Ended(
        code=0, errors="", out="Operation not permitted\n" if way == "landlock" else "", why=""
    )
    assert _nothing_is_left_of(mark)


def test_memory_of_one_process_is_bounded_and_plain_programs_run(way: Way) -> None:
    found = run("bytearray(2 << 30)", bounds=Bounds(memory_mb=512), way=way)
    assert found.code == 1 and "MemoryError" in found.errors
    threads = "import sys, threading, helper\nt = threading.Thread(target=print, args=(helper.x,)); t.start(); t.join()"
    found = run("import sys; sys.path.insert(0, __file__[:-8])\n" + threads + "\nprint(input())",
                files={"helper.py": "x = 5"}, stdin="hello\n", way=way)  # fmt: skip
    assert (found.code, found.out, found.errors) == (0, "5\nhello\n", "")


def test_a_function_scores_in_the_sandbox(way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy, helper\ndef score(text): return numpy.mean([1, helper.x])"
    )
    (tmp_path / "helper.py").write_text("x = 2")
    monkeypatch.setattr(scorers, "chosen", lambda: way)
    with scorers.running(Function(file="mine.py", files=["helper.py"]), tmp_path) as scoring:
        assert [each.value for each in scoring.score([Answered(text="")] * 2)] == [1.5, 1.5]


_LOOKS = r"""
import glob
def score(text):
    found = []
    for path in [*glob.glob("/proc/[0-9]*/environ"), "/proc/1/mem"]:
        try:
            with open(path, "rb") as file:
                found.append(path if path.endswith("mem") or b"KEY_OF_A_MODEL" in file.read() else "")
        except OSError:
            pass
    return len(list(filter(None, found))), " ".join(found)
"""
_SCORES = """
import sys
from pathlib import Path
from genops_lab.genai.scorers import running
from genops_lab.genai.scorers.base import Answered
from genops_lab.genai.scorers.programs import Function
running.chosen = lambda: sys.argv[2]
with running.running(Function(file="looks.py"), Path(sys.argv[1])) as scoring:
    [found] = scoring.score([Answered(text="")])
    print(found.value, found.reason)
"""


def test_a_function_of_an_ordinary_user_reads_no_key_of_the_lab(way: Way, tmp_path: Path) -> None:
    # The first process of the sandbox has the function's user then: its environment and memory could be read.
    (tmp_path / "looks.py").write_text(_LOOKS)
    as_user = [shutil.which("unshare") or "unshare", "-U", "--map-user=1000", "--map-group=1000"]
    if os.getuid():
        as_user = []
    elif subprocess.run([*as_user, "true"], check=False, capture_output=True).returncode:
        pytest.skip("unshare cannot make an ordinary user here")
    found = subprocess.run(
        [*as_user, sys.executable, "-c", _SCORES, str(tmp_path), way],
        env={**os.environ, "KEY_OF_A_MODEL": "sk-1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.split()[:1] == ["0.0"], found.stdout


def test_without_a_sandbox_it_refuses_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sandbox, "problem", lambda way: f"no {way}"
    )  # no kernel without all three can be had here
    sandbox.chosen.cache_clear()
    try:
        with pytest.raises(CannotScore) as refused:
            run("print(1)")
    finally:
        sandbox.chosen.cache_clear()
    assert (
        "bubblewrap: no bubblewrap; namespaces: no namespaces; landlock: no landlock" in refused.value.message
    )
    assert "as a job on a target, or in a container" in refused.value.hint
