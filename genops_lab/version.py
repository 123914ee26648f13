"""The installed version; ``0.0.0`` in a checkout that was never built."""

from __future__ import annotations

try:
    from ._version import __version__
except ImportError:
    __version__ = "0.0.0"

__all__ = ["__version__"]
