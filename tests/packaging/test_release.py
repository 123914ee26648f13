"""What a release is refused for, and what its files are checked for."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.support.scripts import release

CHANGES = "# Changes\n\n## Unreleased\n\n## 0.2.0 (2026-12-01)\n\n- Fixed: a thing.\n\n## 0.1.0\n\n- First.\n"


def test_the_changes_of_a_version_are_found_and_a_missing_section_is_refused() -> None:
    assert release.changes_of(CHANGES, "0.2.0") == "- Fixed: a thing."
    assert release.changes_of(CHANGES, "0.1.0") == "- First."
    for version in ("0.3.0", "0.1", "Unreleased"):
        with pytest.raises(release.NotReady, match=r"CHANGELOG\.md has no section"):
            release.changes_of(CHANGES, version)


@pytest.mark.parametrize("version", ["1", "1.2", "v1.2.3", "1.2.3rc1", "01.2.3", "1.2.3\n"])
def test_what_is_no_version_is_refused(version: str) -> None:
    release.check_version("1.20.3")
    with pytest.raises(release.NotReady):
        release.check_version(version)


def test_a_changed_tree_and_a_known_tag_are_refused(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True
        )

    git("init", "-q")
    (tmp_path / "package.json").write_text(
        '{\n  "name": "x",\n  "version": "0.1.0",\n  "y": {"version": "9"}\n}\n'
    )
    git("add", ".")
    git("commit", "-qm", "first")
    git("tag", "v0.1.0")
    release.check_tree(tmp_path, "0.2.0")
    with pytest.raises(release.NotReady, match=r"The tag v0\.1\.0 is there already"):
        release.check_tree(tmp_path, "0.1.0")
    release.set_version(tmp_path, "0.2.0")
    assert json.loads((tmp_path / "package.json").read_text()) == {
        "name": "x",
        "version": "0.2.0",
        "y": {"version": "9"},
    }
    with pytest.raises(release.NotReady, match=r"uncommitted changes[\s\S]*package\.json"):
        release.check_tree(tmp_path, "0.2.0")


def make_wheel(folder: Path, tag: str, *, inside: str = "0.2.0", front_end: str = "0.2.0") -> None:
    with zipfile.ZipFile(folder / f"genops_lab-0.2.0-py3-none-{tag}.whl", "w") as wheel:
        wheel.writestr(
            "genops_lab-0.2.0.dist-info/METADATA", f"Name: genops-lab\nVersion: {inside}\nSummary: x\n"
        )
        wheel.writestr(f"genops_lab-0.2.0.data/data/{release.FRONT_END}", json.dumps({"version": front_end}))


def test_the_files_of_a_release_are_complete_and_have_checksums(tmp_path: Path) -> None:
    with pytest.raises(release.NotReady, match=r"genops_lab-0\.2\.0\.tar\.gz is missing"):
        release.check_artifacts(tmp_path, "0.2.0")
    (tmp_path / "genops_lab-0.2.0.tar.gz").write_bytes(b"source")
    with pytest.raises(release.NotReady, match=r"py3-none-any\.whl is missing"):
        release.check_artifacts(tmp_path, "0.2.0")
    make_wheel(tmp_path, "any")
    files = release.check_artifacts(tmp_path, "0.2.0")
    sums = release.write_checksums(files)
    subprocess.run(["sha256sum", "--check", "--strict", sums.name], cwd=tmp_path, check=True)
    assert len(sums.read_text().splitlines()) == 2
    for wrong in ({"inside": "0.1.0"}, {"front_end": "0.1.0"}):
        make_wheel(tmp_path, "any", **wrong)
        with pytest.raises(release.NotReady, match="another version inside"):
            release.check_artifacts(tmp_path, "0.2.0")
    make_wheel(tmp_path, "any")
    (tmp_path / "genops_lab-0.1.0.tar.gz").touch()
    with pytest.raises(release.NotReady, match=r"is not of version 0\.2\.0"):
        release.check_artifacts(tmp_path, "0.2.0")


def test_a_linux_wheel_that_no_index_takes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_wheel(tmp_path, "manylinux_2_17_x86_64")
    make_wheel(tmp_path, "any")
    assert release.repair_for_linux(tmp_path) == ""
    make_wheel(tmp_path, "linux_x86_64")
    monkeypatch.setenv("PATH", str(tmp_path))  # no auditwheel
    assert "a package index refuses it" in release.repair_for_linux(tmp_path)
