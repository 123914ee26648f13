"""Compare the packages installed now with those at the start of a run. All functions block."""

from __future__ import annotations

import re
from pathlib import Path

from genops_lab.runtime.environment import installed

from .models import EnvironmentDifference, PackageDifference
from .run_source import Kept

_MAX_FOLDERS = 50
_LINE = re.compile(r"(?:# )?(?P<name>[a-z0-9][a-z0-9-]*)(?:==(?P<version>\S+)| @ \S+ {2}# (?P<of>\S+))")


def packages_of(text: str) -> dict[str, str]:
    """Return the versions by name in ``source/installed.txt``."""
    found = (_LINE.match(line) for line in text.splitlines())
    return {match["name"]: match["version"] or match["of"] for match in found if match}


def difference(kept: Kept) -> EnvironmentDifference:
    """Compare the run's environment now, if it is on this machine, with its earlier state."""
    record = kept.record
    if record is None or not kept.installed:
        return EnvironmentDifference(compared=False, why="The run has no list of packages.")
    python = record.environment.python
    if record.kernel.remote:
        return EnvironmentDifference(
            compared=False,
            python_then=python,
            why="The run used another machine: compare the packages on that machine.",
        )
    folders = [path for path in record.environment.folders if Path(path).is_absolute()][:_MAX_FOLDERS]
    now = {package.name: package.version for package in installed(folders)}
    if not now:
        return EnvironmentDifference(
            compared=False, python_then=python, why="The run's environment is not on this machine (any more)."
        )
    then = packages_of(kept.installed)
    return EnvironmentDifference(
        compared=True,
        python_then=python,
        packages=[
            PackageDifference(name=name, then=then.get(name, ""), now=now.get(name, ""))
            for name in sorted({*then, *now})
            if then.get(name, "") != now.get(name, "")
        ],
    )
