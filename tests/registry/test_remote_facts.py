"""The files of a version on another machine: the small ones are fetched, the weights stay there."""

from __future__ import annotations

from pathlib import Path

from genops_lab.core.settings import Settings
from tests.support.homes import Home
from tests.support.mlflow_file import place_server_store
from tests.support.mlflow_server import running_mlflow
from tests.support.rooms import open_rooms
from tests.support.warm import warm_workers

from .hostile_bytes import pickled


def test_files_on_a_server_are_read_as_far_as_they_are_small(home: Home, tmp_path: Path) -> None:
    import mlflow

    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text(
        "flavors: {python_function: {loader_module: mlflow.pytorch}, pytorch: {}}\n"
    )
    (folder / "requirements.txt").write_text("torch\n")
    (folder / "data" / "model.pth").write_bytes(pickled(4))
    (folder / "data" / "weights.bin").write_bytes(b"\0" * 5_000)
    place_server_store(tmp_path / "far.db")
    with (
        running_mlflow(home, f"sqlite:///{tmp_path}/far.db", tmp_path / "artifacts") as url,
        warm_workers(),
        open_rooms(Settings(data_dir=home.data, mlflow_uri=url)) as rooms,
    ):
        client = mlflow.MlflowClient(url)
        run = client.create_run("0")
        assert run.info.artifact_uri.startswith("mlflow-artifacts:")
        client.log_artifacts(run.info.run_id, str(folder), "model")
        client.create_registered_model("far")
        client.create_model_version("far", f"{run.info.artifact_uri}/model", run.info.run_id)
        found = rooms.run(rooms.registry.get_version_facts("far", "1"))
    assert {each.path: each.verdict for each in found.files} == {
        "MLmodel": "data",
        "requirements.txt": "data",
        "data/model.pth": "code",
        "data/weights.bin": "unknown",
    }
    assert (found.complete, found.flavors, found.requirements) == (
        False,
        ["pytorch", "python_function"],
        ["torch"],
    )
    assert "on another machine" in next(each.reason for each in found.files if each.verdict == "unknown")
    assert found.size_bytes > 5_000
