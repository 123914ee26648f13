"""The peaks of devices, by the names that drivers give them (``accelerators.json``) or by their kernels'
names."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..traces import Trace

_DATA = Path(__file__).with_name("accelerators.json")


class Accelerator(msgspec.Struct, frozen=True):
    """A device of a model: dense peaks in TFLOP/s by dtype, memory bandwidth in GB/s, number of SMs or
    CUs."""

    model: str
    names: list[str]
    tflops: dict[str, float]
    gb_per_s: float
    processors: int
    source: str


class _Data(msgspec.Struct):
    devices: list[Accelerator]


@cache
def accelerators() -> list[Accelerator]:
    """Return all known devices."""
    return msgspec.json.decode(_DATA.read_bytes(), type=_Data).devices


def by_model(model: str) -> Accelerator:
    """Return a device by its name in the table. Raises KeyError."""
    return {each.model: each for each in accelerators()}[model]


def find(name: str) -> Accelerator | None:
    """Return a device by a name such as ``NVIDIA H100 80GB HBM3``; None for an unknown name."""
    name = name.strip()
    for each in accelerators():
        if any(re.search(pattern, name) for pattern in each.names):
            return each
    return None


class Speed(NamedTuple):
    """Dense peaks from the makers' data sheets, in FLOP/s and bytes/s. ``matrix_fp32`` is for fp32 operands
    on matrix units with less precision (tf32, xf32); 0 where there are none."""

    model: str
    half: float
    matrix_fp32: float
    fp32: float
    bandwidth: float
    processors: int
    #: The device is not known. A small data-centre device is assumed, so that no false problem is reported.
    assumed: bool = False
    #: The kernel names show only the architecture.
    by_kernels: bool = False

    def peak(self, bits: int) -> float:
        """Return FLOP/s for operands of this many bits."""
        if bits <= 8:
            return self.half * 2
        if bits <= 16:
            return self.half
        return max(self.matrix_fp32, self.fp32)


# Names that are not in the table by themselves. The first matching pattern counts; a family stands for its
# usual member.
_FAMILIES = (
    (r"MI308", "Instinct MI300X"),
    (r"GH200", "GH200"),
    (r"H100|H800", "H100 SXM"),
    (r"A100|A800", "A100 40GB"),
    (r"V100", "V100 SXM2"),
)
# Architectures in the names of compiled kernels.
_KERNELS = (
    (r"\baiter|rocm_aiter", "Instinct MI300X"),
    (r"_ISA950", "Instinct MI355X"),
    (r"_ISA942", "Instinct MI300X"),
    (r"_ISA90a", "Instinct MI250, one of two"),
    (r"_ISA908", "Instinct MI100"),
    (r"sm100", "B200"),
    (r"sm90|hopper", "H100 SXM"),
    (r"sm80|ampere", "A100 40GB"),
    (r"volta", "V100 SXM2"),
)
_GPU_CALL = re.compile(r"(cuda|hip|cu)(Launch|Memcpy|ExtModuleLaunch|ModuleLaunch|DeviceSync)")
_ASSUMED = Speed("", 100e12, 0.0, 14e12, 900e9, 80, assumed=True)


def speed_of(trace: Trace, model: str) -> Speed | None:
    """Return the speed by ``model`` (as the trace names it), else by kernel names, else of a small
    data-centre GPU.

    None for other accelerators. None also for a GPU with an unknown name, because many are slower, unless it
    has as many processors as that small one. The trace's number of processors is used where it has one.
    """
    columns = trace.columns
    counts: set[int] = {
        each["numSms"]
        for each in columns.device_properties
        if isinstance(each.get("numSms"), int) and each.get("name") == model
    }
    processors = counts.pop() if len(counts) == 1 else 0
    found = _named(model)
    if found is None and not model:
        found = _of_family("\n".join(columns.names), _KERNELS)
        found = found and found._replace(by_kernels=True)
    if found is None:
        is_gpu = any(_GPU_CALL.match(name) for name in columns.names)
        return _ASSUMED if is_gpu and (not model or processors >= _ASSUMED.processors) else None
    return found._replace(processors=processors) if processors else found


def raised(speed: Speed, flops: float, bandwidth: float, is_amd: bool) -> Speed:
    """Replace an assumed device by the smallest one that can reach the seen rates (16-bit FLOP/s,
    bytes/s)."""
    larger = (
        ("Instinct MI250, one of two", "Instinct MI300X") if is_amd else ("A100 40GB", "H100 SXM", "B200")
    )
    for each in (speed, *(_speed(by_model(model)) for model in larger)):
        if each.half >= flops and each.bandwidth >= bandwidth:
            return each._replace(assumed=True)
    return speed


def _named(model: str) -> Speed | None:
    found = find(model)
    return _speed(found) if found is not None else _of_family(model, _FAMILIES)


def _of_family(text: str, families: tuple[tuple[str, str], ...]) -> Speed | None:
    return next((_speed(by_model(model)) for pattern, model in families if re.search(pattern, text)), None)


def _speed(of: Accelerator) -> Speed:
    peaks = {dtype: tflops * 1e12 for dtype, tflops in of.tflops.items()}
    half = max(peaks.get("bf16", 0.0), peaks.get("fp16", 0.0))
    return Speed(of.model, half, peaks.get("tf32", 0.0), peaks["fp32"], of.gb_per_s * 1e9, of.processors)
