"""``%%profile``, ``%profile`` and ``genops.profile()``: PyTorch's profiler round some code.

``capture`` decides what is recorded and when it ends, ``recorder`` is PyTorch's profiler, ``steps`` hears of steps,
``lines`` and ``markers`` name the user's lines in the trace, ``upload`` writes it and brings it to the Lab. In a
kernel under one of NVIDIA's tools that records instead (``external_tool``: ``nsight``, ``ncu``).
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
    """A recording that has not begun: by Nsight's tool in a kernel that was started under one."""
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
    """Record the block, also when it raises."""
    capture = capture_of(title, wishes)
    capture.start()
    try:
        yield capture
    except BaseException as error:
        capture.raises(error)
        raise
    finally:
        capture.finish()
