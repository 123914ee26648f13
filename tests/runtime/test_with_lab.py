"""Runs below others, runs that are gone on with, what is printed, autologging: real scripts and kernels, and one real
Lab with its MLflow, which is killed at the end."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.exhaustive import times
from tests.support.homes import Home
from tests.support.kernels import LabKernel, lab_kernel
from tests.support.lab_server import LabServer, running_lab, start_lab
from tests.support.warm import program

from .stand_in import eventually

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

pytestmark = pytest.mark.slow

PARENT = "mlflow.parentRunId"


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    """A Lab. In kernels that know of pytest ipykernel does not read what subprocesses write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_CURRENT_TEST", raising=False)
        opened = running_lab(module_home)
        found = opened.__enter__()
    try:
        found.get("genops/experiments")
        yield found
    finally:
        opened.__exit__(None, None, None)


@pytest.fixture(scope="module")
def kernel(server: LabServer) -> Iterator[LabKernel]:
    """A kernel of it."""
    with lab_kernel(server, "python3") as found:
        found.ok("%load_ext genops_lab")
        yield found


def script(home: Home, code: str, *, fails: bool = False, **env: str) -> str:
    """What a script says on standard error."""
    path = home.work / "train.py"
    path.write_text("import genops\n" + code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path)], env=home.environment(**env), cwd=home.work, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert bool(done.returncode) == fails, done.stderr
    return done.stdout + done.stderr


@functools.cache
def client(home: Home) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{home.data}/mlflow/mlflow.db")


def runs(home: Home, experiment: str) -> dict[str, Run]:
    """The runs of an experiment by name."""
    mlflow = client(home)
    found = mlflow.get_experiment_by_name(experiment)
    return {run.info.run_name: run for run in mlflow.search_runs([found.experiment_id])} if found else {}


def own(run: Run) -> dict[str, float]:
    """The metrics, without the machine's load."""
    return {key: value for key, value in run.data.metrics.items() if not key.startswith("system/")}


def steps(home: Home, run: Run, key: str) -> list[int]:
    return sorted(point.step for point in client(home).get_metric_history(run.info.run_id, key))


def command(home: Home, *arguments: str) -> str:
    done = subprocess.run(
        [*program("genops_lab.commands.main"), *arguments],
        env=home.environment(), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


NESTED = """
with genops.run("outer", experiment={experiment!r}):
    for name in ("one", "two"):
        with genops.run(name):
            genops.log({{"loss": 1.0}})
    with genops.run("apart", nested=False, experiment={experiment!r}):
        genops.log({{"loss": 1.0}})
    genops.log({{"loss": 2.0}})
"""


def assert_nested(found: dict[str, Run]) -> None:
    assert set(found) == {"outer", "one", "two", "apart"}
    above = {name: run.data.tags.get(PARENT) for name, run in found.items()}
    outer = found["outer"].info.run_id
    assert above == {"outer": None, "one": outer, "two": outer, "apart": None}
    assert {run.info.status for run in found.values()} == {"FINISHED"}


def test_a_run_in_a_run_stands_below_it(server: LabServer, module_home: Home) -> None:
    script(module_home, NESTED.format(experiment="Nested"))
    found = runs(module_home, "Nested")
    assert_nested(found)
    outer, one = found["outer"].info.run_id, found["one"].info.run_id
    shown = command(module_home, "runs", "show", outer)
    assert "CHILD RUNS" in shown.upper() and one[:8] in shown and "two" in shown and "apart" not in shown
    assert f"outer ({outer[:8]})" in command(module_home, "runs", "show", one)
    listed = json.loads(
        command(module_home, "runs", "list", "--filter", f"tags.`{PARENT}` = '{outer}'", "--json")
    )
    assert {run["name"] for run in listed} == {"one", "two"}
    detail = server.get(f"genops/runs/{outer}")
    assert [child["name"] for child in detail["children"]] == ["one", "two"] and detail["parent"] is None


def test_a_tracked_cell_stands_below_the_run_that_is_open(kernel: LabKernel, module_home: Home) -> None:
    kernel.ok("import genops\nsweep = genops.start('sweep', experiment='Cells')")
    kernel.ok("%%track --name below\nimport genops\ngenops.log({'a': 1})")
    kernel.ok("%%track --name alone --no-nested --experiment Cells\ngenops.log({'a': 1})")
    kernel.ok("genops.end()")
    found = runs(module_home, "Cells")
    assert found["below"].data.tags[PARENT] == found["sweep"].info.run_id
    assert PARENT not in found["alone"].data.tags
    cell = kernel.run("%%track --nested\n1")
    assert cell.status == "error" and "no run is open" in cell.reply["evalue"]


def test_a_run_that_opened_itself_has_none_below(kernel: LabKernel, module_home: Home) -> None:
    kernel.ok("import genops\ngenops.log({'a': 1})")
    kernel.ok("%%track --name unasked --experiment Implicit\ngenops.log({'a': 1})")
    kernel.ok("genops.end()")
    assert PARENT not in runs(module_home, "Implicit")["unasked"].data.tags


def test_mlflows_own_nested_runs_stand_below(kernel: LabKernel, module_home: Home) -> None:
    kernel.ok(
        "%%track --name over --experiment Own\nimport mlflow\nfor name in ('x', 'y'):\n"
        "    with mlflow.start_run(nested=True, run_name=name): mlflow.log_metric('m', 1)\nmlflow.log_metric('o', 1)"
    )
    over = runs(module_home, "Own")["over"]
    below = client(module_home).search_runs(
        [over.info.experiment_id], f"tags.`{PARENT}` = '{over.info.run_id}'"
    )
    assert {run.info.run_name for run in below} == {"x", "y"} and own(over) == {"o": 1.0}
    kernel.ok(
        "with genops.run('a', experiment='Own') as a:\n    mlflow.log_metric('at', 1)\n"
        "    with genops.run('b') as b: mlflow.log_metric('at', 2)\n    mlflow.log_metric('at', 3, step=1)"
    )
    found = runs(module_home, "Own")
    assert own(found["b"]) == {"at": 2.0} and own(found["a"]) == {"at": 3.0}
    assert found["b"].data.tags[PARENT] == found["a"].info.run_id


FIRST = """
with genops.run({name!r}, experiment={experiment!r}):
    print("first session")
    for _ in range(3):
        genops.log({{"loss": 1.0}})
"""
SECOND = """
run = genops.start(resume={ref!r}, params={{"more": 1}})
print("second session")
for _ in range(2):
    genops.log({{"loss": 2.0}})
"""


def assert_gone_on(home: Home, experiment: str) -> None:
    (run,) = runs(home, experiment).values()
    assert run.info.status == "FINISHED" and run.data.params == {"more": "1"}
    assert steps(home, run, "loss") == [0, 1, 2, 3, 4]
    assert "It was continued at" in run.data.tags["genops.notes"]
    folder = Path(run.info.artifact_uri)
    (session,) = (folder / "source").glob("resumed-*")
    assert "first session" in (folder / "source" / "notebook.py").read_text()
    assert "second session" in (session / "notebook.py").read_text()
    shown = command(home, "runs", "show", run.info.run_id, "--output")
    assert shown.index("first session") < shown.index(session.name) < shown.index("second session")


def test_a_run_is_gone_on_with(server: LabServer, module_home: Home) -> None:
    script(module_home, FIRST.format(experiment="Long", name="long"))
    (run,) = runs(module_home, "Long").values()
    script(module_home, SECOND.format(ref=run.info.run_id[:12]))
    assert_gone_on(module_home, "Long")
    restored = server.get(f"genops/runs/{run.info.run_id}/notebook")
    assert restored["cells"] == 2


def test_in_a_kernel_the_cells_since_then_are_added(kernel: LabKernel, module_home: Home) -> None:
    kernel.ok("%%track --name cells --experiment Resumed\nimport genops\ngenops.log({'a': 1})")
    kernel.ok("between = 1")
    kernel.ok("%%track --resume cells\ngenops.log({'a': 2})\nprint('again')")
    (run,) = runs(module_home, "Resumed").values()
    assert steps(module_home, run, "a") == [0, 1]
    (session,) = (Path(run.info.artifact_uri) / "source").glob("resumed-*")
    sources = [cell["source"] for cell in json.loads((session / "cells.json").read_text())]
    assert sources == ["between = 1", "%%track --resume cells\ngenops.log({'a': 2})\nprint('again')"]
    cell = kernel.run("run = genops.start('open one', experiment='Open')\n%track --resume 'open one' 1")
    assert cell.status == "error" and "is already open" in cell.reply["evalue"]
    kernel.ok("genops.end()")


def test_runs_that_cannot_be_gone_on_with(server: LabServer, kernel: LabKernel, module_home: Home) -> None:
    kernel.ok("%%track --name deleted --experiment Refused\nimport genops")
    mlflow = client(module_home)
    first = runs(module_home, "Refused")["deleted"].info
    experiment, deleted = first.experiment_id, first.run_id
    mlflow.delete_run(deleted)
    foreign = mlflow.create_run(experiment, tags={"mlflow.user": "ann"}, run_name="foreign").info.run_id
    for name in ("twin", "twin"):
        mlflow.create_run(experiment, run_name=name)

    def refused(ref: str) -> str:
        cell = kernel.run(f"%%track --resume {ref}\nran = True")
        assert cell.status == "error"
        return str(cell.reply["evalue"])

    assert "is deleted" in refused(deleted) and "genops runs undelete" in refused(deleted)
    assert "belongs to ann, not to you" in refused(foreign)
    assert "Several runs are named" in refused("twin")
    assert "There is no run" in refused("nobody")
    with subprocess.Popen(
        [sys.executable, "-c", "import genops; genops.start('busy', 'Refused'); genops.log({'a': 1}); input()"],
        stdin=subprocess.PIPE, env=module_home.environment(), cwd=module_home.work,
    ) as other:  # fmt: skip
        eventually(lambda: "busy" in runs(module_home, "Refused"), 90)
        assert f"The process {other.pid} still writes" in refused("busy")
        other.kill()
    kernel.ok("%%track --resume busy\ngenops.log({'a': 2})")
    busy = runs(module_home, "Refused")["busy"]
    assert busy.info.status == "FINISHED" and "genops.failure" not in busy.data.tags
    assert steps(module_home, busy, "a") == [0, 1]


def printed(server: LabServer, run_id: str) -> dict[str, str]:
    texts: list[dict[str, Any]] = server.get(f"genops/runs/{run_id}/output")["texts"]
    return {text["stream"]: text["text"] for text in texts}


def test_what_a_cell_prints_is_kept(server: LabServer, kernel: LabKernel, module_home: Home) -> None:
    kernel.ok(
        "%%track --name talks --experiment Output\nimport os, sys, subprocess\nprint('plain')\n"
        "print('to stderr', file=sys.stderr)\nsubprocess.run(['echo', 'of a child'])\n"
        "for i in range(5): print(f'\\rstep {i}', end='')\nprint()\nmy_token = 'tok' + 'en-' + '93kd02mfh4'\n"
        "print('with', my_token)"
    )
    run = runs(module_home, "Output")["talks"]
    found = printed(server, run.info.run_id)
    assert set(found["stdout"].splitlines()) == {
        "plain", "of a child", "step 4", "with [redacted: secret variable]",
    }  # fmt: skip
    assert found["stderr"] == "to stderr\n"
    assert server.get(f"genops/runs/{run.info.run_id}")["output"] is True
    kernel.ok("%%track --name quiet --experiment Output --no-output\nprint('plain')")
    quiet = runs(module_home, "Output")["quiet"].info.run_id
    assert printed(server, quiet) == {} and server.get(f"genops/runs/{quiet}")["output"] is False
    for name in ("left", "nothing", "behind"):
        kernel.ok(f"%%track --name {name} --experiment Output --no-source\nprint(1)")
    count = "import sys\nwrite, taps = sys.stdout.write, 0\nwhile hasattr(write, '_genops_inner'):\n"
    assert int(kernel.ok(count + "    write, taps = write._genops_inner, taps + 1\ntaps").result) <= 1
    kernel.ok("print('not yet')\nrun = genops.start('cells', experiment='Output')\nprint('first')")
    second = kernel.ok("print('second')\nsubprocess.run(['echo', 'third'])").stream("stdout")
    assert sorted(second.split()) == ["second", "third"]  # and no mark
    kernel.ok("print('fourth')\ngenops.end()\nprint('no more')")
    found = printed(server, runs(module_home, "Output")["cells"].info.run_id)
    assert sorted(found["stdout"].split()) == ["first", "fourth", "second", "third"]


def test_long_output_keeps_its_ends(server: LabServer, module_home: Home) -> None:
    lines = times(100_000, 30_000)
    code = f'genops.start("long", "LongOutput")\nfor i in range({lines}): print("line", i)'
    script(module_home, code)
    run = runs(module_home, "LongOutput")["long"]
    text = printed(server, run.info.run_id)["stdout"]
    assert text.startswith("line 0\nline 1\n") and text.endswith(f"line {lines - 2}\nline {lines - 1}\n")
    (gap,) = [line for line in text.splitlines() if line.startswith("[GenOps:")]
    whole = sum(len(f"line {i}\n") for i in range(lines))
    left_out = int(gap.split()[1].replace(",", ""))
    assert len(text.replace(f"\n{gap}\n\n", "")) + left_out == whole and len(text) < 220_000


def test_output_arrives_while_the_run_goes_on(
    server: LabServer, kernel: LabKernel, module_home: Home
) -> None:
    sent = kernel.send(
        "%%track --name going --experiment Going\nimport time, pathlib\nprint('so far')\n"
        "while not pathlib.Path('enough').exists(): time.sleep(0.05)"
    )
    run = eventually(lambda: runs(module_home, "Going").get("going"), 90)
    eventually(lambda: printed(server, run.info.run_id).get("stdout") == "so far\n", 90)
    assert client(module_home).get_run(run.info.run_id).info.status == "RUNNING"
    (module_home.work / "enough").touch()
    assert kernel.finish(sent).status == "ok"


FIT = """
from sklearn.linear_model import LogisticRegression
LogisticRegression(C=0.5).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
"""


@pytest.mark.exhaustive  # in a kernel, below, it is the same; finding out what the model needs takes ten CPU seconds
@pytest.mark.parametrize("models", [False, True])
def test_autologging_in_a_script(server: LabServer, module_home: Home, models: bool) -> None:
    name = f"Script{models}"
    options = ", log_models=True" if models else ""
    script(module_home, f"genops.start('fit', {name!r}, autolog=True{options})\n{FIT}")
    (run,) = runs(module_home, name).values()
    assert run.info.status == "FINISHED" and run.data.params["C"] == "0.5"
    assert own(run)["training_accuracy_score"] == 1.0
    detail = server.get(f"genops/runs/{run.info.run_id}")
    assert [model["name"] for model in detail["models"]] == (["model"] if models else [])


def test_autologging_and_what_the_user_had_switched_on(
    server: LabServer, kernel: LabKernel, module_home: Home
) -> None:
    kernel.ok(f"import genops\nrun = genops.start('fit', 'Auto', autolog=True){FIT}genops.end()")
    kernel.ok("%%track --name on --experiment Auto --autolog" + FIT)
    found = runs(module_home, "Auto")
    assert {name: run.data.params["C"] for name, run in found.items()} == {"fit": "0.5", "on": "0.5"}
    assert {own(run)["training_accuracy_score"] for run in found.values()} == {1.0}
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert server.get(f"genops/runs/{found['fit'].info.run_id}")["models"] == []
    kernel.ok("%%track --name off --experiment Auto" + FIT)
    off = runs(module_home, "Auto")["off"]
    assert set(off.data.params) == set() and own(off) == {}
    kernel.ok(FIT)  # outside of a run: no run of its own
    assert len(client(module_home).search_runs(["0"])) == 0
    kernel.ok("import mlflow\nmlflow.sklearn.autolog(log_models=False, max_tuning_runs=3)")
    kernel.ok("%%track --name again --experiment Auto --autolog\nx = 1")
    asked = "from mlflow.utils.autologging_utils import AUTOLOGGING_INTEGRATIONS as known\n"
    assert kernel.ok(asked + "known['sklearn']['disable'], known['sklearn']['max_tuning_runs']").result == (
        "(False, 3)"
    )


TRAINER = """
genops.start("trainer", "Trainer", autolog=True)
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
sizes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=50)
data = [{"input_ids": torch.randint(0, 50, (8,)), "labels": torch.tensor(i % 2)} for i in range(64)]
arguments = TrainingArguments("out", num_train_epochs=1, logging_steps=2, save_strategy="no", use_cpu=True)
Trainer(BertForSequenceClassification(BertConfig(**sizes)), arguments, train_dataset=data).train()
"""


@pytest.mark.exhaustive
def test_transformers(server: LabServer, module_home: Home) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    script(module_home, TRAINER, HF_HUB_OFFLINE="1")
    (run,) = runs(module_home, "Trainer").values()
    assert run.info.status == "FINISHED" and run.data.params["logging_steps"] == "2"
    assert {"loss", "train_loss", "train/gradient_norm"} <= set(own(run))
    assert len(client(module_home).search_runs(["0"])) == 0


KILLED = """
import genops, sys
sweep = genops.start("sweep", experiment={experiment!r})
assert sweep.wait_started(60)
with genops.run("before {experiment}"):
    genops.log({{"a": 1}})
print("ready", flush=True)
sys.stdin.readline()
with genops.run("while away"):
    genops.log({{"a": 1}})
genops.start(resume="before {experiment}")
genops.log({{"a": 2}})
genops.end()
genops.end()
"""
#: Two scripts that go on without the Lab: one lives until another Lab is there, one has ended by then.
LIVES, ENDS = "Lives", "Ends"


def begun(home: Home, experiment: str, end: str = "") -> subprocess.Popen[str]:
    """A script whose run is open, and that waits for a line."""
    path = home.work / f"{experiment}.py"
    path.write_text(KILLED.format(experiment=experiment) + end, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(path)], env=home.environment(), cwd=home.work,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


@pytest.fixture(scope="module")
def away(server: LabServer, module_home: Home) -> Iterator[None]:
    """The Lab is killed, scripts run while none is there, and the next one takes what they logged. The tests of this
    come last: kernels end with their Lab."""
    home = module_home
    with ExitStack() as ends:
        lives = ends.enter_context(begun(home, LIVES, "sys.stdin.readline()"))
        ended = ends.enter_context(begun(home, ENDS))
        server.process.kill()
        server.process.wait()
        for process in (lives, ended):
            assert process.stdin is not None
            process.stdin.write("on\n")
            process.stdin.flush()
        assert ended.wait(60) == 0
        said = script(home, NESTED.format(experiment="Later"))
        assert "No GenOps Lab is running" in said
        script(home, FIRST.format(experiment="Away", name="away"))
        script(home, SECOND.format(ref="away"))
        said = script(home, "genops.start(resume='other')", fails=True)
        assert "Cannot continue the run 'other' now" in said
        said = script(
            home, "genops.start('fit', autolog=True)\nimport sys\nassert 'mlflow' not in sys.modules"
        )
        assert "autologging is off" in said
        server.process = start_lab(home, after=server).process
        server.get("genops/experiments")

        def taken() -> bool:
            spools = list((home.data / "spool").glob("*.jsonl"))
            return len(spools) <= 1 and all(runs(home, name) for name in ("Later", "Away", LIVES, ENDS))

        eventually(taken, 90)
        yield


@pytest.mark.parametrize("which", [LIVES, ENDS])
def test_a_lab_that_is_killed_meanwhile(away: None, module_home: Home, which: str) -> None:
    home = module_home
    eventually(lambda: [run.info.status for run in runs(home, which).values()] == ["FINISHED"] * 3, 60)
    found = runs(home, which)
    outer, before = found["sweep"].info.run_id, f"before {which}"
    assert [found[name].data.tags.get(PARENT) for name in (before, "while away")] == [outer, outer]
    eventually(lambda: steps(home, runs(home, which)[before], "a") == [0, 1], 60)


def test_runs_below_others_that_the_lab_takes_later(away: None, module_home: Home) -> None:
    assert_nested(runs(module_home, "Later"))


def test_a_run_is_gone_on_with_while_no_lab_is_there(away: None, module_home: Home) -> None:
    assert_gone_on(module_home, "Away")
