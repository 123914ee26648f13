"""Record code with PyTorch's profiler: ``%%profile``, ``%profile`` and ``genops.profile()``.

``capture`` decides what is recorded and when the recording ends. ``recorder`` is PyTorch's profiler,
``steps`` counts steps. ``lines`` and ``markers`` name the user's lines in the trace; ``upload`` writes the
trace and sends it to the Lab. In a kernel under a tool of NVIDIA's that tool records instead
(``external_tool``: ``nsight``, ``ncu``).
"""

from __future__ import annotations

import contextlib
from typing import Iterator, Optional, Union

from .capture import Capture
from .external_tool import OutsideCapture
from .markers import own_files
from .ncu import NcuCapture, measuring
from .nsight import NsightCapture, session
from .recording_options import RecordingOptions

__all__ = ["RecordingOptions", "capture_of", "profiled"]


def capture_of(title: str, wishes: Optional[RecordingOptions] = None) -> Union[Capture, OutsideCapture]:
    """Return a recording that has not begun; in a kernel under an Nsight tool, a recording by that tool."""
    collecting, measured = session(), measuring()
    if collecting is not None:
        return NsightCapture(title, collecting, own_files(), wishes)
    if measured is not None:
        return NcuCapture(title, measured, own_files(), wishes)
    return Capture(title, wishes)


@contextlib.contextmanager
def profiled(
    title: str, wishes: Optional[RecordingOptions] = None
) -> Iterator[Union[Capture, OutsideCapture]]:
    """Record the block, also if it raises."""
    capture = capture_of(title, wishes)
    capture.start()
    try:
        yield capture
    except BaseException as error:
        capture.raises(error)
        raise
    finally:
        capture.finish()
