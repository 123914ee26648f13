"""Read the header of a safetensors file: names, types and shapes of its tensors.

The file is an 8-byte length, a JSON header of that length, and the bytes of the tensors. The safetensors library maps
the whole file; this reader reads only the header, and refuses what the library would refuse.
"""

from __future__ import annotations

from typing import Any

from .judged import Header, Judged, data
from .source import Damaged, Source, TooLarge
from .texts import parse_json

FORMAT = "safetensors"
#: The library's own bound.
LIBRARY_MAX_HEADER = 100_000_000
MAX_HEADER_BYTES = 8_000_000
MAX_SIZE = 1 << 62

#: Bits of a value, and the name that people use for the type.
DTYPES: dict[str, tuple[int, str]] = {
    "F64": (64, "fp64"),
    "F32": (32, "fp32"),
    "F16": (16, "fp16"),
    "BF16": (16, "bf16"),
    "F8_E4M3": (8, "fp8"),
    "F8_E5M2": (8, "fp8"),
    "F8_E8M0": (8, "fp8"),
    "F8_E4M3FNUZ": (8, "fp8"),
    "F8_E5M2FNUZ": (8, "fp8"),
    "F6_E2M3": (6, "fp6"),
    "F6_E3M2": (6, "fp6"),
    "F4": (4, "fp4"),
    "C64": (64, "complex64"),
    "I64": (64, "int64"),
    "I32": (32, "int32"),
    "I16": (16, "int16"),
    "I8": (8, "int8"),
    "U64": (64, "uint64"),
    "U32": (32, "uint32"),
    "U16": (16, "uint16"),
    "U8": (8, "uint8"),
    "BOOL": (8, "bool"),
}


def is_safetensors(head: bytes, size: int) -> bool:
    """Return whether a file begins like safetensors: a length, then a JSON object."""
    return (
        len(head) > 8 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= max(size, 1 << 27)
    )


def judge(source: Source) -> Judged:
    """Judge a safetensors file. Raises Damaged and TooLarge."""
    if source.size < 10:
        raise Damaged("It ends too early.")
    length = int.from_bytes(source.read(0, 8), "little")
    if length > LIBRARY_MAX_HEADER:
        raise Damaged(f"Its header claims {length:,} bytes; safetensors allows 100 MB.")
    if length + 8 > source.size:
        raise Damaged(f"Its header claims {length:,} bytes, and the file has {source.size:,}.")
    if length > MAX_HEADER_BYTES:
        raise TooLarge(f"Its header has {length // 1_000_000} MB and was not read.")
    found = parse_json(source.read(8, length), unique=True)
    if not isinstance(found, dict):
        raise Damaged("Its header is not a mapping of tensors.")
    metadata = found.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(each, str) for each in metadata.values()):
        raise Damaged("Its metadata are not texts.")
    dtypes: dict[str, int] = {}
    ranges: list[tuple[int, int]] = []
    for name, tensor in found.items():
        source.budget.step()
        dtype, count, start, end = _tensor(name, tensor)
        dtypes[dtype] = dtypes.get(dtype, 0) + count
        ranges.append((start, end))
    _check(sorted(ranges), source.size - 8 - length)
    return data(FORMAT, header=Header(dtypes=dtypes))


def _tensor(name: str, tensor: Any) -> tuple[str, int, int, int]:
    """Return type, number of values, start and end of a tensor's bytes."""
    shown = name[:60]
    if not isinstance(tensor, dict):
        raise Damaged(f"Its tensor {shown!r} is not described.")
    dtype: Any = tensor.get("dtype")
    shape: Any = tensor.get("shape")
    offsets: Any = tensor.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise Damaged(f"Its tensor {shown!r} has the unknown type {str(dtype)[:20]!r}.")
    if not (_numbers(shape) and _numbers(offsets) and len(offsets) == 2):
        raise Damaged(f"Its tensor {shown!r} has no shape or no place.")
    count = 1
    for length in shape:
        count *= length
        if count > MAX_SIZE:
            raise Damaged(f"Its tensor {shown!r} has an impossible shape.")
    bits, known = DTYPES[dtype]
    start, end = offsets
    if end - start != (count * bits + 7) // 8:
        raise Damaged(f"The size of its tensor {shown!r} does not match its shape.")
    return known, count, start, end


def _numbers(found: Any) -> bool:
    return (
        isinstance(found, list)
        and len(found) <= 64
        and all(
            isinstance(each, int) and not isinstance(each, bool) and 0 <= each < MAX_SIZE for each in found
        )
    )


def _check(ranges: list[tuple[int, int]], size: int) -> None:
    """Raise Damaged unless the tensors fill the file without holes and overlaps, as the format demands."""
    at = 0
    for start, end in ranges:
        if start < at:
            raise Damaged("Its tensors overlap.")
        if start > at:
            raise Damaged("It has bytes between its tensors that belong to none.")
        at = end
    if at > size:
        raise Damaged("Its tensors end behind the end of the file.")
    if at < size:
        raise Damaged(f"It has {size - at:,} bytes behind its tensors that belong to none.")
