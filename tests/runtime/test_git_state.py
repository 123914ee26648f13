"""What is not committed, taken and applied again by git itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from genops_lab.redaction.texts import Redactor, marks_in
from genops_lab.runtime.git_state import (
    BINARY,
    CODED,
    LARGE,
    MANY,
    MAX_FILE_BYTES,
    MAX_FILES,
    NOTEBOOK,
    SECRET,
    Patch,
    redacted_again,
    remote_url,
    uncommitted,
)
from tests.support.homes import Home
from tests.support.planted import planted_secrets

Git = Callable[..., str]


@pytest.fixture
def git(home: Home, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Git in a repository with one commit."""
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, cwd: Path | None = None, stdin: str | None = None) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
        done = subprocess.run(
            command, cwd=cwd or home.work, capture_output=True, text=True, input=stdin, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("init", "-q", "-b", "trunk")
    (home.work / "model.py").write_text("a = 1\nb = 2\nc = 3\n")
    (home.work / "gone.py").write_text("x\n")
    (home.work / "pixel.png").write_bytes(b"\x89PNG\0\1")
    (home.work / ".gitignore").write_text("ignored/\n*.log\n")
    run("add", ".")
    run("commit", "-qm", "first")
    return run


def taken(home: Home) -> Patch:
    patch = uncommitted(str(home.work), Redactor())
    assert patch is not None
    return patch


def test_what_is_taken_makes_the_same_files_again(git: Git, home: Home, tmp_path: Path) -> None:
    work = home.work
    (work / "model.py").write_bytes(b"a = 1\r\nb = 20\nc = 3\nd = '\xc3\xbc'")  # CRLF, no newline at the end
    (work / "gone.py").unlink()
    (work / "sub").mkdir()
    new = {
        "new.py": "print(1)\n",
        "sub/no newline.py": "x = 1",
        'sub/odd "quoted"\tname.py': "y\n",
        "sub/ünï.py": "z = 'ü'\n",
        "empty.py": "",
        "one.py": "\n",
    }
    for name, text in new.items():
        (work / name).write_text(text, encoding="utf-8")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "ignored").mkdir()
    (work / "ignored" / "x.py").write_text("ignored\n")
    (work / "a.log").write_text("ignored\n")
    patch = taken(home)
    assert "ignored" not in patch.text.replace("\nignored/", "") and patch.left_out == []
    clone = tmp_path / "clone"
    git("clone", "-q", str(work), str(clone))
    (tmp_path / "kept.patch").write_bytes(patch.text.encode())
    git("apply", str(tmp_path / "kept.patch"), cwd=clone)
    for name in [*new, "model.py", "run.sh"]:
        assert (clone / name).read_bytes() == (work / name).read_bytes(), name
    assert not (clone / "gone.py").exists()
    assert os.access(clone / "run.sh", os.X_OK)
    assert not (clone / "ignored").exists() and not (clone / "a.log").exists()
    assert set(patch.files) >= {"model.py", "gone.py", "new.py", "run.sh", "empty.py"}


def test_settings_of_the_users_git_do_not_change_the_form(git: Git, home: Home, tmp_path: Path) -> None:
    for name, value in {"diff.noprefix": "true", "color.ui": "always", "diff.external": "/bin/false"}.items():
        git("config", name, value)
    (home.work / "model.py").write_text("a = 2\nb = 2\nc = 3\n")
    patch = taken(home)
    assert "\x1b" not in patch.text
    (tmp_path / "kept.patch").write_text(patch.text)
    git("checkout", "-q", "model.py")
    git("apply", str(tmp_path / "kept.patch"))
    assert (home.work / "model.py").read_text().startswith("a = 2")


def test_large_binary_and_secret_files_are_named_and_left_out(git: Git, home: Home) -> None:
    work = home.work
    (work / "pixel.png").write_bytes(b"\x89PNG\0\2")
    (work / "data.csv").write_text("1,2\n" * MAX_FILE_BYTES)
    (work / "new.bin").write_bytes(b"\0\1")
    (work / "latin.txt").write_bytes(b"caf\xe9\n")
    (work / ".env").write_text("PASSWORD=a-secret-of-1\n")
    (work / ".env.example").write_text("PASSWORD=\n")
    (work / "id_rsa").write_text("key\n")
    (work / "link").symlink_to("/etc/passwd")
    git("add", "data.csv")
    patch = taken(home)
    assert {left.path: left.reason for left in patch.left_out} == {
        "pixel.png": BINARY, "data.csv": LARGE, "new.bin": BINARY, "latin.txt": CODED, ".env": SECRET, "id_rsa": SECRET,
        "link": BINARY,
    }  # fmt: skip
    assert patch.files == [".env.example"]
    assert "a-secret-of-1" not in patch.text and "1,2" not in patch.text
    assert next(left.size for left in patch.left_out if left.path == "data.csv") == 4 * MAX_FILE_BYTES


def test_notebooks_are_named_and_their_outputs_stay_out(git: Git, home: Home) -> None:
    (home.work / "story.ipynb").write_text('{"cells": []}\n')
    git("add", "story.ipynb")
    git("commit", "-qm", "a notebook")
    (home.work / "story.ipynb").write_text('{"cells": [{"outputs": ["<svg>"]}]}\n')
    (home.work / "new.ipynb").write_text('{"cells": []}\n')
    (home.work / "model.py").write_text("a = 2\nb = 2\nc = 3\n")
    patch = taken(home)
    assert patch.files == ["model.py"] and "svg" not in patch.text
    assert [(each.path, each.reason) for each in patch.left_out] == [
        ("story.ipynb", NOTEBOOK),
        ("new.ipynb", NOTEBOOK),
    ]


def test_a_large_change_of_a_file_is_left_out_and_small_ones_are_not(git: Git, home: Home) -> None:
    (home.work / "model.py").write_text("x" * (MAX_FILE_BYTES + 1))
    (home.work / "small.py").write_text("y = 1\n")
    patch = taken(home)
    assert [(left.path, left.reason) for left in patch.left_out] == [("model.py", LARGE)]
    assert patch.files == ["small.py"]


def test_of_very_many_new_files_some_are_taken_and_the_others_counted(git: Git, home: Home) -> None:
    for index in range(2 * MAX_FILES + 20):
        (home.work / f"{index:05d}.py").write_text(f"x = {index}\n")
    (home.work / ".ipynb_checkpoints").mkdir()
    (home.work / ".ipynb_checkpoints" / "a.py").write_text("x = 1\n")
    patch = taken(home)
    assert len(patch.files) == MAX_FILES and not any("checkpoints" in name for name in patch.files)
    assert len(patch.left_out) == MAX_FILES + 1
    assert patch.left_out[-1].path == "(20 more)" and {left.reason for left in patch.left_out} == {MANY}


def test_secrets_in_changed_and_new_files_go_and_the_patch_applies_where_they_were_not(
    git: Git, home: Home, tmp_path: Path
) -> None:
    planted = planted_secrets()
    (home.work / "model.py").write_text(
        "a = 1\n" + "".join(one.line + "\n" for one in planted) + "b = 2\nc = 3\n"
    )
    (home.work / "new.py").write_text("".join(f"    {one.line}\n" for one in planted))
    (home.work / "clean.py").write_text("lr = 0.1\n")
    patch = taken(home)
    assert [one.kind for one in planted if one.secret in patch.text] == []
    assert set(patch.redacted) == {"model.py", "new.py"}
    assert sum(patch.redacted["new.py"].values()) >= 50
    git("stash", "-q", "-u")
    (tmp_path / "kept.patch").write_text(patch.text)
    git("apply", str(tmp_path / "kept.patch"))  # lines and their signs are whole
    assert (home.work / "clean.py").read_text() == "lr = 0.1\n"
    assert marks_in((home.work / "new.py").read_text()) == patch.redacted["new.py"]


def test_secrets_that_are_known_later_go_out_of_the_patch_and_it_still_applies(
    git: Git, home: Home, tmp_path: Path
) -> None:
    (home.work / "model.py").write_text("a = 1\nb = 'plain words'\nc = 3\n")
    (home.work / "ünï.py").write_text("x = 'plain words'\n")
    (home.work / "same.py").write_text("x = 'other words'\n")
    before = taken(home)
    patch = redacted_again(before, Redactor(["plain words"]))
    assert "plain words" in before.text and "plain words" not in patch.text
    assert {name: sum(counts.values()) for name, counts in patch.redacted.items()} == {
        "model.py": 1, "ünï.py": 1,
    }  # fmt: skip
    assert redacted_again(patch, Redactor(["plain words"])) == patch
    git("stash", "-q", "-u")
    (tmp_path / "kept.patch").write_text(patch.text)
    git("apply", str(tmp_path / "kept.patch"))
    assert (home.work / "same.py").read_text() == "x = 'other words'\n"


def test_a_remote_is_told_without_credentials(git: Git, home: Home) -> None:
    git("remote", "add", "origin", "https://ada:a-secret@git.test/team/x.git?token=b")
    assert remote_url(str(home.work), "trunk") == "https://git.test/team/x.git"
    git("remote", "add", "up", "git@git.test:team/x.git")
    git("config", "branch.trunk.remote", "up")
    assert remote_url(str(home.work), "trunk") == "git@git.test:team/x.git"


def test_outside_of_a_repository_there_is_nothing(tmp_path: Path) -> None:
    assert uncommitted(str(tmp_path), Redactor()) is None
