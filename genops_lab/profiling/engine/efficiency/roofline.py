"""Compare operators with their device's peak: FLOPs and bytes by shapes, roofline, MFU.

Work counts for the innermost operator with a formula around a launch, so that nothing counts twice. MFU is
the time of the FLOPs at the peaks of their dtypes, over the measured time. With one dtype, this is FLOPs over
time and peak (Chowdhery and others: PaLM, 2022), but of the executed work, with recomputation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from ...models import OperatorWork, Peak, Roofline
from ..columns import NOTHING, Bools, Columns, Int32, Int64, present
from ..intervals import Intervals, span, union_length
from ..kinds import Kind
from ..traces import Trace
from .accelerators import Accelerator, find
from .flops import Work, work

#: Most rows, those with most time first, and most names in ``missing``.
MOST_LISTED = 200
NAMED = 3
#: Below this share of compute time with known FLOPs, ``missing`` says so; below it for products, the MFU is
#: not known.
MOSTLY = 0.95

_STEP = re.compile(r"ProfilerStep#\d+")
# An fp32 operator does not show whether its kernel used tf32 tensor cores; the kernel's name does.
_TF32 = re.compile(r"tf32|s1688|tensorop_s1688", re.IGNORECASE)
#: Matrix products, by the names of operators and kernels.
_PRODUCT = re.compile(
    r"conv|(?<!fb)gemm|matmul|(?:^|::|_)(?:add|b|baddb)?mm|linear|attention|attn|fmha|moe|Cijk|cutlass|lstm|gru",
    re.I,
)
_SPACE = re.compile(r"\s+")


class _Key(NamedTuple):
    name: str
    dims: str
    types: str
    dtype: str
    model: str


@dataclass
class _Row:
    count: int = 0
    device: int = 0
    flops: float = 0.0
    bytes: float = 0.0


@dataclass
class _Missing:
    """Missing data, as far as it changes the result."""

    shapes: bool = False
    models: set[str] = field(default_factory=set)
    unnamed: bool = False
    dtypes: set[str] = field(default_factory=set)
    #: Compute time of operators or kernels without known FLOPs.
    without: dict[str, int] = field(default_factory=dict)


class RooflineTally:
    """Work over all added traces. Times are in nanoseconds."""

    def __init__(self) -> None:
        self._rows: dict[_Key, _Row] = {}
        self._accelerators: dict[str, Accelerator] = {}
        self._compute = self._covered = 0
        self._flops = self._ideal = self._available = 0.0
        self._missing = _Missing()
        #: By operator, for the table of operators.
        self.flops: dict[str, float] = {}
        self.bytes: dict[str, float] = {}

    def add(self, trace: Trace) -> None:
        """Count a trace's operators that started device work."""
        columns = trace.columns
        device = np.flatnonzero(columns.kind == Kind.COMPUTE)
        if not len(device):
            return
        shaped = _Shaped.of(columns)
        self._missing.shapes |= not shaped.has_shapes
        self._compute += int(columns.dur[device].sum())
        reached = _reached(trace.owner[device], trace.around, shaped.of_slice)
        instances, place = np.unique(reached, return_inverse=True)
        once = _once(instances, trace.around, shaped)
        steps = _steps(columns)
        inside = _inside(columns, instances, steps)
        accelerator, model = self._device(columns, device)
        tf32 = np.zeros(len(instances), bool)
        tf32[place[columns.named(_TF32)[columns.name[device]]]] = True
        time = np.bincount(place, weights=columns.dur[device], minlength=len(instances)).astype(np.int64)
        counted = (instances != NOTHING) & once
        self._forget(trace, device[~counted[place]])
        self._covered += int(time[counted].sum())
        group = shaped.of_slice[instances[counted]].astype(np.int64) * 2 + tf32[counted]
        calls, spent = np.bincount(group), np.bincount(group, weights=inside[counted])
        times = np.bincount(group, weights=time[counted])
        for number in np.flatnonzero(calls).tolist():
            did = shaped.works[number // 2]
            dtype = "tf32" if did.dtype == "fp32" and number % 2 else did.dtype
            key = _Key(*shaped.names[int(number) // 2], dtype, model)
            self._count(key, did, int(calls[number]), int(times[number]))
            if spent[number] and did.flops:
                self._spend(did.flops * float(spent[number]), dtype, accelerator)
        used = len(
            {
                columns.lanes[lane].device
                for lane in present(len(columns.lanes), columns.lane[device]).tolist()
            }
        )
        everything = np.flatnonzero(columns.kind >= Kind.COMPUTE)
        whole = span(Intervals(columns.ts[everything], columns.ends(everything)))
        length = union_length(steps) if len(steps.start) else whole
        self._available += length * used

    def _device(self, columns: Columns, device: Int64) -> tuple[Accelerator | None, str]:
        names = [str(each.get("name", "")) for each in columns.device_properties]
        key = columns.lanes[int(columns.lane[device[0]])].device
        alike = names[0] if len(set(names)) == 1 else ""
        name = names[int(key)] if key.isdigit() and int(key) < len(names) else alike
        found = find(name)
        if found is None:
            if name:
                self._missing.models.add(name)
            else:
                self._missing.unnamed = True
            return None, name
        self._accelerators[found.model] = found
        return found, found.model

    def _count(self, key: _Key, did: Work, calls: int, time: int) -> None:
        row = self._rows.setdefault(key, _Row())
        row.count += calls
        row.device += time
        row.flops += calls * did.flops
        row.bytes += calls * did.bytes
        self.flops[key.name] = self.flops.get(key.name, 0.0) + calls * did.flops
        self.bytes[key.name] = self.bytes.get(key.name, 0.0) + calls * did.bytes

    def _spend(self, flops: float, dtype: str, accelerator: Accelerator | None) -> None:
        self._flops += flops
        peak = accelerator.tflops.get(dtype) if accelerator else None
        if peak is None:
            if accelerator is not None:
                self._missing.dtypes.add(f"{dtype or 'another dtype'} on {accelerator.model}")
        else:
            # FLOPs over TFLOP/s, in nanoseconds.
            self._ideal += flops / peak / 1000

    def _forget(self, trace: Trace, device: Int64) -> None:
        columns, owner = trace.columns, trace.owner[device]
        label = np.where(owner == NOTHING, columns.name[device], columns.name[owner])
        length = np.bincount(label, weights=columns.dur[device], minlength=len(columns.names))
        for name in present(len(columns.names), label).tolist():
            text = columns.names[name]
            self._missing.without[text] = self._missing.without.get(text, 0) + int(length[name])

    def result(self) -> Roofline | None:
        """Return the roofline; None without compute on a device."""
        if not self._compute:
            return None
        rows = sorted(self._rows.items(), key=lambda item: (-item[1].device, item[0]))
        mfu = None
        lacks_peaks = self._missing.models or self._missing.unnamed or self._missing.dtypes
        if self._ideal and self._available and not lacks_peaks and not self._lacks_products():
            mfu = self._ideal / self._available
        return Roofline(
            peaks=self._peaks(),
            flops=self._flops,
            mfu=mfu,
            covered=self._covered / self._compute,
            operators=[self._as_wire(key, row) for key, row in rows[:MOST_LISTED]],
            missing=self._sentences(),
        )

    def _lacks_products(self) -> bool:
        """Return whether so much time has products without known FLOPs that the MFU would be wrong."""
        products = sum(time for name, time in self._missing.without.items() if _PRODUCT.search(name))
        return products > (1 - MOSTLY) * self._compute

    def _peaks(self) -> list[Peak]:
        used = sorted({(key.model, key.dtype) for key, row in self._rows.items() if row.flops})
        return [
            Peak(model=model, dtype=dtype, tflops=known.tflops[dtype], gb_per_s=known.gb_per_s)
            for model, dtype in used
            if (known := self._accelerators.get(model)) is not None and dtype in known.tflops
        ]

    def _as_wire(self, key: _Key, row: _Row) -> OperatorWork:
        known = self._accelerators.get(key.model)
        return worked(
            key.name,
            _SPACE.sub("", key.dims).replace(",", ", "),
            key.dtype,
            row.count,
            row.device / 1000,
            row.flops,
            row.bytes,
            seconds=row.device / 1e9,
            peak=known.tflops.get(key.dtype, 0.0) if known is not None else 0.0,
            bandwidth=known.gb_per_s if known is not None else 0.0,
        )

    def _sentences(self) -> str:
        said: list[str] = []
        missing = self._missing
        if missing.shapes:
            said.append(
                "The trace has no operator shapes (record_shapes=True), so their FLOPs are not known."
            )
        if missing.unnamed:
            said.append("The trace does not name its device, so its peaks are not known.")
        if missing.models:
            said.append(f"The peaks of {', '.join(sorted(missing.models))} are not known.")
        if missing.dtypes:
            said.append(f"No data sheet gives the peak for {', '.join(sorted(missing.dtypes))}.")
        if not missing.shapes and self._covered < MOSTLY * self._compute:
            ranking = sorted(missing.without.items(), key=lambda item: (-item[1], item[0]))
            part = 100 * (1 - self._covered / self._compute)
            most = ", ".join(name for name, _ in ranking[:NAMED])
            said.append(f"{part:.0f} % of the compute time has no known FLOPs or bytes (most: {most}).")
        if not missing.shapes and self._lacks_products():
            said.append("They include matrix products, so the MFU is not known.")
        return " ".join(said)


def worked(
    name: str,
    shapes: str,
    dtype: str,
    count: int,
    device_us: float,
    flops: float,
    moved: float,
    *,
    seconds: float,
    peak: float,
    bandwidth: float,
) -> OperatorWork:
    """Return an operator on the roofline. ``peak`` (TFLOP/s of ``dtype``) and ``bandwidth`` (GB/s) are 0
    where they are not known."""
    tflops = flops / seconds / 1e12 if seconds else 0.0
    gb_per_s = moved / seconds / 1e9 if seconds else 0.0
    intensity = flops / moved if moved else 0.0
    by_memory = bandwidth * intensity / 1000
    share = 0.0
    bound: Literal["compute", "memory", ""] = ""
    if bandwidth and not flops:
        share, bound = gb_per_s / bandwidth, "memory"
    elif peak and by_memory:
        share, bound = tflops / min(peak, by_memory), "compute" if by_memory >= peak else "memory"
    return OperatorWork(
        name=name,
        shapes=shapes,
        dtype=dtype,
        count=count,
        device_us=device_us,
        flops=flops,
        bytes=moved,
        tflops=tflops,
        gb_per_s=gb_per_s,
        intensity=intensity,
        # Data in a cache moves faster than memory allows.
        share=min(share, 1.0),
        bound=bound,
    )


@dataclass
class _Shaped:
    """Operators with known work. ``of_slice`` is a position in ``works`` for each slice, NOTHING without
    one."""

    of_slice: Int32
    works: list[Work]
    names: list[tuple[str, str, str]]
    #: Whether the trace has any shapes.
    has_shapes: bool = False

    @staticmethod
    def of(columns: Columns) -> _Shaped:
        of_slice = np.full(len(columns), NOTHING, np.int32)
        dims = columns.sparse.get("dims")
        shaped = _Shaped(of_slice, [], [])
        if dims is None or not len(dims):
            return shaped
        shaped.has_shapes = True
        index = dims.index[columns.kind[dims.index] == Kind.OPERATOR]
        code, parts = columns.name[index].astype(np.int64), []
        for column in ("dims", "types", "concrete"):
            text = columns.values(column, index)
            parts.append(text)
            code = np.unique(code * (len(columns.texts) + 1) + text + 1, return_inverse=True)[1]
        _, first, place = np.unique(code, return_index=True, return_inverse=True)
        numbers = np.full(len(first), NOTHING, np.int32)
        for number, at in enumerate(first.tolist()):
            name = columns.names[columns.name[index[at]]]
            texts = [columns.texts[part[at]] if part[at] != NOTHING else "" for part in parts]
            did = work(name, *texts)
            if did is not None:
                numbers[number] = len(shaped.works)
                shaped.works.append(did)
                shaped.names.append((name, texts[0], texts[1]))
        of_slice[index] = numbers[place]
        return shaped


def _reached(owner: Int32, around: Int32, of_slice: Int32) -> Int32:
    """Return, from each owner outwards, the first operator with known work."""
    at: Int32 = owner.copy()
    while len(on := np.flatnonzero((at != NOTHING) & (of_slice[at] == NOTHING))):
        at[on] = around[at[on]]
    return at


def _once(instances: Int32, around: Int32, shaped: _Shaped) -> Bools:
    """Return False for operators with FLOPs that contain others with FLOPs, which count instead."""
    flops = np.array([did.flops > 0 for did in shaped.works], bool)
    counts = np.zeros(len(instances), bool)
    known = instances != NOTHING
    counts[known] = flops[shaped.of_slice[instances[known]]]
    outer: list[Int32] = []
    at = around[instances[counts]]
    while len(at := np.unique(at[at != NOTHING])):
        outer.append(at)
        at = around[at]
    if not outer:
        return np.ones(len(instances), bool)
    return ~(counts & np.isin(instances, np.concatenate(outer)))


def _steps(columns: Columns) -> Intervals:
    members = np.flatnonzero(columns.kind == Kind.ANNOTATION)
    members = members[columns.named(_STEP)[columns.name[members]]]
    return Intervals(columns.ts[members], columns.ends(members))


def _inside(columns: Columns, instances: Int32, steps: Intervals) -> Bools:
    """Return which slices begin within a step; all where there are no steps."""
    if not len(steps.start):
        return np.ones(len(instances), bool)
    at = columns.ts[instances]
    begun = np.searchsorted(np.sort(steps.start), at, side="right")
    ended = np.searchsorted(np.sort(steps.end), at, side="right")
    inside: Bools = begun > ended
    return inside
