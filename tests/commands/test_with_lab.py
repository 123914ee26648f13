"""Commands that find a running Lab: the loop from a run to a deployment, and what can go wrong."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import pty
import re
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, insert, select

from genops_lab.core.store.outbox import Outbox
from genops_lab.core.store.shared_tables import audit
from genops_lab.core.store.tables import profiles
from genops_lab.runtime import lab as kernel_side
from tests.support.rooms import Logged
from tests.support.warm import program

from .conftest import RunningLab


def error_of(err: str) -> dict[str, Any]:
    """The last line of standard error of a failed command with --json."""
    return json.loads(err.strip().splitlines()[-1])["error"]


def audited(lab: RunningLab) -> list[str]:
    """Return the operations in the audit log that gave a key."""
    outbox = lab.lab.application.services.find(Outbox)
    assert outbox is not None
    outbox.deliver()
    with outbox.shared.reading() as connection:
        found = connection.execute(select(audit.c.operation).where(audit.c.operation.contains("key")))
        return sorted(found.scalars())


def test_from_a_run_to_an_answer(
    lab: RunningLab, digits: Logged, trusted: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted()
    listed = lab.call("runs", "list", "--json")
    assert listed.code == 0, listed.err
    assert [run["run_id"] for run in listed.json] == [digits.run_id]
    shown = lab.call("runs", "show", digits.run_id[:10], "--json").json
    assert shown["run"]["run_id"] == digits.run_id
    assert [model["name"] for model in shown["models"]] == ["model"]

    registered = lab.call("models", "register", "digits", "--run", "latest", "--alias", "best", "--json")
    assert registered.code == 0, registered.err
    assert (registered.json["name"], registered.json["version"]) == ("digits", "1")
    [model] = lab.call("models", "list", "--json").json
    assert (model["name"], model["versions"][0]["aliases"]) == ("digits", ["best"])
    moved = lab.call("models", "alias", "digits", "live", "1", "--reason", "it is good", "--json").json
    assert sorted(moved["versions"][0]["aliases"]) == ["best", "live"]
    stale = lab.call("models", "unalias", "digits", "live", "--expected", "2")
    assert stale.code == 4 and "names version 1, not version 2" in stale.err
    files = lab.call("models", "show", "digits", "--version", "best", "--json").json
    assert (files["headline"], files["formats"]) == ("Files hold data only", ["skops"])
    output = lab.call("models", "show", "digits", "--version", "1").out
    assert "Files hold data only" in output and "model.skops" in output and "data only" in output
    assert lab.call("models", "unalias", "digits", "live", "--json").json["versions"][0]["aliases"] == [
        "best"
    ]
    back = lab.call("models", "revert-alias", "digits", "live", "--json").json
    assert sorted(back["versions"][0]["aliases"]) == ["best", "live"]
    history = lab.call("models", "alias-history", "digits", "--alias", "live", "--json").json
    assert [(each["to_version"], each["reason"]) for each in history] == [
        ("1", "Back to version 1"),
        ("", ""),
        ("1", "it is good"),
    ]
    assert "none → 1" in lab.call("models", "alias-history", "digits").out

    deployed = lab.call(
        "deployments", "add", "digits", "--version", "best", "--name", "d1", "--wait", "--json"
    )
    assert deployed.code == 0, deployed.err
    assert "d1: " in deployed.err
    found = deployed.json
    assert (found["name"], found["state"]) == ("d1", "running")
    shown = [lab.call("deployments", *asked, "--json").out for asked in (("list",), ("show", "d1"))]
    assert audited(lab) == [], "nobody has asked for the key"
    key = lab.call("deployments", "show", "d1", "--with-key", "--json").json["key"]
    assert not any(key in text or '"key":' in text for text in shown)
    assert audited(lab) == ["deployments.get_deployment_key"]
    request = urllib.request.Request(
        found["url"] + "/invocations",
        json.dumps({"inputs": digits.inputs.tolist()}).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)["predictions"] == digits.predictions

    # A kernel of an older version asks without a version, and gets the key. Nobody else does.
    monkeypatch.setenv("GENOPS_SOCKET", str(lab.doorway.path))
    assert kernel_side.call("GET", "/deployments/d1")["key"] == key
    for path in ("/v1/deployments/d1", "/deployments/d1/log"):
        assert "key" not in kernel_side.call("GET", path), path
    assert "key" not in kernel_side.call("GET", "/deployments")[0]
    assert audited(lab) == ["deployments.get_deployment_key", "deployments.get_keyed_deployment"]
    again = lab.call("deploy", "digits", "--name", "d1", "--json")
    assert (again.code, again.json["revision"]) == (0, 1), "it serves this version already"
    table = lab.call("deployments", "list").out
    assert table.splitlines()[0].split() == [
        "NAME", "STATE", "MODEL", "VERSION", "TARGET", "REQUESTS", "ERRORS", "LATENCY", "URL", "FILE",
    ]  # fmt: skip
    assert table.splitlines()[1].split()[:4] == ["d1", "running", "digits", "1"]
    text = lab.call("deployments", "show", "d1").out
    assert found["url"] in text
    assert key not in text and key in lab.call("deployments", "show", "d1", "--with-key").out
    noted = lab.call("deployments", "show", "d1", "--with-key", GENOPS_OUTPUT="notebook").json
    assert noted["data"]["key"] == key and key not in noted["text"] + noted["html"], (
        "a notebook keeps what it shows"
    )
    assert lab.call("deployments", "logs", "d1", "-n", "5", "--json").json["name"] == "d1"
    assert (
        lab.call("deployments", "extend-lifetime", "d1", "--json").json["lease_until"] >= found["lease_until"]
    )
    for words in (("--version", "1"), ()):
        kept = lab.call("models", "delete", "digits", *words, "--yes", "--force")
        assert kept.code == 4 and "Version 1 of 'digits' is deployed as d1." in kept.err
        assert "genops deployments stop d1" in kept.err
    made = lab.call("deployments", "add-key", "d1", "ci", "--limit", "60", "--json").json
    assert made["limit"] == 60 and made["key"]
    assert "60 requests a minute" in lab.call("deployments", "keys", "d1").out
    assert lab.call("deployments", "revoke-key", "d1", "ci").code == 0
    assert lab.call("deployments", "keys", "d1", "--json").json == []
    assert lab.call("deployments", "rollback", "d1").code == 4, "there is no revision before"
    assert lab.call("models", "register", "digits", "--run", digits.run_id, "--json").json["version"] == "2"
    updated = lab.call("deploy", "digits", "--version", "2", "--name", "d1", "--wait", "--json")
    assert updated.code == 0 and "Revision 2 starts beside revision 1" in updated.err, updated.err
    assert (updated.json["version"], updated.json["url"]) == ("2", found["url"])
    shown = lab.call("deployments", "show", "d1").out
    assert "REVISION" in shown and shown.count("100 %") == 1
    back = lab.call("deployments", "rollback", "d1", "--to", "1", "--json").json
    assert (back["version"], back["revision"]) == ("1", 1)
    logs = lab.call("deployments", "logs", "d1", "--revision", "2", "--json").json["lines"]
    assert any(line.startswith("running: ") for line in logs)
    deleted = lab.call("runs", "delete", digits.run_id[:10])
    assert "Deployment d1 serves a model of this run and keeps running." in deleted.err, deleted.err
    assert lab.call("runs", "undelete", digits.run_id[:10]).code == 0
    assert lab.call("deployments", "delete", "d1", "--json").code == 4
    followed = lab.follow("deployments", "logs", "d1", "--follow")
    assert followed.stdout is not None and followed.stdout.readline().startswith("starting: ")
    assert lab.call("deployments", "stop", "d1", "--json").json["state"] == "stopped"
    out, err = followed.communicate(timeout=30)
    assert (followed.returncode, out.splitlines()[-1]) == (0, "stopped: Stopped."), err
    assert lab.call("deployments", "show", "d1", "--with-key").code == 4
    for _ in range(2):
        assert lab.call("deployments", "delete", "d1", "--json").json == {"name": "d1", "deleted": True}
    assert lab.call("deployments", "list", "--json").json == []


def test_a_model_of_unknown_origin_needs_a_confirmation(lab: RunningLab, digits: Logged) -> None:
    assert lab.call("models", "register", "stranger", "--run", digits.run_id, "--json").code == 0
    from genops_lab.core.store.tables import model_hashes

    with lab.store.transaction() as connection:
        connection.execute(model_hashes.delete())
    refused = lab.call("deploy", "stranger", "--name", "d2", "--json")
    assert (refused.code, refused.out) == (4, "")
    error = error_of(refused.err)
    assert error["code"] == "confirmation_needed"
    trust = error["details"]["check"]["digest"]
    assert trust.startswith("sha256:") and f"--trust {trust}" in error["hint"]
    assert {"sklearn"} <= set(error["details"]["check"]["flavors"])
    assert error["details"]["check"]["files"]
    assert lab.call("deployments", "list", "--json").json == []

    other = lab.call("deploy", "stranger", "--name", "d2", "--trust", f"sha256:{'0' * 64}", "--json")
    assert (other.code, error_of(other.err)["code"]) == (4, "confirmation_needed")
    # tests/deployments/test_lifecycle.py shows that it answers then.
    allowed = lab.call("deploy", "stranger", "--name", "d2", "--trust", trust, "--json")
    assert allowed.code == 0, allowed.err
    assert lab.call("deployments", "stop", "d2").code == 0
    assert lab.call("deployments", "delete", "d2").code == 0


def _at_a_terminal(lab: RunningLab, answer: bytes, *arguments: str) -> tuple[int, str, str]:
    """Run a command whose input and error stream are a terminal; its code, output, and what was shown."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [*program("genops_lab.commands.main"), *arguments],
        stdin=side, stderr=side, stdout=subprocess.PIPE, env=lab.home.environment(), cwd=lab.home.work,
    )  # fmt: skip
    os.close(side)
    shown = b""
    try:
        while b"[y/N]" not in shown:
            shown += os.read(main, 4096)
        os.write(main, answer)
        out, _ = process.communicate(timeout=120)
    finally:
        os.close(main)
    return process.returncode, out.decode(), shown.decode()


def test_at_a_terminal_the_user_is_asked(lab: RunningLab, digits: Logged) -> None:
    lab.call("models", "register", "asked", "--run", digits.run_id)
    from genops_lab.core.store.tables import model_hashes

    with lab.store.transaction() as connection:
        connection.execute(model_hashes.delete())
    code, out, shown = _at_a_terminal(lab, b"n\n", "deploy", "asked", "--name", "d3", "--json")
    assert (code, out) == (4, "")
    assert "sklearn" in shown
    assert "MLmodel" in shown
    assert lab.call("deployments", "list", "--json").json == []
    code, out, _shown = _at_a_terminal(lab, b"y\n", "deploy", "asked", "--name", "d3", "--json")
    assert code == 0
    assert json.loads(out)["name"] == "d3"
    assert lab.call("deployments", "stop", "d3").code == 0
    assert lab.call("deployments", "delete", "d3").code == 0


def test_a_missing_object_has_its_exit_code(lab: RunningLab) -> None:
    for arguments in (
        ("runs", "show", "f" * 32),
        ("models", "show", "no such"),
        ("deployments", "show", "none"),
        ("deployments", "logs", "none"),
        ("profiles", "show", "none"),
        ("models", "register", "x", "--run", "0" * 32),
        ("profiles", "analyze", "none.json"),
    ):
        outcome = lab.call(*arguments, "--json")
        assert (outcome.code, outcome.out) == (3, ""), (arguments, outcome)
        assert error_of(outcome.err)["code"] == "not_found"
        assert outcome.err.startswith("Error: ")


def test_a_bad_filter_is_wrong_usage(lab: RunningLab, digits: Logged) -> None:
    outcome = lab.call("runs", "list", "--filter", "status = FINISHED ADN x", "--json")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(
        "status = FINISHED ADN x\n                  ^^^\nError: AND or OR is missing before ADN.\nHint: "
    )


def test_a_name_that_no_run_has_is_pointed_at(lab: RunningLab, digits: Logged) -> None:
    outcome = lab.call("runs", "list", "--filter", "status = FINISHED and metrics.nope > 1")
    assert (outcome.code, outcome.out) == (0, "No run matches the query.\n")
    assert outcome.err.startswith(
        "status = FINISHED and metrics.nope > 1\n                      ^^^^^^^^^^^^\nNo run has metrics.nope."
    ), outcome.err


def test_runs_are_sorted_tagged_deleted_and_restored(lab: RunningLab, digits: Logged) -> None:
    short = digits.run_id[:10]
    tagged = lab.call("runs", "tag", short, "team=vision", "note=a=b")
    assert (tagged.code, tagged.out.split()[-2:]) == (0, [short[:8], "tagged"]), tagged.err
    listed = lab.call("runs", "list", "--filter", "tags.team = 'vision'", "--sort", "-start_time", "--json")
    assert [(run["run_id"], run["tags"]) for run in listed.json] == [
        (digits.run_id, {"team": "vision", "note": "a=b"})
    ]
    experiment = listed.json[0]["experiment"]
    assert lab.call("runs", "tag", "latest", "--remove", "team", "--remove", "note").code == 0
    assert lab.call("runs", "list", "--filter", "tags.team = 'vision'", "--json").json == []
    assert lab.call("runs", "delete", short, "--json").json == [digits.run_id]
    assert lab.call("runs", "list", "--json").json == []
    assert [run["run_id"] for run in lab.call("runs", "list", "--deleted", "--json").json] == [digits.run_id]
    shown = lab.call("runs", "show", short)
    assert (shown.code, f"To restore it, run `genops runs undelete {digits.run_id[:8]}`" in shown.err) == (
        3,
        True,
    ), shown.err
    assert lab.call("runs", "undelete", short, "--json").json == [digits.run_id]
    listed = lab.call("runs", "list", "--sort", "start_time DESC", "--experiment", experiment, "--json")
    assert lab.call("experiments", "show", experiment, "--json").json["runs"] == len(listed.json)
    near = lab.call("experiments", "show", experiment + "s")
    assert near.code == 3 and f"Did you mean {experiment}" in near.err
    assert [run["run_id"] for run in listed.json] == [digits.run_id]
    for wrong in (("tag", short), ("tag", short, "no value"), ("list", "--sort", "nonsense")):
        assert lab.call("runs", *wrong).code == 2
    of_data = lab.call("runs", "list", "--filter", "dataset.name = 'none'", "--json")
    assert (of_data.code, of_data.json) == (0, []), of_data.err


def test_a_list_shows_the_metrics_that_it_is_sorted_by_and_asked_for(lab: RunningLab, digits: Logged) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(lab.mlflow.uri)
    for name, value in (("a1", 1.0), ("a2", 2.0), ("a3", 3.0), ("zeta", 0.25)):
        client.log_metric(digits.run_id, name, value)
    assert "zeta=0.25" in lab.call("runs", "list", "--sort", "-metrics.zeta").out
    assert "zeta=0.25" in lab.call("runs", "list", "--filter", "metrics.zeta > 0 or name = 'x'").out
    assert "zeta" not in lab.call("runs", "list").out


def test_a_list_shows_the_best_value_and_a_stalled_run(lab: RunningLab, digits: Logged) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(lab.mlflow.uri)
    run = client.create_run(client.create_experiment("stalled")).info.run_id
    begun = int((time.time() - 630) * 1000)
    try:
        for step, value in enumerate((0.5, 0.9, math.nan, 0.7)):
            client.log_metric(run, "acc", value, timestamp=begun + step * 1000, step=step)
        client.log_metric(run, "system/cpu_percent", 3.0)
        (listed,) = lab.call("runs", "list", "-e", "stalled", "--sort", "-metrics.acc", "--json").json
        assert listed["best"] == {"acc": {"max": 0.9, "step": 1}} and listed["metrics"]["acc"] == 0.7
        assert 600 < listed["stalled_s"] < 900
        shown = lab.call("runs", "list", "-e", "stalled", "--sort", "metrics.acc").out
        assert re.search(r"no metric for 10 min \d+ s +acc=0\.7 \(min 0\.5\)", shown), shown
        text = lab.call("runs", "show", run).out
        assert "(min 0.5 at step 0, max 0.9 at step 1)" in text, text
        extremes = lab.call("runs", "show", run, "--json").json["extremes"]
        assert extremes == {"acc": {"min": {"value": 0.5, "step": 0}, "max": {"value": 0.9, "step": 1}}}
        client.set_terminated(run)
        (ended,) = lab.call("runs", "list", "-e", "stalled", "--json").json
        assert "stalled_s" not in ended and "best" not in ended
    finally:
        client.delete_run(run)


def assert_exported(lab: RunningLab, made: list[str], params: dict[str, str]) -> None:
    done = lab.call("runs", "export", "--csv", "-e", "thousands")
    assert (done.code, done.err) == (0, ""), done.err
    rows = list(csv.DictReader(io.StringIO(done.out, newline="")))
    assert [row["run_id"] for row in rows] == made[::-1]
    by_id = {row["run_id"]: row for row in rows}
    assert {name: by_id[made[3]][f"params.{name}"] for name in params} == params
    shown = {name: by_id[made[4]][f"metrics.{name}"] for name in "abcd"}
    assert shown == {"a": "NaN", "b": "-Infinity", "c": "-0.1", "d": "1e+300"}
    assert (
        by_id[made[4]]["tags.team"] == "@ü"
        and by_id[made[4]]["start_time"] == "1970-01-01T00:00:00.005+00:00"
    )
    assert not any(by_id[made[0]][name] for name in rows[0] if "." in name)
    query = ("-e", "thousands", "--filter", "params.sign < 0", "--spreadsheet", "--limit", "7")
    written = lab.call("runs", "export", "--csv", "safe.csv", *query, "--json")
    assert written.json["runs"] == 1 and "params.sign" in written.json["columns"], written
    text = (lab.home.work / "safe.csv").read_text()
    assert "params.-1 1" in text and ",\"'=HYPERLINK" in text and ",-0.5," in text, text
    again = lab.call("runs", "export", "--csv", "safe.csv", *query)
    assert again.code == 4 and "Give another name, such as safe-1.csv." in again.err
    limited = lab.call("runs", "export", "-e", "thousands", "--limit", "1100", "--sort", "start_time")
    assert len(limited.out.splitlines()) == 1 + 1100 + 1, "a text of two lines, and the head"


def test_a_list_of_thousands_is_whole(lab: RunningLab, digits: Logged) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(lab.mlflow.uri)
    experiment = client.create_experiment("thousands")
    made = [f"{at:032x}" for at in range(1, 1206)]
    assert lab.mlflow.embedded_file is not None
    with contextlib.closing(sqlite3.connect(lab.mlflow.embedded_file, timeout=30)) as connection, connection:
        connection.executemany(
            "INSERT INTO runs (run_uuid, name, status, start_time, lifecycle_stage, experiment_id, source_type, "
            "artifact_uri) VALUES (?, ?, 'FINISHED', ?, 'active', ?, 'UNKNOWN', '/nowhere')",
            [(run, run, at, experiment) for at, run in enumerate(made, 1)],
        )
    asked = ("runs", "list", "-e", "thousands", "--limit")
    odd = {"-1 1": '=HYPERLINK("http://x")', "text": 'a,"b"\nc', "sign": "-0.5"}
    for name, value in odd.items():
        client.log_param(made[3], name, value)
    for name, number in (("a", math.nan), ("b", -math.inf), ("c", -0.1), ("d", 1e300)):
        client.log_metric(made[4], name, number)
    client.set_tag(made[4], "team", "@ü")
    try:
        listed = lab.call(*asked, "5000", "--json")
        assert [run["run_id"] for run in listed.json] == made[::-1]
        assert len(lab.call(*asked, "1100", "--json").json) == 1100
        assert "These are 2 of 1205 runs" in lab.call(*asked, "2").err
        assert_exported(lab, made, odd)
    finally:
        client.delete_experiment(experiment)


def test_a_list_of_more_than_a_page_is_whole(lab: RunningLab) -> None:
    row = {"title": "p", "trace_path": "", "size_bytes": 0, "state": "ready", "message": "", "artifact": ""}
    rows = [{**row, "id": f"p{number:04}", "created_at": 1.0 + number} for number in range(1001)]
    with lab.store.transaction() as connection:
        connection.execute(insert(profiles), rows)
    try:
        listed = [each["id"] for each in lab.call("profiles", "list", "--json").json]
        assert listed == [each["id"] for each in reversed(rows)]
        assert "p0000" in lab.call("profiles", "list").out
    finally:
        with lab.store.transaction() as connection:
            connection.execute(delete(profiles))


def test_a_sort_by_an_unknown_column_has_a_hint(lab: RunningLab, digits: Logged) -> None:
    from mlflow import MlflowClient

    MlflowClient(lab.mlflow.uri).log_metric(digits.run_id, "zeta", 0.25)
    wrong = lab.call("runs", "list", "--sort", "-metrics.zetta")
    assert wrong.code == 0
    assert (
        "No run here has metrics.zetta, so nothing is sorted by it. Did you mean metrics.zeta?" in wrong.err
    )
    assert "nothing is sorted" not in lab.call("runs", "list", "--sort", "-metrics.zeta").err


def test_several_runs_are_tagged_at_once_or_none(lab: RunningLab, digits: Logged) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(lab.mlflow.uri)
    other = client.create_run(client.get_run(digits.run_id).info.experiment_id).info.run_id
    try:
        wrong = lab.call("runs", "tag", other, "f" * 32, "team=vision")
        assert (wrong.code, client.get_run(other).data.tags.get("team")) == (3, None)
        done = lab.call("runs", "tag", digits.run_id[:10], other, "team=vision", "--json")
        assert done.json == [digits.run_id, other]
        assert (done.code, done.err) == (0, "")
        assert [client.get_run(run).data.tags["team"] for run in (digits.run_id, other)] == ["vision"] * 2
        assert re.search(r"^team +vision$", lab.call("runs", "show", other).out, re.MULTILINE)
        assert lab.call("runs", "tag", "team=vision").code == 2
        client.set_tag(other, "mlflow.note.content", "Why it was **tried**.")
        client.set_tag(other, "mlflow.runName", "the other one")
        shown = lab.call("runs", "show", "the other one")
        assert other in shown.out and "Why it was **tried**." in shown.out
    finally:
        client.delete_tag(digits.run_id, "team")
        client.delete_run(other)


def test_runs_are_listed_in_groups(lab: RunningLab, digits: Logged) -> None:
    found = lab.call(
        "runs", "list", "--group", "experiment", "--group", "status", "--sort", "-runs", "--json"
    ).json
    (group,) = found
    assert (group["group"]["status"], group["runs"]) == ("FINISHED", 1)
    assert lab.call("runs", "show", digits.run_id, "--json").json["run"]["started_at"] == group["newest_at"]
    shown = lab.call("runs", "list", "--group", "status").out.splitlines()
    assert shown[0].split()[:3] == ["STATUS", "RUNS", "NEWEST"] and shown[1].split()[:2] == ["FINISHED", "1"]
    assert (
        lab.call("runs", "list", "--group", "status", "--filter", "name LIKE 'no%such'").out
        == "No run matches the query.\n"
    )
    refused = lab.call("runs", "list", "--group", "metrics.loss")
    assert refused.code == 2 and "has numbers" in refused.err
    wrong = lab.call("runs", "list", "--group", "status", "--filter", "metrics.loss <")
    assert wrong.code == 2 and "^" in wrong.err


def test_a_notebook_gets_one_object(lab: RunningLab, digits: Logged) -> None:
    outcome = lab.call("runs", "list", GENOPS_OUTPUT="notebook")
    assert outcome.code == 0
    bundle = outcome.json
    assert sorted(bundle) == ["data", "html", "text", "view"]
    assert bundle["data"][0]["run_id"] == digits.run_id
    assert bundle["html"].startswith("<div")
    assert digits.run_id[:8] in bundle["text"]
    assert bundle["view"] == ""
    failed = lab.call("deployments", "show", "none", GENOPS_OUTPUT="notebook")
    assert (failed.code, failed.out) == (3, "")
    assert "Error: " in failed.err


def test_doctor_and_status_and_compute(lab: RunningLab) -> None:
    status = lab.call("status", "--json").json
    assert status["mlflow_kind"] == "embedded"
    diagnosis = lab.call("doctor", "--json")
    states = {check["id"]: check["state"] for check in diagnosis.json["checks"]}
    assert states["store"] == states["mlflow"] == "ok"
    assert diagnosis.code == (1 if "error" in states.values() else 0)
    assert lab.call("targets", "show", "--json").json["memory_total_bytes"] > 2**20
    former = lab.call("compute", "show", "--json")
    assert former.json["memory_total_bytes"] > 2**20 and "genops targets show" in former.err
    assert "cores" in lab.call("targets", "show", "local").out
    assert lab.call("targets", "show", "nobody").code == 3


def _complete(lab: RunningLab, line: str) -> list[str]:
    words = line.split(" ")
    done = subprocess.run(
        program("genops_lab.commands.main"),
        env=lab.home.environment(
            _GENOPS_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1)
        ),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


def _completes(lab: RunningLab, line: str, name: str) -> None:
    """A Lab that does not answer at once leaves the line as it is; the next Tab asks again."""
    deadline = time.monotonic() + 60
    while not (found := _complete(lab, line)) and time.monotonic() < deadline:
        pass
    assert found == [name]


def test_tab_completes_commands_and_names(lab: RunningLab, digits: Logged) -> None:
    assert lab.call("models", "add", "tab-model", "--run", digits.run_id).code == 0
    assert _complete(lab, "genops mod") == ["models"]
    _completes(lab, "genops models show tab", "tab-model")
    _completes(lab, "genops deploy tab", "tab-model")
    _completes(lab, f"genops runs show {digits.run_id[:6]}", digits.run_id)
    assert _complete(lab, "genops runs show la") == ["latest"]
    assert _complete(lab, "genops deployments stop zzz") == []
    assert _complete(lab, "genops sweep res") == ["resume"]  # its former name is not named to the shell


def test_a_runs_link_and_for_whom_it_is(lab: RunningLab, digits: Logged) -> None:
    shown = lab.call("runs", "show", digits.run_id[:8], "--link")
    assert shown.code == 0, shown.err
    assert f"lab?genops-run={digits.run_id}" in shown.out
    assert "A colleague cannot open this run" in shown.err and "MLFLOW_TRACKING_URI" in shown.err
    found = lab.call("runs", "show", "latest", "--link", "--json").json
    assert (found["run_id"], found["mlflow"], found["shared"]) == (digits.run_id, "", False)
    assert lab.call("runs", "show", "f" * 32, "--link").code == 3
