"""Parse the names of NVTX ranges: those that PyTorch made of its operators, and others."""

from __future__ import annotations

import re
from typing import NamedTuple

#: Format of the ranges of ``torch.autograd.profiler.emit_nvtx``.
_OPERATOR = re.compile(
    r"(?P<name>.*?)(?:, (?:stashed )?seq = (?P<sequence>\d+))?(?:, op_id = (?P<id>\d+))?"
    r"(?:, sizes = (?P<dims>\[.*?\]))?(?:, input_op_ids = .*)?",
    re.DOTALL,
)


class Operator(NamedTuple):
    """An operator. ``sequence`` is autograd's number, None without one; ``dims`` is JSON, "" where it is
    missing."""

    name: str
    sequence: int | None
    dims: str


def operator_of(range_name: str) -> Operator | None:
    """Return the operator of a range; None for any other range."""
    found = _OPERATOR.fullmatch(range_name)
    if found is None or not (found["id"] or found["sequence"]):
        return None
    sequence = int(found["sequence"][:18]) if found["sequence"] else None
    return Operator(found["name"], sequence, found["dims"] or "")
