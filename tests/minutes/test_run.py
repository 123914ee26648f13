"""A run of a small project under the plugin: its rows, what it left behind, its output, its second try."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from .unsteady import failed, files_to_try_again

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 400  # 20 s on a machine that does nothing else
pytestmark = pytest.mark.timeout(WAIT_S + 20)

CONFTEST = """
import pathlib, subprocess, sys, time
import pytest
from tests.minutes import shared_process

pytest_plugins = ["tests.minutes.plugin"]
LOOKS = pathlib.Path(__file__).with_name("looks")

def pytest_configure():
    from tests.minutes import accounts, plugin

    update = accounts.Accounts.update

    def noted(self):
        update(self)
        with LOOKS.open("a") as file:
            file.write(".")

    plugin.LOOK_S = 1  # tests wait for a look
    accounts.Accounts.update = noted

@pytest.fixture
def looked_at():
    def wait():
        "Until the run has looked at all processes: not the look that may be under way, but the next one."
        enough = LOOKS.stat().st_size + 2
        while LOOKS.stat().st_size < enough:
            time.sleep(0.1)
    return wait

BURN = "import time\\nwhile time.process_time() < {}: pass\\nprint(flush=True)\\ntime.sleep({})"

def burning(seconds, then=0, **options):
    command = [sys.executable, "-c", BURN.format(seconds, then)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, **options)
    process.stdout.readline()
    return process

@pytest.fixture
def burn():
    return burning

@pytest.fixture(scope="session")
def server():
    process = burning(0.5, 600)
    shared_process("the server", process.pid)
    yield process
    process.kill()
    process.wait()
"""

#: Notes which worker runs it.
HERE = """
import os
def test_here():
    with open("workers", "a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + " ")
"""

#: A parent that starts a process in a session of its own and ends at once, and prints the orphan's pid.
ORPHAN = """
import os, subprocess, sys, time

STARTS = (
    "import subprocess, sys; nothing = subprocess.DEVNULL;"
    "print(subprocess.Popen(sys.argv[1:], start_new_session=True, stdout=nothing, stderr=nothing).pid)"
)

def orphan(code, **options):
    command = [sys.executable, "-c", STARTS, sys.executable, "-c", code]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True, **options).stdout)

def wait_for_the_end_of(pid):
    try:
        while True:
            os.kill(pid, 0)
            time.sleep(0.1)
    except ProcessLookupError:
        pass
"""

FORKING = """
import os, time
input()
pid = os.fork()
if not pid:
    while time.process_time() < 1: pass
    print(os.getpid(), flush=True)
    time.sleep(600)
os.wait()
"""

FILES = {
    "conftest.py": CONFTEST,
    "test_forked.py": f"""
import os, signal, subprocess, sys, time
from tests.minutes import forked_process, shared_process

def test_asks(looked_at):
    options = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with subprocess.Popen([sys.executable, "-c", {FORKING!r}], **options) as server:
        shared_process("what forks", server.pid)
        print(file=server.stdin, flush=True)
        pid = int(server.stdout.readline())
        forked_process(pid)
        looked_at()
        os.kill(pid, signal.SIGKILL)
""",
    "orphans.py": ORPHAN,
    "test_child.py": "def test_burns(burn):\n    burn(1).wait()\n",
    "test_orphan.py": """
import time, pathlib
from orphans import orphan, wait_for_the_end_of
def test_burns(tmp_path, looked_at):
    done, stop = tmp_path / "done", tmp_path / "stop"
    pid = orphan("import time, pathlib\\nwhile time.process_time() < 1: pass\\n"
           f"pathlib.Path({str(done)!r}).touch()\\nwhile not pathlib.Path({str(stop)!r}).exists(): time.sleep(0.1)")
    while not done.exists():
        time.sleep(0.1)
    looked_at()
    stop.touch()
    wait_for_the_end_of(pid)
""",
    # In a folder of their own: what a fixture of several files starts serves the next file too.
    "several/__init__.py": "",
    "several/conftest.py": """
import pytest, subprocess, sys
class Service:
    child = None
    def started(self):
        self.child = self.child or subprocess.Popen([sys.executable, "-c", "import time; time.sleep(603)"])
        return self.child
@pytest.fixture(scope="package")
def helper(burn_forever):
    return burn_forever
@pytest.fixture(scope="session")
def burn_forever():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(604)"])
    yield process
    process.kill()
    process.wait()
@pytest.fixture(scope="package")
def service():
    found = Service()
    yield found
    found.child.kill()
    found.child.wait()
""",
    "several/test_one.py": "def test_one(helper, service):\n    assert service.started().poll() is None\n",
    "several/test_two.py": (
        "def test_two(helper, service):\n"
        "    first = service.child\n"  # None on another worker
        "    assert helper.poll() is None and (first or service.started()).poll() is None, 'it was ended'\n"
    ),
    "test_shared.py": "def test_uses_it(server, looked_at):\n    looked_at()\n",
    "test_leaves.py": """
from orphans import orphan
def test_marked():
    print(orphan("import time; time.sleep(601)"))
""",
    "test_hides.py": """
import pytest
from orphans import orphan
def test_cleared_environment(tmp_path_factory):
    orphan("import time; time.sleep(602)", env={})
""",
    "test_warns.py": """
import warnings
import pytest
@pytest.mark.parametrize("number", range(30))
def test_warns(number):
    warnings.warn("the same again")
""",
    "test_unsteady.py": """
import pathlib
import pytest
TRIED = pathlib.Path(__file__).with_name("tried")
SHARED = []
def test_unsteady():
    if not TRIED.exists():
        TRIED.touch()
        assert not "the first failure"
    SHARED.append("what the next test needs")
def test_after_it():
    assert SHARED
""",
    # Of a folder that one worker runs (order.ONE_WORKER).
    "tests/sweeps/test_first.py": HERE,
    "tests/sweeps/test_second.py": HERE,
    "pytest.ini": "[pytest]\n",
}


@dataclass
class Ended:
    """``run``: the figures that were kept."""

    code: int
    out: str
    run: dict[str, Any]

    def row(self, name: str) -> dict[str, Any]:
        return next(row for row in self.run["rows"] if row["name"] == name)


def pytest_in(folder: Path, *arguments: str) -> Ended:
    """Run pytest in a folder, as a person does who is not inside of a run already."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TEST_RUN_"))}
    env |= {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "xdg"), "COLUMNS": "120"}
    env["TEST_RUN_GRACE_S"] = "2"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=WAIT_S)
    kept = sorted((folder / ".cache" / "minutes").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    assert kept, ended.stdout + ended.stderr
    return Ended(ended.returncode, ended.stdout, json.loads(kept[-1].read_text()))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def ended(project: Path) -> Ended:
    """A distributed run, as CI does it."""
    return pytest_in(project, "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")


def test_cpu_of_children_and_orphans_is_their_files(ended: Ended) -> None:
    assert 0.9 <= ended.row("test_child.py")["cpu_s"] < 2.0
    assert 0.9 <= ended.row("test_orphan.py")["cpu_s"] < 2.0
    assert ended.row("test_warns.py")["cpu_s"] < 0.8
    assert ended.row("test_warns.py")["tests"] == 30


def test_a_shared_process_has_a_row_of_its_own(ended: Ended) -> None:
    assert ended.row("the server")["kind"] == "shared"
    assert 0.4 <= ended.row("the server")["cpu_s"] < 1.0
    assert ended.row("test_shared.py")["cpu_s"] < 0.5


def test_a_fork_is_counted_for_the_file_that_asked_for_it(ended: Ended) -> None:
    assert 0.8 <= ended.row("test_forked.py")["cpu_s"] < 2.0
    assert ended.row("what forks")["cpu_s"] < 0.5


def test_what_fixtures_of_a_folder_start_serves_its_next_file(project: Path) -> None:
    ended = pytest_in(project, "several")
    assert ended.code == 0, ended.out
    assert ended.row("burn_forever of several (main)")["kind"] == "shared"


def test_one_worker_runs_a_folder_whose_files_share_much(ended: Ended, project: Path) -> None:
    first, second = (project / "workers").read_text().split()
    assert first == second


def test_collection_has_a_row_for_each_worker_and_rows_add_up(ended: Ended) -> None:
    rows = ended.run["rows"]
    assert {row["worker"] for row in rows if row["kind"] == "collection"} == {"gw0", "gw1"}
    assert sum(row["cpu_s"] for row in rows) == pytest.approx(ended.run["cpu_s"], abs=0.1)
    assert 0 < ended.run["idle"] < 1
    assert len(ended.run["loop_ms"]) == 2 and min(ended.run["loop_ms"]) > 0
    assert "ms CPU for the calibrating loop" in ended.out


def test_what_is_left_behind_is_named_ended_and_makes_the_run_red(ended: Ended) -> None:
    assert ended.code == 1
    assert re.search(r"test_leaves.py::test_marked \(call\): process \d+, .*time\.sleep\(601\)", ended.out)
    assert re.search(r"process \d+, .*time\.sleep\(602\)", ended.out)
    assert "2 errors" in ended.out.splitlines()[-1]
    ended_pids = [int(pid) for pid in re.findall(r"process (\d+), .*time\.sleep", ended.out)]
    assert not [pid for pid in ended_pids if psutil.pid_exists(pid)]


def test_the_output_is_a_line_a_file_and_warnings_are_counted(ended: Ended, project: Path) -> None:
    assert re.search(
        r"^ +\d+:\d\d test_warns.py: 30 passed; [\d.]+ s, [\d.]+ s CPU; \d+ files left$", ended.out, re.M
    )
    assert "30 warnings of 1 kinds: " in ended.out
    assert "the same again" not in ended.out
    kept = (project / ".cache" / "minutes" / "warnings.txt").read_text()
    assert kept.startswith("30 times, first in test_warns.py::test_warns[")
    passed = 27 + sum(text.count("def test_") for text in FILES.values())  # one of them 30 times
    last = ended.out.splitlines()[-1]
    assert re.fullmatch(rf"=+ 2 failed, {passed} passed, 30 warnings, 2 errors in .*", last)


def test_a_file_that_passes_on_its_second_try_is_named_and_the_same_one_twice_fails_the_run(
    project: Path,
) -> None:
    tried = project / "tried"
    for attempt in ("first", "again"):
        tried.unlink(missing_ok=True)
        broken = pytest_in(project, "test_unsteady.py")
        assert broken.code == 1 and "2 failed" in broken.out
        assert files_to_try_again(failed(project / ".cache" / "minutes")) == ["test_unsteady.py"]
        second = pytest_in(project, "--second-try", "test_unsteady.py")
        if attempt == "first":
            assert second.code == 0, second.out
            # Not the test after it, which failed by it.
            assert re.search(r"^=+ UNSTEADY: .*=+\ntest_unsteady.py::test_unsteady\n=", second.out, re.M), (
                second.out
            )
    assert second.code == 1
    assert "It passed on a second try, as on 2" in second.out
    assert re.fullmatch(r"=+ 2 passed, 1 error in .*", second.out.splitlines()[-1])
    tried.write_text("")
    steady = pytest_in(project, "test_unsteady.py")
    assert steady.code == 0 and failed(project / ".cache" / "minutes") == []


def test_what_is_no_tests_failure_has_no_second_try(ended: Ended) -> None:
    assert files_to_try_again(["test_x.py::test_y", "the run"]) == []
    assert files_to_try_again(f"test_{number}.py::test" for number in range(6)) == []
