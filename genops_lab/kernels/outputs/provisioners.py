"""Find out which of a Jupyter server's kernels belong to an agent."""

from __future__ import annotations

from typing import Any


def doer(kernel_manager: Any) -> Any:
    """Return the provisioner that does a manager's work: for a kept kernel of this machine, the one that
    keeps it."""
    provisioner = getattr(kernel_manager, "provisioner", None)
    return getattr(provisioner, "kept", None) or provisioner


def target_provisioner(kernels: Any, kernel_id: str) -> Any:
    """Return the provisioner of a kernel that an agent owns, on a target or here; None for any other kernel."""
    try:
        kernel = kernels.get_kernel(kernel_id)
    except Exception:  # Jupyter's own: the kernel ended meanwhile
        return None
    provisioner = doer(kernel)
    return provisioner if hasattr(provisioner, "bridge") and hasattr(provisioner, "target") else None
