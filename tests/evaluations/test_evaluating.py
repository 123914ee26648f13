"""Two versions judged on the same rows by real processes, and kept in a real MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from genops_lab.evaluations import tags
from genops_lab.evaluations.models import ReportQuery
from genops_lab.evaluations.predictions import read
from tests.commands.conftest import genops
from tests.support.homes import Home
from tests.support.rooms import Rooms

from .conftest import ROWS, evaluated, held_out


def test_candidate_and_champion_are_judged_on_the_same_rows(
    rooms: Rooms, digits: str, holdout: Path, tmp_path: Path
) -> None:
    import mlflow
    from sklearn.metrics import accuracy_score

    task, found = evaluated(
        rooms, model=digits, data=str(holdout), id="key", label="y", groups=["region"], batch_rows=64
    )
    assert task.state == "done", (task.message, task.hint)
    assert task.message == "digits version 2 is evaluated on 400 rows of holdout.parquet."
    candidate, champion = found
    assert (candidate.version, champion.version) == ("2", "1")
    client = mlflow.MlflowClient(rooms.mlflow.uri)

    run = client.get_run(candidate.run_id)
    version = client.get_model_version("digits", "2")
    assert run.info.experiment_id == client.get_run(version.run_id).info.experiment_id
    assert run.info.status == "FINISHED"
    data = run.inputs.dataset_inputs[0]
    assert (data.dataset.name, data.tags[0].value) == ("holdout.parquet", "evaluation")
    assert version.tags[tags.version_tag("holdout.parquet", data.dataset.digest)] == candidate.run_id

    kept = read(client.download_artifacts(candidate.run_id, "predictions.parquet", str(tmp_path)))
    frame = held_out()
    assert kept.ids.tolist() == frame["key"].tolist()
    assert kept.groups["region"].tolist() == frame["region"].tolist()
    assert sorted(kept.scores, key=int) == [str(at) for at in range(10)]
    assert kept.latency_s is not None
    assert (kept.latency_s > 0).all()
    assert (kept.about["model"], kept.about["how"], kept.about["rows"]) == ("digits", "evaluate", ROWS)
    labelled = kept.labelled
    assert labelled.sum() == ROWS - 2
    expected = accuracy_score(kept.labels[labelled], kept.predictions[labelled])
    assert run.data.metrics["accuracy"] == pytest.approx(expected)

    report = rooms.run(rooms.evaluations.get_evaluation(candidate.run_id))
    rows = {each.metric: each for each in report.metrics}
    assert list(rows) == ["accuracy", "log_loss", "brier", "latency_s"]
    difference = rows["accuracy"].difference
    assert difference is not None
    assert difference.verdict == "better"
    assert difference.method == "McNemar's exact test"
    assert rows["accuracy"].candidate.value == pytest.approx(expected)
    assert {(each.group, each.value) for each in report.groups} == {("region", "north"), ("region", "south")}
    everywhere = [each.experiment_id for each in client.search_experiments()]
    of_data = client.search_runs(everywhere, f"tags.`{tags.DIGEST}` = '{data.dataset.digest}'")
    assert (
        report.judged
        == len({(each.data.tags[tags.MODEL], each.data.tags[tags.VERSION]) for each in of_data})
        >= 2
    )  # others judged it too
    assert report.notes == [
        "2 rows without a label: left out of the metrics.",
        "This data set has judged 2 versions.",
    ]
    assert report.against is not None
    assert report.against.run_id == champion.run_id
    assert not (rooms.settings.data_dir / "evaluations" / task.id).exists()

    alone = rooms.run(rooms.evaluations.get_evaluation(candidate.run_id, ReportQuery(against="")))
    assert alone.against is None
    assert all(each.difference is None for each in alone.metrics)
    listed = rooms.run(rooms.evaluations.list_version_evaluations("digits", "2"))
    assert [each.evaluation.run_id for each in listed] == [candidate.run_id]


def test_a_known_data_set_is_named_by_its_digest_and_keeps_its_columns(
    rooms: Rooms, digits: str, holdout: Path
) -> None:
    _task, found = evaluated(rooms, model=digits, data=str(holdout), id="key", label="y", against="")
    digest = found[0].digest
    holdout.rename(holdout.with_suffix(".away"))
    try:
        task, found = evaluated(rooms, model=digits, data=f"holdout.parquet@{digest[:6]}", against="")
    finally:
        holdout.with_suffix(".away").rename(holdout)
    assert task.state == "done", (task.message, task.hint)
    assert found[0].digest == digest
    assert "accuracy" in found[0].metrics


def test_the_command_works_without_a_lab(
    package_home: Home, rooms: Rooms, digits: str, holdout: Path
) -> None:
    done = genops(
        package_home, "models", "evaluate", digits, "--data", str(holdout), "--id", "key", "--label", "y",
        "--group", "region", "--against", "champion",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "McNemar" not in done.out
    assert "better" in done.out
    assert "accuracy by region" in done.out
    assert "holdout.parquet" in done.out
