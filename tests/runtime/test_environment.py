"""The lock of what is installed, and the project's own."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
from pathlib import Path

from genops_lab.experiments.restoring.environment import packages_of
from genops_lab.runtime.environment import (
    MAX_LOCK_BYTES,
    Installed,
    as_requirements,
    installed,
    lock_file,
    site_folders,
)


def test_what_is_found_is_what_importlib_finds() -> None:
    expected = {
        re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower(): found.version
        for found in importlib.metadata.distributions(path=site_folders())
    }
    found = installed(site_folders())
    assert len(found) > 50
    assert {package.name: package.version for package in found} == expected
    assert packages_of(as_requirements(found)) == expected


def test_where_packages_come_from_is_told_without_credentials(tmp_path: Path) -> None:
    def distribution(name: str, **direct_url: object) -> None:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        if direct_url:
            (folder / "direct_url.json").write_text(json.dumps(direct_url))

    distribution("Plain_One")
    distribution(
        "vcs", url="https://ada:a-secret@git.test/x.git", vcs_info={"vcs": "git", "commit_id": "ab12"}
    )
    distribution("mine", url="file:///home/ada/mine", dir_info={"editable": True})
    distribution("broken", url=None)
    (tmp_path / "old-2.0-py3.8.egg-info").mkdir()
    found = installed([str(tmp_path), "/no/such/folder", str(tmp_path)])
    assert found == [
        Installed("broken", "1.0"),
        Installed("mine", "1.0", "file:///home/ada/mine", True),
        Installed("old", "2.0"),
        Installed("plain-one", "1.0"),
        Installed("vcs", "1.0", "git+https://git.test/x.git@ab12"),
    ]
    text = as_requirements(found)
    assert "vcs @ git+https://git.test/x.git@ab12  # 1.0\n" in text
    assert "# mine==1.0 (editable, file:///home/ada/mine)\n" in text
    assert packages_of(text) == {
        "broken": "1.0",
        "mine": "1.0",
        "old": "2.0",
        "plain-one": "1.0",
        "vcs": "1.0",
    }


def test_the_best_lock_file_of_the_repository_is_taken(tmp_path: Path) -> None:
    inner = tmp_path / "repository" / "notebooks"
    inner.mkdir(parents=True)
    (tmp_path / "uv.lock").write_text("of somebody else")
    assert lock_file(str(inner), str(tmp_path / "repository")) is None
    (tmp_path / "repository" / "requirements.txt").write_text("numpy\n")
    (tmp_path / "repository" / "uv.lock").write_text("version = 1\n")
    found = lock_file(str(inner), str(tmp_path / "repository"))
    assert found is not None
    assert (found.name, found.content) == ("uv.lock", "version = 1\n")
    assert found.sha256 == hashlib.sha256(b"version = 1\n").hexdigest()
    assert lock_file(str(inner), "") is None, "outside of a repository the notebook's own folder counts alone"
    large = b"x" * (MAX_LOCK_BYTES + 1)
    (inner / "environment.yml").write_bytes(large)
    found = lock_file(str(inner), str(tmp_path / "repository"))
    assert found == ("environment.yml", hashlib.sha256(large).hexdigest(), None)
