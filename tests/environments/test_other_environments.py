"""Notebooks and scripts of environments other than the Lab's, end to end: a real JupyterLab, a real MLflow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.homes import Home
from tests.support.kernels import lab_kernel
from tests.support.lab_server import LabServer
from tests.support.mlflow_file import kept_run
from tests.support.rooms import eventually

from .conftest import SITE, leftovers

pytestmark = pytest.mark.slow

TRACKED = """%%track --name {name} --tag team=a
import genops
lr = 0.1
for i in range(20):
    genops.log({{"loss": 1 / (i + 1)}}, step=i)
genops.params({{"extra": "x"}})
"""
OWN_MLFLOW = """%%track --name {name}
import mlflow
from pathlib import Path
mlflow.log_metric("own", 7, step=3)
mlflow.log_param("depth", 4)
Path("note.txt").write_text("from the cell")
mlflow.log_artifact("note.txt")
"""
START_RUN = """import mlflow
with mlflow.start_run(run_name="{name}"):
    mlflow.log_metric("free", 1.5)
    mlflow.log_text("kept", "free.txt")
"""
#: Of the Lab's own environment; none of it may be seen from another one.
LABS_OWN = ("mlflow", "msgspec", "sqlalchemy", "jupyterlab", "jupyter_server", "genops_lab.core", "numpy")


@pytest.fixture(scope="module")
def commit(module_home: Home) -> str:
    """The working folder is a git repository with one commit."""

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@t")
        return subprocess.run(
            ["git", *identity, *arguments],
            cwd=module_home.work,
            env=module_home.environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    git("init", "-q", "-b", "trunk")
    (module_home.work / "own.py").write_text("1")
    git("add", ".")
    git("commit", "-qm", "first")
    return git("rev-parse", "HEAD")


def test_a_kernel_with_ipykernel_alone_is_tracked(
    module_home: Home, commit: str, lab: LabServer, alone: str
) -> None:
    with lab_kernel(lab, alone) as kernel:
        kernel.ok("%load_ext genops_lab")
        cell = kernel.ok(TRACKED.format(name="alone"))
        assert cell.stream("stderr") == ""
        listed = json.loads(kernel.ok("%genops runs list --json").stream("stdout"))
        for name in LABS_OWN:
            assert kernel.run(f"import {name}").reply.get("ename") == "ModuleNotFoundError", name
        seen = kernel.ok("import sys; print(*sys.path)").stream("stdout")
        assert str(Path(sys.prefix) / "lib") not in seen
        profiled = kernel.run("%%profile\nran = True")
        assert "no PyTorch" in profiled.reply["evalue"] and "%pip install torch" in profiled.reply["evalue"]
        assert kernel.ok("'ran' in globals()").result == "False"
    run = kept_run(module_home, "alone")
    assert run.run_id in {each["run_id"] for each in listed}
    assert (run.status, run.experiment) == ("FINISHED", "lesson")
    assert run.points["loss"] == [(step, 1 / (step + 1)) for step in range(20)]
    assert run.params == {"lr": "0.1", "extra": "x"}
    assert run.tags["team"] == "a"
    assert run.tags["mlflow.source.git.commit"] == commit
    assert run.tags["mlflow.source.git.branch"] == "trunk"
    assert run.tags["mlflow.source.git.dirty"] == "false"
    cells = json.loads((run.artifacts / "source" / "cells.json").read_text(encoding="utf-8"))
    assert cells[-1]["source"] == TRACKED.format(name="alone").rstrip()


@pytest.mark.timeout(240)
def test_mlflow_2_logs_through_the_supervised_server(
    module_home: Home, lab: LabServer, mlflow_2: str
) -> None:
    with lab_kernel(lab, mlflow_2, "older.ipynb") as kernel:
        kernel.ok("%load_ext genops_lab")
        kernel.ok(OWN_MLFLOW.format(name="older"))
        assert kernel.ok("mlflow.__version__").result.startswith("'2.")
        assert kernel.ok("mlflow.get_tracking_uri()").result.startswith("'http://127.0.0.1:")
        kernel.ok(START_RUN.format(name="older, free"))
    run = kept_run(module_home, "older")
    assert (run.status, run.params["depth"]) == ("FINISHED", "4")
    assert run.points["own"] == [(3, 7.0)]
    assert (run.artifacts / "note.txt").read_text() == "from the cell"
    free = kept_run(module_home, "older, free")
    assert (free.status, free.points) == ("FINISHED", {"free": [(0, 1.5)]})
    assert (free.artifacts / "free.txt").read_text() == "kept"
    assert leftovers(module_home) == set()


@pytest.mark.parametrize("which", ["the Lab's", "a bare"])
def test_a_plain_script(
    which: str, module_home: Home, lab: LabServer, request: pytest.FixtureRequest
) -> None:
    bare = which == "a bare"
    python = request.getfixturevalue("ipykernel_alone") if bare else Path(sys.executable)
    name = "bare" if bare else "script"
    script = module_home.work / f"{name}.py"
    script.write_text("import genops\nfor i in range(50): genops.log({'loss': i}, step=i)\n")
    done = subprocess.run(
        [str(python), str(script)],
        cwd=module_home.work,
        env=module_home.environment(PYTHONPATH=str(SITE)),
        capture_output=True,
        text=True,
        timeout=90,
    )
    script.unlink()
    assert done.returncode == 0, done.stderr
    run = eventually(lambda: kept_run(module_home, name), lambda run: run.status != "RUNNING")
    assert run.status == "FINISHED"
    assert run.points["loss"] == [(step, float(step)) for step in range(50)]


def test_mlflows_own_calls_in_a_scripts_run_land_in_it(module_home: Home, lab: LabServer) -> None:
    script = module_home.work / "joined.py"
    script.write_text(
        "import genops, mlflow\n"
        "with genops.run('joined'):\n"
        "    genops.log({'ours': 1}, step=0)\n"
        "    mlflow.log_metric('theirs', 2, step=0)\n"
        "print(mlflow.active_run())\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=module_home.work,
        env=module_home.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("None")
    run = eventually(lambda: kept_run(module_home, "joined"), lambda run: run.status != "RUNNING")
    assert run.status == "FINISHED"
    assert run.points["ours"] == [(0, 1.0)]
    assert run.points["theirs"] == [(0, 2.0)]
    assert not list(module_home.work.glob("mlruns")) and not list(module_home.work.glob("mlflow.db"))


@pytest.mark.timeout(240)
def test_mlflow_that_is_installed_while_the_kernel_runs(
    module_home: Home, lab: LabServer, alone: str, with_mlflow_2: Path
) -> None:
    """As ``%pip install`` in a notebook does: the version is not known when the kernel starts."""
    lab.get("genops/experiments")  # MLflow's file is made: what the kernel is told does not depend on that
    (packages,) = with_mlflow_2.parents[1].glob("lib/python3*/site-packages")
    with lab_kernel(lab, alone, "later.ipynb") as kernel:
        kernel.ok("%load_ext genops_lab")
        kernel.ok(f"import sys; sys.path.append({str(packages)!r})")
        kernel.ok(OWN_MLFLOW.format(name="later"))
        kernel.ok(START_RUN.format(name="later, free"))
    run = kept_run(module_home, "later")
    assert (run.status, run.params["depth"], run.points["own"]) == ("FINISHED", "4", [(3, 7.0)])
    assert kept_run(module_home, "later, free").points == {"free": [(0, 1.5)]}
    assert leftovers(module_home) == set()
