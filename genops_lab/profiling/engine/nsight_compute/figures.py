"""Compute the figures of a launch from its metrics.

Names and formulas are those of Nsight Compute's sections (its ``.section`` files).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

Values = Mapping[str, float]
_ELAPSED, _ACTIVE = ".avg.pct_of_peak_sustained_elapsed", ".avg.pct_of_peak_sustained_active"
#: The first metric in the report counts.
FIGURES: dict[str, tuple[str, ...]] = {
    "compute_pct": (f"sm__throughput{_ELAPSED}",),
    "memory_pct": (f"gpu__compute_memory_throughput{_ELAPSED}",),
    "dram_pct": (f"gpu__dram_throughput{_ELAPSED}", f"dram__throughput{_ELAPSED}"),
    "l1_pct": (f"l1tex__throughput{_ACTIVE}", f"l1tex__throughput{_ELAPSED}"),
    "l2_pct": (f"lts__throughput{_ELAPSED}",),
    "l1_hit_pct": ("l1tex__t_sector_hit_rate.pct",),
    "l2_hit_pct": ("lts__t_sector_hit_rate.pct",),
    "occupancy_pct": (f"sm__warps_active{_ACTIVE}",),
    "theoretical_occupancy_pct": ("sm__maximum_warps_per_active_cycle_pct",),
    "registers": ("launch__registers_per_thread",),
    "shared_memory_bytes": ("launch__shared_mem_per_block", "launch__shared_mem_per_block_allocated"),
    "waves": ("launch__waves_per_multiprocessor",),
    "limit_registers": ("launch__occupancy_limit_registers",),
    "limit_shared_memory": ("launch__occupancy_limit_shared_mem",),
    "limit_blocks": ("launch__occupancy_limit_blocks",),
    "limit_warps": ("launch__occupancy_limit_warps",),
    "limit_barriers": ("launch__occupancy_limit_barriers",),
    "passes": ("profiler__replayer_passes",),
}
#: Order of the limits where several are equal.
LIMITS = {
    "limit_registers": "registers",
    "limit_shared_memory": "shared memory",
    "limit_blocks": "blocks",
    "limit_warps": "warps",
    "limit_barriers": "barriers",
}
#: A week, in nanoseconds: no kernel runs longer, so a longer time is damaged.
_LONGEST = 7 * 24 * 3600 * 1e9
_TIME = "gpu__time_duration.sum"
_CYCLES, _CYCLES_A_SECOND = "gpc__cycles_elapsed.max", "gpc__cycles_elapsed.avg.per_second"
_SM_CLOCK = ("smsp__cycles_elapsed.avg.per_second", "sm__cycles_elapsed.avg.per_second")
_DRAM = ("dram__bytes.sum", "dram__bytes_read.sum", "dram__bytes_write.sum", "dram__bytes.sum.per_second")
_DRAM_PEAK, _DRAM_CLOCK = "dram__bytes.sum.peak_sustained", "dram__cycles_elapsed.avg.per_second"
_DEVICE = ("launch__device_id", "device__attribute_device_index")
_CAPABILITY = "device__attribute_compute_capability_major"
#: Additions and multiplications count 1; a fused instruction counts 2.
_WEIGHTS = {"add": 1.0, "mul": 1.0, "fma": 2.0}
_DTYPES = {"h": "fp16", "f": "fp32", "d": "fp64"}
_FLOPS = {
    (unit, letter, what): f"{unit}__sass_thread_inst_executed_op_{letter}{what}_pred_on.sum"
    for unit in ("smsp", "sm")
    for letter in _DTYPES
    for what in _WEIGHTS
}
#: Operations of tensor cores by operand type, without partial counts.
_TENSOR = re.compile(
    r"(?P<counter>(?P<unit>sm|smsp)__ops_path_tensor_src_(?P<source>(?!\w*_sparsity_)\w+?)(?:_dst_\w+)?\.sum)"
    r"(?:\.per_cycle_elapsed)?"
)
_TENSOR_DTYPES = frozenset({"fp64", "tf32", "fp16", "bf16", "fp8", "fp6", "fp4"})
#: Whether tensor cores were used, also where the number of operations is not known.
_TENSOR_PIPE = re.compile(
    r"(?:sm|smsp)__(?:inst_executed_)?pipe_tensor\w*\.(?:sum|avg)"
    r"(?:\.per_cycle_\w+|\.pct_of_peak_sustained_\w+)?"
)
_TENSOR_WHOLE_NUMBERS = re.compile(r"pipe_tensor_op_imma(?:_|\.)")
#: Before Hopper, each of these instructions stands for this many operations; the dtype is not known.
_TENSOR_INSTRUCTIONS, _TENSOR_OPERATIONS = "inst_executed_pipe_tensor.sum", 512.0
_VOLTA, _HOPPER = 7, 9
_ANY_TENSOR = "tensor"
#: Dtypes whose FLOPs are figures: ``flops_fp32``.
FLOPS = "flops_"
_STALL = re.compile(r"smsp__average_warps_issue_stalled_(?P<reason>\w+)_per_issue_active\.ratio")
_LATENCY = re.compile(r"smsp__average_warp_latency_issue_stalled_(?P<reason>\w+)\.ratio")
_SINGLES = frozenset(
    {
        *(name for names in FIGURES.values() for name in names),
        *(_TIME, _CYCLES, _CYCLES_A_SECOND, *_SM_CLOCK, *_DRAM, _DRAM_PEAK, _DRAM_CLOCK, *_DEVICE, _CAPABILITY),
        *(f"{name}{ending}" for name in _FLOPS.values() for ending in ("", ".per_cycle_elapsed", ".peak_sustained")),
        f"sm__{_TENSOR_INSTRUCTIONS}.peak_sustained",
    }
)  # fmt: skip


def is_wanted(name: str) -> bool:
    """Return whether a metric is used."""
    return name in _SINGLES or any(form.fullmatch(name) for form in (_STALL, _LATENCY, _TENSOR, _TENSOR_PIPE))


def nanoseconds(values: Values) -> float | None:
    """Return the time of the launch; None where the report has none, or one of weeks."""
    time = values.get(_TIME)
    if time is None and values.get(_CYCLES_A_SECOND) and _CYCLES in values:
        time = values[_CYCLES] / values[_CYCLES_A_SECOND] * 1e9
    return time if time is not None and math.isfinite(time) and 0 <= time <= _LONGEST else None


def device_of(values: Values) -> str:
    """Return the CUDA number of the device; "0" where it is not known."""
    found = next((values[name] for name in _DEVICE if name in values), 0.0)
    return str(int(found)) if 0 <= found < 1 << 16 else "0"


def figures_of(values: Values, nanosecond: float) -> dict[str, float]:
    """Return the figures: the names of FIGURES, ``dram_bytes``, ``flops_`` and a dtype. Peaks are at the
    measured clocks: ``peak_`` and a dtype in FLOP/s, ``peak_dram`` in bytes per second."""
    seconds = nanosecond / 1e9
    found: dict[str, float] = {}
    for figure, names in FIGURES.items():
        value = next((values[name] for name in names if name in values), None)
        if value is not None:
            found[figure] = value
    moved = _moved(values, seconds)
    if moved is not None:
        found["dram_bytes"] = moved
    clock = next((values[name] for name in _SM_CLOCK if values.get(name)), 0.0)
    cycles = clock * seconds
    for dtype, flops in _flops(values, cycles).items():
        found[FLOPS + dtype] = flops
    for letter, dtype in _DTYPES.items():
        peak = next((values[name] for unit in ("sm", "smsp") if (name := _peak(unit, letter)) in values), 0.0)
        if peak and clock:
            found[f"peak_{dtype}"] = 2.0 * peak * clock
    tensor_peak = values.get(f"sm__{_TENSOR_INSTRUCTIONS}.peak_sustained", 0.0)
    if tensor_peak and clock and _counts_instructions(values):
        found[f"peak_{_ANY_TENSOR}"] = _TENSOR_OPERATIONS * tensor_peak * clock
    if values.get(_DRAM_PEAK) and values.get(_DRAM_CLOCK):
        found["peak_dram"] = values[_DRAM_PEAK] * values[_DRAM_CLOCK]
    return {name: value for name, value in found.items() if math.isfinite(value) and value >= 0}


def stalls_of(values: Values) -> dict[str, float]:
    """Return the cycles per issued instruction by stall reason."""
    found: dict[str, float] = {}
    for form in (_STALL, _LATENCY):
        for name, value in values.items():
            match = form.fullmatch(name)
            if match is not None and math.isfinite(value) and value >= 0:
                found.setdefault(match["reason"], value)
        if found:
            break
    return found


def _peak(unit: str, letter: str) -> str:
    return f"{_FLOPS[unit, letter, 'fma']}.peak_sustained"


def _moved(values: Values, seconds: float) -> float | None:
    whole, read, written, rate = (values.get(name) for name in _DRAM)
    if whole is not None:
        return whole
    if read is not None and written is not None:
        return read + written
    return rate * seconds if rate is not None else None


def _flops(values: Values, cycles: float) -> dict[str, float]:
    """Return FLOPs by dtype. A dtype is left out if one of its three kinds of instructions was not
    counted. All are left out if tensor cores did uncounted work, because the rest would be a small part of
    the work."""
    found: dict[str, float] = {}
    for letter, dtype in _DTYPES.items():
        for unit in ("smsp", "sm"):
            counts = [
                (weight, _count(values, _FLOPS[unit, letter, what], cycles))
                for what, weight in _WEIGHTS.items()
            ]
            if all(count is not None for _, count in counts):
                found[dtype] = sum(weight * (count or 0.0) for weight, count in counts)
                break
    tensor = _tensor(values, cycles)
    return {} if tensor is None else found | tensor


def _tensor(values: Values, cycles: float) -> dict[str, float] | None:
    """Return the FLOPs of tensor cores by dtype; None if they did uncounted work, or work without FLOPs."""
    found: dict[str, float] = {}
    for unit in ("sm", "smsp"):
        by_source = _by_source(values, unit, cycles)
        if by_source is None or any(by_source.values()):
            return by_source
        found = found or by_source
    busy = [name for name, value in values.items() if value > 0 and _TENSOR_PIPE.fullmatch(name)]
    if any(map(_TENSOR_WHOLE_NUMBERS.search, busy)):
        return None
    if _counts_instructions(values):
        counts = [_count(values, f"{unit}__{_TENSOR_INSTRUCTIONS}", cycles) for unit in ("sm", "smsp")]
        count = next((each for each in counts if each is not None), None)
        if count is not None and (count or not busy):
            return found | {_ANY_TENSOR: count * _TENSOR_OPERATIONS}
    return None if busy else found


def _counts_instructions(values: Values) -> bool:
    return _VOLTA <= values.get(_CAPABILITY, 0.0) < _HOPPER


def _by_source(values: Values, unit: str, cycles: float) -> dict[str, float] | None:
    found: dict[str, float] = {}
    matches = [match for name in values if (match := _TENSOR.fullmatch(name)) is not None]
    for counter, source in {
        (match["counter"], match["source"]) for match in matches if match["unit"] == unit
    }:
        count = _count(values, counter, cycles)
        if source in _TENSOR_DTYPES and count is not None:
            dtype = f"{source} {_ANY_TENSOR}"
            found[dtype] = found.get(dtype, 0.0) + count
        elif count is None or count > 0:
            return None
    return found


def _count(values: Values, name: str, cycles: float) -> float | None:
    if name in values:
        return values[name]
    rate = values.get(f"{name}.per_cycle_elapsed")
    return rate * cycles if rate is not None and cycles else None
