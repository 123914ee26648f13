"""A summary with every part, as a trace of a small training on two ranks would give it."""

from __future__ import annotations

from genops_lab.profiling.models import (
    Advice,
    Attribution,
    CpuTime,
    DeviceTime,
    IdleReason,
    IdleTime,
    KernelTime,
    LineTime,
    OperatorTime,
    OperatorWork,
    Peak,
    Place,
    ProfileSummary,
    Roofline,
    StepPrice,
    StepTime,
    Unattributed,
)

CELL_ID = "4f6c2a90-train"
CELL = """\
for batch, target in loader:
    batch = batch.to("cuda")
    loss = loss_of(model(batch), target)
    loss.backward()
    optimizer.step()
    total += loss.item()
"""
NOTEBOOK = "training.ipynb"


def notebook() -> dict[str, object]:
    """A notebook whose only cell is the one of the summary."""
    cell = {
        "cell_type": "code",
        "id": CELL_ID,
        "metadata": {},
        "source": CELL,
        "outputs": [],
        "execution_count": None,
    }
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _line(number: int, device: float, backward: float, cpu: float, kernels: int, *operators: str) -> LineTime:
    text = CELL.splitlines()[number - 1]
    place = Place(file=NOTEBOOK, line=number, function="<module>", cell=CELL_ID, text=text)
    return LineTime(
        place=place,
        device_us=device,
        backward_us=backward,
        cpu_us=cpu,
        kernels=kernels,
        operators=list(operators),
    )


def _device(rank: int, compute: float, exposed: float) -> DeviceTime:
    busy = compute + exposed + 40_000
    return DeviceTime(
        device=str(rank),
        rank=rank,
        span_us=1_000_000,
        busy_us=busy,
        idle_us=1_000_000 - busy,
        compute_us=compute,
        comm_us=exposed + 60_000,
        exposed_comm_us=exposed,
        memory_us=40_000,
        kernels=5120,
        top_kernels=[KernelTime(name="sgemm_128x64_nn", count=320, total_us=compute / 2)],
        model="NVIDIA H100 80GB HBM3",
    )


def _idle(device: DeviceTime) -> IdleTime:
    reasons = [
        IdleReason(code="dataloader", total_us=device.idle_us * 0.6, count=12),
        IdleReason(code="synchronization", total_us=device.idle_us * 0.3, count=64),
    ]
    return IdleTime(
        device=device.device,
        rank=device.rank,
        gaps=900,
        total_us=device.idle_us,
        p50_us=12,
        over_1ms=40,
        over_1ms_us=device.idle_us * 0.8,
        reasons=reasons,
    )


def _step(number: int, span: float) -> StepTime:
    return StepTime(
        rank=0,
        name=f"ProfilerStep#{number}",
        start_us=number * 90_000,
        span_us=span,
        busy_us=span * 0.6,
        idle_us=span * 0.4,
        compute_us=span * 0.5,
        comm_us=span * 0.1,
        exposed_comm_us=span * 0.07,
        memory_us=span * 0.03,
        kernels=512,
        warmup=number == 0,
    )


def whole_summary() -> ProfileSummary:
    """Every part filled, damage too."""
    devices = [_device(0, 420_000, 160_000), _device(1, 520_000, 60_000)]
    last = Place(file=NOTEBOOK, line=6, function="<module>", cell=CELL_ID, text=CELL.splitlines()[5])
    return ProfileSummary(
        events=216_092,
        ranks=[0, 1],
        devices=devices,
        cpu=CpuTime(span_us=2_000_000, busy_us=1_100_000, idle_us=900_000),
        operators=[
            OperatorTime(
                name="aten::mm", count=640, self_us=40_000, total_us=42_000, device_us=470_000, kernels=640,
                flops=6.4e13, bytes=2.1e10,
            ),
            OperatorTime(name="aten::add_", count=4000, self_us=60_000, total_us=60_000, device_us=90_000),
            OperatorTime(name="aten::copy_", count=64, self_us=9_000, total_us=9_000, device_us=80_000),
        ],
        kernels=[
            KernelTime(
                name="sgemm_128x64_nn", count=320, total_us=300_000, min_us=800, max_us=1100, operator="aten::mm"
            ),
            KernelTime(
                name="sgemm_64x64_tn", count=320, total_us=170_000, min_us=400, max_us=700, operator="aten::mm"
            ),
            KernelTime(
                name="vectorized_elementwise_kernel", count=4000, total_us=90_000, min_us=2, max_us=41,
                operator="aten::add_",
            ),
            KernelTime(
                name="ncclDevKernel_AllReduce_Sum_f32", count=80, total_us=220_000, min_us=900, max_us=9000,
                kind="communication",
            ),
        ],
        steps=[_step(number, 180_000 if number == 0 else 88_000 + number * 500) for number in range(8)],
        idle=[_idle(device) for device in devices],
        attribution=Attribution(
            by="markers",
            device_us=1_080_000,
            attributed_us=1_010_000,
            forward_us=400_000,
            forward_attributed_us=392_000,
            lines=[
                _line(2, 80_000, 0, 9_000, 64, "aten::copy_"),
                _line(3, 700_000, 390_000, 120_000, 2400, "aten::mm", "aten::add_"),
                _line(5, 200_000, 0, 90_000, 2000, "aten::add_"),
                _line(6, 30_000, 0, 380_000, 64, "aten::copy_"),
            ],
            unattributed=[Unattributed(name="ncclDevKernel_AllReduce_Sum_f32", device_us=70_000)],
        ),
        roofline=Roofline(
            peaks=[Peak(model="H100 SXM", dtype="fp32", tflops=67.0, gb_per_s=3350.0)],
            flops=6.4e13,
            mfu=0.31,
            covered=0.92,
            operators=[
                OperatorWork(
                    name="aten::mm", shapes="[4096, 4096] [4096, 4096]", dtype="fp32", count=320,
                    device_us=300_000, flops=4.4e13, bytes=1.4e10, tflops=146.0, gb_per_s=47.0, intensity=3140.0,
                    share=0.62, bound="compute",
                ),
                OperatorWork(
                    name="aten::mm", shapes="[1001, 4096] [4096, 1001]", dtype="fp32", count=320,
                    device_us=170_000, flops=2.0e13, bytes=7e9, tflops=117.0, gb_per_s=41.0, intensity=2850.0,
                    share=0.35, bound="compute",
                ),
            ],
            usd_a_step=0.000112,
        ),
        price=StepPrice(usd_per_hour=2.5, target="gpu1", usd_a_step=0.000112),
        advice=[
            Advice(
                code="sync_item",
                severity="medium",
                title="The host waits for the device in each step",
                evidence="aten::item waits 64 times for the device, 114 ms in all.",
                saving_us=114_000,
                suggestion="Add up on the device, and read once at the end.",
                code_hint="total += loss.detach()  # and total.item() after the loop",
                places=[last],
                rank=0,
            ),
            Advice(
                code="dataloader_bound",
                severity="high",
                title="The device waits for data",
                evidence="228 ms of idle time lie in calls of the DataLoader.",
                saving_us=228_000,
                suggestion="Load in several processes.",
                code_hint="DataLoader(data, num_workers=4, pin_memory=True)",
                rank=0,
            ),
        ],
        damaged="The file ends in the middle of an event; what stands before is read.",
    )  # fmt: skip
