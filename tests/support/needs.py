"""What a module of tests needs of the machine, asked without importing it."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def need_torch() -> None:
    """Skip a whole module of tests where PyTorch is missing; the worker that collects it does not import it."""
    if find_spec("torch") is None:
        pytest.skip("PyTorch is an extra", allow_module_level=True)
