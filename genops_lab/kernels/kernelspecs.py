"""The kernelspec of each target, in the user's own Jupyter folder: the kernel picker and ``--kernel`` know it."""

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
#: The command of their kernels.
ARGV = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]


def name_of(target: str) -> str:
    """The kernelspec's name."""
    return PREFIX + target


def folder_of(target: str) -> Path:
    """Where it lies."""
    return Path(jupyter_data_dir()) / "kernels" / name_of(target)


def specification(
    target: str, display_name: str = "", genops: Mapping[str, Any] | None = None, *, cwd: str = ""
) -> dict[str, Any]:
    """``kernel.json`` of a target. ``python`` in ``argv`` is the interpreter of the target's own; ``genops`` is
    what the front end reads."""
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
    """Make the kernelspec, or bring it up to date; its folder. Variables (``env``) that the user added stay.

    Raises Conflict for one of this name that is not GenOps' own.
    """
    folder = folder_of(target)
    wanted = specification(target, display_name, genops, cwd=cwd)
    path = folder / "kernel.json"
    if path.exists():
        found = read_specification(path)
        if _target_of(found) != target:
            raise Conflict(
                f"There is a kernel {name_of(target)!r} already that GenOps Lab did not make.",
                hint=f"Remove it (jupyter kernelspec remove {name_of(target)}), or name the target otherwise.",
            )
        if "env" in found:
            wanted["env"] = found["env"]
        if found == wanted and (folder / LOGO.name).exists():
            return folder
    folder.mkdir(parents=True, exist_ok=True)
    # Beside the Python of this machine, a glance at the launcher tells what runs elsewhere.
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
    """A ``kernel.json``; empty where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
