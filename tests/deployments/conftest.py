"""One trained and registered model, and the services that deploy it, for all tests of this room."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from genops_lab.core import work
from genops_lab.core.settings import Settings
from genops_lab.deployments.description.models import AppliedDescription, ApplyDescription, PlanDescription
from genops_lab.deployments.description.service import DescriptionsService
from genops_lab.deployments.models import CheckDeploy, Deployment, KeyedDeployment, NewDeployment
from genops_lab.deployments.records import Records
from genops_lab.deployments.secrets import Secrets
from genops_lab.deployments.targets.local import Handle
from genops_lab.registry.models import RegisterModel
from tests.support.homes import Home, temporary_home
from tests.support.hub import Hub, hub
from tests.support.mlflow_file import place_store
from tests.support.rooms import Logged, Rooms, Training, open_rooms
from tests.support.warm import cold_scoring, warm_workers


@pytest.fixture(scope="package")
def package_home() -> Iterator[Home]:
    with temporary_home() as home:
        yield home


@pytest.fixture(scope="package")
def rooms(package_home: Home) -> Iterator[Rooms]:
    place_store(package_home.data)
    settings = Settings(data_dir=package_home.data, deployment_lease_s=600)
    with pytest.MonkeyPatch.context() as patch, warm_workers(), open_rooms(settings) as found:
        patch.setattr(work, "LOOK_S", 1.0)
        yield found
        for record in Records(found.store).all():
            found.run(found.deployments.stop_deployment(record.name))


@pytest.fixture(scope="package")
def training(rooms: Rooms) -> Training:
    return Training(rooms)


@pytest.fixture(scope="package")
def digits(rooms: Rooms, training: Training) -> Logged:
    """Registered as ``digits``, its files recorded as a tracked run records them."""
    logged = training.digits()
    rooms.trust(logged.folder, logged.run_id)
    register(rooms, "digits", logged)
    return logged


@pytest.fixture(scope="package")
def served(rooms: Rooms, digits: Logged) -> KeyedDeployment:
    """A running deployment of ``digits``, in a process of its own as a user's is, that tests share: all but the last
    must leave it running."""
    with cold_scoring():
        deploy(rooms, "digits", name="served")
        found = rooms.settled("served")
    assert found.state == "running", found
    return rooms.run(rooms.deployments.get_keyed_deployment("served"))


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    with hub() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setenv(
            "HF_HUB_DISABLE_XET", "1"
        )  # the stand-in stores large files in the hub's older way
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield found


def register(rooms: Rooms, name: str, logged: Logged) -> str:
    """As a new version, which is returned."""
    return rooms.run(rooms.registry.register_model(RegisterModel(name=name, run=logged.run_id))).version


def deploy(rooms: Rooms, model: str, **fields: Any) -> Deployment:
    """Begin a deployment."""
    return rooms.run(rooms.deployments.deploy(NewDeployment(model=model, **fields)))


def files_of(rooms: Rooms) -> DescriptionsService:
    """The operations of deployment files."""
    secrets = Secrets(rooms.settings.data_dir / "secrets")
    return DescriptionsService(rooms.settings, rooms.deployments, Records(rooms.store), secrets)


def apply(rooms: Rooms, text: str, **fields: Any) -> AppliedDescription:
    """Apply a deployment file."""
    return rooms.run(files_of(rooms).apply_description(ApplyDescription(text=text, **fields)))


def changes_nothing(rooms: Rooms, name: str) -> str:
    """The file that a deployment is written as; to apply it changes nothing."""
    text = rooms.run(files_of(rooms).get_description(name)).now
    plan = rooms.run(files_of(rooms).plan_description(PlanDescription(text=text)))
    assert (plan.changes, plan.new_revision, plan.problem) == ([], False, ""), (text, plan)
    return text


def shown(rooms: Rooms, model: str) -> str:
    """The digest of the newest version's files, as a person confirms them."""
    return rooms.run(rooms.deployments.check_deploy(CheckDeploy(model=model))).digest


def process_of(rooms: Rooms, name: str) -> psutil.Process:
    """The scoring process."""
    return psutil.Process(handle_of(rooms, name).pid)


def handle_of(rooms: Rooms, name: str) -> Handle:
    """What this machine knows of it."""
    return msgspec.json.decode(handle_path(rooms, name).read_bytes(), type=Handle)


def handle_path(rooms: Rooms, name: str) -> Path:
    """The file of the newest revision's handle."""
    folders = rooms.settings.data_dir / "deployments" / name / "revisions"
    return max(folders.iterdir(), key=lambda each: int(each.name)) / "process.json"


def own_port(rooms: Rooms, name: str) -> int:
    """The port of the newest revision's process itself, behind the gateway."""
    return int(json.loads(handle_path(rooms, name).with_name("state.json").read_bytes())["port"])


def key_of(rooms: Rooms, name: str) -> str:
    """The key of a deployment."""
    return rooms.run(rooms.deployments.get_deployment_key(name)).key


def ask(
    url: str,
    key: str | None,
    inputs: Any = None,
    *,
    path: str = "/invocations",
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    """A request to a deployment: the status and the decoded answer."""
    given = {"Content-Type": "application/json", **(headers or {})}
    if key is not None:
        given["Authorization"] = f"Bearer {key}"
    data = None if inputs is None else json.dumps({"inputs": inputs}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, data, given), timeout=60) as answer:
            status, payload = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, payload = error.code, error.read()
    return status, json.loads(payload) if payload.strip() else None
