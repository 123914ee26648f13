"""Makes what a release consists of: checks, the version, wheels, checksums, a commit and a tag. It publishes nothing.

``--check`` looks alone; docs/releasing.md has the steps of a person.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import dev
from steps import ROOT

#: What the build reads as ours: the version of the package, front end and wheel alike.
PACKAGE = "package.json"
FRONT_END = "share/jupyter/labextensions/genops-lab/package.json"
#: Tags of Linux that a package index takes; ``linux_*`` it refuses.
PUBLISHABLE = re.compile(r"-(?:any|manylinux_[\w.]+|musllinux_[\w.]+|macosx_[\w.]+|win[\w.]+)\.whl$")


class NotReady(Exception):
    """A release cannot be made; the text says why and what to do."""


def check_version(version: str) -> None:
    """Refuse what is no version of semantic versioning: npm and PyPI read only these alike."""
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        raise NotReady(f"{version} is no version such as 0.2.0. Name three numbers.")


def check_tree(root: Path, version: str) -> None:
    """Refuse uncommitted changes, and a version that has a tag."""
    changed = _git(root, "status", "--porcelain").strip()
    if changed:
        raise NotReady(f"There are uncommitted changes: commit or remove them first.\n{changed}")
    if _git(root, "tag", "--list", f"v{version}").strip():
        raise NotReady(f"The tag v{version} is there already. Name a newer version.")


def changes_of(changelog: str, version: str) -> str:
    """Return the section of ``version`` in CHANGELOG.md. Raises NotReady if it is missing or empty."""
    section = re.search(
        rf"^## {re.escape(version)}( \(.*\))?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    if section is None or not section[2].strip():
        raise NotReady(
            f"CHANGELOG.md has no section for {version}. Rename '## Unreleased' to '## {version}', put an empty "
            "'## Unreleased' above it, and commit."
        )
    return section[2].strip()


def set_version(root: Path, version: str) -> None:
    """Write the version into package.json, and change nothing else in it."""
    path = root / PACKAGE
    text = path.read_text(encoding="utf-8")
    path.write_text(
        re.sub(r'("version": ")[^"]*(")', rf"\g<1>{version}\g<2>", text, count=1), encoding="utf-8"
    )
    assert json.loads(path.read_text(encoding="utf-8"))["version"] == version


def check_artifacts(folder: Path, version: str) -> list[Path]:
    """Return the files of the release. Raises NotReady if a wheel has another version inside than its name says, or
    the pure wheel or the source distribution is missing."""
    files = sorted(path for path in folder.iterdir() if path.name.endswith((".whl", ".tar.gz")))
    names = [path.name for path in files]
    for name in (f"genops_lab-{version}.tar.gz", f"genops_lab-{version}-py3-none-any.whl"):
        if name not in names:
            raise NotReady(f"{name} is missing in {folder}. There are: {', '.join(names) or 'no files'}.")
    for path in files:
        if not path.name.startswith(f"genops_lab-{version}"):
            raise NotReady(f"{path.name} is not of version {version}. Remove it from {folder}.")
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                text = wheel.read(f"genops_lab-{version}.dist-info/METADATA").decode()
                front_end = json.loads(wheel.read(f"genops_lab-{version}.data/data/{FRONT_END}"))["version"]
            if f"\nVersion: {version}\n" not in text or front_end != version:
                raise NotReady(f"{path.name} has another version inside. Build it anew.")
    return files


def write_checksums(files: Sequence[Path]) -> Path:
    """Write SHA256SUMS beside the files, in the form that ``sha256sum --check`` reads."""
    target = files[0].with_name("SHA256SUMS")
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    target.write_text("".join(lines), encoding="utf-8")
    return target


def repair_for_linux(folder: Path) -> str:
    """Turn a ``linux_*`` wheel into a ``manylinux_*`` one, where auditwheel is; return what a person is told."""
    wheels = [path for path in folder.glob("*.whl") if not PUBLISHABLE.search(path.name)]
    for wheel in wheels:
        auditwheel = shutil.which("auditwheel")
        if auditwheel is None:
            return (
                f"{wheel.name} is for machines like this one; a package index refuses it. Make a manylinux wheel with "
                "scripts/manylinux.sh in a manylinux image, or delete this file: the pure wheel works everywhere."
            )
        done = subprocess.run(
            [auditwheel, "repair", "--wheel-dir", folder, wheel], capture_output=True, text=True, check=False
        )
        if done.returncode:
            return f"auditwheel refused {wheel.name}: {(done.stderr or done.stdout).strip()[-500:]}"
        wheel.unlink()
    return ""


def build(root: Path, python: Path, folder: Path) -> None:
    """Build the source distribution, the pure wheel and the one for this platform into ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    base = [str(python), "-m", "build", "--no-isolation", "--outdir", str(folder)]
    # First the pure one, from the source distribution, as a stranger would.
    for arguments, native in (([], "0"), (["--wheel"], "1")):
        environment = {**dev.environment(), "GENOPS_NATIVE": native}
        subprocess.run([*base, *arguments], cwd=root, env=environment, check=True)


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(prog="make release ARGS=...", description=__doc__)
    parser.add_argument("--version", required=True, help="such as 0.2.0")
    parser.add_argument(
        "--check", action="store_true", help="check the tree, the version and CHANGELOG.md alone"
    )
    parser.add_argument("--no-tag", action="store_true", help="build without a commit and a tag")
    given = parser.parse_args()
    folder = ROOT / "dist" / given.version
    try:
        check_version(given.version)
        check_tree(ROOT, given.version)
        changes_of((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), given.version)
        if given.check:
            print(f"{given.version} can be released")
            return
        set_version(ROOT, given.version)
        dev.set_up(*dev.BUILD_STEPS)  # the front end holds the version too
        build(ROOT, dev.PYTHON, folder)
        remark = repair_for_linux(folder)
        files = check_artifacts(folder, given.version)
    except NotReady as error:
        sys.exit(f"{error}")
    sums = write_checksums(files)
    if not given.no_tag:
        if _git(ROOT, "status", "--porcelain").strip():
            _git(ROOT, "commit", "--all", "--message", f"Version {given.version}")
        _git(ROOT, "tag", "--annotate", f"v{given.version}", "--message", f"Version {given.version}")
    print("\n".join(str(path.relative_to(ROOT)) for path in [*files, sums]))
    print(remark or "Every wheel can be published.")
    print("Nothing was published. docs/releasing.md has the commands for that.")


if __name__ == "__main__":
    main()
