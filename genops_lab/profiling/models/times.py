"""Wire types of times, work and peaks. Durations are in microseconds, as in traces; sizes are in bytes."""

from __future__ import annotations

from typing import Literal

import msgspec


class KernelTime(msgspec.Struct, frozen=True, kw_only=True):
    """All launches of one device kernel."""

    name: str
    count: int
    total_us: float
    min_us: float = 0.0
    max_us: float = 0.0
    #: The operator that launched most of it; "" where it is not known.
    operator: str = ""
    kind: Literal["compute", "communication", "copy", "fill"] = "compute"


class OperatorTime(msgspec.Struct, frozen=True, kw_only=True):
    """One operator: ``self_us`` on the CPU without its children, ``device_us`` of the kernels that it
    launched."""

    name: str
    count: int
    self_us: float
    total_us: float
    device_us: float
    kernels: int = 0
    #: From the shapes; 0 where the trace has none.
    flops: float = 0.0
    bytes: float = 0.0


class DeviceTime(msgspec.Struct, frozen=True, kw_only=True):
    """One device of one rank: exact unions of intervals over ``span_us`` (first start to last end)."""

    device: str
    rank: int
    span_us: float
    busy_us: float
    idle_us: float
    compute_us: float
    comm_us: float
    exposed_comm_us: float
    memory_us: float
    kernels: int
    top_kernels: list[KernelTime]
    #: The model as the trace names it; "" where the trace does not.
    model: str = ""


class StreamTime(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of a device."""

    device: str
    rank: int
    stream: str
    busy_us: float
    compute_us: float
    comm_us: float
    memory_us: float
    kernels: int


class StepTime(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the program (``ProfilerStep#n``) on a rank's devices.

    ``start_us`` counts from the trace's first event. The device time of a step is the time of the work that
    the step launched, also where it ran later.
    """

    rank: int
    name: str
    start_us: float
    span_us: float
    busy_us: float
    idle_us: float
    compute_us: float
    comm_us: float
    exposed_comm_us: float
    memory_us: float
    kernels: int
    #: Warm-up steps do not count in the step time: they include one-time work such as allocations, autotuning
    #: and compilation.
    warmup: bool = False


class LaunchTime(msgspec.Struct, frozen=True, kw_only=True):
    """Launches of a device's kernels.

    ``delay`` is the time from the start of the launching call to the start of the kernel. ``queue`` is the
    part of it during which the stream was busy.
    """

    device: str
    rank: int
    launches: int
    call_p50_us: float
    delay_p50_us: float
    delay_p90_us: float
    delay_max_us: float
    queue_p50_us: float
    #: Kernels shorter than the call that launched them.
    shorter_than_call: int


class IdleReason(msgspec.Struct, frozen=True, kw_only=True):
    """Idle time of a device, by the host's activity at that time."""

    code: Literal["dataloader", "synchronization", "copy", "launch", "python", "communication", "other"]
    total_us: float
    count: int


class IdleTime(msgspec.Struct, frozen=True, kw_only=True):
    """The gaps of one device, between its first start and its last end."""

    device: str
    rank: int
    gaps: int
    total_us: float
    p50_us: float
    over_1ms: int
    over_1ms_us: float
    reasons: list[IdleReason]


class CpuTime(msgspec.Struct, frozen=True, kw_only=True):
    """The host: time with any operator running, and without."""

    span_us: float
    busy_us: float
    idle_us: float


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """The peak of a device, from its maker's data sheet (dense)."""

    model: str
    dtype: str
    tflops: float
    gb_per_s: float


class OperatorWork(msgspec.Struct, frozen=True, kw_only=True):
    """An operator of one set of shapes on the roofline.

    ``share`` is the part of the attainable speed that it reached, 0 to 1. Attainable is the smaller of the
    peak, and bandwidth times intensity (Williams, Waterman, Patterson: Roofline, 2009). ``tflops``,
    ``intensity`` and ``share`` are for ``dtype``, the counted dtype that reaches most of its peak; ``flops``
    counts all dtypes.
    """

    name: str
    shapes: str
    dtype: str
    count: int
    device_us: float
    flops: float
    bytes: float
    tflops: float
    gb_per_s: float
    #: FLOPs per byte.
    intensity: float
    share: float
    bound: Literal["compute", "memory", ""]


class Roofline(msgspec.Struct, frozen=True, kw_only=True):
    """The roofline. ``mfu`` is the FLOPs of the steps over their time and the peak, 0 to 1; without steps, of
    the whole trace. None: it is not known.

    Each FLOP counts against the peak of its dtype; ``flops`` are those of the same time.
    """

    peaks: list[Peak]
    flops: float
    mfu: float | None
    #: The part of the device's compute time with known FLOPs.
    covered: float
    operators: list[OperatorWork]
    #: As in the summary's ``price``; None where there is none.
    usd_a_step: float | None = None
    #: What is not known and why, as sentences for users; "" where everything is known.
    missing: str = ""
