"""Read what another environment's interpreter has from its files: starting it would cost its start-up time."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_PYTHON = re.compile(r"^python(w)?(\d+(\.\d+)*)?(\.exe)?$", re.IGNORECASE)
_METADATA = re.compile(r"^mlflow(_skinny)?-(?P<version>[^-]+)\.dist-info$")

#: A kernelspec may use any of these names for the Lab's own interpreter.
_OWN_NAMES = ("python", "python3", f"python3.{sys.version_info[1]}")


def interpreter_of(argv: Sequence[str], env: Mapping[str, str]) -> Path | None:
    """Return the Python that a kernelspec starts; None for another language or a wrapper."""
    if not argv or not _PYTHON.match(Path(argv[0]).name):
        return None
    if argv[0] in _OWN_NAMES:  # jupyter_client starts these with its own interpreter
        return Path(sys.executable)
    found = argv[0] if os.sep in argv[0] else shutil.which(argv[0], path=env.get("PATH"))
    return Path(found) if found else None


def prefix_of(interpreter: Path) -> Path:
    """Return the environment of an interpreter. The link is not resolved: that of a virtual environment
    points out of it."""
    return interpreter.absolute().parent.parent


def is_own_environment(interpreter: Path) -> bool:
    """Return whether the Lab runs in the interpreter's environment."""
    own = Path(sys.prefix).resolve()
    return (
        prefix_of(interpreter).resolve() == own or interpreter.absolute() == Path(sys.executable).absolute()
    )


def _site_packages(prefix: Path) -> list[Path]:
    return [*sorted(prefix.glob("lib*/python3*/site-packages")), prefix / "Lib" / "site-packages"]


def _base_prefix(prefix: Path) -> Path | None:
    """Return the system's environment, for a virtual environment that sees its packages."""
    try:
        text = (prefix / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    settings: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            settings[name.strip().lower()] = value.strip()
    if settings.get("include-system-site-packages", "").lower() != "true" or "home" not in settings:
        return None
    return Path(settings["home"]).parent


def mlflow_version(interpreter: Path, env: Mapping[str, str]) -> str:
    """Return the version of mlflow that the interpreter would import; empty without mlflow."""
    prefix = prefix_of(interpreter)
    folders = _site_packages(prefix)
    isolated = (prefix / "pyvenv.cfg").exists()
    base = _base_prefix(prefix)
    if base is not None:
        folders += _site_packages(base)
    if not isolated or base is not None:
        home = env.get("PYTHONUSERBASE") or str(Path(env.get("HOME") or "~").expanduser() / ".local")
        folders += [*_site_packages(Path(home)), *sorted((base or prefix).glob("lib/python3/dist-packages"))]
    for folder in folders:
        versions = {
            found["version"]: match.name
            for match in folder.glob("mlflow*.dist-info")
            if (found := _METADATA.match(match.name))
        }
        if versions:
            return sorted(versions, key=lambda version: "skinny" in versions[version])[0]
    return ""
