"""What an event is, by what the profilers of the years have called it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .columns import Bools


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
    # Habana's bridge calls what its host does so, and what its devices do "kernel" (see ``told_by_device``).
    "hpu_op": Kind.COMPUTE,
    **dict.fromkeys(("gpu_memcpy", "memcpy", "mlu_memcpy", "gcu_memcpy"), Kind.COPY),
    **dict.fromkeys(("gpu_memset", "memset", "mlu_memset", "gcu_memset"), Kind.FILL),
    "cpu_op": Kind.OPERATOR,
    "operator": Kind.OPERATOR,
    "python_function": Kind.PYTHON,
    "user_annotation": Kind.ANNOTATION,
    **dict.fromkeys(
        ("gpu_user_annotation", "mlu_user_annotation", "gcu_user_annotation"), Kind.DEVICE_ANNOTATION
    ),
    "runtime": Kind.RUNTIME,
    **{
        f"{maker}_{layer}": Kind.RUNTIME
        for maker in ("cuda", "hip", "mtia", "xpu", "privateuse1", "mlu", "gcu")
        for layer in ("runtime", "driver")
    },
    "overhead": Kind.OVERHEAD,
    "cuda_sync": Kind.WAIT,
}
_ACCELERATORS = frozenset({"mtia_ccp_events", "hpu_op"})
#: Names of libraries that do nothing else, and of collectives written as kernels of their own. Short ones as words:
#: names with templates are long, and "deep_epilogue" is none.
_COMMUNICATION = re.compile(
    r"""(?i:nccl|rccl|oneccl|msccl|roc_?shmem|nvshmem|ishmem)
    |(?<![A-Za-z])(?i:hccl|hcom|cncl|xccl|eccl|mccl)(?![a-z])
    |(?<![A-Za-z])(?i:gloo)(?![a-z])|\bccl::
    |(?<![A-Za-z])(?i:deep_?ep)(?![a-z])|\bdpsk::ep\b|\bmori::
    |(?<![A-Za-z])cross_device_reduce_[12]stage|reduce_scatter_cross_device
    |(?i:(?:one|two)_?shot_?(?:all_?reduce|all_?gather|reduce_?scatter))
    |(?<![A-Za-z])multimem_(?:one_shot_)?(?:all_reduce|all_gather|reduce_scatter)
    |(?<![A-Za-z])(?:barrier|sync|quiet|broadcast|fcollect|alltoall|rdxn|reducescatter)\w*_on_stream_kernel
    |(?<![A-Za-z])symm_mem|symmetric_memory|allreduce_fusion_kernel|trtllm_(?:mnnvl_)?all_?reduce
    |\bquickreduce::|\bk?userbuffers_""",
    re.VERBOSE,
)
#: Inductor names a kernel by all operators that went into it: the waits for a collective are there, not the collective.
_FUSED = re.compile(r"triton_[a-z]+_fused_")
_COPIES, _FILLS = re.compile(r"dma_|memcpy", re.IGNORECASE), re.compile("memset", re.IGNORECASE)


def kind_of(category: str, name: str) -> Kind:
    """The kind of an event of ``category`` called ``name``."""
    category = _known(category)
    kind = _KINDS.get(category, Kind.OTHER)
    if category in _ACCELERATORS:
        return kind_of_work(name)
    return Kind.COMMUNICATION if kind == Kind.COMPUTE and _is_communication(name) else kind


def kind_of_work(name: str) -> Kind:
    """The kind of what ran on a device, where its name alone tells it."""
    if _COPIES.match(name):
        return Kind.COPY
    if _FILLS.match(name):
        return Kind.FILL
    return Kind.COMMUNICATION if _is_communication(name) else Kind.COMPUTE


def _is_communication(name: str) -> bool:
    return _remembered(name) if len(name) < _LONG else _communicates(name)


def _communicates(name: str) -> bool:
    return _COMMUNICATION.search(name) is not None and _FUSED.match(name) is None


#: A trace has some hundred names of kernels, each in many batches.
_remembered = lru_cache(1 << 12)(_communicates)
#: Longer ones are not kept.
_LONG = 1 << 13


def told_by_device(category: str | None) -> bool:
    """Whether a slice of ``category`` is a device's where it names one, and the host's call elsewhere."""
    return category is not None and _known(category) == "hpu_op"


def _known(category: str) -> str:
    """As it is looked up: of several between commas the first that is known."""
    category = category.lower().strip()
    if "," in category:
        each = [one.strip() for one in category.split(",")]
        return next((one for one in each if one in _KINDS), category)
    return category


def among(column: npt.NDArray[np.int8], kinds: Iterable[Kind]) -> Bools:
    """Whether each of a column of kinds is one of ``kinds``."""
    table = np.zeros(len(Kind), bool)
    table[[int(kind) for kind in kinds]] = True
    return table[column]
