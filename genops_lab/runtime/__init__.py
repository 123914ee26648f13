"""What runs inside a user's kernel or script.

Standard library alone at import (IPython, ``comm``, mlflow and torch are used where they are and when they
are needed), Python 3.8 or later, nothing of the rest of GenOps Lab: this folder travels to environments in
which GenOps Lab is not installed.
"""

from __future__ import annotations

from typing import Any


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext genops_lab``: add ``%%track``, ``%%profile``, ``%%sweep``, ``%genops`` and the name ``genops``."""
    from .lab import wake
    from .magics import offer_api, register
    from .own_models import follow

    register(ipython)
    follow()
    imported = "genops is imported" if offer_api(ipython) else "import genops to log"
    print(
        f"GenOps: %%track, %%profile, %%sweep and %genops are ready; {imported} (genops.log({{'loss': 0.5}}, step=1))."
    )
    wake()


def unload_ipython_extension(ipython: Any) -> None:
    """``%unload_ext genops_lab``."""
    from .magics import unregister

    unregister(ipython)
