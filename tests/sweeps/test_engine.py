"""Sweeps in real kernels of a real JupyterLab, with what MLflow has of them afterwards."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from genops_lab.core.store import LocalStore
from genops_lab.core.store.work import OldToken, Work, WorkTable
from genops_lab.sweeps.ledger import SweepLedger
from genops_lab.sweeps.models import Trial, TrialState
from genops_lab.sweeps.space import random_point, read_space

from .conftest import Sweeper

CELL = """import genops
lr = 0.5
for step in range(3):
    genops.log({"loss": lr * layers + 1 / (step + 1)}, step=step)
"""


def test_a_grid_runs_each_point_once_in_a_fresh_kernel(sweeper: Sweeper) -> None:
    setup = [
        {"source": "import os\nlayers = 7\nseen = globals().get('count', 0)", "label": "[1]"},
        {"source": "import genops\ngenops.log({'not of a trial': 1})\ncount = 1", "label": "[2]"},
    ]
    code = CELL + "assert seen == 0\nprint(os.getpid())\n"
    begun = sweeper.start(
        code, "lr=0.1,0.2", "layers=1,3", metric="loss", parallel=2, setup=setup, experiment="grid"
    )
    assert (begun["method"], begun["planned"], begun["setup"]) == ("grid", 4, ["[1]", "[2]"])
    code_file = sweeper.home.data / "sweeps" / f"{begun['id']}.json"
    assert stat.S_IMODE(code_file.stat().st_mode) == 0o600
    done = sweeper.ended(begun)
    assert (done["state"], done["message"]) == ("done", "")
    assert not code_file.exists()
    points = [(0.1, 1), (0.1, 3), (0.2, 1), (0.2, 3)]
    assert [(trial["params"]["lr"], trial["params"]["layers"]) for trial in done["trials"]] == points
    assert [trial["value"] for trial in done["trials"]] == [pytest.approx(lr * n + 1 / 3) for lr, n in points]
    assert done["best"] == 0
    assert len({trial["kernel_id"] for trial in done["trials"]}) == 4
    runs = sweeper.runs(done)
    assert [run.run_id for run in runs] == [trial["run_id"] for trial in done["trials"]]
    assert {run.status for run in runs} == {"FINISHED"}
    assert [(run.params["lr"], run.params["layers"]) for run in runs] == [
        (str(lr), str(layers)) for lr, layers in points
    ]
    assert all("not of a trial" not in run.metrics for run in runs)
    assert sweeper.kernels() == []


def test_random_trials_are_those_of_their_seed(sweeper: Sweeper) -> None:
    """That a seed draws the same again is told in ``test_optuna.py``."""
    text = "lr=loguniform(1e-4, 1e-1)"
    begun = sweeper.start("import genops\ngenops.log({'x': lr})", text, method="random", trials=2, seed=3)
    space = read_space([text])
    tried = [trial["params"] for trial in sweeper.ended(begun)["trials"]]
    assert tried == [random_point(space, 3, number) for number in range(2)]
    assert all(1e-4 <= point["lr"] <= 1e-1 for point in tried)
    assert tried != [random_point(space, 4, number) for number in range(2)]


def test_what_ran_is_what_the_run_keeps(sweeper: Sweeper) -> None:
    done = sweeper.ended(sweeper.start(CELL, "lr=0.25", "layers=2", metric="loss"))
    status, notebook = sweeper.lab.request("GET", f"genops/runs/{done['trials'][0]['run_id']}/notebook")
    assert status == 200, notebook
    sources = [cell["source"] for cell in notebook["notebook"]["cells"] if cell["cell_type"] == "code"]
    assert any("lr = 0.25\n" in source for source in sources), sources
    assert "layers = 2" in sources


def test_a_name_that_the_cell_has_not_is_refused_in_words(sweeper: Sweeper) -> None:
    failed = sweeper.ended(sweeper.start("x = 1", "depth=1,2"))
    assert failed["state"] == "failed"
    assert failed["message"] == "The cell neither assigns depth at its top level nor reads it."
    assert sweeper.runs(failed) == []


def test_a_cell_that_fails_before_the_trials_fails_the_sweep(sweeper: Sweeper) -> None:
    setup = [{"source": "import no_such_module", "label": "[4]"}]
    failed = sweeper.ended(sweeper.start(CELL, "lr=1,2", "layers=1", setup=setup))
    assert failed["state"] == "failed"
    assert "[4]" in failed["message"] and "no_such_module" in failed["message"]
    assert len(failed["trials"]) == 1 and sweeper.runs(failed) == []


def test_trials_that_fail_are_told_and_three_in_a_row_end_the_sweep(sweeper: Sweeper) -> None:
    code = "if n in (0, 2, 3, 4):\n    raise ValueError(f'no {n}')"
    failed = sweeper.ended(sweeper.start(code, "n=0,1,2,3,4,5,6"))
    assert [trial["state"] for trial in failed["trials"]] == [
        "failed",
        "finished",
        "failed",
        "failed",
        "failed",
    ]
    assert failed["trials"][0]["message"] == "ValueError: no 0"
    assert failed["state"] == "failed"
    assert "3 trials in a row failed" in failed["message"] and "no 4" in failed["message"]
    assert [run.status for run in sweeper.runs(failed)] == [
        "FAILED",
        "FINISHED",
        "FAILED",
        "FAILED",
        "FAILED",
    ]


def test_a_kernel_that_dies_costs_its_trial_alone(sweeper: Sweeper) -> None:
    code = "import os\nif n == 1:\n    os.kill(os.getpid(), 9)"
    done = sweeper.ended(sweeper.start(code, "n=1,2"))
    assert done["state"] == "done"
    assert [trial["state"] for trial in done["trials"]] == ["failed", "finished"]
    assert "died" in done["trials"][0]["message"]
    assert [run.status for run in sweeper.runs(done)] == ["FAILED", "FINISHED"]
    assert sweeper.kernels() == []


def test_a_stop_interrupts_and_a_resume_goes_on(sweeper: Sweeper) -> None:
    mark = sweeper.home.work / "go"
    code = (
        "import os, time, genops\ngenops.log({'x': n})\n"
        f"while n == 2 and not os.path.exists({str(mark)!r}):\n    time.sleep(0.05)"
    )
    begun = sweeper.start(code, "n=1,2,3", metric="x")
    sweeper.until(begun, lambda found: [trial["value"] for trial in found["trials"]] == [1, 2])
    # As `genops sweeps stop` has it, and once more by its task.
    assert sweeper.lab.request("POST", f"genops/sweeps/{begun['id']}/stop")[0] == 200
    assert [trial["state"] for trial in sweeper.ended(begun)["trials"]] == ["finished", "stopped"]
    assert sweeper.lab.request("POST", f"genops/sweeps/{begun['id']}/resume")[0] == 200
    sweeper.until(begun, lambda found: found["trials"][1]["state"] == "running")
    task = next(each for each in sweeper.lab.get("genops/tasks") if each["subject"] == f"sweep:{begun['id']}")
    assert (task["kind"], task["state"], task["message"]) == ("sweep", "running", "1 of 3 trials")
    ended = sweeper.lab.request("POST", f"genops/tasks/{task['id']}/cancel")[1]
    assert ended["state"] == "cancelled"
    stopped = sweeper.ended(begun)
    assert [trial["state"] for trial in stopped["trials"]] == ["finished", "stopped"]
    assert (stopped["state"], stopped["message"]) == ("stopped", "Stopped by the user.")
    assert [run.status for run in sweeper.runs(begun)] == ["FINISHED", "KILLED"]
    mark.touch()
    assert sweeper.lab.request("POST", f"genops/sweeps/{begun['id']}/resume")[0] == 200
    done = sweeper.ended(begun)
    assert done["state"] == "done"
    assert [(trial["state"], trial["attempt"]) for trial in done["trials"]] == [
        ("finished", 1),
        ("finished", 3),
        ("finished", 1),
    ]
    assert [run.status for run in sweeper.runs(begun)] == ["FINISHED"] * 3


def test_a_server_that_lost_a_sweep_writes_none_of_its_trials(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store.db")
    works, ledger = WorkTable(store), SweepLedger(store, tmp_path)
    work = Work(id="w", kind="sweep", title="", subject="", client="", plan={}, created_at=1.0, holder="a")
    works.add(work)

    def put(token: int, state: TrialState) -> None:
        trial = Trial(number=0, state=state, params={})
        ledger.put("s", trial, lambda connection: works.check(connection, "w", token))

    put(1, "running")
    assert works.take(work, "b") is not None
    put(2, "finished")
    with pytest.raises(OldToken):
        put(1, "failed")
    assert [trial.state for trial in ledger.trials("s")] == ["finished"]
    store.close()


def test_a_trial_has_its_time(sweeper: Sweeper) -> None:
    code = "import time\nwhile n:\n    time.sleep(0.05)"
    done = sweeper.ended(sweeper.start(code, "n=1,0", timeout_s=2))
    assert [trial["state"] for trial in done["trials"]] == ["failed", "finished"]
    assert done["trials"][0]["message"] == "Stopped at the time limit of 2 s."


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (["lr"], "'lr' is not of the form NAME=VALUES."),
        (["lr=1", "lr=2"], "lr is given twice."),
        (["lr=normal(0, 1)"], "unknown range 'normal'."),
        (["lr=loguniform(0, 1)"], "above 0"),
        ([], "has no values to try"),
    ],
)
def test_what_cannot_be_swept_is_said(sweeper: Sweeper, space: list[str], words: str) -> None:
    assert words in sweeper.refused("x = 1", *space)


def test_a_kernel_that_is_not_there_is_named(sweeper: Sweeper) -> None:
    assert "'nowhere'" in sweeper.refused("x = 1", "x=1", on=["nowhere"])


def test_a_kernel_that_does_not_start_costs_no_trial(sweeper: Sweeper) -> None:
    folder = sweeper.home.path / "data" / "kernels" / "broken"
    folder.mkdir(parents=True)
    spec = {
        "argv": [sys.executable, "-c", "raise SystemExit(3)", "{connection_file}"],
        "display_name": "Broken",
        "language": "python",
    }
    (folder / "kernel.json").write_text(json.dumps(spec))
    done = sweeper.ended(sweeper.start("x = 1", "x=1,2", on=["broken", "python3"]))
    assert [(trial["state"], trial["kernel_name"]) for trial in done["trials"]] == [
        ("finished", "python3")
    ] * 2, done
    assert done["state"] == "done" and sweeper.kernels() == []
    failed = sweeper.ended(sweeper.start("x = 1", "x=1,2", on=["broken"]))
    assert failed["state"] == "failed" and "The kernel broken did not start" in failed["message"]
    assert sweeper.runs(failed) == []
