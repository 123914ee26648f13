"""What runs inside a user's kernel or script.

Standard library alone at import (IPython, ``comm``, mlflow and torch are used where they are and when they
are needed), Python 3.8 or later, nothing of the rest of GenOps Lab: this folder travels to environments in
which GenOps Lab is not installed.
"""

from __future__ import annotations

from typing import Any


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext genops_lab``: ``%%track``, ``%%profile`` and ``%genops``."""
    from .lab import wake
    from .magics import register
    from .own_models import follow

    register(ipython)
    follow()
    wake()


def unload_ipython_extension(ipython: Any) -> None:
    """``%unload_ext genops_lab``."""
    from .magics import unregister

    unregister(ipython)
