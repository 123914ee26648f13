"""Deployments of a Lab whose administrator trusts keys, and of one that requires their signatures."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.core.errors import Conflict, InvalidRequest
from genops_lab.core.settings import Settings
from genops_lab.deployments.check import ModelChecker
from genops_lab.deployments.description.models import DescriptionPlan, PlanDescription
from genops_lab.deployments.description.service import DescriptionsService
from genops_lab.deployments.models import CheckDeploy, DeployCheck, NewDeployment
from genops_lab.deployments.records import Records
from genops_lab.deployments.secrets import Secrets
from genops_lab.gates.models import CheckGates, GateReport
from genops_lab.gates.service import GatesService
from genops_lab.registry.models import RegisterModel
from genops_lab.registry.signatures import SignaturesService, SignVersion
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.rooms import Logged, Rooms, Training, open_rooms
from tests.support.signing_keys import Keys, make_keys
from tests.support.warm import warm_workers

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("model_signing") is None, reason="model-signing is missing"
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def rooms(module_home: Home, keys: Keys) -> Iterator[Rooms]:
    place_store(module_home.data)
    settings = Settings(data_dir=module_home.data, trusted_keys=(str(keys.public),), signature_required=True)
    with warm_workers(), open_rooms(settings) as found:
        yield found


@pytest.fixture(scope="module")
def logged(rooms: Rooms) -> Logged:
    """Recorded as a run of this user, so that nothing is asked without signatures."""
    found = Training(rooms).digits()
    rooms.trust(found.folder, found.run_id)
    rooms.run(rooms.registry.register_model(RegisterModel(name="my digits", run=found.run_id)))
    return found


@pytest.fixture
def unsigned(logged: Logged) -> Iterator[Logged]:
    yield logged
    unsign(logged)


def unsign(logged: Logged) -> None:
    for each in logged.folder.with_name(f"{logged.folder.name}.genops").glob("*.sig"):
        each.unlink()


def sign(rooms: Rooms, key: Path) -> None:
    service = SignaturesService(rooms.settings, rooms.mlflow, rooms.events)
    rooms.run(service.sign_version("my digits", "1", SignVersion(key=str(key))))


def check(rooms: Rooms) -> DeployCheck:
    return rooms.run(rooms.deployments.check_deploy(CheckDeploy(model="my digits")))


def refused(rooms: Rooms, found: DeployCheck) -> Conflict:
    """The error of a deployment, also where the user confirms the files."""
    with pytest.raises(Conflict) as error:
        rooms.run(rooms.deployments.deploy(NewDeployment(model="my digits", trust=found.digest)))
    assert error.value.code == "model_refused"
    return error.value


def test_a_version_without_a_signature_is_refused(rooms: Rooms, unsigned: Logged) -> None:
    found = check(rooms)
    assert (found.trusted, found.verdict) == (False, "refused")
    assert "serves only models that a trusted key signed" in found.title
    assert found.findings == ["The files are not signed."]
    error = refused(rooms, found)
    assert "The files are not signed." in error.message
    assert error.hint.endswith("genops models sign 'my digits' --version 1 --key FILE")


def test_a_version_that_a_trusted_key_signed_is_served_without_a_question(
    rooms: Rooms, unsigned: Logged, keys: Keys
) -> None:
    sign(rooms, keys.private)
    found = check(rooms)
    assert (found.trusted, found.verdict, found.title) == (
        True,
        "data",
        "This model comes from an unknown origin.",
    )
    assert found.signature is not None and found.signature.state == "valid"
    assert found.reason.startswith(f"Your run {unsigned.run_id} recorded exactly these files.")
    assert "The files are those that release.pub (key " in found.reason
    began = rooms.run(rooms.deployments.deploy(NewDeployment(model="my digits", name="signed")))
    assert began.state == "preparing"
    rooms.run(rooms.deployments.stop_deployment("signed"))


def test_files_of_another_key_or_that_changed_are_refused(
    rooms: Rooms, unsigned: Logged, keys: Keys, tmp_path: Path
) -> None:
    sign(rooms, make_keys(tmp_path, "other").private)
    assert "Another key signed the files, not that of release.pub." in refused(rooms, check(rooms)).message
    sign(rooms, keys.private)
    extra = unsigned.folder / "loader.py"
    extra.write_text("")
    try:
        # The checked copy is kept for an hour: another Lab fetches the files anew.
        for each in (rooms.settings.data_dir / "deployments" / ".checked").iterdir():
            each.rename(tmp_path / each.name)
        found = check(rooms)
        assert found.findings[0] == "Since the files were signed: loader.py was added."
        assert "Find out who changed the files" in refused(rooms, found).hint
    finally:
        extra.unlink()
        for each in (rooms.settings.data_dir / "deployments" / ".checked").iterdir():
            each.rename(tmp_path / f"changed-{each.name}")


def test_a_deployment_file_names_the_key_that_must_have_signed(
    rooms: Rooms, unsigned: Logged, keys: Keys, tmp_path: Path
) -> None:
    sign(rooms, keys.private)
    other = make_keys(tmp_path, "other")
    secrets = Secrets(rooms.settings.data_dir / "secrets")
    service = DescriptionsService(rooms.settings, rooms.deployments, Records(rooms.store), secrets)

    def plan(key: Path) -> DescriptionPlan:
        text = (
            "apiVersion: genops/v1\nkind: Deployment\nname: by-file\n"
            f"revisions: [{{model: my digits, version: 1}}]\ntrust: {{signer: {key.name}}}\n"
        )
        return rooms.run(service.plan_description(PlanDescription(text=text, folder=str(key.parent))))

    assert plan(keys.public).problem == ""
    found = plan(other.public)
    assert (
        found.code == "confirmation_needed" and "is not signed with other.pub: Another key" in found.problem
    )
    assert found.hint == "Sign it: genops models sign 'my digits' --version 1 --key FILE"
    sign(rooms, other.private)
    assert plan(other.public).problem == "", "two keys signed it"


@pytest.mark.parametrize("kind", ["unsigned", "another key", "valid"])
def test_without_the_requirement_the_question_says_what_the_signature_says(
    rooms: Rooms, unsigned: Logged, keys: Keys, tmp_path: Path, kind: str
) -> None:
    if kind != "unsigned":
        sign(rooms, keys.private if kind == "valid" else make_keys(tmp_path, "other").private)
    settings = Settings(data_dir=rooms.settings.data_dir, trusted_keys=(str(keys.public),))
    checker = ModelChecker(
        tmp_path / "checked", rooms.registry, rooms.store, rooms.deployments._target.capabilities(), settings
    )
    found = rooms.run(checker.check(rooms.run(rooms.registry.resolve("my digits", "1")))).check
    assert found.verdict == "data"
    if kind == "unsigned":
        assert (found.trusted, found.reason[-25:]) == (True, "The files are not signed.")
    elif kind == "valid":
        assert found.trusted
        assert "The files are those that release.pub" in found.reason
    else:
        assert (found.trusted, found.title) == (False, "The signature of this model is not valid.")
        assert found.findings[0] == "Another key signed the files, not that of release.pub."


def test_a_key_that_cannot_be_read_refuses_with_the_reason(
    rooms: Rooms, unsigned: Logged, keys: Keys, tmp_path: Path
) -> None:
    sign(rooms, keys.private)
    settings = Settings(
        data_dir=rooms.settings.data_dir, trusted_keys=("/nowhere/team.pub",), signature_required=True
    )
    checker = ModelChecker(
        tmp_path / "checked", rooms.registry, rooms.store, rooms.deployments._target.capabilities(), settings
    )
    found = rooms.run(checker.check(rooms.run(rooms.registry.resolve("my digits", "1")))).check
    assert found.verdict == "refused"
    assert found.findings[0] == "The public key team.pub cannot be read: No such file or directory."
    assert found.advice == "Ask the administrator of this server."


def test_a_gate_file_demands_a_signature_of_its_own_key(
    rooms: Rooms, unsigned: Logged, keys: Keys, tmp_path: Path
) -> None:
    """In a Lab whose administrator demands nothing."""
    own = make_keys(tmp_path, "gates")
    gates = GatesService(rooms.mlflow, rooms.registry, rooms.events)
    rule = "kind: Gates\nrules:\n  - {rule: signed, key: gates.pub}\n"
    checker = ModelChecker(
        tmp_path / "checked", rooms.registry, rooms.store, rooms.deployments._target.capabilities(),
        Settings(data_dir=rooms.settings.data_dir),
    )  # fmt: skip

    def judged(text: str, folder: Path = tmp_path) -> GateReport:
        return rooms.run(gates.check_gates("my digits", "1", CheckGates(text=text, folder=str(folder))))

    def deployed() -> DeployCheck:
        return rooms.run(checker.check(rooms.run(rooms.registry.resolve("my digits", "1")))).check

    assert judged(rule + "deploy: {signed: gates.pub}\n").rules[0].verdict == "fail"
    found = deployed()
    assert (found.verdict, found.findings) == ("refused", ["The files are not signed."])
    assert "its gate file demands a signature" in found.title
    sign(rooms, keys.private)
    found = deployed()
    assert (found.verdict, found.findings[0]) == (
        "refused", "Another key signed the files, not that of key of gates.yaml.",
    )  # fmt: skip
    sign(rooms, own.private)
    report = judged(rule + "deploy: {signed: gates.pub}\n")
    assert report.rules[0].verdict == "pass", report
    assert "Deployments demand a signature with gates.pub." in report.notes
    assert (deployed().verdict, deployed().trusted) == ("data", True)
    with pytest.raises(InvalidRequest, match=r"The public key '\.\./gates\.pub' does not exist beside"):
        (tmp_path / "below").mkdir()
        judged(rule + "deploy: {signed: ../gates.pub}\n", tmp_path / "below")
    judged(rule)  # a file without the demand ends it
    unsign(unsigned)
    assert deployed().signature is None
