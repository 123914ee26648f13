"""Programs of ``scripts/``, which is no package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location(
    "build_native", Path(__file__).parents[2] / "scripts" / "build_native.py"
)
assert _SPEC is not None and _SPEC.loader is not None
build_native = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(build_native)
