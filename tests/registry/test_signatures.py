"""Signatures of registered versions: in MLflow's own file, and over HTTP where the files are on a server."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotFound
from genops_lab.core.settings import Settings
from genops_lab.experiments.hashes import model_digest
from genops_lab.registry import signing
from genops_lab.registry.models import RegisterModel
from genops_lab.registry.signatures import SignaturesService, SignVersion, VerifyVersion
from genops_lab.registry.signing import Signature
from tests.support.homes import temporary_home
from tests.support.mlflow_file import place_server_store, place_store
from tests.support.mlflow_server import running_mlflow
from tests.support.rooms import Rooms, Training, eventually, open_rooms
from tests.support.signing_keys import Keys, make_keys
from tests.support.warm import warm_workers

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("model_signing") is None, reason="model-signing is missing"
)


class Place(NamedTuple):
    """The services, their MLflow, and the folder in which it keeps files."""

    rooms: Rooms
    client: Any
    artifacts: Path
    keys: Keys

    def registered(self, name: str, folder: Path, sub: str = "model") -> Path:
        """Log the files into a run, register them as version 1, and return where they are on the disk."""
        run = self.client.create_run("0")
        self.client.log_artifacts(run.info.run_id, str(folder), sub)
        self.client.create_registered_model(name)
        self.client.create_model_version(name, f"{run.info.artifact_uri}/{sub}", run.info.run_id)
        return next(self.artifacts.rglob(f"{run.info.run_id}/artifacts/{sub}"))

    def sign(self, name: str, key: Path | None = None, version: str = "1") -> Signature:
        body = SignVersion(key=str(key or self.keys.private))
        return self.rooms.run(self.service.sign_version(name, version, body))

    def verify(self, name: str, *keys: Path, version: str = "1") -> Signature:
        body = VerifyVersion(keys={each.name: each.read_text() for each in keys or (self.keys.public,)})
        return self.rooms.run(self.service.verify_version(name, version, body))

    @property
    def service(self) -> SignaturesService:
        return SignaturesService(self.rooms.settings, self.rooms.mlflow, self.rooms.events)


def kept_beside(folder: Path, keys: Keys) -> Path:
    """Return where the signature of a key lies."""
    return signing.beside(folder) / signing.file_name(signing.fingerprint(keys.public))


def released(found: Signature) -> str:
    """Return how the key of release.pub is named."""
    return next(each for each in found.who.split(", ") if each.startswith("release.pub"))


@pytest.fixture(scope="module", params=["file", "server"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    import mlflow

    keys = make_keys(tmp_path_factory.mktemp("keys"))
    with temporary_home() as home, warm_workers():
        if request.param == "file":
            place_store(home.data)
            with open_rooms(Settings(data_dir=home.data)) as rooms:
                rooms.run(rooms.mlflow.ensure())
                client = mlflow.MlflowClient(rooms.mlflow.uri)
                yield Place(rooms, client, home.data / "mlflow" / "artifacts", keys)
            return
        place_server_store(home.path / "far.db")
        with (
            running_mlflow(home, f"sqlite:///{home.path}/far.db", home.path / "far") as url,
            open_rooms(Settings(data_dir=home.data, mlflow_uri=url)) as rooms,
        ):
            yield Place(rooms, mlflow.MlflowClient(url), home.path / "far", keys)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {python_function: {loader_module: mlflow.sklearn}}\n")
    (folder / "data" / "weights.bin").write_bytes(b"0" * 5_000)
    return folder


def test_a_version_is_signed_beside_its_files(place: Place, files: Path) -> None:
    folder = place.registered("signed", files)
    assert place.verify("signed").state == "unsigned"
    digest = model_digest(folder)
    signed = place.sign("signed")
    assert signed.state == "valid"
    assert model_digest(folder) == digest, "the signature is none of the model's files"
    kept = kept_beside(folder, place.keys)
    assert kept.is_file()
    assert signed.place.endswith(f"/model.genops/{kept.name}")
    assert place.client.get_model_version("signed", "1").tags["genops.signature"] == signed.place
    found = place.verify("signed")
    assert (found.state, found.reason, found.place) == ("valid", "", signed.place)
    assert found.who.startswith("release.pub (key ")
    eventually(lambda: place.rooms.events_seen, lambda seen: ("model", "signed") in seen)

    (folder / "data" / "weights.bin").write_bytes(b"1" * 5_000)
    changed = place.verify("signed")
    assert (changed.state, changed.reason) == (
        "invalid",
        "Since the files were signed: data/weights.bin changed.",
    )
    place.sign("signed")
    assert place.verify("signed").state == "valid", "the new signature replaces the earlier one"
    assert [each.name for each in kept.parent.iterdir()] == [kept.name]


def test_a_second_signer_adds_a_signature_and_each_replaces_only_its_own(
    place: Place, files: Path, tmp_path: Path
) -> None:
    other, third = make_keys(tmp_path, "other"), make_keys(tmp_path, "third")
    folder = place.registered("twice", files)
    place.sign("twice")
    place.sign("twice", other.private)
    kept = {kept_beside(folder, each).name for each in (place.keys, other)}
    assert {each.name for each in (folder.with_name("model.genops")).iterdir()} == kept
    both = place.verify("twice", place.keys.public, other.public)
    assert both.state == "valid" and both.others == []
    assert "release.pub (key " in both.who and "other.pub (key " in both.who
    for keys in (place.keys, other):
        one = place.verify("twice", keys.public, third.public)
        assert one.state == "valid" and one.who.startswith(keys.public.name) and "," not in one.who
        assert [each for each in one.others if "Another key signed the files" in each]
    unknown = place.verify("twice", third.public)
    assert unknown.state == "invalid" and unknown.who.count("key ") == 2
    assert unknown.reason == "Another key signed the files, not that of third.pub."

    (folder / "data" / "weights.bin").write_bytes(b"1" * 5_000)
    place.sign("twice", other.private)
    changed = place.verify("twice", place.keys.public, other.public)
    assert changed.state == "valid" and changed.who.startswith("other.pub")
    assert changed.others == [f"{released(both)}: Since the files were signed: data/weights.bin changed."]
    assert place.verify("twice").reason == "Since the files were signed: data/weights.bin changed."
    assert place.verify("twice").who.startswith("release.pub"), "a known key tells more than an unknown one"
    place.sign("twice")
    assert place.verify("twice", place.keys.public, other.public).who == both.who
    assert {each.name for each in (folder.with_name("model.genops")).iterdir()} == kept


def test_the_signature_of_an_older_genops_lab_is_read_and_replaced_in_its_place(
    place: Place, files: Path, tmp_path: Path
) -> None:
    other = make_keys(tmp_path, "other")
    folder = place.registered("older", files)
    place.sign("older")
    old = folder.with_name("model.genops") / "model.sig"
    kept_beside(folder, place.keys).rename(old)
    found = place.verify("older")
    assert found.state == "valid" and found.place.endswith("/model.genops/model.sig")
    place.sign("older", other.private)
    before = old.read_bytes()
    signed = place.sign("older")
    assert signed.place == found.place and old.read_bytes() != before
    assert {each.name for each in old.parent.iterdir()} == {"model.sig", kept_beside(folder, other).name}
    assert place.verify("older", place.keys.public, other.public).who.count("(key ") == 2
    (old.parent / "model-0000000000000000.sig").write_text("{}")
    assert place.verify("older").state == "valid", "a damaged file hides no signature"


def test_many_files_that_look_like_signatures_hide_none(place: Place, files: Path) -> None:
    folder = place.registered("flooded", files)
    place.sign("flooded")
    for number in range(40):
        (folder.with_name("model.genops") / f"model-{number:016x}.sig").write_text("{}")
    assert place.verify("flooded").state == "valid"


def test_a_tag_that_names_another_place_changes_nothing(place: Place, files: Path, tmp_path: Path) -> None:
    place.registered("tagged", files)
    place.client.set_model_version_tag("tagged", "1", "genops.signature", "file:///etc/passwd")
    assert place.verify("tagged").state == "unsigned"


def test_another_key_and_another_models_signature_are_refused(
    place: Place, files: Path, tmp_path: Path
) -> None:
    other = make_keys(tmp_path, "other")
    first = place.registered("first", files)
    place.sign("first", other.private)
    assert "Another key signed the files" in place.verify("first").reason
    (files / "data" / "weights.bin").write_bytes(b"2")
    second = place.registered("second", files)
    place.sign("second")
    kept_beside(first, place.keys).write_bytes(kept_beside(second, place.keys).read_bytes())
    assert place.verify("first").reason == "Since the files were signed: data/weights.bin changed."


def test_a_logged_model_of_mlflow_3_is_signed(place: Place) -> None:
    if not place.rooms.mlflow.uri.startswith("sqlite"):
        pytest.skip("one MLflow is enough for the place of logged models")
    logged = Training(place.rooms).digits()
    place.rooms.run(place.rooms.registry.register_model(RegisterModel(name="digits", run=logged.run_id)))
    assert place.sign("digits", version="").state == "valid"
    assert place.verify("digits", version="").state == "valid"
    assert kept_beside(logged.folder, place.keys).is_file()


def test_what_is_missing_is_said(place: Place, files: Path, tmp_path: Path) -> None:
    folder = place.registered("broken", files)
    with pytest.raises(NotFound, match="No model is registered as 'nothing'"):
        place.sign("nothing")
    with pytest.raises(InvalidRequest, match=r"nowhere\.key cannot be read"):
        place.sign("broken", tmp_path / "nowhere.key")
    with pytest.raises(InvalidRequest, match="is not absolute"):
        place.sign("broken", Path("release.key"))
    place.sign("broken")
    assert "release.key is not a public key" in place.verify("broken", place.keys.private).reason
    body = VerifyVersion(keys={"../model.sig": "x"})
    with pytest.raises(InvalidRequest, match="is not the name of a key"):
        place.rooms.run(place.service.verify_version("broken", "1", body))
    (folder / "MLmodel").unlink()
    (folder / "data" / "weights.bin").unlink()
    (folder / "data").rmdir()
    folder.rmdir()
    with pytest.raises(GenOpsError, match=r"Cannot fetch|do not exist|no MLmodel"):
        place.sign("broken")


def test_keys_of_the_administrator_are_used_without_one(place: Place, files: Path) -> None:
    place.registered("trusted", files)
    place.sign("trusted")
    settings = Settings(data_dir=place.rooms.settings.data_dir, trusted_keys=(str(place.keys.public),))
    service = SignaturesService(settings, place.rooms.mlflow, place.rooms.events)
    found = place.rooms.run(service.verify_version("trusted", "1", VerifyVersion()))
    assert (found.state, found.who.split()[0]) == ("valid", "release.pub")
    unknown = place.rooms.run(place.service.verify_version("trusted", "1", VerifyVersion()))
    assert unknown.state == "cannot be checked"
