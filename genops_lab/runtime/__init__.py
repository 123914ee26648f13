"""Track, profile and sweep inside a user's kernel or script.

The package imports the standard library alone and runs on Python 3.8 or later, because it is copied to
environments without GenOps Lab. It uses IPython, ``comm``, mlflow and torch only where they are installed.
"""

from __future__ import annotations

from typing import Any


def load_ipython_extension(ipython: Any) -> None:
    """Add ``%%track``, ``%%profile``, ``%%sweep``, ``%genops`` and the name ``genops`` (``%load_ext
    genops_lab``).
    """
    from .lab import wake
    from .magics import offer_api, register
    from .own_models import follow
    from .trace_redaction import begin
    from .traced_cells import follow as follow_traces

    register(ipython)
    follow()
    follow_traces()
    begin()
    first = "" if offer_api(ipython) else "import genops, then "
    print(
        "GenOps: %%track, %%profile, %%sweep and %genops are ready.\n"
        f"To log metrics: {first}genops.log({{'loss': 0.5}}, step=1)"
    )
    wake()


def unload_ipython_extension(ipython: Any) -> None:
    """Remove the magics (``%unload_ext genops_lab``)."""
    from .magics import unregister

    unregister(ipython)
