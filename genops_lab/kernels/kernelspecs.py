"""Write each target's kernelspec into the user's Jupyter folder, for the kernel picker and ``--kernel``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir

from ..core.errors import Conflict
from ..core.paths import write_private
from .remote_provisioner import NAME

PREFIX = "genops-"
LOGO = Path(__file__).with_name("logo-svg.svg")
#: The command of targets' kernels.
ARGV = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]


def name_of(target: str) -> str:
    """Return the kernelspec's name."""
    return PREFIX + target


def folder_of(target: str) -> Path:
    """Return the kernelspec's folder."""
    return Path(jupyter_data_dir()) / "kernels" / name_of(target)


def specification(
    target: str, display_name: str = "", genops: Mapping[str, Any] | None = None, *, cwd: str = ""
) -> dict[str, Any]:
    """Return the ``kernel.json`` of a target.

    ``python`` in ``argv`` means the target's interpreter; the front end reads ``genops``.
    """
    config = {"target": target, **({"cwd": cwd} if cwd else {})}
    return {
        "argv": ARGV,
        "display_name": display_name or f"Python 3 ({target})",
        "language": "python",
        "interrupt_mode": "signal",
        "metadata": {
            "debugger": True,
            "kernel_provisioner": {"provisioner_name": NAME, "config": config},
            "genops": {**(genops or {}), "target": target},
        },
    }


def install_kernelspec(
    target: str, display_name: str = "", genops: Mapping[str, Any] | None = None, *, cwd: str = ""
) -> Path:
    """Write or update the kernelspec; return its folder. Variables (``env``) that the user added stay.

    Raises Conflict for a kernelspec of this name that GenOps Lab did not make.
    """
    folder = folder_of(target)
    wanted = specification(target, display_name, genops, cwd=cwd)
    path = folder / "kernel.json"
    if path.exists():
        found = read_specification(path)
        if _target_of(found) != target:
            raise Conflict(
                f"A kernel {name_of(target)!r} exists already, and GenOps Lab did not make it.",
                hint=f"Remove it (jupyter kernelspec remove {name_of(target)}), or give the target "
                "another name.",
            )
        if "env" in found:
            wanted["env"] = found["env"]
        if found == wanted and (folder / LOGO.name).exists():
            return folder
    folder.mkdir(parents=True, exist_ok=True)
    # In the launcher the logo distinguishes targets from this machine's Python.
    shutil.copyfile(LOGO, folder / LOGO.name)
    write_private(path, json.dumps(wanted, indent=1) + "\n")
    return folder


def remove_kernelspec(target: str) -> bool:
    """Remove the kernelspec that :func:`install_kernelspec` made; False when there is none."""
    folder = folder_of(target)
    if _target_of(read_specification(folder / "kernel.json")) != target:
        return False
    shutil.rmtree(folder)
    return True


def _target_of(found: dict[str, Any]) -> str:
    metadata = found.get("metadata")
    genops = metadata.get("genops") if isinstance(metadata, dict) else None
    return str(genops.get("target", "")) if isinstance(genops, dict) else ""


def read_specification(path: Path) -> dict[str, Any]:
    """Return a ``kernel.json``; empty where there is no readable one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
