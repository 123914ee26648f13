"""NVIDIA's Nsight Systems and Nsight Compute for the tests: Debian's packages, unpacked and not installed.

Installed, they would bring a desktop and a driver. The tests need the two command-line tools, what imports their
reports, and the reports among their examples; without them those tests are skipped by name.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Where they lie: ``systems/target-*/nsys``, ``compute/target/*/ncu``, ``examples/*/*.ncu-rep``.
HOME = ROOT / ".cache" / "nsight"
PACKAGES = ("nsight-systems", "nsight-systems-target", "nsight-compute", "nsight-compute-target")
#: The importer of reports is linked with it.
LIBRARY = "libssh-4"
#: Where Debian and Ubuntu keep what is not free.
_COMPONENTS = {"debian": "non-free", "ubuntu": "multiverse"}


def is_complete() -> bool:
    """Whether they are there, unpacked to the end."""
    return (HOME / "complete").exists()


def ensure() -> str:
    """Unpack them unless they are there; returns why they are not, empty where they are."""
    if is_complete():
        return ""
    component = _COMPONENTS.get(_distribution(), "")
    if not component or not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return "they are unpacked from Debian's packages, on Debian and Ubuntu alone"
    work = HOME.with_name("nsight.new")
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(HOME, ignore_errors=True)
    (work / "lists" / "partial").mkdir(parents=True)
    try:
        _download(work, component)
        _unpack(work)
        (work / "complete").write_text("")
        work.rename(HOME)
    except (OSError, subprocess.SubprocessError) as error:
        return f"{error}"
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return ""


def _distribution() -> str:
    try:
        found = re.search(r'^ID="?(\w+)', Path("/etc/os-release").read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def _download(work: Path, component: str) -> None:
    (work / "sources").mkdir()
    for number, (ending, text) in enumerate(_sources(component)):
        (work / "sources" / f"{number}{ending}").write_text(text)
    apt = [
        "apt-get", "-qq",
        "-o", "Dir::Etc::sourcelist=/dev/null",
        "-o", f"Dir::Etc::sourceparts={work / 'sources'}",
        "-o", f"Dir::State::lists={work / 'lists'}",
        "-o", f"Dir::Cache::pkgcache={work / 'packages.bin'}",
        "-o", f"Dir::Cache::srcpkgcache={work / 'sources.bin'}",
        "-o", "APT::Sandbox::User=",
    ]  # fmt: skip
    for arguments in (["update"], ["download", *PACKAGES, LIBRARY]):
        subprocess.run([*apt, *arguments], cwd=work, check=True, timeout=900)


def _sources(component: str) -> Iterator[tuple[str, str]]:
    """The machine's own sources, with what is not free."""
    folder = Path("/etc/apt/sources.list.d")
    for path in (
        Path("/etc/apt/sources.list"),
        *sorted(folder.glob("*.list")),
        *sorted(folder.glob("*.sources")),
    ):
        text = path.read_text() if path.exists() else ""
        if path.suffix == ".sources":
            yield ".sources", re.sub(r"(?m)^(Components:.*\bmain\b.*)$", rf"\1 {component}", text)
        else:
            yield ".list", re.sub(r"(?m)^(deb .*\bmain\b.*)$", rf"\1 {component}", text)


def _unpack(work: Path) -> None:
    unpacked = work / "unpacked"
    for archive in sorted(work.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
        archive.unlink()
    # The tools look for each other beside where they really lie.
    (work / "systems").mkdir()
    for part in ("target-*", "host-*"):
        for found in unpacked.glob(f"usr/lib/**/nsight-systems/{part}"):
            if not found.is_symlink():
                found.rename(work / "systems" / found.name)
    [library] = unpacked.glob("usr/lib/*/libssh.so.4")
    for host in (work / "systems").glob("host-*"):
        for name in ("libssh.so", library.name):
            # A link to where it would be if it were installed.
            (host / name).unlink(missing_ok=True)
            shutil.copy(library, host / name)
    (unpacked / "usr/share/doc/nsight-compute/examples").rename(work / "examples")
    # ncu looks for its sections above itself.
    [compute] = unpacked.glob("usr/lib/*/nsight-compute")
    compute.rename(work / "compute")
    shutil.rmtree(unpacked)
    shutil.rmtree(work / "lists")


if __name__ == "__main__":
    sys.exit(ensure() or None)
