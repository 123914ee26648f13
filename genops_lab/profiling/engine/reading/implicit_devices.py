"""Device work that no category tells of: what the names of processes and threads say.

XLA (JAX), TensorFlow, PyTorch's profiler before Kineto and converters of Nsight's exports write events without a
category, or with one of their own. What is counted is sure by
these names; what only looks like device work is said, not counted. Elsewhere a process called "python" has streams.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .locations import device_of

_XLA, _XLA_STREAM = re.compile(r"/device:GPU:(\d+)(?: .*)?"), re.compile(r"Stream #(\d+)\b.*")
#: TensorFlow 1 writes each kernel once for all streams and once for its own; "/job:..." is what the host scheduled.
_TENSORFLOW = re.compile(r"/(?:device:)?gpu:(\d+)/(stream:all|memcpy) Compute", re.IGNORECASE)
_BEFORE_KINETO = "CUDA functions"
#: As converters of Nsight's exports name them.
_NSIGHT, _NSIGHT_STREAM = re.compile(r"Device (\d+)"), re.compile(r"Stream (\d+)")
_ALIKE = re.compile(r"Ascend Hardware|/device:(?!CPU|CUSTOM)\w+:\d+.*|(?:\d+ )?GPU ?\d+")


class Place(NamedTuple):
    """A device and one of its streams."""

    device: str
    stream: str


def place_of(process: str, process_name: str, thread: str, thread_name: str) -> Place | None:
    """Where what a thread "ran" was run; None where this is not sure."""
    if process == _BEFORE_KINETO:
        return Place(device_of(thread, thread), "")
    if (device := _XLA.fullmatch(process_name)) and (stream := _XLA_STREAM.fullmatch(thread_name)):
        return Place(device[1], stream[1])
    if (device := _NSIGHT.fullmatch(process)) and (stream := _NSIGHT_STREAM.fullmatch(thread)):
        return Place(device[1], stream[1])
    if device := _TENSORFLOW.fullmatch(process_name):
        return Place(device[1], device[2])
    return None


def looks_like_a_device(process_name: str) -> bool:
    """Whether slices of a process may be work of a device."""
    return _ALIKE.fullmatch(process_name) is not None
