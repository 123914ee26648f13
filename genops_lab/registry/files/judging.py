"""Decide by content whether a file can run code. Formats that are known to be data pass; all others do not."""

from __future__ import annotations

import posixpath
from dataclasses import replace

from . import archives, gguf, numpy_arrays, onnx, pickles, safetensors
from .judged import PICKLE, Judged, code, data, refused, unknown
from .protobuf import entries
from .source import Damaged, Source, TooLarge
from .texts import judge_text

_HEAD = 4096
#: How files begin that hold data only.
_DATA: dict[bytes, str] = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"CBM1": "CatBoost",
}
_PROGRAMS: dict[bytes, str] = {
    b"\x7fELF": "a program or native library",
    b"MZ": "a program or native library",
    b"\xcf\xfa\xed\xfe": "a program or native library",
    b"\xca\xfe\xba\xbe": "a program or native library",
    b"\xfe\xed\xfa": "a program or native library",
}
_PICKLE_NAMES = frozenset(
    [".pkl", ".pickle", ".p", ".joblib", ".cloudpickle", ".dill", ".pth", ".pt", ".ckpt", ".mar"]
)
#: The format that an extension promises. Other content under such a name misleads loaders and people.
_PROMISED: dict[str, frozenset[str]] = {
    ".safetensors": frozenset([safetensors.FORMAT]),
    ".gguf": frozenset([gguf.FORMAT]),
    ".onnx": frozenset([onnx.FORMAT]),
    ".npy": frozenset([numpy_arrays.FORMAT, "NumPy objects"]),
    ".npz": frozenset([numpy_arrays.FORMAT, "archive"]),
    ".skops": frozenset(["skops"]),
    ".parquet": frozenset(["Parquet"]),
    ".png": frozenset(["PNG"]),
    ".jpg": frozenset(["JPEG"]),
    ".jpeg": frozenset(["JPEG"]),
    ".gif": frozenset(["GIF"]),
    **dict.fromkeys([".json", ".jsonl"], frozenset(["JSON", "text"])),
    **dict.fromkeys([".yaml", ".yml"], frozenset(["YAML"])),
    **dict.fromkeys([".txt", ".md", ".csv", ".tsv"], frozenset(["text"])),
}


def judge(source: Source, name: str, depth: int = 0) -> Judged:
    """Judge a file by its content, then compare the content with what the name promises.

    Never raises for what a file holds: damaged files are refused, files over the bounds unknown.
    """
    extension = posixpath.splitext(name.lower())[1]
    try:
        found = _by_content(source, name, extension, depth)
    except TooLarge as error:
        found = unknown(extension.lstrip(".") or "unread", str(error))
        if extension in _PICKLE_NAMES:
            return code(
                PICKLE,
                f"It is named like a pickle, which can run any code when it is loaded. {error}",
                pickle=True,
            )
        return found
    except Damaged as error:
        return refused(extension.lstrip(".") or "damaged", str(error))
    if source.size == 0 and extension in _PROMISED and extension not in (".txt", ".md", ".csv", ".tsv"):
        return refused(extension.lstrip("."), "It is empty.")
    promised = _PROMISED.get(extension)
    if promised and source.size and found.format not in promised and found.verdict != "refused":
        reason = f"It is named {extension} and is no such file. {found.reason}".strip()
        return replace(found, verdict="refused", reason=reason)
    plain = found.verdict == "unknown" or (
        found.verdict == "data" and found.format not in (safetensors.FORMAT, "empty")
    )
    if plain and extension in _PICKLE_NAMES:
        return code(
            PICKLE, "It is named like a pickle, which can run any code when it is loaded.", pickle=True
        )
    return found


def _by_content(source: Source, name: str, extension: str, depth: int) -> Judged:
    if source.size == 0:
        return data("empty")
    # First, and for every file: a pickle can begin like a GIF, a tar archive or safetensors.
    scanned = pickles.scan(source)
    if scanned.is_pickle:
        return code(PICKLE, pickles.sentence(scanned), pickle=True)
    head = source.head(_HEAD)
    found = _by_start(source, head, name, extension, depth)
    if found is None:
        found = _by_rest(source, head, name, extension)
    if found.verdict == "data" and not head.startswith(archives.ZIP_STARTS) and archives.ends_as_zip(source):
        return refused(found.format, "It has a zip archive at its end, which other programs would read.")
    return found


def _by_rest(source: Source, head: bytes, name: str, extension: str) -> Judged:
    if posixpath.basename(name).lower() in ("saved_model.pb", "keras_metadata.pb"):
        return code(
            "TensorFlow SavedModel", "It is a TensorFlow graph, which can read and write files when it runs."
        )
    if extension == ".onnx":
        return onnx.judge(source)
    text = judge_text(source, name)
    if text is not None:
        return text
    if head[:1] == b"\x08":
        try:
            return onnx.judge(source)
        except Damaged:
            pass  # not every such file is ONNX
    if _is_sentencepiece(source, head, name):
        return data("SentencePiece")
    return unknown("binary", "It is of no format that GenOps Lab knows.")


def _by_start(source: Source, head: bytes, name: str, extension: str, depth: int) -> Judged | None:
    if head.startswith(gguf.MAGIC):
        return gguf.judge(source)
    if head.startswith(numpy_arrays.MAGIC):
        return numpy_arrays.judge(source)
    if head.startswith(archives.ZIP_STARTS):
        return archives.judge_zip(source, depth, judge)
    if extension == ".safetensors" or safetensors.is_safetensors(head, source.size):
        return safetensors.judge(source)
    for start, kind in _DATA.items():
        if head.startswith(start):
            return data(kind)
    if head[:4] == b"RIFF" and head[8:12] in (b"WEBP", b"WAVE"):
        return data(head[8:12].decode().capitalize())
    for start, kind in _PROGRAMS.items():
        if head.startswith(start):
            return code("program", f"It is {kind}.")
    if head[2:4] == b"\r\n" and extension == ".pyc":
        return code("Python code", "It is compiled Python code.")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _judge_hdf5(source)
    for start, kind in archives.SEALED.items():
        if head.startswith(start):
            return unknown(kind, f"It is compressed with {kind} and was not looked into.")
    kind = archives.compression(head)
    if kind:
        return archives.judge_compressed(source, name, kind, depth, judge)
    if archives.is_tar(head[:512]):
        return archives.judge_tar(source, depth, judge)
    return None


def _judge_hdf5(source: Source) -> Judged:
    """HDF5 is no list of headers that can be read simply; a Keras model in it has its layers as JSON."""
    if b"Lambda" in source.head(4_000_000):
        return code(
            "HDF5", "It has a Lambda layer of Keras, which is Python code that runs when the model is loaded."
        )
    return unknown("HDF5", "It is an HDF5 file: a Keras model in it can hold Lambda layers, which run code.")


def _is_sentencepiece(source: Source, head: bytes, name: str) -> bool:
    """Return whether this is the vocabulary of a tokenizer: a protobuf message of many pieces."""
    if not name.lower().endswith((".model", ".spm")) or head[:1] != b"\n":
        return False
    try:
        return all(entry.number in (1, 2, 3, 4, 5) and entry.is_range for entry in entries(source))
    except Damaged:
        return False
