"""Kernelspecs "with Nsight Systems" and "with Nsight Compute": a Python of this machine, started under it.

They are made when somebody asks, so that the kernel picker does not fill up, and lie in the user's own Jupyter
folder: the picker, ``jupyter console`` and papermill know them as any other.
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
    """The tool that kernels of a kernelspec are started under; ``section_set`` is what Nsight Compute measures."""

    product: NsightProduct
    section_set: SectionSet = "basic"

    @property
    def suffix(self) -> str:
        """What names of such kernelspecs end with."""
        return _SUFFIXES[self.product] + ("" if self.section_set == "basic" else f"-{self.section_set}")

    @property
    def title(self) -> str:
        """For people."""
        return f"Nsight {self.product.capitalize()}" + (
            "" if self.section_set == "basic" else f", {self.section_set}"
        )


def under_nsight(metadata: Mapping[str, Any]) -> UnderNsight | None:
    """What a kernelspec of these metadata is started under; None for any other one."""
    own = metadata.get("genops")
    if not isinstance(own, dict):
        return None
    if own.get("nsight") == "systems":
        return UnderNsight("systems")
    if own.get("nsight") == "compute":
        return UnderNsight("compute", next((each for each in _SETS if each == own.get("set")), "basic"))
    return None


def prepared(kernel_name: str, version: str, wanted: UnderNsight) -> NsightKernel:
    """Make the kernelspec of ``kernel_name`` under a tool, or bring it up to date. Blocks.

    One that is under a tool already stands for the one that it was made of. Raises NotFound, InvalidRequest for one
    of another language or another machine, and Conflict where the name is taken by a kernelspec that is not GenOps'
    own.
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
            f"There is a kernel {name!r} already that GenOps Lab did not make.",
            hint=f"Remove it: jupyter kernelspec remove {name}",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for logo in Path(original.resource_dir).glob("logo-*"):
        shutil.copyfile(logo, folder / logo.name)
    # Last, and whole or not at all: to Jupyter a folder without it is no kernel, and one that was left so, or is
    # being filled by another request, is filled here.
    if known != specification:
        write_private(folder / "kernel.json", json.dumps(specification, indent=1) + "\n")
    return NsightKernel(name=name, display_name=specification["display_name"], version=version)


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
            hint="Run nsys or ncu on its host, and open what `nsys export --type sqlite` or ncu writes.",
        )
    return found


def _specification(kernel_name: str, original: KernelSpec, wanted: UnderNsight) -> dict[str, Any]:
    # A signal to the process group would reach the tool as well; a message interrupts the kernel alone.
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
