"""Write the bytes of files that are built to mislead a reader of models."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile


class Runs:
    """An object whose pickle runs a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("exit 3",))


def pickled(protocol: int) -> bytes:
    """A pickle that runs a command."""
    return pickle.dumps(Runs(), protocol=protocol)


#: A pickle of text alone, as a person would write it.
TEXT_PICKLE = b"cos\nsystem\n(S'exit 3'\ntR."

#: A name of a file that is a pickle too, for what begins with a name.
TAR_NAME = (b"\x8c\x02os\x8c\x06system\x93\x8c\x06exit 3\x85R.").decode("utf-8", "surrogateescape")


def packed(*entries: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return whole.getvalue()


def tarred(*entries: tuple[str, bytes], link: str = "") -> bytes:
    """A tar archive."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        if link:
            entry = tarfile.TarInfo("link")
            entry.type, entry.linkname = tarfile.SYMTYPE, link
            archive.addfile(entry)
    return whole.getvalue()


def tensors(header: object, size: int = 0, length: int | None = None) -> bytes:
    """A safetensors file with this header, and ``size`` bytes behind it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + b"\0" * size


def tensor(start: int, end: int, shape: list[int] | None = None, dtype: str = "F32") -> dict[str, object]:
    """The description of a tensor in a safetensors header."""
    return {"dtype": dtype, "shape": shape or [(end - start) // 4], "data_offsets": [start, end]}


def gguf(*entries: bytes, tensors: int = 0, claimed: int | None = None, version: int = 3) -> bytes:
    """A GGUF file."""
    count = len(entries) - tensors if claimed is None else claimed
    return b"GGUF" + struct.pack("<IQQ", version, tensors, count) + b"".join(entries)


def text(content: bytes) -> bytes:
    """A text in GGUF."""
    return struct.pack("<Q", len(content)) + content


def message(number: int, content: bytes | int) -> bytes:
    """A field of a protobuf message."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    length = len(content)
    coded = b""
    while length > 127:
        coded += bytes([length & 127 | 128])
        length >>= 7
    tag = number << 3 | 2
    head = bytes([tag]) if tag < 128 else bytes([tag & 127 | 128, tag >> 7])
    return head + coded + bytes([length]) + content


def onnx(graph: bytes, *more: bytes) -> bytes:
    """An ONNX file."""
    return message(1, 8) + message(7, graph) + b"".join(more)


def external(location: str, offset: str = "0", length: str = "4") -> bytes:
    """A graph whose weight lies in another file."""
    place = {"location": location, "offset": offset, "length": length}
    places = b"".join(message(13, message(1, k.encode()) + message(2, v.encode())) for k, v in place.items())
    return message(5, message(1, 1) + message(2, 1) + message(8, b"w") + places + message(14, 1))


def nested(levels: int) -> bytes:
    """Graphs in graphs."""
    graph = b""
    for _ in range(levels):
        graph = message(1, message(5, message(6, graph)))
    return graph


def twice() -> bytes:
    """A zip archive with two entries of one name."""
    whole = packed(("aa.npy", b"1"), ("ab.npy", b"2"))
    return whole.replace(b"ab.npy", b"aa.npy")


def two_faced() -> bytes:
    """A zip archive whose directory and entry differ: readers of one see another file than readers of the other."""
    whole = packed(("good.txt", b"text"), compression=zipfile.ZIP_STORED)
    return whole.replace(b"good.txt", b"evil.pkl", 1)


def overlapping() -> bytes:
    """A zip archive whose entries are all the same bytes, as in a bomb without nesting."""
    one = packed(("a", b"x" * 50), compression=zipfile.ZIP_STORED)
    directory = one[one.index(b"PK\x01\x02") : one.index(b"PK\x05\x06")]
    place = one.index(b"PK\x01\x02")
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, 2 * len(directory), place, 0)
    return one[:place] + directory + directory.replace(b"a", b"b", 1) + end


def nested_zip(levels: int, inner: bytes) -> bytes:
    """Archives in archives."""
    for _ in range(levels):
        inner = packed(("inner.zip", inner))
    return inner


def zip_link() -> bytes:
    """A zip archive with a symbolic link."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return whole.getvalue()


def keras(config: object) -> bytes:
    """A Keras 3 archive."""
    return packed(
        ("config.json", json.dumps(config).encode()),
        ("metadata.json", b"{}"),
        ("model.weights.h5", b"\x89HDF\r\n\x1a\n"),
    )


def skops(node: dict[str, object]) -> bytes:
    """A skops file whose object is this node."""
    return packed(("schema.json", json.dumps({"protocol": 2, **node}).encode()))


def npy(descr: str) -> bytes:
    """A NumPy file with this type."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickled(4)


def mlmodel(flavors: str) -> bytes:
    """An MLmodel file."""
    return f"flavors: {flavors}\n".encode()
