"""``genops check``, ``diff``, ``apply``, ``call`` and ``secrets``: from a model to a file to an answer, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genops_lab.deployments.description.reading import read_description
from tests.support.homes import Home
from tests.support.quota import make_read_only, small_disk
from tests.support.rooms import Logged

from .conftest import RunningLab, genops


def write(lab: RunningLab, text: str, name: str = "deployment.yaml") -> Path:
    path = lab.home.work / name
    path.write_text(text)
    return path


def code_of(err: str) -> Any:
    return json.loads(err.strip().splitlines()[-1])["error"]["code"]


@pytest.fixture(scope="module")
def model(lab: RunningLab, digits: Logged) -> None:
    """Two versions of a model of unknown origin."""
    for _ in range(2):
        done = lab.call("models", "register", "digits", "--run", digits.run_id)
        assert done.code == 0, done.err


def test_check_needs_no_lab_and_names_the_place(lab_home: Home) -> None:
    folder = lab_home.work / "offline"
    folder.mkdir()
    good = "apiVersion: genops/v1\nkind: Deployment\nname: d\nrevisions: [{model: m, version: 3}]\n"
    (folder / "d.yaml").write_text(good)
    (folder / "g.yaml").write_text("kind: Gates\ndata: d\nrules: [{rule: signature}]\n")
    done = genops(lab_home, "check", "offline/d.yaml", "offline/g.yaml")
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "offline/d.yaml: the deployment d of m version 3.", "offline/g.yaml: a gate file with 1 rules."
    ]  # fmt: skip
    for name, text, message in (
        (
            "d.yaml",
            good.replace("name", "nam"),
            "offline/d.yaml, line 3, column 1: the key 'nam' is unknown.",
        ),
        (
            "g.yaml",
            "kind: Gates\nrules: [{rule: x}]\n",
            "offline/g.yaml, line 2, column 16: the rule 'x' is unk",
        ),
    ):
        (folder / name).write_text(text)
        done = genops(lab_home, "check", f"offline/{name}")
        assert done.code == 2 and message in done.err, done.err
    (folder / "d.yaml").write_text(good + "traces: {}\nscorers: {file: s.yaml}\n")
    done = genops(lab_home, "check", "offline/d.yaml")
    assert done.code == 3 and "s.yaml of 'scorers' cannot be read" in done.err, done.err
    (folder / "s.yaml").write_text("scorers: [{scorer: exact}]\n")
    done = genops(lab_home, "check", "offline/d.yaml")
    assert done.code == 2 and "cannot look at live traces" in done.err, done.err
    (folder / "s.yaml").write_text("scorers: [{scorer: length}]\n")
    assert genops(lab_home, "check", "offline/d.yaml").code == 0
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert "it is no text in UTF-8" in genops(lab_home, "check", "offline/binary.yaml").err
    assert genops(lab_home, "check", "offline/none.yaml").code == 3
    assert "cannot be read: Is a directory" in genops(lab_home, "check", "offline").err
    done = genops(lab_home, "check", "-", "--json", stdin=good)
    assert done.json == [{"file": "-", "kind": "Deployment", "name": "d", "model": "m", "version": "3"}]


def test_from_a_model_to_a_file_to_an_answer(lab: RunningLab, model: None, digits: Logged) -> None:
    done = lab.call("deployments", "init", "digits", "--version", "1")
    assert done.code == 0, done.err
    text = done.out
    trust = read_description(text).trust
    assert str(trust).startswith("sha256:") and "# Review before you apply it" in text
    untrusted = write(lab, "".join(line for line in text.splitlines(True) if "trust" not in line))
    done = lab.call("apply", str(untrusted))
    assert done.code == 4 and f"trust: {trust}" in done.err, done.err
    assert "digits: new" in done.err and "It would be refused" in done.err
    file = write(lab, text + "callers: [{name: ci, limit: 600}]\n")
    assert lab.call("diff", str(file)).code == 1
    done = lab.call("apply", str(file), "--wait")
    assert done.code == 0, done.err
    key = [line.split()[-1] for line in done.err.splitlines() if line.startswith("key ci")][-1]
    assert len(key) > 30 and "not shown again" in done.err and key not in done.out
    done = lab.call("diff", str(file), "--json")
    assert (done.code, done.json["changes"]) == (0, []), done.err
    again = lab.call("apply", str(file), "--json").json
    assert (again["changes"], again["keys"], again["deployment"]["revision"]) == ([], [], 1)
    body = json.dumps({"inputs": digits.inputs[:2].tolist()})
    answer = lab.call("call", "digits", "--data", body)
    assert answer.code == 0 and json.loads(answer.out) == {"predictions": list(digits.predictions[:2])}
    request = lab.home.work / "request.json"
    request.write_text(body)
    assert lab.call("call", "digits", "--file", str(request), "--json").json == json.loads(answer.out)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("digits", "--data", '{"inputs": [[1, 2'), 2, "The request is not JSON"),
        (("digits",), 2, "A call needs one request."),
        (("digits", "--data", '{"inputs": [[1]]}'), 2, "digits answered HTTP 400"),
        (("digits", "--file", "none.json"), 3, "The file none.json does not exist."),
        (("digit", "--data", "{}"), 3, "There is no deployment 'digit'."),
    ],
)
def test_a_call_that_fails_says_why(
    lab: RunningLab, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = lab.call("call", *arguments)
    assert (done.code, message in done.err) == (code, True), done.err


def test_drift_is_shown_and_undone(lab: RunningLab, model: None) -> None:
    assert lab.call("deployments", "revoke-key", "digits", "ci").code == 0
    done = lab.call("deployments", "show", "digits")
    assert "Differs from" in done.err and "key ci" in done.err, done.err
    listed = lab.call("deployments", "list")
    assert "deployment.yaml" in listed.out, listed.out
    shown = lab.call("deployments", "show", "digits", "--as-file")
    assert shown.out == (lab.home.work / "deployment.yaml").read_text(), "with its remarks"
    found = lab.call("deployments", "show", "digits", "--as-file", "--json").json
    assert [each["what"] for each in found["drift"]] == ["key ci"]
    token = lab.call("diff", "deployment.yaml", "--json").json["expect"]
    done = lab.call("apply", "deployment.yaml", "--expect", token, "--json")
    assert [each["name"] for each in done.json["keys"]] == ["ci"], done.err
    done = lab.call("apply", "deployment.yaml", "--expect", token, "--json")
    assert (done.code, code_of(done.err)) == (4, "changed_since")
    assert "As " in lab.call("deployments", "show", "digits").err


def test_a_new_version_by_flags_as_a_file_or_as_a_plan(lab: RunningLab, model: None) -> None:
    done = lab.call("deploy", "digits", "--version", "2", "--dry-run")
    assert done.code == 0 and "version" in done.out and "Revision 2 starts beside revision 1" in done.out
    done = lab.call("deploy", "digits", "--version", "2", "--as-file")
    assert read_description(done.out).revision.version == 2
    assert lab.call("deployments", "show", "digits", "--json").json["revision"] == 1
    own = lab.call(
        "deploy", "--command", "true", "--port", "80", "--set", "timeout=5", "--name", "own", "--as-file"
    )
    described = read_description(own.out).revision
    assert (described.command, described.port, described.settings) == ("true", 80, {"timeout": 5}), own.err
    other = write(lab, done.out, "other.yaml")
    done = lab.call("apply", str(other), "--json")
    assert (done.code, code_of(done.err)) == (4, "other_file")
    done = lab.call("apply", str(other), "--take-over", "--wait")
    assert done.code == 0 and "The file is applied." in done.out, done.err
    assert lab.call("deployments", "show", "digits", "--json").json["version"] == "2"


def test_init_writes_a_new_file_only_where_it_may(lab: RunningLab, model: None) -> None:
    done = lab.call("deployments", "init", "digits", "--file", "deployment.yaml")
    assert done.code == 4 and "exists and was not changed" in done.err
    with small_disk(lab.home.work / "disk", "1M") as disk:
        make_read_only(disk)
        done = lab.call("deployments", "init", "digits", "--file", str(disk / "d.yaml"))
        assert (
            done.code == 1
            and f"Cannot write {disk / 'd.yaml'}" in done.err
            and not (disk / "d.yaml").exists()
        )
    done = lab.call("deployments", "init", "digits", "--file", "fresh.yaml")
    assert done.code == 0 and read_description((lab.home.work / "fresh.yaml").read_text()).name == "digits"
    assert lab.call("deployments", "init", "gone").code == 3


def test_a_secret_is_kept_and_shown_nowhere(lab: RunningLab) -> None:
    done = genops(lab.home, "secrets", "set", "HF_TOKEN", stdin="hf_secret\n")
    assert done.code == 0 and "hf_secret" not in done.out + done.err, done.err
    assert lab.call("secrets", "list", "--json").json == [{"name": "HF_TOKEN"}]
    assert (lab.home.data / "secrets" / "HF_TOKEN").read_text() == "hf_secret"
    assert genops(lab.home, "secrets", "set", "A B", stdin="x").code == 2
    assert genops(lab.home, "secrets", "set", "EMPTY", stdin="").code == 2
    assert lab.call("secrets", "delete", "HF_TOKEN").code == 0
    assert lab.call("secrets", "list", "--json").json == []


def test_a_notebook_does_not_see_new_keys(lab: RunningLab, model: None) -> None:
    text = (lab.home.work / "other.yaml").read_text()
    write(lab, text.replace("- name: ci\n", "- name: ci\n- name: bob\n"), "other.yaml")
    done = lab.call("apply", "other.yaml", GENOPS_OUTPUT="notebook")
    assert done.code == 0, done.err
    bundle = json.loads(done.out)
    ((name, key),) = [(each["name"], each["key"]) for each in bundle["data"]["keys"]]
    assert name == "bob"
    assert len(key) > 30 and key not in bundle["text"] + bundle["html"] + done.err
