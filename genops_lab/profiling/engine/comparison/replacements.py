"""Kernels that stand where others stood: another one for the same operator and shapes."""

from __future__ import annotations

from .launched import Kernel, KernelTally, Launcher


def replaced(before: KernelTally, after: KernelTally) -> dict[str, str]:
    """By the name of a new kernel, the one that is gone and did the same work.

    Both were launched by the same operator with the same shapes; where a trace has no shapes, by the operator. Of
    several that are gone it is the one that spent most there.
    """
    gone = {name: kernel for name, kernel in before.kernels.items() if name not in after.kernels}
    new = {name: kernel for name, kernel in after.kernels.items() if name not in before.kernels}
    found = {}
    for name, kernel in new.items():
        shared = {other: _shared(old, kernel) for other, old in gone.items()}
        best = max(shared, key=lambda other: (shared[other], other), default="")
        if best and shared[best]:
            found[name] = best
    return found


def _shared(old: Kernel, new: Kernel) -> int:
    """Nanoseconds that the old one spent on work that the new one does."""
    return sum(spent for launcher, spent in old.launchers.items() if _does(new, launcher))


def _does(kernel: Kernel, launcher: Launcher) -> bool:
    operator, shapes = launcher
    return launcher in kernel.launchers or any(
        operator == other and not (shapes and others_shapes) for other, others_shapes in kernel.launchers
    )
