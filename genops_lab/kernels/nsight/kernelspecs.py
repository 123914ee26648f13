"""Write kernelspecs "with Nsight Systems" and "with Nsight Compute": a Python of this machine, started under
the tool.

They are made on request, so that the kernel picker does not fill up. They are in the user's own Jupyter
folder: the picker, ``jupyter console`` and papermill find them like any other.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_core.paths import jupyter_data_dir

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.paths import write_private
from genops_lab.kernels.kernelspecs import read_specification

from .models import NsightKernel, NsightProduct, SectionSet

_SUFFIXES: dict[NsightProduct, str] = {"systems": "-nsight", "compute": "-nsight-compute"}
_SETS: tuple[SectionSet, ...] = ("basic", "detailed", "full")
#: The entry point of :class:`genops_lab.kernels.local_provisioner.GenOpsLocalProvisioner`.
_PROVISIONER = "genops-local-provisioner"


@dataclass(frozen=True)
class UnderNsight:
    """The tool that starts the kernels of a kernelspec. ``section_set`` is the set that Nsight Compute
    measures."""

    product: NsightProduct
    section_set: SectionSet = "basic"

    @property
    def suffix(self) -> str:
        """Return the suffix of such kernelspecs' names."""
        return _SUFFIXES[self.product] + ("" if self.section_set == "basic" else f"-{self.section_set}")

    @property
    def title(self) -> str:
        """Return the tool's title for users."""
        return f"Nsight {self.product.capitalize()}" + (
            "" if self.section_set == "basic" else f", {self.section_set}"
        )


def under_nsight(metadata: Mapping[str, Any]) -> UnderNsight | None:
    """Return the tool in a kernelspec's metadata; None without one."""
    own = metadata.get("genops")
    if not isinstance(own, dict):
        return None
    if own.get("nsight") == "systems":
        return UnderNsight("systems")
    if own.get("nsight") == "compute":
        return UnderNsight("compute", next((each for each in _SETS if each == own.get("set")), "basic"))
    return None


def prepared(kernel_name: str, version: str, wanted: UnderNsight) -> NsightKernel:
    """Write or update the kernelspec of ``kernel_name`` under a tool. Blocks.

    A kernelspec that is already under a tool stands for its original. Raises NotFound, InvalidRequest for one
    of another language or another machine, and Conflict where a kernelspec of the name exists that GenOps Lab
    did not make.
    """
    original = _original(kernel_name)
    if under_nsight(original.metadata) == wanted:
        return NsightKernel(name=kernel_name, display_name=original.display_name, version=version)
    if under_nsight(original.metadata) is not None:
        kernel_name = str(original.metadata["genops"].get("of"))
        original = _original(kernel_name)
    name = f"{kernel_name}{wanted.suffix}"
    folder = Path(jupyter_data_dir()) / "kernels" / name
    specification = _specification(kernel_name, original, wanted)
    known = read_specification(folder / "kernel.json")
    if (folder / "kernel.json").exists() and under_nsight(known.get("metadata") or {}) is None:
        raise Conflict(
            f"A kernel {name!r} exists already, and GenOps Lab did not make it.",
            hint=f"Remove it: jupyter kernelspec remove {name}",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for logo in Path(original.resource_dir).glob("logo-*"):
        shutil.copyfile(logo, folder / logo.name)
    # Last, and complete or not at all: for Jupyter a folder without it is no kernelspec. A folder that was
    # left so, or that another request is filling, is completed here.
    if known != specification:
        write_private(folder / "kernel.json", json.dumps(specification, indent=1) + "\n")
    return NsightKernel(name=name, display_name=specification["display_name"], version=version)


def _original(kernel_name: str) -> KernelSpec:
    try:
        found: KernelSpec = KernelSpecManager().get_kernel_spec(kernel_name)
    except NoSuchKernel as error:
        raise NotFound(
            f"There is no kernel {kernel_name!r}.", hint="List the kernels: jupyter kernelspec list"
        ) from error
    if found.language.lower() != "python":
        raise InvalidRequest(
            f"{found.display_name} is not a Python kernel, and %%profile needs Python.",
            hint="Choose a Python kernel.",
        )
    provisioner = (found.metadata.get("kernel_provisioner") or {}).get("provisioner_name", "")
    if provisioner not in ("", "local-provisioner", _PROVISIONER):
        raise InvalidRequest(
            f"{found.display_name} does not run on this machine, and Nsight is available only here.",
            hint="Run nsys or ncu on the kernel's host. Then open the report of ncu, or the file of "
            "`nsys export --type sqlite`.",
        )
    return found


def _specification(kernel_name: str, original: KernelSpec, wanted: UnderNsight) -> dict[str, Any]:
    # A signal to the process group would reach the tool as well; a message interrupts only the kernel.
    return {
        "argv": [part.replace("{resource_dir}", original.resource_dir) for part in original.argv],
        "display_name": f"{original.display_name} ({wanted.title})",
        "language": original.language,
        "env": dict(original.env),
        "interrupt_mode": "message",
        "metadata": {
            **{name: value for name, value in original.metadata.items() if name == "debugger"},
            "kernel_provisioner": {"provisioner_name": _PROVISIONER},
            "genops": {
                "nsight": wanted.product,
                "of": kernel_name,
                **({"set": wanted.section_set} if wanted.product == "compute" else {}),
            },
        },
    }
