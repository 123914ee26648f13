"""``import genops`` in plain scripts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.environments import find_python
from tests.support.homes import Home

from .conftest import SITE
from .stand_in import LabStandIn, eventually, kinds, lab_stand_in, own_metrics


def start(
    home: Home, code: str, *arguments: str, python: str = sys.executable, **env: str
) -> subprocess.Popen[str]:
    script = home.work / "train.py"
    script.write_text(code, encoding="utf-8")
    return subprocess.Popen(
        [python, str(script), *arguments],
        env=home.environment(PYTHONPATH=str(SITE), **env),
        cwd=home.work,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=60)
    return out, err


def spooled(home: Home) -> list[Path]:
    return sorted((home.data / "spool").glob("*.jsonl"))


LOOP = """
import genops
for i in range(3000):
    genops.log({"loss": 1 / (i + 1)}, step=i)
genops.params({"lr": 0.1, "note": "\\ud800"})
genops.tag({"team": "a"})
genops.log_text("hello", "notes/hello.txt")
genops.log({"bad": float("nan"), "up": float("inf")})
"""


def test_everything_that_a_script_logs_arrives_once_and_in_order(home: Home, lab: LabStandIn) -> None:
    process = start(home, LOOP, GENOPS_SOCKET=str(lab.path))
    _, err = finish(process)
    assert process.returncode == 0, err
    events = lab.only_run()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["data"]["name"] == "train"
    assert events[0]["data"]["script"] == str(home.work / "train.py")
    metrics = own_metrics(events)
    assert [data["step"] for data in metrics] == [*range(3000), 3000]
    assert metrics[-1]["values"] == {"bad": "NaN", "up": "Infinity"}
    assert kinds(events, "params") == [{"lr": "0.1", "note": "?"}]
    diverged = {"genops.diverged": "bad is NaN since step 3000"}
    assert sorted(kinds(events, "tags"), key=str) == [diverged, {"team": "a"}]
    texts = [text for text in kinds(events, "text") if not text["path"].startswith("source/")]
    assert texts == [{"path": "notes/hello.txt", "content": "hello"}]
    assert kinds(events, "end") == [{"status": "FINISHED"}]
    assert spooled(home) == []


def test_what_a_busy_loop_logs_is_sent_five_times_a_second(home: Home, lab: LabStandIn) -> None:
    """What comes while a batch is under way waits its turn, or a loop would keep the Lab and its MLflow busy."""
    code = "import genops, time\nfor i in range(200):\n    genops.log({'a': i})\n    time.sleep(0.005)"
    _, err = finish(start(home, code, GENOPS_SOCKET=str(lab.path)))
    events = lab.only_run()
    assert len(own_metrics(events)) == 200, err
    sent = [path for method, path, _ in lab.requests if (method, path) == ("POST", "/genops/tracking/events")]
    assert 3 <= len(sent) <= (events[-1]["timestamp"] - events[0]["timestamp"]) / 0.2 + 4


def test_the_process_is_named_as_psutil_names_it(home: Home, lab: LabStandIn) -> None:
    process = start(
        home, "import genops, time\ngenops.log({'a': 1})\ntime.sleep(60)", GENOPS_SOCKET=str(lab.path)
    )
    sent = eventually(lambda: next(iter(lab.processes.values()), None))
    assert sent["pid"] == process.pid
    assert sent["created"] == pytest.approx(psutil.Process(process.pid).create_time(), abs=1.5)
    process.kill()
    finish(process)


def test_a_script_that_raises_fails_its_run(home: Home, lab: LabStandIn) -> None:
    process = start(
        home, "import genops\ngenops.log({'a': 1})\nraise ValueError('no')", GENOPS_SOCKET=str(lab.path)
    )
    _, err = finish(process)
    assert "ValueError: no" in err
    assert kinds(lab.only_run(), "end") == [{"status": "FAILED"}]


def test_an_interrupted_script_stops_its_run(home: Home, lab: LabStandIn) -> None:
    # Short sleeps: Python looks for signals before a system call, and one that comes between the two ends no sleep.
    # A thread that waits for the interpreter's lock, such as the sender's, makes this moment long on a busy machine.
    code = "import genops, time\ngenops.log({'a': 1})\nprint('on', flush=True)\nwhile True: time.sleep(0.05)"
    process = start(home, code, GENOPS_SOCKET=str(lab.path))
    assert process.stdout is not None and process.stdout.readline() == "on\n"
    process.send_signal(signal.SIGINT)
    finish(process)
    assert kinds(lab.only_run(), "end") == [{"status": "KILLED"}]


def test_nested_runs_and_blocks_that_raise(home: Home, lab: LabStandIn) -> None:
    code = """
import genops
with genops.run("outer", experiment="E"):
    genops.log({"x": 1})
    try:
        with genops.run("inner"):
            genops.log({"y": 2})
            raise KeyError("z")
    except KeyError:
        pass
    genops.log({"x": 3})
"""
    process = start(home, code, GENOPS_SOCKET=str(lab.path))
    _, err = finish(process)
    assert process.returncode == 0, err
    outer, inner = lab.runs()
    assert outer[0]["data"]["experiment"] == "E"
    assert [data["values"] for data in own_metrics(outer)] == [{"x": 1.0}, {"x": 3.0}]
    assert [data["values"] for data in own_metrics(inner)] == [{"y": 2.0}]
    assert kinds(inner, "end") == [{"status": "FAILED"}]
    assert kinds(outer, "end") == [{"status": "FINISHED"}]


def test_without_a_lab_the_events_stay_private_on_disk_and_that_is_said(home: Home) -> None:
    process = start(home, "import genops\ngenops.log({'a': 1}, step=4)")
    _, err = finish(process)
    assert process.returncode == 0
    (path,) = spooled(home)
    assert "No GenOps Lab is running" in err and str(path) in err and "appear when a Lab starts" in err
    header, *events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert header["run_key"] == path.stem
    assert header["process"]["pid"] == process.pid
    assert [event["kind"] for event in events if event["kind"] != "text"] == ["start", "metrics", "end"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_lab_that_comes_back_gets_what_was_kept(home: Home) -> None:
    code = """
import genops, sys
for i in range(100):
    genops.log({"a": i}, step=i)
print("logged", flush=True)
sys.stdin.readline()
"""
    script = home.work / "train.py"
    script.write_text(code, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=home.environment(PYTHONPATH=str(SITE)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "logged\n"
    with lab_stand_in(home.path / "s") as lab:
        # No variable names it: it is found through what a Lab leaves in Jupyter's runtime folder.
        runtime = home.path / "run"
        runtime.mkdir(exist_ok=True)
        described = {"pid": 1, "socket": str(lab.path), "url": "", "version": "", "started_at": time.time()}
        (runtime / "genops-1.json").write_text(json.dumps(described), encoding="utf-8")
        eventually(lambda: lab.runs() and len(own_metrics(lab.only_run())) == 100)
        process.communicate("\n", timeout=60)
        assert kinds(lab.only_run(), "end") == [{"status": "FINISHED"}]
    assert spooled(home) == []


def test_what_a_killed_process_logged_is_on_disk(home: Home) -> None:
    code = """
import genops, time
for i in range(50): genops.log({"a": i}, step=i)
print("on", flush=True)
time.sleep(60)
"""
    process = start(home, code)
    assert process.stdout is not None and process.stdout.readline() == "on\n"
    os.kill(process.pid, signal.SIGKILL)
    finish(process)
    (path,) = spooled(home)
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][1:]
    assert [data["step"] for data in own_metrics(events)] == list(range(50))


def test_a_lab_that_lost_its_store_gets_the_whole_run_again(home: Home, lab: LabStandIn) -> None:
    code = """
import genops, sys
genops.log({"a": 1}, step=0)
print("on", flush=True)
sys.stdin.readline()
genops.log({"a": 2}, step=1)
"""
    script = home.work / "train.py"
    script.write_text(code, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=home.environment(PYTHONPATH=str(SITE), GENOPS_SOCKET=str(lab.path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: lab.runs() and own_metrics(lab.only_run()))
    lab.forget_runs()
    process.communicate("\n", timeout=60)
    events = lab.only_run()
    assert events[0]["kind"] == "start"
    assert [data["step"] for data in own_metrics(events)] == [0, 1]
    assert kinds(events, "end") == [{"status": "FINISHED"}]


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("genops.log({'a': 1})", {"GENOPS_NO_SOURCE": "1"}),
        ("genops.start(source=False); genops.log({'a': 1})", {}),
        ("with genops.run(source=False): genops.log({'a': 1})", {}),
    ],
)
def test_the_source_can_be_kept_back(home: Home, lab: LabStandIn, code: str, given: dict[str, str]) -> None:
    _, err = finish(start(home, f"import genops\n{code}", GENOPS_SOCKET=str(lab.path), **given))
    events = lab.only_run()
    assert kinds(events, "text") == [] and kinds(events, "end") == [{"status": "FINISHED"}], err


def test_a_refused_run_does_not_stop_the_training(home: Home, lab: LabStandIn) -> None:
    lab.refusal = (400, {"error": {"code": "invalid", "message": "Not like this.", "hint": "Otherwise."}})
    process = start(home, "import genops\ngenops.log({'a': 1})\nprint('done')", GENOPS_SOCKET=str(lab.path))
    out, err = finish(process)
    assert process.returncode == 0 and out == "done\n"
    assert "Not like this." in err
    assert len(spooled(home)) == 1


def test_a_forked_child_neither_writes_to_nor_ends_its_parents_run(home: Home, lab: LabStandIn) -> None:
    code = """
import genops, os, sys
genops.log({"parent": 1})
pid = os.fork()
if pid == 0:
    genops.log({"child": 1})
    with genops.run("own"):
        genops.log({"own": 1})
    sys.exit(0)
os.waitpid(pid, 0)
genops.log({"parent": 2})
"""
    process = start(home, code, GENOPS_SOCKET=str(lab.path))
    _, err = finish(process)
    assert "forked process" in err
    by_name = {events[0]["data"]["name"]: events for events in lab.runs()}
    assert [data["values"] for data in own_metrics(by_name["train"])] == [{"parent": 1.0}, {"parent": 2.0}]
    assert [data["values"] for data in own_metrics(by_name["own"])] == [{"own": 1.0}]
    assert kinds(by_name["train"], "end") == kinds(by_name["own"], "end") == [{"status": "FINISHED"}]


def test_threads_share_one_run(home: Home, lab: LabStandIn) -> None:
    code = """
import genops, threading
def work(n):
    for i in range(200): genops.log({f"t{n}": i}, step=i)
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
"""
    finish(start(home, code, GENOPS_SOCKET=str(lab.path)))
    events = lab.only_run()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert len(own_metrics(events)) == 1600


def test_a_full_disk_costs_neither_the_training_nor_the_metrics(home: Home, lab: LabStandIn) -> None:
    code = """
import resource, signal, sys
sys.dont_write_bytecode = True  # cut ones would stay
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
import genops
for i in range(500): genops.log({"a": i}, step=i)
print("trained")
"""
    out, err = finish(start(home, code, GENOPS_SOCKET=str(lab.path)))
    assert out == "trained\n"
    assert "kept in memory only" in err and "File too large" in err
    assert [data["step"] for data in own_metrics(lab.only_run())] == list(range(500))
    assert kinds(lab.only_run(), "end") == [{"status": "FINISHED"}]


def test_a_value_that_is_no_number_is_refused_by_name(home: Home, lab: LabStandIn) -> None:
    _, err = finish(start(home, "import genops\ngenops.log({'loss': 'high'})", GENOPS_SOCKET=str(lab.path)))
    assert "TypeError: genops.log: 'loss' is a str, not a number" in err


def test_python_3_8_without_anything_installed(home: Home, lab: LabStandIn) -> None:
    python = find_python(8)
    if python is None:
        pytest.skip("there is no Python 3.8 here")
    process = start(home, LOOP, python=str(python), GENOPS_SOCKET=str(lab.path))
    _, err = finish(process)
    assert process.returncode == 0, err
    assert len(own_metrics(lab.only_run())) == 3001
