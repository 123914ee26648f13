"""GenOps Lab: from a notebook cell to a GPU, a tracked run, a profile, a model and a deployment."""

from __future__ import annotations

from typing import Any

from .version import __version__

__all__ = ["__version__"]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "genops-lab"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from .app.extension import GenOpsLab

    return [{"module": "genops_lab", "app": GenOpsLab}]


def load_ipython_extension(ipython: Any) -> None:
    """Load the magics (``%load_ext genops_lab``). This part of GenOps Lab needs only the standard library."""
    from .runtime import load_ipython_extension as load

    load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Unload the magics (``%unload_ext genops_lab``)."""
    from .runtime import unload_ipython_extension as unload

    unload(ipython)
