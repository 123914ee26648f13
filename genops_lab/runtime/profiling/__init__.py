"""``%%profile``, ``%profile`` and ``genops.profile()``: PyTorch's profiler round some code.

``capture`` decides what is recorded and when it ends, ``recorder`` is PyTorch's profiler, ``steps`` hears of steps,
``lines`` and ``markers`` name the user's lines in the trace, ``handing`` writes it and brings it to the Lab. In a
kernel under one of NVIDIA's tools that records instead (``outside``: ``nsight``, ``ncu``); ``choice`` knows which.
"""

from __future__ import annotations

from .choice import capture_of, profiled
from .recording_options import RecordingOptions

__all__ = ["RecordingOptions", "capture_of", "profiled"]
