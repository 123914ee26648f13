"""The profiler: ``genops_lab.profiler.analyze(paths)`` and ``.diff(a, b)`` for programs, a service for the Lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import analyze as analyze
    from .engine.difference import diff as diff

__all__ = ["analyze", "diff"]


def __getattr__(name: str) -> Any:
    if name == "analyze":
        from .engine import analyze

        return analyze
    if name == "diff":
        from .engine.difference import diff

        return diff
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
