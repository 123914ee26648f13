"""1,000 examples against an endpoint that answers after 50 ms, 8 at once. The floor is 6.25 s.

In a Lab that runs, the time is that from the request to the end: the report is there, and a trace with feedback for
each answer is in MLflow. The first evaluation starts the processes of evaluations and of MLflow. ``genops evaluate``
without a Lab starts Python as well, as the others do: ``mlflow.genai.evaluate``, inspect-ai and deepeval, the last two
in environments of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from tests.genai.answering import Answering
from tests.support.homes import Home, temporary_home
from tests.support.lab_server import LabServer, running_lab
from tests.support.mlflow_file import place_store

from .evaluations_beside import Peer, peers
from .figure import Figure

EXAMPLES, AT_ONCE, DELAY_S = 1000, 8, 0.05
FLOOR_S = EXAMPLES / AT_ONCE * DELAY_S
ROUNDS = 3
#: Wall and CPU seconds.
Times = tuple[float, float]


def figures() -> Iterator[Figure]:
    """Yield wall and CPU seconds, then what becomes of faults."""
    stub = Answering(lambda number, text, headers: (200, text.split()[-1], DELAY_S))
    with stub.serving() as url, temporary_home() as home:
        place_store(home.data)
        folder = _folder(home, url)
        with running_lab(home) as lab:
            first, *later = [_in_lab(lab, folder) for _ in range(1 + ROUNDS)]
        cold = [_timed(_evaluate(folder), home, folder) for _ in range(ROUNDS)]
        yield from _ours("lab_first", [first])
        yield from _ours("lab", later)
        for peer in peers(home, url, EXAMPLES, AT_ONCE):
            yield from _ours("cold", cold, peer, [_timed(peer.command, home, folder, peer.environment)])
    yield _with_faults()


def _ours(
    start: str, ours: list[Times], peer: Peer | None = None, theirs: list[Times] | None = None
) -> Iterator[Figure]:
    name = f"evaluations_1000_{start}" + (f"_beside_{peer.name}" if peer else "")
    notes = {"examples": EXAMPLES, "floor_s": FLOOR_S}
    for what, unit, target, at in (("wall", "s", 1.1 * FLOOR_S, 0), ("cpu", "CPU s", 5.0, 1)):
        yield Figure(
            name=f"{name}_{what}", unit=unit, values=[each[at] for each in ours], target=target, notes=notes,
            baseline=peer.what if peer else "", baseline_values=[each[at] for each in theirs or ()],
        )  # fmt: skip


def _in_lab(lab: LabServer, folder: Path) -> Times:
    """Return the time of an evaluation from its request on, and the CPU of the Lab and all of its processes."""
    text = (folder / "bench.yaml").read_text()
    before, began = _cpu(lab.process.pid), time.perf_counter()
    status, begun = lab.request("POST", "genops/v1/answer-evaluations", {"text": text, "folder": str(folder)})
    assert status == 200, begun
    while (task := lab.get(f"genops/v1/tasks/{begun['task']['id']}"))["state"] == "running":
        time.sleep(0.05)
    wall = time.perf_counter() - began
    assert task["message"] == "bench is evaluated. All answers are there.", task
    return wall, _cpu(lab.process.pid) - before


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process and its children. Those of evaluations and MLflow live on for a minute."""
    root = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:4]) for each in (root, *root.children(recursive=True)))


def _with_faults() -> Figure:
    """3 % errors, 1 % that hang and a storm of 429: the answers that are there, with the failures by kind."""
    storm = {"left": 200}

    def reply(number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        at = int(text.split()[-1])
        if number > 500 and storm["left"]:
            storm["left"] -= 1
            return 429, b"{}", 0.0
        return (500, b"{}", DELAY_S) if at % 33 == 0 else (200, None if at % 100 == 1 else str(at), DELAY_S)

    with Answering(reply).serving() as url, temporary_home() as home:
        place_store(home.data)
        folder = _folder(home, url, tries=2, model={"timeout_s": 1.0})
        done = subprocess.run(
            _evaluate(folder),
            env=home.environment(),
            cwd=folder,
            capture_output=True,
            check=False,
            timeout=600,
        )
        (found,) = json.loads(done.stdout)["evaluation"]["models"]
    accounted = found["answered"] + sum(found["failures"].values())
    return Figure(
        name="evaluations_faults_accounted", unit="of 1,000 calls", values=[accounted], target=EXAMPLES,
        notes={"answered": found["answered"], "failures": found["failures"], "exit_code": done.returncode},
    )  # fmt: skip


def _folder(home: Home, url: str, **more: Any) -> Path:
    rows = [{"q": f"Question {at}", "expected": str(at)} for at in range(EXAMPLES)]
    (home.work / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = {"url": url, "model": "stub", "limits": {"at_once": AT_ONCE}, **more.pop("model", {})}
    file = {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "bench"}, "data": "rows.jsonl",
        "prompt": "{{q}}", "models": {"stub": model}, "scorers": [{"scorer": "exact"}], **more,
    }  # fmt: skip
    (home.work / "bench.yaml").write_text(json.dumps(file))
    return home.work


def _evaluate(folder: Path) -> list[str]:
    return [sys.executable, "-m", "genops_lab.commands", "evaluate", str(folder / "bench.yaml"), "--json"]


def _timed(
    command: list[str], home: Home, folder: Path, environment: dict[str, str] | None = None
) -> tuple[float, float]:
    """Return the wall and CPU seconds of a command with its children."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(
        command,
        env=home.environment(**(environment or {})),
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=600,
    )
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, cpu
