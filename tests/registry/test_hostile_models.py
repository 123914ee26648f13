"""A model's files may come from anybody: what they hold costs neither the list of models nor the server's time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.core.errors import Conflict, Failed
from genops_lab.core.settings import Settings
from genops_lab.deployments.models import CheckDeploy, NewDeployment
from genops_lab.experiments.model_yaml import UnreadableModel, parse_description
from tests.support.homes import Home
from tests.support.rooms import Rooms, open_rooms
from tests.support.warm import warm_workers

from .hostile_bytes import pickled


@pytest.fixture(scope="module")
def rooms(module_home: Home) -> Iterator[Rooms]:
    with warm_workers(), open_rooms(Settings(data_dir=module_home.data)) as found:
        found.run(found.mlflow.ensure())
        yield found


def bomb(levels: int) -> str:
    """Ten to the power of ``levels`` texts in less than a kilobyte."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines) + f"\nflavors: {{python_function: {{loader_module: *a{levels - 1}}}}}\n"


HOSTILE = {
    "aliases": (bomb(5), "aliases"),
    "merge keys": ("flavors: {python_function: {<<: {loader_module: x}}}\n", "merge keys"),
    "deep": (f"flavors: {'[' * 900}{']' * 900}\n", "levels"),
    "many": (f"flavors: [{'a,' * 30_000}]\n", "parts"),
    "large": (f"flavors: {{python_function: {{loader_module: {'A' * 3_000_000}}}}}\n", "larger than"),
    "loader of 1,000 characters": (
        f"flavors: {{python_function: {{loader_module: {'A' * 1000}}}}}\n",
        "loader_module",
    ),
    "loader a list": ("flavors: {python_function: {loader_module: [1, 2]}}\n", "loader_module"),
    "flavors a list": ("flavors: [a, b]\n", "mapping"),
    "flavor a text": ("flavors: {python_function: text}\n", "mapping"),
    "a number of 500,000 digits of sixty": (f"flavors: {':'.join(['59'] * 500_000)}\n", "mapping"),
    "no mapping": ("- a\n", "mapping"),
    "no YAML": ("flavors: {\n", "YAML"),
    "no text": ("flavors: \udcff\n", "YAML"),
}


def registered(rooms: Rooms, folder: Path, name: str, mlmodel: str) -> Path:
    """The folder in the store of a model that was registered by MLflow's own client, which reads no MLmodel."""
    import mlflow

    (folder / "MLmodel").write_bytes(mlmodel.encode("utf-8", "surrogateescape"))
    client = mlflow.MlflowClient(rooms.mlflow.uri)
    run = client.create_run("0")
    client.log_artifacts(run.info.run_id, str(folder), "model")
    client.create_registered_model(name)
    client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
    return Path(run.info.artifact_uri.removeprefix("file://")) / "model"


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_description_is_refused(kind: str) -> None:
    content, reason = HOSTILE[kind]
    with pytest.raises(UnreadableModel, match=reason):
        parse_description(content.encode("utf-8", "surrogateescape"))


def test_a_description_is_read_as_it_is_written() -> None:
    assert parse_description(b"flavors: {1: {}, null: {}}").names == ["1", "null"]
    found = parse_description(
        b"flavors:\n  python_function: {loader_module: mlflow.sklearn, python_version: 3.10}\n  sklearn: {}\n"
    )
    assert found.names == ["sklearn", "python_function"]
    assert (found.loader, found.python_version) == ("mlflow.sklearn", "3.10")


@pytest.mark.parametrize("kind", ["aliases", "deep", "flavors a list", "flavor a text", "no text"])
def test_a_hostile_model_costs_no_other(rooms: Rooms, tmp_path: Path, kind: str) -> None:
    content, reason = HOSTILE[kind]
    name = f"hostile {kind}"
    registered(rooms, tmp_path, name, content)
    models = {model.name: model for model in rooms.run(rooms.registry.list_models()).items}
    assert models[name].versions[0].flavors == []
    run_id = models[name].versions[0].run_id
    assert [each.name for each in rooms.run(rooms.experiments.get_run(run_id)).models] == ["model"]
    with pytest.raises(Failed, match=f"MLmodel.*{reason}"):
        rooms.run(rooms.deployments.check_deploy(CheckDeploy(model=name)), timeout_s=10)


def test_a_pipe_in_place_of_the_description_does_not_hang_the_list(rooms: Rooms, tmp_path: Path) -> None:
    place = registered(rooms, tmp_path, "pipe", "")
    (place / "MLmodel").unlink()
    os.mkfifo(place / "MLmodel")
    assert "pipe" in [model.name for model in rooms.run(rooms.registry.list_models(), timeout_s=10).items]
    with pytest.raises(Failed, match="special file"):
        rooms.run(rooms.deployments.check_deploy(CheckDeploy(model="pipe")), timeout_s=10)


def test_a_confirmation_holds_for_the_files_that_were_shown(rooms: Rooms, tmp_path: Path) -> None:
    place = registered(rooms, tmp_path, "changing", "flavors: {python_function: {loader_module: x}}\n")
    shown = rooms.run(rooms.deployments.check_deploy(CheckDeploy(model="changing")))
    kept = rooms.settings.data_dir / "deployments" / ".checked"
    for folder in kept.iterdir():
        os.utime(folder, (0, 0))  # over an hour ago: it is fetched again
    (place / "MLmodel").write_text("flavors: {python_function: {loader_module: y}}\n")
    for trust in ("", shown.digest, "true"):
        with pytest.raises(Conflict) as caught:
            rooms.run(rooms.deployments.deploy(NewDeployment(model="changing", trust=trust)))
        assert caught.value.code == "confirmation_needed"
        assert ("differ from those that you confirmed" in caught.value.message) == bool(trust)
    refusal = caught.value.details["check"]
    assert (
        refusal["loader"] == "y"
        and refusal["digest"] != shown.digest
        and refusal["digest"] in caught.value.hint
    )
    found = rooms.run(rooms.deployments.deploy(NewDeployment(model="changing", trust=refusal["digest"])))
    assert found.state == "preparing"
    rooms.run(rooms.deployments.stop_deployment("changing"))


def test_a_folder_that_holds_an_entry_of_its_own_name(rooms: Rooms, tmp_path: Path) -> None:
    """As MLflow lays out transformers: ``model/model``."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("w")
    registered(rooms, tmp_path, "nested", "flavors: {python_function: {loader_module: x}}\n")
    check = rooms.run(rooms.deployments.check_deploy(CheckDeploy(model="nested")))
    assert [file.path for file in check.files] == ["MLmodel", "model/weights"]


def test_files_that_mislead_cannot_be_confirmed(rooms: Rooms, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(pickled(4))
    registered(rooms, tmp_path, "disguised", "flavors: {python_function: {loader_module: mlflow.sklearn}}\n")
    check = rooms.run(rooms.deployments.check_deploy(CheckDeploy(model="disguised")))
    assert (check.trusted, check.verdict, check.holds_pickle) == (False, "refused", True)
    assert check.title == "This model cannot be deployed: model.safetensors is damaged or misleading."
    assert "is no such file. It is a pickle" in check.findings[0]
    assert "It names " in check.findings[0]
    with pytest.raises(Conflict, match="cannot be deployed") as caught:
        rooms.run(rooms.deployments.deploy(NewDeployment(model="disguised", trust=check.digest)))
    assert caught.value.code == "model_refused"
    assert caught.value.hint.startswith("Do not load this version.")


def test_the_question_says_what_the_files_do_who_made_them_and_what_to_do(
    rooms: Rooms, tmp_path: Path
) -> None:
    (tmp_path / "model.pkl").write_bytes(pickled(4))
    place = registered(
        rooms, tmp_path, "asked", "flavors: {python_function: {loader_module: mlflow.sklearn}, sklearn: {}}\n"
    )
    check = rooms.run(rooms.deployments.check_deploy(CheckDeploy(model="asked")))
    assert check.title == "Loading this model runs code that came with it: model.pkl."
    [finding] = check.findings
    assert finding.startswith("model.pkl: a pickle: loading it can run any code. It names ")
    assert check.reason.startswith("Your runs did not record these files")
    assert f"The registry says that the run {place.parents[1].name} made them." in check.reason
    assert check.advice.startswith("Load it only if you trust who made it. Safer: ")
    with pytest.raises(Conflict) as caught:
        rooms.run(rooms.deployments.deploy(NewDeployment(model="asked")))
    assert check.title in caught.value.message and check.reason in caught.value.message
    assert check.advice in caught.value.hint and f"--trust {check.digest}" in caught.value.hint
