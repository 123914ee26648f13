"""A process on a host that is not the Lab's: one way to the Lab, and spools that others left."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.homes import Home

from .conftest import SITE
from .stand_in import LabStandIn, own_metrics

PROCESS = {"pid": 1, "created": 1.0, "kernel_id": "k", "notebook": ""}


def run(home: Home, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """A Python on the host, with the kernel side on its path."""
    env = home.environment(
        PYTHONPATH=str(SITE), GENOPS_REMOTE="1", GENOPS_DATA_DIR=str(home.path / "far"), **extra
    )
    return subprocess.run(
        [sys.executable, *arguments], env=env, capture_output=True, text=True, timeout=120, check=False
    )


def spool_file(home: Home, key: str, *steps: int, tail: bytes = b"", header: Any = None) -> Path:
    """A spool that a process left: ``start``, then a metric for each step."""
    lines = [header or {"run_key": key, "process": PROCESS}]
    lines.append({"seq": 1, "kind": "start", "timestamp": 1.0, "data": {"name": key}})
    for seq, step in enumerate(steps, 2):
        data = {"values": {"loss": step}, "step": step, "timestamp": 1.0}
        lines.append({"seq": seq, "kind": "metrics", "timestamp": 1.0, "data": data})
    folder = home.path / "far" / "spool"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{key}.jsonl"
    path.write_bytes("".join(json.dumps(line) + "\n" for line in lines).encode() + tail)
    return path


def drain(home: Home, lab: LabStandIn, *paths: Path) -> subprocess.CompletedProcess[str]:
    return run(
        home, "-m", "genops_lab.runtime.drain", *(str(path) for path in paths), GENOPS_SOCKET=str(lab.path)
    )


def test_what_others_left_is_sent_up_to_the_torn_line(home: Home, lab: LabStandIn) -> None:
    torn = spool_file(home, "torn", *range(1200), tail=b'{"seq": 1202, "kind": "met')
    whole = spool_file(home, "whole", 1, 2)
    answer = drain(home, lab, torn, whole, home.path / "far" / "spool" / "gone.jsonl")
    assert answer.returncode == 0, answer.stderr
    assert not torn.exists() and not whole.exists()
    assert [event["seq"] for event in lab.events["torn"]] == list(range(1, 1202))
    assert [event["seq"] for event in lab.events["whole"]] == [1, 2, 3]
    assert lab.processes["torn"] == PROCESS


def test_what_a_lab_has_already_is_not_sent_twice(home: Home, lab: LabStandIn) -> None:
    path = spool_file(home, "half", 1, 2, 3)
    lab.answer("POST", "/genops/tracking/events", {
        "run_key": "half", "process": PROCESS,
        "events": [json.loads(line) for line in path.read_text().splitlines()[1:3]],
    })  # fmt: skip
    assert drain(home, lab, path).returncode == 0
    assert [event["seq"] for event in lab.events["half"]] == [1, 2, 3, 4]


def test_what_cannot_be_sent_is_kept(home: Home, lab: LabStandIn) -> None:
    garbage, refused = spool_file(home, "garbage", header="x"), spool_file(home, "refused", 1)
    lab.refusal = (403, {"error": {"code": "not_allowed", "message": "No.", "hint": ""}})
    assert drain(home, lab, garbage, refused).returncode == 0
    assert {path.name for path in garbage.parent.iterdir()} == {"garbage.broken", "refused.broken"}
    lab.refusal = (503, {"error": {"code": "unavailable", "message": "Later.", "hint": ""}})
    later = spool_file(home, "later", 1)
    assert drain(home, lab, later).returncode == 1 and later.exists()
    lab.refusal = None
    lab.close()
    assert drain(home, lab, later).returncode == 1 and later.exists()
    lab.open()
    assert drain(home, lab, later).returncode == 0 and not later.exists()


def test_another_lab_that_runs_on_the_host_is_not_asked(home: Home, lab: LabStandIn) -> None:
    runtime = home.path / "run"
    runtime.mkdir()
    description = {"pid": 1, "socket": str(lab.path), "url": "", "version": "", "started_at": time.time()}
    (runtime / "genops-1.json").write_text(json.dumps(description))
    code = "import genops; genops.log({'a': 1}); genops.end(wait_s=5)"
    answer = run(home, "-c", code, GENOPS_SOCKET=str(home.path / "nobody.sock"))
    assert answer.returncode == 0 and "not connected to its GenOps Lab" in answer.stderr, answer.stderr
    assert lab.requests == []
    (left,) = (home.path / "far" / "spool").iterdir()
    assert drain(home, lab, left).returncode == 0
    assert [data["values"] for data in own_metrics(lab.only_run())] == [{"a": 1.0}]


@pytest.mark.parametrize(
    ("given", "reaches_lab"),
    [("", True), ("http://mlflow:5000", False), ("http://other:5000", True), ("sqlite:///x.db", True)],
)
def test_mlflow_takes_part_where_it_writes_to_the_same_server(
    home: Home, lab: LabStandIn, given: str, reaches_lab: bool
) -> None:
    lab.tracking_uri = "http://mlflow:5000/"
    stub = home.work / "mlflow.py"
    stub.write_text("active_run = lambda: None\nstart_run = lambda **given: print('resumed', given)\n")
    code = (
        f"import os, sys; sys.path.insert(0, {str(home.work)!r}); import mlflow, genops\n"
        "genops.start('a'); print('uri', os.environ.get('MLFLOW_TRACKING_URI', '')); genops.end()"
    )
    own = {"MLFLOW_TRACKING_URI": given} if given else {}
    answer = run(home, "-c", code, GENOPS_SOCKET=str(lab.path), **own)
    assert answer.returncode == 0, answer.stderr
    assert ("mlflow's own calls" in answer.stderr) == reaches_lab
    assert ("resumed" in answer.stdout) != reaches_lab
    assert f"uri {given}" in answer.stdout
    assert not any("/tracking/kernel" in path for _, path, _ in lab.requests)


def test_commands_stay_in_the_lab(home: Home) -> None:
    code = "from genops_lab.runtime.command import run_command; run_command('status')"
    answer = run(home, "-c", code, GENOPS_CLI=json.dumps(["/bin/false"]))
    assert "this kernel runs on another host" in answer.stderr


def test_the_run_above_is_sent_before_those_below(home: Home, lab: LabStandIn) -> None:
    folder = home.path / "far" / "spool"
    code = "import genops\nwith genops.run('above'):\n    with genops.run('below'): genops.log({'a': 1})"
    answer = run(home, "-c", code)
    assert answer.returncode == 0, answer.stderr
    again = "import genops\ngenops.start(resume='below')\ngenops.log({'a': 2})"
    answer = run(home, "-c", again)
    assert answer.returncode == 0, answer.stderr
    starts = {path: json.loads(path.read_text().splitlines()[1])["data"] for path in folder.iterdir()}
    above, below, resumed = (
        next(path for path, start in starts.items() if wanted(start))
        for wanted in (
            lambda start: start["name"] == "above",
            lambda start: "parent" in start,
            lambda start: "resume" in start,
        )
    )
    assert drain(home, lab, resumed).returncode == 0
    assert not list(folder.iterdir())
    assert [events[0]["data"].get("parent") for events in lab.events.values()] == [None, above.stem, None]
    assert list(lab.events) == [above.stem, below.stem, resumed.stem]
    assert starts[resumed]["resume"] == {"run_id": "", "run_key": below.stem}
    assert [point["step"] for point in own_metrics(lab.events[resumed.stem])] == [1]
