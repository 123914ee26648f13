"""Check the versions of the server extension, the front end and the packages that they need."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from genops_lab.core.models import Check
from genops_lab.version import __version__

DISTRIBUTION = "genops-lab"
EXTENSION = "genops_lab"
#: Front-end extensions that the inline views need, each with its Python package.
NEEDED = {"@jupyter-widgets/jupyterlab-manager": "jupyterlab_widgets", "anywidget": "anywidget"}
REPORTED = ("jupyterlab", "jupyter_server", "mlflow", "ipywidgets", "anywidget", "torch")


def examine() -> list[Check]:
    """Check versions, front end, server extension and widgets."""
    return [_versions(), _front_end(), _server_extension(), *_needed()]


def installed(distribution: str) -> str:
    """Return the version of a distribution, empty if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _versions() -> Check:
    parts = [f"GenOps Lab {__version__}", f"Python {platform.python_version()}"]
    parts += [f"{name} {found}" for name in REPORTED if (found := installed(name))]
    return Check(id="versions", title="Versions", state="ok", detail=", ".join(parts))


def labextension(name: str) -> dict[str, Any] | None:
    """Return the ``package.json`` of an installed front-end extension, or None."""
    from jupyter_core.paths import jupyter_path

    packages = (_json(Path(folder) / name / "package.json") for folder in jupyter_path("labextensions"))
    return next((package for package in packages if package), None)


def _front_end() -> Check:
    package = labextension(DISTRIBUTION)
    title = "Front end"
    if package is None:
        return Check(
            id="front_end",
            title=title,
            state="error",
            detail="The front-end extension is not installed in the folders of this JupyterLab.",
            hint="Install genops-lab into the environment of JupyterLab, then reload the page.",
        )
    found = str(package.get("version", ""))
    if DISTRIBUTION in _disabled():
        return Check(
            id="front_end",
            title=title,
            state="error",
            detail=f"The front-end extension {found} is disabled.",
            hint=f"Run `jupyter labextension enable {DISTRIBUTION}`, then reload the page.",
        )
    if not _same(found, __version__):
        return Check(
            id="front_end",
            title=title,
            state="error",
            detail=f"The front end has version {found}, the server extension {__version__}.",
            hint="Install genops-lab again, restart JupyterLab and reload the page.",
        )
    return Check(
        id="front_end", title=title, state="ok", detail=f"{found}, the same as the server extension."
    )


def _same(front: str, back: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(front) == Version(back)
    except InvalidVersion:
        return front == back


def _disabled() -> set[str]:
    from jupyter_core.paths import jupyter_config_path

    names: set[str] = set()
    for folder in jupyter_config_path():
        given = _json(Path(folder) / "labconfig" / "page_config.json").get("disabledExtensions", {})
        names |= set(given) if isinstance(given, list) else {name for name, off in given.items() if off}
    return names


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _server_extension() -> Check:
    from jupyter_core.paths import jupyter_config_path

    # The first folder that names the extension decides.
    for folder in jupyter_config_path():
        files = [
            Path(folder) / "jupyter_server_config.json",
            *sorted((Path(folder) / "jupyter_server_config.d").glob("*.json")),
        ]
        for path in files:
            switches = _json(path).get("ServerApp", {}).get("jpserver_extensions", {})
            if EXTENSION in switches:
                return _switched(bool(switches[EXTENSION]))
    return Check(
        id="server_extension",
        title="Server extension",
        state="warning",
        detail="No configuration file enables the server extension.",
        hint=f"Run `jupyter server extension enable {EXTENSION}` in the environment of JupyterLab.",
    )


def _switched(on: bool) -> Check:
    if on:
        return Check(id="server_extension", title="Server extension", state="ok", detail="Enabled.")
    return Check(
        id="server_extension",
        title="Server extension",
        state="error",
        detail="The server extension is disabled.",
        hint=f"Run `jupyter server extension enable {EXTENSION}`, then restart JupyterLab.",
    )


def _needed() -> list[Check]:
    checks = []
    for name, package in NEEDED.items():
        found = labextension(name)
        there = found is not None and name not in _disabled()
        checks.append(
            Check(
                id=f"widgets_{package}",
                title=f"Widgets: {package}",
                state="ok" if there else "error",
                detail=f"{package} {found.get('version', '')}"
                if found is not None and there
                else f"The front end of {package} is missing or disabled, so inline views are plain text.",
                hint=""
                if there
                else f"Install {package} into the environment of JupyterLab, then reload the page.",
            )
        )
    return checks
