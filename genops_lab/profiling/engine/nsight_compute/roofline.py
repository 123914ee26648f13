"""What kernels did, as it was counted, against what their device can do at the clocks of the measurement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from ...models import OperatorWork, Peak, Roofline
from ..efficiency.accelerators import find
from ..efficiency.roofline import MOSTLY, TOLD

if TYPE_CHECKING:
    from .totals import Group

#: A device by its rank and its number; a dtype.
_Peaks = dict[tuple[int, str, str], float]
_DRAM = "dram"


def roofline(groups: Sequence[Group]) -> Roofline | None:
    """None without a group; rows are those whose FLOPs and bytes were counted."""
    if not groups:
        return None
    peaks = _peaks(groups)
    rows = [row for group in groups if (row := _row(group, peaks)) is not None]
    whole = sum(group.us for group in groups)
    covered = sum(row.device_us for row in rows) / whole if whole else 0.0
    return Roofline(
        peaks=_told(groups, peaks, {row.dtype for row in rows if row.flops}),
        flops=sum(row.flops for row in rows),
        mfu=None,
        covered=covered,
        operators=rows[:TOLD],
        missing=_missing(covered),
    )


def _row(group: Group, peaks: _Peaks) -> OperatorWork | None:
    counted, moved, seconds = group.flops(), group.total("dram_bytes"), group.us / 1e6
    if moved is None or not counted or not seconds:
        return None
    dtype = _nearest(group, counted, peaks)
    flops = counted.get(dtype, 0.0)
    tflops, gb_per_s = flops / seconds / 1e12, moved / seconds / 1e9
    intensity = flops / moved if moved else 0.0
    peak = peaks.get((group.rank, group.device, dtype), 0.0)
    bandwidth = peaks.get((group.rank, group.device, _DRAM), 0.0)
    share, bound = _reached(tflops, gb_per_s, intensity, peak, bandwidth)
    return OperatorWork(
        name=group.name,
        shapes=f"{group.grid} × {group.block}" if group.grid else "",
        dtype=dtype,
        count=len(group.launches),
        device_us=group.us,
        flops=sum(counted.values()),
        bytes=moved,
        tflops=tflops,
        gb_per_s=gb_per_s,
        intensity=intensity,
        share=min(share, 1.0),
        bound=bound,
    )


def _nearest(group: Group, counted: dict[str, float], peaks: _Peaks) -> str:
    """Each dtype has units of its own: that which reaches most of its peak. That of most FLOPs where its peak is not
    known, for it might be that one; "" without FLOPs."""
    done = {name: flops for name, flops in counted.items() if flops}
    if not done:
        return ""
    known = {name: peaks.get((group.rank, group.device, name), 0.0) for name in done}
    most = max(done, key=lambda name: done[name])
    if not known[most]:
        return most
    return max((name for name in done if known[name]), key=lambda name: done[name] / known[name])


def _reached(
    tflops: float, gb_per_s: float, intensity: float, peak: float, bandwidth: float
) -> tuple[float, Literal["compute", "memory", ""]]:
    if not bandwidth:
        return 0.0, ""
    if not tflops:
        return gb_per_s / bandwidth, "memory"
    by_memory = bandwidth * intensity / 1000
    if not peak or not by_memory:
        return 0.0, ""
    return tflops / min(peak, by_memory), "compute" if by_memory >= peak else "memory"


def _peaks(groups: Sequence[Group]) -> _Peaks:
    """In TFLOP/s and GB/s: as measured (the mean by time), else as the data sheet has them."""
    measured: dict[tuple[int, str, str], list[tuple[float, float]]] = {}
    found: _Peaks = {}
    for group in groups:
        for launch in group.launches:
            for name, value in launch.figures.items():
                if name.startswith("peak_"):
                    key = (group.rank, group.device, name.removeprefix("peak_"))
                    measured.setdefault(key, []).append((value, launch.us))
        known = find(group.model)
        if known is not None:
            for dtype, tflops in known.tflops.items():
                # What tensor cores do is a dtype of its own here; the data sheet's fp16 is theirs.
                words = dtype if dtype in ("fp32", "fp64") else f"{dtype} tensor"
                found[group.rank, group.device, words] = tflops
            found[group.rank, group.device, _DRAM] = known.gb_per_s
    for key, values in measured.items():
        time = sum(us for _, us in values)
        if time:
            scale = 1e9 if key[2] == _DRAM else 1e12
            found[key] = sum(value * us for value, us in values) / time / scale
    return found


def _told(groups: Sequence[Group], peaks: _Peaks, used: set[str]) -> list[Peak]:
    """Of each model once."""
    told: dict[tuple[str, str], Peak] = {}
    for group in groups:
        bandwidth = peaks.get((group.rank, group.device, _DRAM))
        for dtype in sorted(used):
            peak = peaks.get((group.rank, group.device, dtype))
            if peak and bandwidth:
                told.setdefault(
                    (group.model, dtype),
                    Peak(model=group.model, dtype=dtype, tflops=peak, gb_per_s=bandwidth),
                )
    return list(told.values())


def _missing(covered: float) -> str:
    said = ["Kernels were measured one by one, so the MFU of the program is not known."]
    if covered < MOSTLY:
        said.append(
            f"{100 * (1 - covered):.0f} % of the kernels' time has no counted FLOPs and bytes: measure with"
            " --set full, or with the roofline's sections."
        )
    return " ".join(said)
