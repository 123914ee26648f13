"""fp32 by the names of kernels, where the trace has no shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from ...models import Advice
from ..formatting import counted
from ..kinds import Kind
from .causes import CAUSES
from .context import Context, Stake, milliseconds

_FP32 = re.compile(r"sgemm|scudnn|Cijk_\w*_SB_|gemmSN_|gemv2|f32f32_f32f32|convolve_sgemm", re.IGNORECASE)
_LESS = re.compile(r"tf32|xf32|_h16|half|bf16|bfloat16|fp16", re.IGNORECASE)
SHARE = 0.05


def fp32_kernels(case: Context) -> Iterable[Advice]:
    """Matrix kernels that compute in fp32. Silent where shapes tell: they say more.

    Saving: their time, less the part that is left when the arithmetic runs at the peak of 16 bits.
    """
    if case.speed is None or any(each.work.matrices for each in case.groups):
        return
    columns = case.columns
    fits = np.array([bool(_FP32.search(name)) and not _LESS.search(name) for name in columns.names], bool)
    device = case.trace.device
    kernels = device[(columns.kind[device] == Kind.COMPUTE) & fits[columns.name[device]]]
    total = case.on_one(int(columns.dur[kernels].sum()))
    saving = int(total * max(0.0, 1 - case.speed.fp32 / case.speed.half))
    if case.worth(saving, SHARE):
        cause = CAUSES["fp32_math"]
        yield case.advice(
            "fp32_math",
            cause.title,
            f"{counted(len(kernels), 'matrix kernel in fp32 takes', 'matrix kernels in fp32 take')} "
            f"{milliseconds(total)} ({case.share(total)} of the trace);"
            f" the device has {case.speed.half / case.speed.fp32:.0f} times the speed in 16 bits. The trace has no"
            f" shapes{' (record_shapes)' if case.uses_torch else ''}, so what memory allows is not in this.",
            Stake(saving, kernels),
            cause.suggestion,
            cause.code_hint,
        )
