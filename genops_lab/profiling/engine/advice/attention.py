"""Attention: fused and slow, or not fused at all."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from ...models import Advice
from .causes import CAUSES
from .context import Context, Stake, milliseconds
from .groups import Group

UNFUSED = "attention_unfused"
_SOFTMAX = re.compile(r"softmax", re.IGNORECASE)
#: Below this length the scores are small and nothing is to be gained.
LONG_SEQUENCE = 128
#: What the scores cost when a fused kernel keeps them on the chip: its products alone, at the speed that good
#: fused kernels reach (0.35 of the peak on every maker's hardware, FlashAttention-2, Dao 2023).
FUSED_SPEED = 0.35


def attention_cause(group: Group, share: float, slow: float) -> str:
    """ "" when it is neither. The mathematical path of ``scaled_dot_product_attention`` runs a softmax of its own."""
    if any(_SOFTMAX.search(name) and "attn" not in name.lower() for name in group.kernels):
        return UNFUSED
    return "attention_low_efficiency" if share < slow else ""


def unfused_parts(case: Context) -> list[tuple[Group, list[Group]]]:
    """Each softmax over scores with the products before and after it.

    Recognised by shapes: the softmax's last two dimensions are those of the result of one product and of the
    first operand of another.
    """
    products = [each for each in case.groups if each.work.family == "matmul"]
    found = []
    for softmax in case.groups:
        dims = softmax.call.dims[0] if softmax.call.dims else []
        if "softmax" not in softmax.call.name or len(dims) < 3 or min(dims[-2:]) < LONG_SEQUENCE:
            continue
        scores = [each for each in products if _result(each) == dims[-2:]]
        values = [each for each in products if _left(each)[-2:] == dims[-2:]]
        if scores and values:
            found.append((softmax, [*scores, *(each for each in values if each not in scores)]))
    return found


def unfused_attention(case: Context) -> Iterable[Advice]:
    """Attention as operators of their own. Saving: all its time, less a fused kernel's for the same products."""
    found = unfused_parts(case)
    if not found or case.speed is None:
        return
    groups = {id(each): each for softmax, products in found for each in (softmax, *products)}
    spent = sum(each.device_ns for each in groups.values())
    flops = sum(each.work.flops * each.count for each in groups.values() if each.work.family == "matmul")
    saving = case.on_one(int(max(0.0, spent - 1e9 * flops / (case.speed.half * FUSED_SPEED))))
    total = case.on_one(spent)
    if not case.worth(saving):
        return
    cause, softmax = (
        CAUSES[UNFUSED],
        max((each for each, _products in found), key=lambda each: each.device_ns),
    )
    scores = softmax.call.dims[0]
    yield case.advice(
        UNFUSED,
        cause.title,
        f"Products, softmax and products again take {milliseconds(total)} of device time ({case.share(total)} of"
        f" the trace); {softmax.count} times scores of {scores} ({softmax.call.size(0) / 1e6:.0f} MB) are written"
        " and read, which a fused kernel keeps on the chip.",
        Stake(saving, np.concatenate([each.slices for each in groups.values()])),
        cause.suggestion,
        cause.code_hint,
    )


def _result(group: Group) -> list[int]:
    found = group.work.matrices
    return [found.rows, found.columns] if found else []


def _left(group: Group) -> list[int]:
    dims = group.call.dims
    return dims[1] if group.call.name in ("aten::baddbmm", "aten::addmm") and len(dims) > 1 else dims[0]
