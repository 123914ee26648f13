"""What an event is, by what the profilers of the years have called it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum

import numpy as np
import numpy.typing as npt


class Kind(IntEnum):
    """What a slice is. From ``COMPUTE`` on it ran on a device."""

    OTHER = 0
    OPERATOR = 1
    PYTHON = 2
    #: ``record_function``, also the profiler's own steps.
    ANNOTATION = 3
    #: The same, as the span of what it started on a device: no work of its own.
    DEVICE_ANNOTATION = 4
    #: A call of a device's runtime or driver, which starts or awaits what runs on the device.
    RUNTIME = 5
    #: The profiler's own work.
    OVERHEAD = 6
    #: A wait as the device's events tell it (``cuda_sync``).
    WAIT = 7
    COMPUTE = 8
    COMMUNICATION = 9
    COPY = 10
    FILL = 11


#: The kinds that count as a device's work; the smallest is ``COMPUTE``.
ON_DEVICE = (Kind.COMPUTE, Kind.COMMUNICATION, Kind.COPY, Kind.FILL)

_KINDS = {
    # Old traces capitalise their categories; other accelerators have event kinds of their own.
    "kernel": Kind.COMPUTE,
    "concurrent_kernel": Kind.COMPUTE,
    # Everything that such a device does comes under one category, copies too.
    "mtia_ccp_events": Kind.COMPUTE,
    "hpu_op": Kind.COMPUTE,
    "gpu_memcpy": Kind.COPY,
    "memcpy": Kind.COPY,
    "gpu_memset": Kind.FILL,
    "memset": Kind.FILL,
    "cpu_op": Kind.OPERATOR,
    "operator": Kind.OPERATOR,
    "python_function": Kind.PYTHON,
    "user_annotation": Kind.ANNOTATION,
    "gpu_user_annotation": Kind.DEVICE_ANNOTATION,
    "cuda_runtime": Kind.RUNTIME,
    "cuda_driver": Kind.RUNTIME,
    "runtime": Kind.RUNTIME,
    "mtia_runtime": Kind.RUNTIME,
    "xpu_runtime": Kind.RUNTIME,
    "xpu_driver": Kind.RUNTIME,
    "privateuse1_runtime": Kind.RUNTIME,
    "privateuse1_driver": Kind.RUNTIME,
    "overhead": Kind.OVERHEAD,
    "cuda_sync": Kind.WAIT,
}
_ACCELERATORS = frozenset({"mtia_ccp_events", "hpu_op"})
_COMMUNICATION = re.compile(r"nccl|rccl|hccl|oneccl|gloo|deep_?ep|dpsk::ep|nvshmem", re.IGNORECASE)
_COPIES, _FILLS = re.compile(r"dma_|memcpy", re.IGNORECASE), re.compile("memset", re.IGNORECASE)


def kind_of(category: str, name: str) -> Kind:
    """The kind of an event of ``category`` called ``name``."""
    category = category.lower()
    kind = _KINDS.get(category, Kind.OTHER)
    if kind == Kind.COMPUTE:
        if category in _ACCELERATORS:
            if _COPIES.match(name):
                return Kind.COPY
            if _FILLS.match(name):
                return Kind.FILL
        if _COMMUNICATION.search(name):
            return Kind.COMMUNICATION
    return kind


def among(column: npt.NDArray[np.int8], kinds: Iterable[Kind]) -> npt.NDArray[np.bool_]:
    """Whether each of a column of kinds is one of ``kinds``."""
    table = np.zeros(len(Kind), bool)
    table[[int(kind) for kind in kinds]] = True
    return table[column]
