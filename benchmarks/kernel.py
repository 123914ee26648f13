"""What ``%load_ext genops_lab`` costs a kernel, and one ``genops.log``."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.support.homes import temporary_home
from tests.support.lab_server import running_lab

from .figure import Figure

ROUNDS = 9
LOAD = """
import json, sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
started = time.perf_counter()
shell.run_line_magic("load_ext", sys.argv[1])
print(json.dumps((time.perf_counter() - started) * 1000))
"""
LOG = """
import json, time
import genops
genops.log({"loss": 1.0}, step=0)
times = []
for step in range(1, 2001):
    started = time.perf_counter()
    genops.log({"loss": 1.0 / step, "accuracy": step / 2000}, step=step)
    times.append((time.perf_counter() - started) * 1e6)
print(json.dumps(times))
"""
MLFLOW = """
import json, time
import mlflow
mlflow.set_tracking_uri("sqlite:///bench.db")
times = []
with mlflow.start_run():
    mlflow.log_metrics({"loss": 1.0}, step=0)
    for step in range(1, 101):
        started = time.perf_counter()
        mlflow.log_metrics({"loss": 1.0 / step, "accuracy": step / 2000}, step=step)
        times.append((time.perf_counter() - started) * 1e6)
print(json.dumps(times))
"""
#: A step of some milliseconds, with and without the hooks by turns, in the CPU time of the thread that trains: what
#: else the machine does is no part of it.
OPTIMIZER = """
import json, time
import torch
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(512, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, 10))
optimizer = torch.optim.Adam(model.parameters())
data = torch.randn(64, 512)
def loop(steps):
    started = time.thread_time()
    for _ in range(steps):
        optimizer.zero_grad()
        model(data).square().mean().backward()
        optimizer.step()
    return (time.thread_time() - started) * 1000 / steps
loop(50)
import genops
plain, ours = [], []
for _ in range(11):
    plain.append(loop(300))
    genops.start("bench", source=False, output=False, system_metrics=False)
    ours.append(loop(300))
    genops.end()
print(json.dumps([plain, ours]))
"""


def _run(program: str, *arguments: str, env: dict[str, str], cwd: object) -> Any:
    answer = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, env=env, cwd=str(cwd),
        check=False, timeout=300,
    )  # fmt: skip
    if answer.returncode:
        raise RuntimeError(answer.stderr[-3000:])
    return json.loads(answer.stdout.strip().splitlines()[-1])


def figures() -> Iterator[Figure]:
    with temporary_home(debugger=True) as home:
        env = home.environment()
        ours, others = [], []
        for _ in range(ROUNDS):
            ours.append(_run(LOAD, "genops_lab", env=env, cwd=home.work))
            others.append(_run(LOAD, "autoreload", env=env, cwd=home.work))
        yield Figure(
            name="load_ext", unit="ms", values=ours, target=150,
            baseline="%load_ext autoreload", baseline_values=others,
        )  # fmt: skip
        with running_lab(home) as server:
            server.get("genops/experiments")
            logged = _run(LOG, env=env, cwd=home.work)
            plain, hooked = _run(OPTIMIZER, env=env, cwd=home.work)
        yield Figure(
            name="genops_log_call", unit="us", values=logged,
            baseline="mlflow.log_metrics on an SQLite file", baseline_values=_run(MLFLOW, env=env, cwd=home.work),
        )  # fmt: skip
        yield Figure(
            name="optimizer_step", unit="ms", values=hooked, baseline="the loop without a run", baseline_values=plain,
            notes={"cost_percent": round(100 * (statistics.median(hooked) / statistics.median(plain) - 1), 2)},
        )  # fmt: skip
