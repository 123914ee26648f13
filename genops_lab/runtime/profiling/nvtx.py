"""NVTX: names of ranges, which NVIDIA's own tools record beside what the GPU does."""

from __future__ import annotations

import importlib
from typing import Any


class Nvtx:
    """PyPI's ``nvtx``, with the names of PyTorch's own."""

    def __init__(self, module: Any) -> None:
        self.range_push, self.range_pop = module.push_range, module.pop_range
        self.range_start, self.range_end = module.start_range, module.end_range


class Range:
    """A slice of the trace: an NVTX range of this thread."""

    def __init__(self, nvtx: Any, name: str) -> None:
        self._nvtx, self._name = nvtx, name

    def __enter__(self) -> None:
        self._nvtx.range_push(self._name)

    def __exit__(self, *_: Any) -> None:
        self._nvtx.range_pop()


def torch_on_cuda() -> Any:
    """PyTorch; None where there is none with a CUDA device."""
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def nvtx() -> Any:
    """PyTorch's NVTX where it has a CUDA device, else PyPI's ``nvtx`` (for JAX, CuPy and the like), else None."""
    torch = torch_on_cuda()
    if torch is not None:
        return torch.cuda.nvtx
    try:
        return Nvtx(importlib.import_module("nvtx"))
    except ImportError:
        return None
