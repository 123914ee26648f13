"""The summary of a measurement by Nsight Compute: kernels of a training, with figures of real reports."""

from __future__ import annotations

from genops_lab.profiling.models import (
    Advice,
    CpuTime,
    DeviceTime,
    KernelRule,
    KernelTime,
    MeasuredKernel,
    Measurement,
    OperatorWork,
    Peak,
    Place,
    ProfileSummary,
    Roofline,
    Stall,
)

from .profile_summaries import CELL, CELL_ID, NOTEBOOK

DEVICE = "0"


def _place(line: int) -> Place:
    text = CELL.splitlines()[line - 1]
    return Place(file=NOTEBOOK, line=line, function="<module>", cell=CELL_ID, text=text)


def _stalls(**cycles: float) -> list[Stall]:
    whole = sum(cycles.values())
    return [
        Stall(reason=reason, cycles=value, pct=100 * value / whole)
        for reason, value in sorted(cycles.items(), key=lambda each: -each[1])
    ]


def _advised(identifier: str, title: str, text: str, gain: float, of: str = "kernel") -> KernelRule:
    return KernelRule(
        identifier=identifier,
        title=title,
        text=text,
        kind="optimization",
        section="MemoryWorkloadAnalysis_Tables",
        speedup_pct=gain,
        of="kernel" if of == "kernel" else "part",
    )


def kernels() -> list[MeasuredKernel]:
    """One bound by each, and one of which little is known; the longest first."""
    remark = KernelRule(
        identifier="CPIStall",
        title="Warp Stall",
        text="Where warps stall is sampled by line of the source.",
        kind="info",
        section="WarpStateStats",
    )
    transpose = MeasuredKernel(
        name="transposeCoalesced(float *, float *, int, int)",
        device=DEVICE,
        rank=0,
        grid="[256, 256, 1]",
        block="[32, 8, 1]",
        count=2,
        total_us=2841.7,
        longest=1,
        longest_us=1421.0,
        compute_pct=22.60,
        memory_pct=90.23,
        dram_pct=61.92,
        l1_pct=90.48,
        l2_pct=26.61,
        l1_hit_pct=0.0,
        l2_hit_pct=50.04,
        occupancy_pct=93.89,
        theoretical_occupancy_pct=100.0,
        occupancy_limit="warps",
        registers=24,
        shared_memory_bytes=4096,
        waves=195.05,
        flops=0.0,
        dram_bytes=534_398_464.0,
        gb_per_s=376.1,
        bound="memory",
        stalls=_stalls(
            mio_throttle=83.75, long_scoreboard=23.14, barrier=22.20, short_scoreboard=13.35, drain=6.70,
            lg_throttle=3.14, wait=2.47, not_selected=2.03, selected=1.0,
        ),
        rules=[
            remark,
            _advised(
                "UncoalescedSharedAccess", "Uncoalesced Shared Accesses",
                "93 % of the wavefronts of shared memory are more than are needed. See"
                " https://docs.nvidia.com/cuda/cuda-c-best-practices-guide/index.html#shared-memory.",
                93.68,
            ),
            _advised(
                "SharedMemoryConflicts", "Shared Load Bank Conflicts",
                "Loads from shared memory have a 32-way bank conflict on average. <b>Not bold</b>, and"
                " https://docs.nvidia.com.example.org/x is no link.",
                87.21,
            ),
            _advised("HighPipeUtilization", "Very High Utilization", "The pipe LSU is at its end.", 96.22, "part"),
        ],
        place=_place(2),
    )  # fmt: skip
    sobel = MeasuredKernel(
        name="void Sobel<double>(uchar4 *, uchar4 *, int, int)",
        device=DEVICE,
        rank=0,
        grid="[64, 64, 1]",
        block="[16, 16, 1]",
        count=1,
        total_us=628.03,
        longest=2,
        longest_us=628.03,
        compute_pct=85.25,
        memory_pct=1.97,
        dram_pct=1.11,
        l1_pct=2.0,
        l2_pct=1.1,
        l1_hit_pct=81.32,
        l2_hit_pct=57.64,
        occupancy_pct=62.1,
        theoretical_occupancy_pct=66.7,
        occupancy_limit="registers",
        registers=84,
        shared_memory_bytes=0,
        waves=12.19,
        flops=7.8e7,
        dram_bytes=4_231_808.0,
        tflops=0.124,
        gb_per_s=6.74,
        bound="compute",
        stalls=_stalls(tex_throttle=207.08, short_scoreboard=64.01, not_selected=2.96, wait=2.16, selected=1.0),
        rules=[
            _advised(
                "SOLFPRoofline", "Roofline Analysis",
                "fp64 has a 64th of the speed of fp32 here, and this kernel is at 53 % of it.",
                80.72,
            ),
            _advised("FPInstructions", "FP64 Non-Fused Instructions", "Multiply and add could be fused.", 18.39),
        ],
        place=_place(3),
    )  # fmt: skip
    small = MeasuredKernel(
        name="triton_poi_fused_add_relu_0",
        device=DEVICE,
        rank=0,
        grid="[40, 1, 1]",
        block="[128, 1, 1]",
        count=64,
        total_us=201.6,
        longest=17,
        longest_us=3.4,
        compute_pct=6.4,
        memory_pct=21.7,
        dram_pct=21.7,
        l1_pct=9.1,
        l2_pct=14.9,
        l1_hit_pct=12.5,
        l2_hit_pct=41.0,
        occupancy_pct=8.3,
        theoretical_occupancy_pct=50.0,
        occupancy_limit="shared memory",
        registers=32,
        shared_memory_bytes=49_152,
        waves=0.36,
        bound="latency",
        stalls=_stalls(long_scoreboard=31.2, imc_miss=6.1, wait=2.1, no_instruction=1.9, selected=1.0),
        rules=[
            _advised("LaunchConfiguration", "Small Grid", "The grid fills a third of the device.", 64.3),
        ],
        place=_place(5),
    )
    bare = MeasuredKernel(
        name="vectorized_elementwise_kernel", device=DEVICE, rank=0, grid="[4096, 1, 1]", block="[256, 1, 1]",
        count=1, total_us=89.86, longest=70, longest_us=89.86, compute_pct=70.2, memory_pct=68.4,
        bound="balanced",
    )  # fmt: skip
    return [transpose, sobel, small, bare]


def measured_summary() -> ProfileSummary:
    """A whole one, as the engine makes it of a report: the device is never idle, for nothing is known of gaps."""
    found = kernels()
    total = sum(kernel.total_us for kernel in found)
    device = DeviceTime(
        device=DEVICE, rank=0, span_us=total, busy_us=total, idle_us=0, compute_us=total, comm_us=0,
        exposed_comm_us=0, memory_us=0, kernels=68,
        top_kernels=[KernelTime(name=each.name, count=each.count, total_us=each.total_us) for each in found],
        model="NVIDIA RTX A4500",
    )  # fmt: skip
    return ProfileSummary(
        events=68,
        ranks=[0],
        devices=[device],
        cpu=CpuTime(span_us=0, busy_us=0, idle_us=0),
        operators=[],
        kernels=device.top_kernels,
        advice=[
            Advice(
                code="ncu_uncoalesced_shared_access",
                severity="high",
                title="Uncoalesced Shared Accesses",
                evidence="2 launches of transposeCoalesced: 93.7 % of 2.84 ms.",
                saving_us=2662.0,
                suggestion="Let the threads of a warp use different banks.",
                places=[_place(2)],
                rank=0,
            )
        ],
        roofline=Roofline(
            peaks=[Peak(model="NVIDIA RTX A4500", dtype="fp64", tflops=0.24, gb_per_s=607.0)],
            flops=7.8e7,
            mfu=None,
            covered=0.17,
            operators=[
                OperatorWork(
                    name="void Sobel<double>", shapes="", dtype="fp64", count=1, device_us=628.03, flops=7.8e7,
                    bytes=4_231_808, tflops=0.124, gb_per_s=6.74, intensity=18.4, share=0.53, bound="compute",
                )
            ],
        ),
        measured=Measurement(
            kernels=found,
            launches=68,
            total_us=total,
            note="Clocks were locked to the base frequency and caches emptied before each pass; each kernel was run"
            " 42 times, one after the other, so times between kernels mean nothing.",
        ),
    )  # fmt: skip
