"""Convolutions that turn their tensors around."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from ...models import Advice
from ..kinds import Kind
from .case import Case, Stake, milliseconds

_TRANSPOSES = re.compile(
    r"nchwTo?Nhwc|nhwcTo?Nchw|nchw2nhwc|nhwc2nchw|batched_transpose|transpose_(NCHW|NHWC)", re.IGNORECASE
)
SHARE = 0.03


def conv_layout(case: Case) -> Iterable[Advice]:
    """Kernels of the library that change NCHW to NHWC and back, around each convolution. Saving: all their time."""
    columns = case.columns
    fits = np.array([_TRANSPOSES.search(name) is not None for name in columns.names], bool)
    device = case.trace.device
    kernels = device[(columns.kind[device] == Kind.COMPUTE) & fits[columns.name[device]]]
    saving = int(columns.dur[kernels].sum())
    if case.worth(saving, SHARE):
        yield case.advice(
            "conv_layout",
            "Convolutions transpose their tensors between NCHW and NHWC",
            f"{len(kernels):,} transposing kernels take {milliseconds(saving)} ({case.share(saving)} of the trace).",
            Stake(saving, kernels),
            "Keep model and inputs in channels_last.",
            "model = model.to(memory_format=torch.channels_last)\nx = x.to(memory_format=torch.channels_last)",
        )
