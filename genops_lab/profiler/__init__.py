"""The name by which notebooks and scripts import ``analyze`` and others of :mod:`genops_lab.profiling`. It stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..profiling import analyze as analyze
    from ..profiling import diff as diff
    from ..profiling import kernel_metrics as kernel_metrics
    from ..profiling import memory as memory

__all__ = ["analyze", "diff", "kernel_metrics", "memory"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from .. import profiling

        return getattr(profiling, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
