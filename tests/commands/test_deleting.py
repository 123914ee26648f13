"""What `delete` and `undelete` of experiments and models answer, and what they ask before."""

from __future__ import annotations

import json
import os
import pty
import subprocess

from tests.support.rooms import Logged
from tests.support.warm import program

from .conftest import RunningLab


def answered(lab: RunningLab, answer: str, *words: str) -> tuple[int, str]:
    """The exit code of a command at a terminal, and what it printed there."""
    near, far = pty.openpty()
    running = subprocess.Popen(
        [*program("genops_lab.commands.main"), *words],
        stdin=far,
        stdout=far,
        stderr=far,
        cwd=lab.home.work,
        env=lab.home.environment(),
    )
    os.close(far)
    text = b""
    while b"[y/N]" not in text:
        text += os.read(near, 4096)
    os.write(near, f"{answer}\n".encode())
    code = running.wait(60)
    os.close(near)
    return code, text.decode()


def test_an_experiment_is_deleted_and_restored(lab: RunningLab) -> None:
    added = lab.call("experiments", "add", "my vision", "--json")
    assert added.code == 0 and added.json["name"] == "my vision", added.err
    assert lab.call("experiments", "add", "my vision").code == 4
    deleted = lab.call("experiments", "delete", "my vision", "--json")
    assert deleted.json["id"] == added.json["id"]
    assert "genops experiments undelete 'my vision'" in deleted.err
    assert [each["name"] for each in lab.call("experiments", "list", "--deleted", "--json").json] == [
        "my vision"
    ]
    assert lab.call("experiments", "undelete", added.json["id"]).code == 0
    assert "my vision" in lab.call("experiments", "list").out
    assert lab.call("experiments", "delete", "Default").code == 2
    assert lab.call("experiments", "delete", "nobody").code == 3


def test_a_model_is_deleted_after_a_question(lab: RunningLab, digits: Logged) -> None:
    for _ in range(3):
        assert lab.call("models", "register", "gone", "--run", digits.run_id).code == 0
    assert lab.call("models", "alias", "gone", "best", "1").code == 0
    unasked = lab.call("models", "delete", "gone", "--json")
    assert (unasked.code, unasked.out) == (4, "")
    assert json.loads(unasked.err.splitlines()[-1])["error"]["code"] == "confirmation_needed"
    assert "The model gone will be deleted with its versions: 3. This cannot be undone." in unasked.err
    assert answered(lab, "n", "models", "delete", "gone", "--version", "2")[0] == 4
    code, text = answered(lab, "y", "models", "delete", "gone", "--version", "2")
    assert code == 0 and "Version 2 of the model gone will be deleted." in text
    refused = lab.call("models", "delete", "gone", "--yes")
    assert refused.code == 4 and "genops models unalias gone best" in refused.err
    left = lab.call("models", "delete", "gone", "--version", "1", "--yes", "--force", "--json").json
    assert [each["version"] for each in left["versions"]] == ["3"]
    assert lab.call("models", "delete", "gone", "--yes", "--json").json == {"name": "gone", "deleted": True}
    assert lab.call("models", "show", "gone").code == 3
    assert lab.call("models", "delete", "gone", "--yes").code == 3
    entries = lab.call("audit", "--json").json["items"]
    assert {"registry.delete_model", "registry.delete_version"} <= {each["operation"] for each in entries}
