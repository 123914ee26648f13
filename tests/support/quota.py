"""A disk quota that is used up. A real one needs a file system that has them, and somebody who may set them."""

from __future__ import annotations

import shutil
import subprocess
import sys
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
