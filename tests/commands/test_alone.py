"""Commands without a running Lab: the same answers from their own process; imports that stay light."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.homes import Home
from tests.support.ncu import ncu_stand_in
from tests.support.nsys import nsys_stand_in

from .conftest import genops


@pytest.mark.parametrize("room", ["deployments", "profiles"])
def test_an_empty_list_is_an_empty_list(home: Home, room: str) -> None:
    listed = genops(home, room, "list", "--json")
    assert (listed.code, listed.json) == (0, [])
    assert listed.err == ""
    assert "genops deploy" in genops(home, room, "list").out or room == "profiles"


def test_runs_and_models_of_a_fresh_home(home: Home) -> None:
    for room in ("runs", "models"):
        listed = genops(home, room, "list", "--json", cold=room == "runs")
        assert (listed.code, listed.json) == (0, []), listed.err
    assert list(home.work.iterdir()) == []


def test_an_mlflow_database_that_a_script_left_is_named_beside_an_empty_list(home: Home) -> None:
    file = home.work / "mlflow.db"
    file.touch()
    for noun in ("models", "runs"):
        listed = genops(home, noun, "list")
        assert f"To use it: export MLFLOW_TRACKING_URI=sqlite:///{file}." in listed.err, listed
    file.unlink()
    assert "mlflow.db" not in genops(home, "models", "list").err


def test_advice_for_a_faster_mlflow_is_given_once_a_day(home: Home) -> None:
    assert genops(home, "runs", "list", "--json").err == ""
    [file] = [path for path in home.data.rglob("*.db") if path.name != "store.db"]
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(
            "INSERT INTO runs (run_uuid, status, start_time, lifecycle_stage, experiment_id, source_type) "
            "VALUES (?, 'FINISHED', ?, 'active', 0, 'UNKNOWN')",
            [(f"{number:032x}", number) for number in range(300)],
        )

    def said(*more: str) -> bool:
        return "genops runs optimize-db" in genops(home, "runs", "list", *more).err

    assert said()
    assert not said() and not said("--group", "user")
    [noted] = (home.data / "said").iterdir()
    a_day_ago = time.time() - 86_401
    os.utime(noted, (a_day_ago, a_day_ago))
    assert said("--group", "user") and not said()


def test_an_mlflow_that_does_not_answer(home: Home) -> None:
    listed = genops(home, "runs", "list", "--json", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert (listed.code, listed.out) == (5, "")
    assert json.loads(listed.err.strip().splitlines()[-1])["error"]["code"] == "unavailable"


def test_a_server_that_died_is_not_asked(home: Home) -> None:
    runtime = home.path / "run"
    runtime.mkdir(mode=0o700)
    left_behind = runtime / "genops-1.json"
    left_behind.write_text(
        json.dumps({"pid": 1, "socket": str(home.path / "gone"), "url": "", "version": "", "started_at": 1.0})
    )
    assert genops(home, "deployments", "list", "--json").json == []
    assert not left_behind.exists()


def test_nsight_and_a_kernelspec_under_it(home: Home) -> None:
    """Stand-ins, which are as old as a test wants them."""
    path = f"{home.path / 'tools'}{os.pathsep}{os.environ['PATH']}"
    made = nsys_stand_in(home.path / "tools")
    [systems, _compute] = genops(home, "profiles", "tools", "--json", PATH=path).json
    assert (systems["product"], systems["version"], systems["trouble"]) == ("systems", "2024.6.2.225", "")
    assert str(made.program) in genops(home, "profiles", "tools", PATH=path).out
    kernel = genops(home, "kernels", "add-nsight", "--json", PATH=path)
    assert (kernel.code, kernel.json["name"]) == (0, "python3-nsight")
    assert (home.path / "data" / "kernels" / "python3-nsight" / "kernel.json").is_file()
    ncu_stand_in(home.path / "tools")
    measured = genops(home, "kernels", "add-nsight", "--compute", "--set", "full", "--json", PATH=path)
    assert (measured.code, measured.json["name"]) == (0, "python3-nsight-compute-full"), measured.err
    for words, said in (
        (["--set", "full"], "Add --compute"),
        (["--compute", "--set", "all"], "no set 'all'"),
    ):
        wrong = genops(home, "kernels", "add-nsight", *words, PATH=path)
        assert wrong.code != 0 and said in wrong.err
    unknown = genops(home, "kernels", "add-nsight", "nope", PATH=path)
    assert unknown.code == 3 and "no kernel 'nope'" in unknown.err
    nsys_stand_in(home.path / "tools", "NVIDIA Nsight Systems version 2020.1.1.65")
    old = genops(home, "kernels", "add-nsight", PATH=path)
    assert old.code == 5 and "too old: 2022.1 or newer" in old.err


def test_a_trace_is_analysed_without_a_lab(home: Home) -> None:
    kernel = {
        "ph": "X",
        "cat": "kernel",
        "name": "gemm",
        "pid": 0,
        "tid": 7,
        "ts": 1,
        "dur": 2,
        "args": {"device": 0},
    }
    trace = home.work / "trace.json"
    trace.write_text(json.dumps({"traceEvents": [kernel]}))
    analysed = genops(home, "profiles", "analyze", "trace.json", "--json")
    assert analysed.code == 0, analysed.err
    assert analysed.json["devices"][0]["busy_us"] == 2.0
    assert not home.data.exists()
    trace.write_text(json.dumps({"traceEvents": [kernel, kernel]})[:-30])
    damaged = genops(home, "profiles", "analyze", "trace.json", "--json")
    assert (damaged.code, damaged.json["events"]) == (6, 1)
    assert "cut off" in damaged.err
    assert "gemm" in genops(home, "profiles", "analyze", "trace.json").out
    former = genops(home, "profile", "analyze", "trace.json", "--json")
    assert (former.code, former.json["events"]) == (6, 1)
    assert former.err.startswith("`genops profile` is now `genops profiles`.")
    no_id = genops(home, "profiles", "show", "trace.json")
    assert no_id.code == 2 and "genops profiles analyze trace.json" in no_id.err


def test_an_analysis_shows_lines_and_work(home: Home) -> None:
    shapes = {"Input Dims": [[64, 64], [64, 64]], "Input type": ["c10::Half", "c10::Half"]}
    host, device = {"ph": "X", "pid": 1, "tid": 1}, {"ph": "X", "pid": 0, "tid": 7}
    events = [
        {**host, "cat": "user_annotation", "name": "ProfilerStep#1", "ts": 0, "dur": 100, "args": {}},
        {**host, "cat": "user_annotation", "name": "genops:line:train.py:12", "ts": 1, "dur": 50, "args": {}},
        {**host, "cat": "cpu_op", "name": "aten::mm", "ts": 2, "dur": 20, "args": shapes},
        {
            **host,
            "cat": "cuda_runtime",
            "name": "cudaLaunchKernel",
            "ts": 3,
            "dur": 2,
            "args": {"correlation": 5},
        },
        {
            **device,
            "cat": "kernel",
            "name": "gemm",
            "ts": 30,
            "dur": 9,
            "args": {"correlation": 5, "device": 0},
        },
    ]
    trace = home.work / "trace.json"
    trace.write_text(json.dumps({"traceEvents": events, "deviceProperties": [{"name": "Tesla T4"}]}))
    shown = genops(home, "profiles", "analyze", "trace.json", "--usd-per-hour", "36").out
    assert "train.py:12" in shown
    assert "100.0 % of the device time has a source line." in shown
    assert "[[64, 64], [64, 64]]" in shown
    assert "T4 fp16: 65 TFLOP/s" in shown
    assert "0.000001 USD a step" in shown
    analysed = genops(home, "profiles", "analyze", "trace.json", "--json").json
    assert analysed["attribution"]["lines"][0]["place"]["line"] == 12
    assert analysed["roofline"]["mfu"] == pytest.approx(2 * 64**3 / (100e-6 * 65e12))
    assert genops(home, "profiles", "analyze", "trace.json", "--usd-per-hour", "-1").code == 2


@pytest.mark.parametrize("arguments", [("runs", "nonsense"), ("runs", "list", "--limit", "x"), ("deploy",)])
def test_wrong_usage(home: Home, arguments: tuple[str, ...]) -> None:
    outcome = genops(home, *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err


def test_help_names_the_exit_codes(home: Home) -> None:
    outcome = genops(home, "--help")
    assert outcome.code == 0
    assert "confirmation" in outcome.out


def test_help_imports_nothing_heavy() -> None:
    check = (
        "import sys\n"
        "from genops_lab.commands.main import grammar\n"
        # All commands are listed from the grammar alone.
        "grammar()(['--help'], prog_name='genops', standalone_mode=False)\n"
        "assert not {'msgspec', 'genops_lab.core', 'genops_lab.commands.runs', 'rich'} & set(sys.modules)\n"
        "assert all(grammar().get_command(None, word) for word in grammar().list_commands(None))\n"
        "heavy = {'sqlalchemy', 'mlflow', 'torch', 'tornado', 'jupyter_server', 'rich', 'numpy', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_no_other_package_imports_typer() -> None:
    package = Path(__file__).parents[2] / "genops_lab"
    found = [
        path.relative_to(package).parts[0]
        for path in package.rglob("*.py")
        if re.search(r"^\s*(import|from) typer", path.read_text(encoding="utf-8"), re.M)
        and "commands" not in path.relative_to(package).parts
    ]
    assert found == []
