"""The profiler: ``analyze(paths)``, ``diff(a, b)`` and ``memory(path)`` for programs, a service for the Lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import analyze as analyze
    from .engine.comparison.difference import diff as diff
    from .engine.memory.files import memory as memory
    from .engine.reading.ncu_report import kernel_metrics as kernel_metrics

__all__ = ["analyze", "diff", "kernel_metrics", "memory"]


def __getattr__(name: str) -> Any:
    if name == "analyze":
        from .engine import analyze

        return analyze
    if name == "diff":
        from .engine.comparison.difference import diff

        return diff
    if name == "memory":
        from .engine.memory.files import memory

        return memory
    if name == "kernel_metrics":
        from .engine.reading.ncu_report import kernel_metrics

        return kernel_metrics
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
