"""Which of a Jupyter server's kernels are an agent's."""

from __future__ import annotations

from typing import Any


def doer(kernel_manager: Any) -> Any:
    """The provisioner that does a manager's work: of a kernel of this machine that is kept, the one that keeps it."""
    provisioner = getattr(kernel_manager, "provisioner", None)
    return getattr(provisioner, "kept", None) or provisioner


def target_provisioner(kernels: Any, kernel_id: str) -> Any:
    """The provisioner of a kernel that an agent has, on a target or here; None for any other kernel."""
    try:
        kernel = kernels.get_kernel(kernel_id)
    except Exception:  # Jupyter's own: it ended while we looked
        return None
    provisioner = doer(kernel)
    return provisioner if hasattr(provisioner, "bridge") and hasattr(provisioner, "target") else None
