"""The example repository of gates from training to promotion, on a real MLflow."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genops_lab.gates.models import PromoteVersion, Promotion
from genops_lab.gates.service import GatesService
from genops_lab.gates.templates import CI_FILES, example
from tests.support.homes import Home
from tests.support.rooms import Rooms

from .conftest import evaluated

EXAMPLE = Path(__file__).parents[2] / "examples" / "gates"


@pytest.mark.parametrize("ci", CI_FILES)
def test_its_jobs_are_those_that_init_writes(ci: str) -> None:
    name, place = CI_FILES[ci]
    assert (EXAMPLE / place).read_text() == example(name)


def program() -> Any:
    spec = importlib.util.spec_from_file_location("example_train", EXAMPLE / "train.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_worse_version_is_red_and_a_better_one_becomes_champion(
    rooms: Rooms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    rooms.run(rooms.mlflow.ensure())
    client = mlflow.MlflowClient(rooms.mlflow.uri)
    train, before = program(), mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(rooms.mlflow.uri)
    artifacts = rooms.settings.data_dir / "mlflow" / "artifacts" / "example"
    mlflow.set_experiment(experiment_id=client.create_experiment("example", artifacts.as_uri()))
    try:
        for rows in (200, 60, 900):
            run_id, version = train.train(rows, tmp_path)
            uri = client.get_model_version_download_uri(train.MODEL, version)
            rooms.trust(Path(uri.removeprefix("file://")), run_id)
            if version == "1":
                client.set_registered_model_alias(train.MODEL, "champion", "1")
    finally:
        mlflow.set_tracking_uri(before)
        monkeypatch.setattr(
            mlflow.tracking.fluent, "_active_experiment_id", None
        )  # there is no public way back
        monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)

    gates = GatesService(rooms.mlflow, rooms.registry, rooms.events)
    text = (EXAMPLE / "gates.yaml").read_text()

    def champion() -> str:
        return str(client.get_registered_model(train.MODEL).aliases["champion"])

    def promote(version: str) -> Promotion:
        task, _ = evaluated(
            rooms, model=train.MODEL, version=version, data=str(tmp_path / "holdout.parquet"),
            id="id", label="label", groups=["ink"],
        )  # fmt: skip
        assert task.state == "done", (task.message, task.hint)
        body = PromoteVersion(text=text, folder=str(EXAMPLE), reason=f"version {version}")
        return rooms.run(gates.promote_version(train.MODEL, version, body))

    red = promote("2")
    assert red.report is not None and not red.moved
    assert red.report.headline.startswith("Fail: accuracy is ") and " points lower" in red.report.headline
    assert "worse for ink " in red.report.headline
    assert champion() == "1"
    green = promote("3")
    assert green.report is not None and green.moved, green.report
    assert green.report.headline == "Pass: all 4 rules hold against version 1."
    assert champion() == "3"


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_its_readme_is_true(home: Home, tmp_path: Path) -> None:
    """The README's commands as they stand, at a terminal where a person answers yes."""
    folder = shutil.copytree(EXAMPLE, tmp_path / "example")
    found = re.search(r"```bash\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.S)
    assert found is not None
    near, far = pty.openpty()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    running = subprocess.Popen(
        ["bash", "-c", found[1]],
        stdin=far, stdout=far, stderr=far, cwd=folder, env=home.environment(PATH=path),
    )  # fmt: skip
    os.close(far)
    text, answered = "", 0
    while running.poll() is None or answered < text.count("[y/N]: "):
        try:
            text += os.read(near, 4096).decode()
        except OSError:  # the terminal has no more readers or writers
            break
        while answered < text.count("[y/N]: "):
            os.write(near, b"y\n")
            answered += 1
    assert running.wait(60) == 0, text
    assert "Fail: accuracy is " in text and "worse for ink little" in text
    assert "Pass: all 4 rules hold against version 1." in text
    assert answered == 4, "both versions of each of two evaluations"
