"""Cards of real versions: read from MLflow, with evaluations as Parquet, kept beside the files, changed by people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from genops_lab.cards.models import Card, KeepCard, WriteSection
from genops_lab.cards.service import CardsService
from genops_lab.core.errors import Conflict, Failed, InvalidRequest, NotFound
from genops_lab.core.settings import Settings
from genops_lab.evaluations.tags import version_tag
from genops_lab.experiments.hashes import model_digest
from genops_lab.registry.models import RegisterModel
from tests.support.homes import temporary_home
from tests.support.mlflow_file import place_server_store, place_store
from tests.support.mlflow_server import running_mlflow
from tests.support.rooms import Rooms, Training, open_rooms
from tests.support.warm import warm_workers


class Place(NamedTuple):
    """The services, their MLflow, and the folder in which it keeps files."""

    rooms: Rooms
    client: Any
    artifacts: Path

    @property
    def service(self) -> CardsService:
        return CardsService(self.rooms.mlflow, self.rooms.registry, self.rooms.events)

    def card(self, name: str) -> Card:
        return self.rooms.run(self.service.get_card(name, "1"))

    def write(self, name: str, section: str, text: str, expected: str | None = None) -> Card:
        body = WriteSection(text=text, expected=expected)
        return self.rooms.run(self.service.write_section(name, "1", section, body))

    def registered(self, name: str, folder: Path) -> Path:
        """Log the files into a run with facts, register them as version 1, and return where they are on the disk."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        run = self.client.create_run("0", tags={"mlflow.source.git.commit": "c" * 40, "mlflow.user": "ann"})
        at = run.info.run_id
        self.client.log_param(at, "lr", "0.1")
        self.client.log_metric(at, "loss", 0.25)
        self.client.log_metric(at, "nothing", float("nan"))
        for time_ms, watts in ((0, 100.0), (1_800_000, 300.0), (3_600_000, 100.0)):
            self.client.log_metric(at, "system/gpu_0_power_usage_watts", watts, timestamp=time_ms)
        data = Dataset(
            name="train", digest="tr41n", source_type="local", source=json.dumps({"uri": "train.csv"})
        )
        self.client.log_inputs(at, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
        self.client.log_artifacts(at, str(folder), "model")
        self.client.set_terminated(at)
        self.client.create_registered_model(name, description="A model of tests.")
        self.client.create_model_version(name, f"{run.info.artifact_uri}/model", at)
        return next(self.artifacts.rglob(f"{at}/artifacts/model"))

    def evaluated(
        self, name: str, predictions: Path | None, data: str = "test", digest: str = "d1g3"
    ) -> None:
        """Keep an evaluation of version 1 as an evaluation does."""
        run = self.client.create_run("0", tags={"genops.evaluation.data": data})
        self.client.log_metric(run.info.run_id, "accuracy", 0.5)
        self.client.log_metric(run.info.run_id, "log_loss", 0.31)
        if predictions is not None:
            self.client.log_artifact(run.info.run_id, str(predictions))
        self.client.set_model_version_tag(name, "1", version_tag(data, digest), run.info.run_id)


@pytest.fixture(scope="module", params=["file", "server"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    import mlflow

    with temporary_home() as home, warm_workers():
        if request.param == "file":
            place_store(home.data)
            with open_rooms(Settings(data_dir=home.data)) as rooms:
                rooms.run(rooms.mlflow.ensure())
                client = mlflow.MlflowClient(rooms.mlflow.uri)
                yield Place(rooms, client, home.data / "mlflow" / "artifacts")
            return
        place_server_store(home.path / "far.db")
        with (
            running_mlflow(home, f"sqlite:///{home.path}/far.db", home.path / "far") as url,
            open_rooms(Settings(data_dir=home.data, mlflow_uri=url)) as rooms,
        ):
            yield Place(rooms, mlflow.MlflowClient(url), home.path / "far")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "MLmodel").write_text(
        "flavors: {python_function: {loader_module: mlflow.sklearn}, sklearn: {}}\n"
    )
    (folder / "requirements.txt").write_text("scikit-learn==1.7.2\n")
    (folder / "weights.bin").write_bytes(b"0" * 5_000)
    return folder


def predictions(path: Path, labels: list[Any], predicted: list[Any], **groups: list[Any]) -> Path:
    """A file as an evaluation keeps it."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {"id": [str(at) for at in range(len(labels))], "label": labels, "prediction": predicted}
    named = {f"group.{name}": values for name, values in groups.items()}
    parquet.write_table(pa.table({**columns, **named}), path)
    return path


def section(card: Card, id: str) -> str:
    return next(each.text for each in card.sections if each.id == id)


def test_a_card_says_what_mlflow_knows(place: Place, files: Path, tmp_path: Path) -> None:
    place.registered("known", files)
    labels = ["a", "b"] * 50 + [None]
    file = predictions(
        tmp_path / "predictions.parquet", labels, ["a"] * 75 + ["b"] * 26, age=["y"] * 80 + ["o"] * 21
    )
    place.evaluated("known", file)
    card = place.card("known")
    assert (card.kept, card.digest) == (False, "")
    assert "A model of tests." in section(card, "title")
    training = section(card, "training")
    assert "c" * 40 in training and "| lr | 0.1 |" in training and "1 GPU" in training
    assert "| train | training | tr41n | train.csv |" in section(card, "data")
    assert "0.2 kWh" in section(card, "environment"), "mean 200 W over an hour"
    evaluation = section(card, "evaluation")
    assert "| accuracy | 0.51 | 0.4103 to 0.6097 | 100 | test@d1g3 |" in evaluation, evaluation
    assert r"| log\_loss | 0.31 |" in evaluation
    assert "nothing" not in card.text
    groups = section(card, "groups")
    assert "| age=o, accuracy | 0.5 |" in groups and "Groups with fewer than 30 rows: `age=o`" in groups
    assert {each.what for each in card.missing} == {
        *("license", "intended use", "out-of-scope use", "limits", "contact"),
    }


def test_an_evaluation_that_cannot_be_read_is_said(place: Place, files: Path, tmp_path: Path) -> None:
    place.registered("broken", files)
    bad = tmp_path / "predictions.parquet"
    bad.write_bytes(b"no parquet")
    place.evaluated("broken", bad)
    place.client.set_model_version_tag("broken", "1", version_tag("gone", "1"), "0" * 32)
    place.client.set_model_version_tag("broken", "1", "genops.gates", "no json")
    card = place.card("broken")
    assert "The evaluation on test cannot be read" in card.text
    assert "The evaluation on gone cannot be read" in card.text
    place.evaluated("broken", None)
    assert "| accuracy | 0.5 |  |  | test@d1g3 |" in section(place.card("broken"), "evaluation")


def test_what_a_person_wrote_is_kept_beside_the_files(place: Place, files: Path) -> None:
    folder = place.registered("written", files)
    digest = model_digest(folder)
    first = place.write("written", "uses", "## Uses\n\nPost offices.", expected="")
    assert first.kept and section(first, "uses") == "## Uses\n\nPost offices."
    assert model_digest(folder) == digest, "the card is none of the model's files"
    tag = place.client.get_model_version("written", "1").tags["genops.card"]
    assert tag.rpartition("/")[2] in [each.name for each in folder.with_name("model.genops").iterdir()]
    second = place.write("written", "contact", "Ask Ann.", expected=first.digest)
    assert section(second, "contact") == "## Model card contact\n\nAsk Ann."
    place.client.update_model_version("written", "1", description="Now described.")
    again = place.card("written")
    assert "Now described." in section(again, "title")
    assert "Post offices." in section(again, "uses") and "Ask Ann." in section(again, "contact")
    assert [each.id for each in again.sections if each.written] == ["uses", "contact"]
    assert {each.what for each in again.missing} == {
        "license",
        "results by group",
        "limits",
        "evaluation on a data set",
    }
    licensed = place.write("written", "metadata", f"license: mit\n{again.metadata}")
    assert "license" not in {each.what for each in licensed.missing}
    anew = place.write("written", "uses", "")
    assert "Missing: intended use" in section(anew, "uses")
    assert "license: mit\n" in place.card("written").text


def test_of_two_people_who_write_one_is_told(place: Place, files: Path) -> None:
    place.registered("two", files)
    card = place.card("two")
    place.write("two", "uses", "Mine.", expected=card.digest)
    with pytest.raises(Conflict, match="Somebody else changed the card of two version 1") as error:
        place.write("two", "uses", "Yours.", expected=card.digest)
    assert error.value.code == "card_changed"
    assert "Mine." in place.card("two").text
    with pytest.raises(Conflict):
        place.rooms.run(place.service.keep_card("two", "1", KeepCard(text="# x", expected="")))
    with pytest.raises(NotFound, match="has no section 'nothing'"):
        place.write("two", "nothing", "x")
    with pytest.raises(InvalidRequest, match="is not YAML"):
        place.write("two", "metadata", "a: [")
    with pytest.raises(InvalidRequest, match="begins with metadata"):
        place.write("two", "uses", "---\na: b\n---\n\n# x")


def test_a_card_from_a_file_is_made_anew_around_what_it_says(place: Place, files: Path) -> None:
    folder = place.registered("file", files)
    text = place.card("file").text.replace("> **Missing: limits.**", "Fails on sevens.")
    kept = place.rooms.run(place.service.keep_card("file", "1", KeepCard(text=text)))
    assert "Fails on sevens." in section(kept, "limits")
    assert place.card("file") == kept
    (next(folder.with_name("model.genops").glob("card-*.md"))).write_bytes(b"---\na: [\n---\n")
    with pytest.raises(Failed, match="The kept card of file version 1 cannot be read"):
        place.card("file")
    again = place.rooms.run(place.service.keep_card("file", "1", KeepCard(text=kept.text)))
    assert again.digest == kept.digest


def test_a_bill_of_materials_has_the_hashes_of_all_files(place: Place, files: Path) -> None:
    import hashlib

    place.registered("materials", files)
    document = place.rooms.run(place.service.get_bill_of_materials("materials", "1")).document
    hashes = {
        each["name"]: each["hashes"][0]["content"] for each in document["metadata"]["component"]["components"]
    }
    assert hashes == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.iterdir()}
    assert "pkg:pypi/scikit-learn@1.7.2" in {each.get("purl") for each in document["components"]}


def test_a_version_of_a_deleted_run_still_has_a_card(place: Place, files: Path) -> None:
    folder = place.registered("orphan", files)
    run_id = folder.parents[1].name
    place.client.set_model_version_tag("orphan", "1", "genops.base_model", "hf:org/base@v1")
    place.client.delete_run(run_id)
    card = place.card("orphan")
    assert "base_model: org/base" in card.metadata
    with pytest.raises(NotFound):
        place.card("nothing")


def test_a_logged_model_of_mlflow_3_has_a_card(place: Place) -> None:
    if not place.rooms.mlflow.uri.startswith("sqlite"):
        pytest.skip("one MLflow is enough for the place of logged models")
    logged = Training(place.rooms).digits()
    place.rooms.run(place.rooms.registry.register_model(RegisterModel(name="digits", run=logged.run_id)))
    card = place.write("digits", "uses", "For tests.")
    assert "skops" in section(card, "details") and "For tests." in place.card("digits").text
    assert (logged.folder.with_name(f"{logged.folder.name}.genops")).is_dir()
