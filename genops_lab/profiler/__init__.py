"""The profiler: ``genops_lab.profiler.analyze(paths)`` for programs, a service for the Lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import analyze as analyze

__all__ = ["analyze"]


def __getattr__(name: str) -> Any:
    if name == "analyze":
        from .engine import analyze

        return analyze
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
