"""Plan how a Python environment is made on this host: with uv where installed, otherwise with venv and pip.

An order's ``source`` describes the project: ``kind`` is ``uv`` (uv.lock), ``pylock``, ``requirements`` or
``none``, ``main`` is the file to install from, and ``files`` are their texts by relative path. Indexes and
their passwords are in the host's own configuration: no command here has any.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

#: Variables that would lead pip and uv to another environment.
_MISLEADING = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "UV_PYTHON",
    "UV_PROJECT_ENVIRONMENT",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_USER",
    "PIP_PYTHON",
)
_QUIET = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "UV_NO_PROGRESS": "1",
    "NO_COLOR": "1",
    "PYTHONUNBUFFERED": "1",
}
_CAN_MAKE = "import ensurepip, venv"
_NAMES = "import importlib.metadata as m, sys; print(sys.version.split()[0], len(list(m.distributions())))"


class Step(NamedTuple):
    """One command. ``kind`` selects the message for its failure."""

    kind: str
    title: str
    argv: List[str]
    env: Dict[str, str]


class NoInterpreter(Exception):
    """The requested Python is not on this host."""


def find_uv() -> str:
    """Return the host's uv: on PATH, or where its installers put it; empty without one."""
    found = shutil.which("uv")
    if found:
        return found
    for folder in ("~/.local/bin", "~/.cargo/bin"):
        path = os.path.join(os.path.expanduser(folder), "uv")
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return ""


def environment(given: Mapping[str, str]) -> Dict[str, str]:
    """Return the variables of the commands: the host's own, with its proxies and indexes."""
    kept = {name: value for name, value in given.items() if name not in _MISLEADING}
    return {**kept, **_QUIET}


def interpreter(wanted: str) -> str:
    """Return the Python to begin with, where no uv can find one: a path, a version, or this agent's own.

    Raises NoInterpreter.
    """
    if not wanted:
        return sys.executable
    if os.sep in wanted:
        path = os.path.expanduser(wanted)
        if os.access(path, os.X_OK):
            return path
    else:
        found = shutil.which(wanted) or shutil.which(f"python{wanted}")
        if found:
            return found
    raise NoInterpreter(wanted)


def python_in(folder: str) -> str:
    """Return the interpreter of an environment."""
    return os.path.join(folder, "bin", "python")


def steps_to_make(folder: str, files: str, tools: str, order: Mapping[str, Any], uv: str) -> List[Step]:
    """Return the commands that make ``folder`` an environment. ``files`` has the source's files; ``tools`` is
    a folder for temporary needs. Raises NoInterpreter."""
    source, wanted = order["source"], order["python"]
    steps: List[Step] = []
    if not uv and source["kind"] in ("uv", "pylock"):
        base = interpreter(wanted)
        uv = os.path.join(tools, "bin", "uv")
        fetching = f"Downloading uv, which reads {source['main']}."
        make, pip = [base, "-m", "venv", tools], [python_in(tools), "-m", "pip"]
        # A copy of pip takes 3 s to make, and uv needs none.
        if base == sys.executable and _own_pip_installs_elsewhere():
            make, pip = [*make, "--without-pip"], [base, "-m", "pip", "--python", python_in(tools)]
        steps += [
            Step("look", "Looking for venv.", [base, "-c", _CAN_MAKE], {}),
            Step("tool", fetching, make, {}),
            Step("tool", fetching, [*pip, "install", "uv"], {}),
        ]
    if uv:
        steps += _with_uv(uv, folder, files, source, order["packages"], wanted)
    else:
        steps += _with_pip(folder, files, source, order["packages"], interpreter(wanted))
    return [*steps, Step("check", "Checking the environment.", [python_in(folder), "-c", _NAMES], {})]


def _own_pip_installs_elsewhere() -> bool:
    """Return whether this interpreter's pip has ``--python``."""
    from importlib import metadata

    try:
        return int(metadata.version("pip").partition(".")[0]) >= 23
    except metadata.PackageNotFoundError:
        return False


def _with_uv(
    uv: str, folder: str, files: str, source: Mapping[str, Any], packages: List[str], wanted: str
) -> List[Step]:
    python = python_in(folder)
    if source["kind"] == "uv":  # the project itself names the Python
        chosen = ["--python", os.path.expanduser(wanted)] if wanted else []
    else:
        chosen = ["--no-project", "--python", os.path.expanduser(wanted) or sys.executable]
    # With pip inside, for %pip in a notebook.
    made = Step(
        "venv", "Making the environment.", [uv, "venv", "--seed", "--allow-existing", *chosen, folder], {}
    )
    install = [uv, "pip", "install", "--python", python]
    if source["kind"] == "uv":
        sync = [uv, "sync", "--frozen", "--inexact", "--no-install-workspace"]
        steps = [
            Step("install", f"Installing {source['main']}.", sync, {"UV_PROJECT_ENVIRONMENT": folder}),
            Step("install", f"Installing {_listed(packages)}.", [*install, *packages], {}),
        ]
    else:
        steps = _installs(install, files, source, packages)
    return [made, *steps]


def _with_pip(
    folder: str, files: str, source: Mapping[str, Any], packages: List[str], base: str
) -> List[Step]:
    return [
        Step("look", "Looking for venv.", [base, "-c", _CAN_MAKE], {}),
        Step("venv", "Making the environment.", [base, "-m", "venv", folder], {}),
        *_installs([python_in(folder), "-m", "pip", "install"], files, source, packages),
    ]


def _installs(install: List[str], files: str, source: Mapping[str, Any], packages: List[str]) -> List[Step]:
    if source["kind"] == "none":
        return [Step("install", f"Installing {_listed(packages)}.", [*install, *packages], {})]
    listed = ["-r", os.path.join(files, source["main"])]
    if source["kind"] == "pylock" or any("--hash" in text for text in source["files"].values()):
        # Next to hashes a package without one is refused.
        return [
            Step("install", f"Installing {source['main']}.", [*install, *listed], {}),
            Step("install", f"Installing {_listed(packages)}.", [*install, *packages], {}),
        ]
    title = f"Installing {_listed([source['main'], *packages])}."
    return [Step("install", title, [*install, *listed, *packages], {})]


def _listed(packages: List[str]) -> str:
    return " and ".join([", ".join(packages[:-1]), packages[-1]]) if len(packages) > 1 else packages[0]


def steps_to_add(packages: List[str], uv: str, has_pip: bool) -> Optional[List[Step]]:
    """Return the commands that install packages into this agent's own environment; None: there is no tool for
    it."""
    if has_pip:
        argv = [sys.executable, "-m", "pip", "install", *packages]
    elif uv:
        argv = [uv, "pip", "install", "--python", sys.executable, *packages]
    else:
        return None
    return [Step("install", f"Installing {_listed(packages)}.", argv, {})]
