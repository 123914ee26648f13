"""``genops lineage`` beside a running Lab."""

from __future__ import annotations

from tests.support.rooms import Logged

from .conftest import RunningLab

#: 250 characters of two and three bytes.
LONG = "daten-é-数" * 27 + "länge ü"


def test_lineage_is_shown_as_a_tree_and_as_json(lab: RunningLab, digits: Logged) -> None:
    registered = lab.call("models", "register", "traced", "--run", digits.run_id, "--alias", "champion")
    assert registered.code == 0, registered.err
    shown = lab.call("lineage", "show", f"run:{digits.run_id[:10]}")
    assert shown.code == 0 and "└─ logged traced version 1: champion" in shown.out, shown.err
    up = lab.call("lineage", "show", "model:traced@champion", "--up", "--json").json
    assert [(edge["start"], edge["end"]) for edge in up["edges"]] == [
        (f"run:{digits.run_id}", "model:traced@1")
    ]
    assert set(up) == {"root", "nodes", "edges", "folds", "notes"} and up["root"] == "model:traced@1"
    wrong = lab.call("lineage", "show", "model:tracd@1")
    assert wrong.code == 3 and "Did you mean traced?" in wrong.err
    for arguments in (("traced",), ("run:latest", "--up", "--down"), ("run:latest", "--limit", "0")):
        assert lab.call("lineage", "show", *arguments).code == 2, arguments


def test_long_names_ambiguous_beginnings_and_runs_without_a_version(lab: RunningLab) -> None:
    import mlflow
    from mlflow.entities import Dataset, DatasetInput

    client = mlflow.MlflowClient(lab.mlflow.uri)
    for digest in ("aaa1", "aaa2"):
        run = client.create_run("0", run_name=LONG)
        client.log_inputs(run.info.run_id, [DatasetInput(Dataset(LONG, digest, "local", "{}"), [])])
    one = lab.call("lineage", "show", f"data:{LONG}@aaa1")
    assert one.code == 0 and LONG[:50] in one.out, one.err
    listed = lab.call("lineage", "show", f"data:{LONG}@aaa1", "--runs", "--json").json
    assert [each["name"] for each in listed["items"]] == [LONG] and listed["next"] == ""
    several = lab.call("lineage", "show", f"data:{LONG}@aaa")
    told = " ".join(several.err.split())
    assert several.code == 2 and "2 objects match the data set" in told and "Give more characters" in told
    for of, says in (
        (f"data:{LONG}x", "No run has a data set"),
        (f"model:{LONG}@3", "No model is registered as"),
        (f"base:{LONG}", "No version names the base model"),
        (f"deployment:{LONG}", "There is no deployment"),
        ("commit:0123abc", "No run was made from the commit 0123abc"),
        (f"data:{LONG}@bbb", "aaa1"),
    ):
        missing = lab.call("lineage", "show", of)
        assert missing.code == 3 and says.lower() in missing.err.lower(), (of, missing.err)
        assert "Traceback" not in missing.err
    for of, says in ((f"run:{LONG}x", "is not a run's id"), (f"run:{LONG}", "Several runs are named")):
        refused = lab.call("lineage", "show", of)
        assert refused.code == 2 and says in refused.err, (of, refused.err)
    refused = lab.call("lineage", "show", "model:x@1", "--runs")
    assert refused.code == 2 and "neither a data set nor a commit" in refused.err
