"""Read the metadata of a GGUF file, versions 2 and 3: architecture, tensors, quantisation, context length, licence.

Source of the layout: the specification in the repository ggml-org/ggml, ``docs/gguf.md``.
"""

from __future__ import annotations

import struct
from typing import Any

from .judged import Header, Judged, data, unknown
from .source import Cursor, Damaged, Source, TooLarge

FORMAT = "GGUF"
MAGIC = b"GGUF"
MAX_ENTRIES = 10_000
MAX_TENSORS = 200_000
MAX_KEY = 1024
MAX_TEXT = 4_000_000
MAX_KEPT_TEXT = 1024
MAX_ARRAY = 4_000_000
MAX_DIMENSIONS = 8
#: Of a number in the shape of the attention.
MAX_KEY_SIZE = 1 << 24
MAX_SIZE = 1 << 62
_MAX_ALIGNMENT = 1 << 20

#: struct formats of the scalar types by number; 8 is text, 9 an array.
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_TEXT, _ARRAY = 8, 9

#: Name, values a block, and bytes a block, of the tensor types by number.
TYPES: dict[int, tuple[str, int, int]] = {
    0: ("fp32", 1, 4),
    1: ("fp16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("int8", 1, 1),
    25: ("int16", 1, 2),
    26: ("int32", 1, 4),
    27: ("int64", 1, 8),
    28: ("fp64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("bf16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}

#: ``general.file_type``: how most of the weights are quantised.
FILE_TYPES: dict[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0",
    37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip
_PLAIN = ("F32", "F16", "BF16")


def judge(source: Source) -> Judged:
    """Judge a GGUF file. Raises Damaged and TooLarge."""
    cursor = Cursor(source)
    cursor.skip(4)
    version = cursor.number(4)
    if version not in (2, 3):
        return unknown(FORMAT, f"It has version {version} of GGUF; versions 2 and 3 are known.")
    tensors, entries = cursor.number(8), cursor.number(8)
    if entries > MAX_ENTRIES or tensors > MAX_TENSORS:
        raise Damaged(f"Its header claims {entries:,} entries and {tensors:,} tensors.")
    known: dict[str, Any] = {}
    for _ in range(entries):
        key = _text(cursor, MAX_KEY)
        if key in known:
            raise Damaged(f"Its header has {key[:60]!r} twice.")
        known[key] = _value(cursor, cursor.number(4), 0)
    dtypes: dict[str, int] = {}
    ranges: list[tuple[int, int]] = []
    for _ in range(tensors):
        name, count, start, length = _tensor(cursor)
        dtypes[name] = dtypes.get(name, 0) + count
        ranges.append((start, start + length))
    _check(sorted(ranges), source.size - _data_start(cursor.offset, known), sized=bool(ranges))
    return data(FORMAT, _note(known), _header(known, dtypes))


def _note(known: dict[str, Any]) -> str:
    if not known.get("tokenizer.chat_template"):
        return ""
    return "It has a chat template: a program that renders it outside of a sandbox runs it as code."


def _header(known: dict[str, Any], dtypes: dict[str, int]) -> Header:
    architecture = _known_text(known, "general.architecture")
    context = known.get(f"{architecture}.context_length")
    quantization = FILE_TYPES.get(known.get("general.file_type", -1), "")
    base = _known_text(known, "general.base_model.0.repo_url").removeprefix("https://huggingface.co/")
    return Header(
        dtypes=dtypes,
        quantization="" if quantization in _PLAIN else quantization,
        architecture=architecture,
        context_length=context if isinstance(context, int) and context > 0 else None,
        attention=_attention(known, architecture),
        licence=_known_text(known, "general.license"),
        base_model=base or _known_text(known, "general.base_model.0.name"),
    )


def _attention(known: dict[str, Any], architecture: str) -> tuple[int, int, int, int] | None:
    """Return the shape of the attention. Heads that differ between layers are an array, which is not kept: then all
    heads count.
    """

    def whole(key: str) -> int:
        found = known.get(f"{architecture}.{key}")
        return found if isinstance(found, int) and 0 < found < MAX_KEY_SIZE else 0

    layers, heads = whole("block_count"), whole("attention.head_count")
    if not layers or not heads:
        return None
    size = whole("embedding_length") // heads
    keys, values = whole("attention.key_length") or size, whole("attention.value_length") or size
    return (layers, whole("attention.head_count_kv") or heads, keys, values) if keys and values else None


def _known_text(known: dict[str, Any], key: str) -> str:
    found = known.get(key)
    return found if isinstance(found, str) else ""


def _text(cursor: Cursor, limit: int) -> str:
    cursor.source.budget.step()
    length = cursor.number(8)
    if length > limit:
        raise Damaged(f"A text in its header claims {length:,} bytes.")
    if length > MAX_KEPT_TEXT and limit == MAX_TEXT:
        kept = cursor.take(MAX_KEPT_TEXT)
        cursor.skip(length - MAX_KEPT_TEXT)
        return kept.decode("utf-8", "replace")
    return cursor.take(length).decode("utf-8", "replace")


def _value(cursor: Cursor, kind: int, depth: int) -> Any:
    """Return a value of the metadata; None for an array, which is only walked over."""
    if kind in _SCALARS:
        form = _SCALARS[kind]
        return struct.unpack(form, cursor.take(struct.calcsize(form)))[0]
    if kind == _TEXT:
        return _text(cursor, MAX_TEXT)
    if kind != _ARRAY or depth > 3:
        raise Damaged(f"Its header has a value of the unknown type {kind}.")
    inner, count = cursor.number(4), cursor.number(8)
    if inner in _SCALARS:
        cursor.skip(count * struct.calcsize(_SCALARS[inner]))
        return None
    if count > MAX_ARRAY:
        raise TooLarge("Its header has too many parts to look at.")
    for _ in range(count):
        if inner == _TEXT:
            cursor.source.budget.step()
            cursor.skip(cursor.number(8))
        else:
            _value(cursor, inner, depth + 1)
    return None


def _tensor(cursor: Cursor) -> tuple[str, int, int, int]:
    """Return type, number of values, start and length of a tensor (0 if its type is not known)."""
    name = _text(cursor, MAX_KEY)
    dimensions = cursor.number(4)
    if dimensions > MAX_DIMENSIONS:
        raise Damaged(f"Its tensor {name[:60]!r} claims {dimensions:,} dimensions.")
    count = 1
    for _ in range(dimensions):
        count *= cursor.number(8)
        if count > MAX_SIZE:
            raise Damaged(f"Its tensor {name[:60]!r} has an impossible shape.")
    kind, start = cursor.number(4), cursor.number(8)
    known, values, length = TYPES.get(kind, (f"type {kind}", 1, 0))
    return known, count, start, -(-count // values) * length


def _data_start(offset: int, known: dict[str, Any]) -> int:
    alignment = known.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= _MAX_ALIGNMENT:
        raise Damaged("Its alignment is impossible.")
    return -(-offset // alignment) * alignment


def _check(ranges: list[tuple[int, int]], size: int, *, sized: bool) -> None:
    at = 0
    for start, end in ranges:
        if start < at:
            raise Damaged("Its tensors overlap.")
        at = end
    if sized and at > size:
        raise Damaged("Its tensors end behind the end of the file.")
