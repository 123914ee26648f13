"""Kernelspecs "with Nsight Systems": a Python of this machine, started under it.

They are made when somebody asks, so that the kernel picker does not fill up, and lie in the user's own Jupyter
folder: the picker, ``jupyter console`` and papermill know them as any other.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_core.paths import jupyter_data_dir

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.paths import write_private

from .models import NsightKernel

SUFFIX = "-nsight"
#: The entry point of :class:`genops_lab.compute.provisioner.GenOpsLocalProvisioner`.
_PROVISIONER = "genops-local-provisioner"


def is_under_systems(metadata: Mapping[str, Any]) -> bool:
    """Whether a kernelspec of these metadata is started under Nsight Systems."""
    own = metadata.get("genops")
    return isinstance(own, dict) and own.get("nsight") == "systems"


def prepared(kernel_name: str, version: str) -> NsightKernel:
    """Make the kernelspec of ``kernel_name`` with Nsight Systems, or bring it up to date. Blocks.

    Raises NotFound, InvalidRequest for one of another language or another machine, and Conflict where the name is
    taken by a kernelspec that is not GenOps' own.
    """
    original = _original(kernel_name)
    if is_under_systems(original.metadata):
        return NsightKernel(name=kernel_name, display_name=original.display_name, version=version)
    name = f"{kernel_name}{SUFFIX}"
    folder = Path(jupyter_data_dir()) / "kernels" / name
    wanted = _specification(kernel_name, original)
    known = _read(folder / "kernel.json")
    if folder.exists() and not is_under_systems(known.get("metadata") or {}):
        raise Conflict(
            f"There is a kernel {name!r} already that GenOps Lab did not make.",
            hint=f"Remove it: jupyter kernelspec remove {name}",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for logo in Path(original.resource_dir).glob("logo-*"):
        shutil.copyfile(logo, folder / logo.name)
    if known != wanted:
        write_private(folder / "kernel.json", json.dumps(wanted, indent=1) + "\n")
    return NsightKernel(name=name, display_name=wanted["display_name"], version=version)


def _original(kernel_name: str) -> KernelSpec:
    try:
        found: KernelSpec = KernelSpecManager().get_kernel_spec(kernel_name)
    except NoSuchKernel as error:
        raise NotFound(f"There is no kernel {kernel_name!r}.", hint="See: jupyter kernelspec list") from error
    if found.language.lower() != "python":
        raise InvalidRequest(
            f"{found.display_name} is no Python, and %%profile is for Python.", hint="Choose a Python kernel."
        )
    provisioner = (found.metadata.get("kernel_provisioner") or {}).get("provisioner_name", "")
    if provisioner not in ("", "local-provisioner", _PROVISIONER):
        raise InvalidRequest(
            f"{found.display_name} does not run on this machine, and Nsight is offered here alone.",
            hint="Run nsys on its host, and open what `nsys export --type sqlite` writes.",
        )
    return found


def _specification(kernel_name: str, original: KernelSpec) -> dict[str, Any]:
    # A signal to the process group would reach nsys as well; a message interrupts the kernel alone.
    return {
        "argv": [part.replace("{resource_dir}", original.resource_dir) for part in original.argv],
        "display_name": f"{original.display_name} (Nsight Systems)",
        "language": original.language,
        "env": dict(original.env),
        "interrupt_mode": "message",
        "metadata": {
            **{name: value for name, value in original.metadata.items() if name == "debugger"},
            "kernel_provisioner": {"provisioner_name": _PROVISIONER},
            "genops": {"nsight": "systems", "of": kernel_name},
        },
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
