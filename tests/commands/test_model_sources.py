"""What `models register` answers for files and for the best run, with a Lab and without one."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from tests.registry.test_importing import weights
from tests.support.faults import FaultProxy
from tests.support.homes import Home
from tests.support.mlflow_file import place_server_store
from tests.support.mlflow_server import running_mlflow
from tests.support.rooms import Logged, eventually
from tests.support.warm import program

from .conftest import RunningLab, genops

GGUF = Path(__file__).parents[1] / "registry" / "oracles" / "tiny.gguf"


def test_a_file_becomes_a_version(lab: RunningLab) -> None:
    (lab.home.work / "tiny.gguf").write_bytes(GGUF.read_bytes())
    done = lab.call("models", "register", "tiny", "--path", "tiny.gguf", "--alias", "best", "--json")
    assert done.code == 0, done.err
    assert (done.json["version"], done.json["origin"]["kind"]) == ("1", "path")
    assert "Copying file 1 of 1: tiny.gguf" in done.err
    shown = lab.call("models", "show", "tiny")
    assert "Files from" in " ".join(shown.out.split()), shown.out
    twice = lab.call("models", "register", "tiny", "--path", "tiny.gguf", "--run", "latest")
    assert twice.code == 2 and "--run and --path name two sources" in twice.err
    named = lab.call("models", "register", "tiny", "tiny.gguf")
    assert named.code == 2 and "For a folder or a file use --path." in named.err
    notes = lab.home.work / "notes.txt"
    notes.write_text("x")
    refused = lab.call("models", "register", "tiny", "--path", str(notes))
    assert refused.code == 2 and "has no model: its files are text" in refused.err


def test_a_file_becomes_a_version_without_a_lab(home: Home) -> None:
    done = genops(home, "models", "register", "tiny", "--path", str(GGUF), "--json")
    assert done.code == 0, done.err
    assert done.json["version"] == "1"


def test_the_best_run_says_of_how_many(lab: RunningLab, digits: Logged) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{lab.home.data}/mlflow/mlflow.db")
    client.log_metric(digits.run_id, "recall", 0.9)
    other = client.create_run(client.get_run(digits.run_id).info.experiment_id)
    client.log_metric(other.info.run_id, "recall", 0.8)
    client.set_terminated(other.info.run_id)
    best = ("models", "register", "chosen", "--best", "metrics.recall")
    done = lab.call(*best, "--experiment", "digits")
    assert done.code == 0, done.err
    said = "Best of 2 runs by recall: the best of many is partly luck."
    assert said in " ".join(done.out.split()), done.out
    assert said in " ".join(lab.call("models", "show", "chosen").out.split())
    assert "needs a metric and an experiment" in lab.call(*best).err


def test_a_version_is_pulled_described_and_cleaned_up(lab: RunningLab) -> None:
    for _ in range(3):
        assert lab.call("models", "register", "kept", "--path", str(GGUF)).code == 0
    pulled = lab.call("models", "pull", "kept", "copies/kept", "--version", "2")
    assert pulled.code == 0 and "hashes are right" in " ".join(pulled.out.split()), pulled.err
    assert (lab.home.work / "copies" / "kept" / "tiny.gguf").read_bytes() == GGUF.read_bytes()
    assert lab.call("models", "pull", "kept", "copies/kept").code == 4
    assert "Llama(model_path=" in lab.call("models", "code", "kept").out
    described = lab.call("models", "set", "kept", "--version", "3", "--description", "best", "--tag", "a=b")
    assert described.code == 0 and "a=b" in described.out and "best" in described.out, described.err
    assert lab.call("models", "set", "kept").code == 2
    assert lab.call("models", "set", "kept", "--tag", "a").code == 2
    assert lab.call("models", "prune", "kept", "--older-than", "soon").code == 2
    unasked = lab.call("models", "prune", "kept", "--keep", "1")
    assert unasked.code == 4 and "Versions of the model kept will be deleted: 2, 1." in unasked.err
    assert lab.call("models", "alias", "kept", "champion", "1").code == 0
    done = lab.call("models", "prune", "kept", "--keep", "1", "--yes", "--json")
    assert done.json["deleted"] == ["2"] and "Version 1 stays: has the alias champion." in done.err
    assert lab.call("models", "stages", "kept", "--json").json == []
    refused = lab.call("models", "push", "kept", "s3://bucket")
    assert refused.code == 2 and "is not the name of a repository" in refused.err


def test_an_interrupted_pull_says_how_it_goes_on(home: Home, tmp_path: Path) -> None:
    """Ctrl+C while a line crawls."""
    source, place = tmp_path / "source", tmp_path / "pulled"
    source.mkdir()
    (source / "w.safetensors").write_bytes(weights(500_000))
    place_server_store(tmp_path / "far.db")
    with (
        running_mlflow(home, f"sqlite:///{tmp_path}/far.db", tmp_path / "artifacts") as url,
        FaultProxy(int(url.rpartition(":")[2]), held_bytes=1 << 17) as line,
    ):
        far = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{line.port}"}
        done = genops(home, "models", "register", "w", "--path", str(source), **far)
        assert done.code == 0, done.err
        line.set(bytes_per_s=100_000)
        before = line.status()["down_bytes"]
        process = subprocess.Popen(
            [*program("genops_lab.commands.main"), "models", "pull", "w", str(place)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=home.environment(**far),
            cwd=home.work,
            text=True,
        )
        eventually(lambda: line.status()["down_bytes"] - before, lambda count: count > 400_000)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1]
        assert process.returncode == 130, told
        assert "Copying file 1 of 1: w.safetensors." in told
        assert f"To go on: genops models pull w {place} --version 1" in told
        line.set(bytes_per_s=0)
        listed = genops(home, "models", "free-space", "--dry-run", "--json", **far)
        [left] = listed.json
        assert (left["folder"], left["in_use"]) == (str(place), False) and left["size_bytes"] > 0
        unasked = genops(home, "models", "free-space", **far)
        assert unasked.code == 4 and "Add --yes" in unasked.err and "pull" in unasked.err, unasked
        again = genops(home, "models", "pull", "w", str(place), **far)
        assert again.code == 0 and "are there from before" in again.err, again
        assert (place / "w.safetensors").read_bytes() == (source / "w.safetensors").read_bytes()
    empty = genops(home, "models", "free-space", "--yes")
    assert empty.code == 0 and "No pull or push left anything." in empty.out
