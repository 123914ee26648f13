"""Analyze traces in programs (``analyze(paths)``, ``diff(a, b)``, ``memory(path)``) and serve profiles to the
Lab."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import analyze as analyze
    from .engine.comparison.difference import diff as diff
    from .engine.memory.files import memory as memory
    from .engine.reading.ncu_report import kernel_metrics as kernel_metrics

__all__ = ["analyze", "diff", "kernel_metrics", "memory"]


#: Modules below the engine, each imported on first use.
_MODULES = {
    "analyze": "",
    "diff": ".comparison.difference",
    "memory": ".memory.files",
    "kernel_metrics": ".reading.ncu_report",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__package__}.engine{_MODULES[name]}"), name)
