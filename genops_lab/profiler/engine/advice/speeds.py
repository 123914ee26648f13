"""What a trace's device can do at most: from the model that the trace names, or from how its kernels are named."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..traces import Trace


class Speed(NamedTuple):
    """Dense peaks of the makers' data sheets, in FLOP/s and bytes/s. ``matrix_fp32``: fp32 operands on matrix
    units with less precision (tf32, xf32); 0 where there is none."""

    model: str
    half: float
    matrix_fp32: float
    fp32: float
    bandwidth: float
    processors: int
    #: The trace does not tell its device: a small data-centre device is meant, so that no fault is made up.
    assumed: bool = False

    def peak(self, bits: int, matrix: bool = True) -> float:
        """FLOP/s for operands of so many bits."""
        if bits <= 8:
            return self.half * 2
        if bits <= 16:
            return self.half
        return max(self.matrix_fp32, self.fp32) if matrix else self.fp32


def _speed(model: str, half: float, tf32: float, fp32: float, gb_per_s: float, processors: int) -> Speed:
    return Speed(model, half * 1e12, tf32 * 1e12, fp32 * 1e12, gb_per_s * 1e9, processors)


# In order: the first whose pattern fits the model's name.
_MODELS: tuple[tuple[str, Speed], ...] = (
    (r"MI355|MI350", _speed("MI355X", 2300, 0, 157, 8000, 256)),
    (r"MI325", _speed("MI325X", 1307, 653, 163, 6000, 304)),
    (r"MI300A", _speed("MI300A", 981, 490, 122, 5300, 228)),
    (r"MI300|MI308", _speed("MI300X", 1307, 653, 163, 5300, 304)),
    (r"MI250|MI210", _speed("MI250", 181, 0, 45, 1600, 104)),
    (r"MI100", _speed("MI100", 185, 0, 46, 1229, 120)),
    (r"B200|GB200", _speed("B200", 2250, 1100, 75, 8000, 148)),
    (r"H200|GH200", _speed("H200", 989, 494, 67, 4800, 132)),
    (r"H100 PCIe", _speed("H100 PCIe", 756, 378, 51, 2000, 114)),
    (r"H20\b", _speed("H20", 148, 74, 44, 4000, 78)),
    (r"H100|H800", _speed("H100", 989, 494, 67, 3350, 132)),
    (r"A100|A800", _speed("A100", 312, 156, 19.5, 1555, 108)),
    (r"A40\b|A6000", _speed("A40", 150, 75, 37, 696, 84)),
    (r"A30\b", _speed("A30", 165, 82, 10.3, 933, 56)),
    (r"A10G?\b", _speed("A10", 125, 62, 31, 600, 72)),
    (r"L40S?", _speed("L40S", 362, 183, 91, 864, 142)),
    (r"\bL4\b", _speed("L4", 121, 60, 30, 300, 58)),
    (r"T4\b", _speed("T4", 65, 0, 8.1, 320, 40)),
    (r"P100", _speed("P100", 19, 0, 9.5, 732, 56)),
    (r"V100", _speed("V100", 125, 0, 15.7, 900, 80)),
    (r"RTX 50[89]0", _speed("RTX 5090", 210, 105, 105, 1792, 170)),
    (r"RTX 40[789]0", _speed("RTX 4090", 165, 83, 83, 1008, 128)),
    (r"RTX 30[789]0", _speed("RTX 3090", 71, 36, 36, 936, 82)),
)
# What kernels' names say of the architecture they were compiled for.
_KERNELS = (
    (r"\baiter|rocm_aiter", "MI300X"),
    (r"_ISA950", "MI355"),
    (r"_ISA942", "MI300X"),
    (r"_ISA90a", "MI250"),
    (r"_ISA908", "MI100"),
    (r"sm100", "B200"),
    (r"sm90|hopper", "H100"),
    (r"sm80|ampere", "A100"),
    (r"volta", "V100"),
)
_GPU_CALL = re.compile(r"(cuda|hip|cu)(Launch|Memcpy|ExtModuleLaunch|ModuleLaunch|DeviceSync)")
_ASSUMED = _speed("", 100, 0, 14, 900, 80)._replace(assumed=True)


def speed_of(trace: Trace, model: str) -> Speed | None:
    """By ``model`` (as the trace names it), else by names of kernels, else a small GPU; None for other accelerators.
    Where the trace has the number of processors, that is taken."""
    columns = trace.columns
    found = _named(model)
    if found is None:
        text = "\n".join(columns.names)
        guess = next((name for pattern, name in _KERNELS if re.search(pattern, text)), "")
        found = _named(guess)
    if found is None:
        is_gpu = any(_GPU_CALL.match(name) for name in columns.names)
        return _ASSUMED if is_gpu else None
    counts: set[int] = {
        each["numSms"]
        for each in columns.device_properties
        if isinstance(each.get("numSms"), int) and each.get("name") == model
    }
    return found._replace(processors=counts.pop()) if len(counts) == 1 else found


def _named(model: str) -> Speed | None:
    return next((speed for pattern, speed in _MODELS if model and re.search(pattern, model)), None)
