"""Convolutions that turn their tensors around."""

from __future__ import annotations

from collections.abc import Iterable

from ...models import Advice
from ..formatting import counted
from ..kinds import Kind
from .context import Context, Stake, milliseconds
from .groups import turn_tensors

SHARE = 0.03


def conv_layout(case: Context) -> Iterable[Advice]:
    """Kernels of the library that change NCHW to NHWC and back, around each convolution. Saving: all their time."""
    columns = case.columns
    device = case.trace.device
    kernels = device[(columns.kind[device] == Kind.COMPUTE) & turn_tensors(columns, device)]
    saving = case.on_one(int(columns.dur[kernels].sum()))
    if case.worth(saving, SHARE):
        yield case.advice(
            "conv_layout",
            "Convolutions transpose their tensors between NCHW and NHWC",
            f"{counted(len(kernels), 'transposing kernel takes', 'transposing kernels take')} "
            f"{milliseconds(saving)} ({case.share(saving)} of the trace).",
            Stake(saving, kernels),
            "Keep model and inputs in channels_last.",
            "model = model.to(memory_format=torch.channels_last)\nx = x.to(memory_format=torch.channels_last)",
        )
