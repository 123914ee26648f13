"""Disks that are full: a quota that is used up (a real one needs a file system that has them, and somebody who may set
them), and a small file system."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def used_up_quota(below: Path, build: Path) -> dict[str, str]:
    """Variables of a process that may write nothing below a folder; skips, by name, where that cannot be made."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler, to make up a quota")
    library = build / "quota.so"
    source = Path(__file__).with_name("quota.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "QUOTA_FOLDER": str(below)}


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A tmpfs of this size on the folder; skips, by name, where this user may not mount one."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("mount is missing")
    if done.returncode:
        pytest.skip("this user may not mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], timeout=60, check=True)


def fill(disk: Path) -> None:
    """Fill a small disk, to the last block."""
    with (disk / "filler").open("wb", buffering=0) as filler:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while filler.write(bytes(size)) == size:
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def make_read_only(disk: Path) -> None:
    """Mount a small disk anew, so that nobody may write."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], timeout=60, check=True)
