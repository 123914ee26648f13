"""Map the event names and categories of different profilers to kinds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .columns import Bools


class Kind(IntEnum):
    """The kind of a slice. From ``COMPUTE`` on, the slice ran on a device."""

    OTHER = 0
    OPERATOR = 1
    PYTHON = 2
    #: ``record_function``, also the profiler's own steps.
    ANNOTATION = 3
    #: The span on a device of the work that an annotation started; it is no work itself.
    DEVICE_ANNOTATION = 4
    #: A call of a device's runtime or driver, which starts device work or waits for it.
    RUNTIME = 5
    #: The profiler's own work.
    OVERHEAD = 6
    #: A wait in the device's events (``cuda_sync``).
    WAIT = 7
    COMPUTE = 8
    COMMUNICATION = 9
    COPY = 10
    FILL = 11


#: The kinds that count as device work; ``COMPUTE`` is the smallest.
ON_DEVICE = (Kind.COMPUTE, Kind.COMMUNICATION, Kind.COPY, Kind.FILL)

_KINDS = {
    # Old traces capitalise their categories; other accelerators have their own event kinds.
    "kernel": Kind.COMPUTE,
    "concurrent_kernel": Kind.COMPUTE,
    # All work of such a device has one category, also copies.
    "mtia_ccp_events": Kind.COMPUTE,
    # Habana's bridge uses this category for host work, and "kernel" for device work (see ``may_name_a_device``).
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
#: Names of communication libraries, and of collectives written as kernels. Short names match as words only:
#: template names are long, and "deep_epilogue" is not a match.
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
#: Inductor names a kernel after all its operators: a wait for a collective is part of the name, but the
#: collective is not.
_FUSED = re.compile(r"triton_[a-z]+_fused_")
_COPIES, _FILLS = re.compile(r"dma_|memcpy", re.IGNORECASE), re.compile("memset", re.IGNORECASE)


def kind_of(category: str, name: str) -> Kind:
    """Return the kind of an event of ``category`` called ``name``."""
    category = _known(category)
    kind = _KINDS.get(category, Kind.OTHER)
    if category in _ACCELERATORS:
        return kind_of_work(name)
    return Kind.COMMUNICATION if kind == Kind.COMPUTE and _is_communication(name) else kind


def kind_of_work(name: str) -> Kind:
    """Return the kind of device work, where only its name shows it."""
    if _COPIES.match(name):
        return Kind.COPY
    if _FILLS.match(name):
        return Kind.FILL
    return Kind.COMMUNICATION if _is_communication(name) else Kind.COMPUTE


def _is_communication(name: str) -> bool:
    return _remembered(name) if len(name) < _LONG else _communicates(name)


def _communicates(name: str) -> bool:
    return _COMMUNICATION.search(name) is not None and _FUSED.match(name) is None


#: A trace has some hundred kernel names, each in many batches.
_remembered = lru_cache(1 << 12)(_communicates)
#: Longer names are not cached.
_LONG = 1 << 13


def may_name_a_device(category: str | None) -> bool:
    """Return whether a slice of ``category`` is device work if it names a device, and a host call
    otherwise."""
    return category is not None and _known(category) == "hpu_op"


def _known(category: str) -> str:
    """Return the category for the lookup: of several between commas, the first known one."""
    category = category.lower().strip()
    if "," in category:
        each = [one.strip() for one in category.split(",")]
        return next((one for one in each if one in _KINDS), category)
    return category


def among(column: npt.NDArray[np.int8], kinds: Iterable[Kind]) -> Bools:
    """Return which entries of a column of kinds are one of ``kinds``."""
    table = np.zeros(len(Kind), bool)
    table[[int(kind) for kind in kinds]] = True
    return table[column]
