"""``%%profile``, ``%profile`` and ``genops.profile()``: PyTorch's profiler round some code.

``capture`` decides what is recorded and when it ends, ``recorder`` is PyTorch's profiler, ``steps`` hears of steps,
``lines`` and ``markers`` name the user's lines in the trace, ``saving`` writes it and ``handing`` brings it to the Lab.
"""

from __future__ import annotations

from .capture import Capture, profiled
from .wishes import Wishes

__all__ = ["Capture", "Wishes", "profiled"]
