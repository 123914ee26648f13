"""Keep embeddings as texts, and compare them. Pure Python: a process that asks needs no numpy."""

from __future__ import annotations

import math
from array import array
from base64 import b64decode, b64encode
from collections.abc import Sequence
from operator import mul


def as_text(vector: Sequence[float]) -> str:
    """Return an embedding as base64 of 32-bit numbers. Raises ValueError for none, and for NaN or infinite numbers."""
    numbers = array("f", vector)
    if not numbers or not all(map(math.isfinite, numbers)):
        raise ValueError("an embedding must have finite numbers")
    return b64encode(numbers.tobytes()).decode()


def from_text(text: str) -> list[float]:
    """Return the numbers of an embedding.

    >>> from_text(as_text([1.0, -2.0]))
    [1.0, -2.0]
    """
    return array("f", b64decode(text, validate=True)).tolist()


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the cosine of two embeddings. Raises ValueError if their sizes differ, or if one is zero.

    >>> cosine([1.0, 0.0], [1.0, 1.0])
    0.7071067811865475
    """
    if len(one) != len(other):
        raise ValueError(f"the embeddings have {len(one)} and {len(other)} numbers")
    length = math.sqrt(sum(map(mul, one, one))) * math.sqrt(sum(map(mul, other, other)))
    if not length:
        raise ValueError("an embedding is zero")
    return float(sum(map(mul, one, other)) / length)
