"""Convert between Arrow arrays and those of Python and numpy without pandas.

``pa.array``, ``pa.scalar``, ``to_numpy`` and functions of ``pyarrow.compute`` with a Python value import pandas
(0.12 s, 40 MB).
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def strings(texts: Sequence[str]) -> pa.StringArray:
    """Return an array of texts of less than 2 GB in total."""
    content = "".join(texts).encode("utf-8", "replace")
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    if int(lengths.sum()) != len(content):  # some are not ASCII
        lengths = np.fromiter((len(text.encode("utf-8", "replace")) for text in texts), np.int64, len(texts))
    offsets = np.zeros(len(texts) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(content))


def scalar(text: str) -> pa.StringScalar:
    """Return a text as a scalar for ``pyarrow.compute``."""
    return strings([text])[0]


def places(rows: npt.NDArray[Any]) -> pa.Int64Array:
    """Return indices for :meth:`pyarrow.Array.take`."""
    return pa.Array.from_buffers(
        pa.int64(), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows, np.int64))]
    )


def integers(array: pa.Array) -> npt.NDArray[Any]:
    """Return the values of an integer array without nulls, shape (length,), without a copy."""
    kind = np.dtype(str(array.type))
    content = np.frombuffer(array.buffers()[1], kind) if len(array) else np.empty(0, kind)
    return content[array.offset : array.offset + len(array)]


def booleans(array: pa.BooleanArray) -> npt.NDArray[np.bool_]:
    """Return the values of a boolean array without nulls, shape (length,), as a copy."""
    return _bits(array.buffers()[1], array) if len(array) else np.zeros(0, np.bool_)


def floats(array: pa.DoubleArray) -> npt.NDArray[np.float64]:
    """Return the values, shape (length,), as a copy with NaN for nulls."""
    if not len(array):
        return np.zeros(0)
    valid, content = array.buffers()
    values: npt.NDArray[np.float64] = np.frombuffer(content, np.float64, len(array), array.offset * 8).copy()
    if valid is not None:
        values[~_bits(valid, array)] = np.nan
    return values


def _bits(buffer: pa.Buffer, array: pa.Array) -> npt.NDArray[np.bool_]:
    packed = np.frombuffer(buffer, np.uint8)
    bits = np.unpackbits(packed, count=array.offset + len(array), bitorder="little")
    return bits[array.offset :].view(np.bool_)


def give_memory_back() -> None:
    """Return memory that allocators keep to the system: after a full read as much as the columns use."""
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)
