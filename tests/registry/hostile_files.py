"""Files that are built to mislead a reader of models, each with the verdict on it. None is ever loaded."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .hostile_bytes import (
    TAR_NAME,
    TEXT_PICKLE,
    external,
    gguf,
    keras,
    message,
    mlmodel,
    nested,
    nested_zip,
    npy,
    onnx,
    overlapping,
    packed,
    pickled,
    skops,
    tarred,
    tensor,
    tensors,
    text,
    twice,
    two_faced,
    zip_link,
)


@dataclass(frozen=True)
class Hostile:
    """A file: its name, its content, the verdict on it, and a part of the reason."""

    name: str
    content: bytes | Callable[[Path], None]
    verdict: str
    reason: str


_NODE = {"__class__": "eval", "__module__": "builtins", "__loader__": "ObjectNode"}
_LAYER = {"module": "keras.layers", "class_name": "Lambda"}


def _linked(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def _hard(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere.txt"
    elsewhere.write_text("x")
    os.link(elsewhere, path)


HOSTILE: dict[str, Hostile] = {
    **{
        f"pickle of protocol {protocol}": Hostile(
            "model.pkl", pickled(protocol), "code", "It names (posix|nt).system"
        )
        for protocol in range(6)
    },
    "pickle as safetensors": Hostile(
        "m.safetensors", pickled(4), "refused", "named .safetensors and is no such file. It is a pickle"
    ),
    "old pickle as safetensors": Hostile("m.safetensors", TEXT_PICKLE, "refused", "It is a pickle"),
    "pickle as text": Hostile("notes.txt", TEXT_PICKLE, "refused", "named .txt .*It names os.system"),
    "pickle as JSON": Hostile("config.json", pickled(0), "refused", "named .json"),
    "pickle as a picture": Hostile("a.png", pickled(2), "refused", "named .png"),
    "pickle as ONNX": Hostile("m.onnx", pickled(5), "refused", "named .onnx"),
    "pickle without an extension": Hostile("weights", pickled(3), "code", "It is a pickle"),
    "pickle that breaks off": Hostile("w.bin", pickled(4)[:-1], "code", "It is a pickle"),
    "pickle with junk behind": Hostile("w.bin", pickled(4) + b"\xff" * 99, "code", "It is a pickle"),
    "pickle with an unknown opcode behind its call": Hostile(
        "w.bin", TEXT_PICKLE[:-1] + b"\xff", "code", "It is a pickle"
    ),
    "pickle behind a long text": Hostile(
        "a.txt", b"S'" + b"a" * 9000 + b"'\n0" + TEXT_PICKLE, "refused", "It is a pickle"
    ),
    "pickle behind 30,000 opcodes": Hostile(
        "a.txt", b"N0" * 15_000 + TEXT_PICKLE, "refused", "It is a pickle"
    ),
    "pickle by INST": Hostile("a.txt", b"(S'exit 3'\nios\nsystem\n.", "refused", "It names os.system"),
    "pickle by a memo": Hostile(
        "w.bin",
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93\x8c\x01x\x85R.",
        "code",
        "It names os.system",
    ),
    "pickle that begins like a GIF": Hostile(
        "a.gif", b"GIF8....." + b"0" + TEXT_PICKLE, "refused", "It is a pickle"
    ),
    "pickle that begins like CatBoost": Hostile(
        "a.cbm", b"CBM1" + b"x" * 64 + b"0" + TEXT_PICKLE, "code", "It is a pickle"
    ),
    "pickle that begins like tar": Hostile("a.tar", tarred((TAR_NAME, b"x")), "code", "It names os.system"),
    "pickle that begins like safetensors": Hostile(
        "a.safetensors", b"\x8a\x20" + b"\0" * 6 + b"{" + b" " * 25 + TEXT_PICKLE, "refused", "It is a pickle"
    ),
    "zip behind a picture": Hostile(
        "a.gif", b"GIF89a" + packed(("data.pkl", b"x")), "refused", "zip archive at its end"
    ),
    "zip behind a text": Hostile(
        "a.txt", b"text\n" * 14_000 + packed(("schema.json", b"{}")), "refused", "zip archive at its end"
    ),
    "pickle compressed by gzip": Hostile(
        "w.gz", gzip.compress(pickled(4)), "code", "compressed pickle .gzip"
    ),
    "pickle compressed by zlib": Hostile(
        "w.joblib", zlib.compress(pickled(4)), "code", "compressed pickle .zlib"
    ),
    "pickle compressed by bzip2": Hostile(
        "w.joblib", bz2.compress(pickled(4)), "code", "compressed pickle .bzip2"
    ),
    "pickle compressed by xz": Hostile(
        "w.joblib", lzma.compress(pickled(4)), "code", "compressed pickle .xz"
    ),
    "pickle compressed twice": Hostile(
        "w.gz", gzip.compress(gzip.compress(pickled(4))), "code", "compressed pickle"
    ),
    "pickle in zip": Hostile(
        "w.zip", packed(("a/b.bin", pickled(4))), "code", "has 'a/b.bin' inside. It is a pickle"
    ),
    "pickle in zip in zip": Hostile(
        "w.zip", nested_zip(1, packed(("b", pickled(4)))), "code", "'inner.zip' inside.*'b' inside"
    ),
    "pickle in zip, five levels": Hostile("w.zip", nested_zip(5, pickled(4)), "unknown", "was not opened"),
    "pickle in tar": Hostile("w.tar", tarred(("a.pkl", pickled(2))), "code", "has 'a.pkl' inside"),
    "pickle in tar.gz": Hostile(
        "w.tar.gz", gzip.compress(tarred(("a.pkl", pickled(2)))), "code", "compressed pickle"
    ),
    "pickle in an npz": Hostile("w.npz", packed(("a.npy", npy("'|O'"))), "code", "array of objects"),
    "PyTorch file": Hostile(
        "w.bin", packed(("w/data.pkl", pickled(2)), ("w/version", b"3")), "code", "PyTorch file with a pickle"
    ),
    "PyTorch file as safetensors": Hostile(
        "w.safetensors", packed(("w/data.pkl", b"x")), "refused", "PyTorch file with a pickle"
    ),
    "sealed archive": Hostile(
        "w.7z", b"7z\xbc\xaf\x27\x1c" + b"x" * 50, "unknown", "7z and was not looked into"
    ),
    "named like a pickle": Hostile("w.pkl", b"\x01\x02\x03\x04" * 9, "code", "named like a pickle"),
    "array of objects": Hostile("w.npy", npy("'|O'"), "code", "array of objects"),
    "array of records of objects": Hostile(
        "w.npy", npy("[('a', '<f8'), ('b', '|O')]"), "code", "array of objects"
    ),
    "array with a hidden type": Hostile("w.npy", npy("__import__('os')"), "unknown", "unknown type"),
    "Python code": Hostile("loader.py", b"import os\n", "code", "Python code"),
    "compiled Python code": Hostile("loader.pyc", b"\xa7\r\r\n" + b"\0" * 20, "code", "compiled Python code"),
    "native library": Hostile("op.dat", b"\x7fELF" + b"\0" * 60, "code", "native library"),
    "script": Hostile("run", b"#!/bin/sh\nexit\n", "code", "script"),
    "remote code": Hostile(
        "config.json", b'{"auto_map": {"AutoModel": "modeling.M"}}', "code", "names auto_map"
    ),
    "library of an adapter": Hostile(
        "adapter_config.json", b'{"auto_mapping": {"parent_library": "evil.x"}}', "code", "library 'evil'"
    ),
    "code named in a large configuration": Hostile(
        "config.json", b'{"auto_map": 1' + b" " * 5_000_000 + b"}", "unknown", "over 4 MB"
    ),
    "code named beside a long number": Hostile(
        "config.json", b'{"auto_map": 1, "a": ' + b"1" * 30 + b"}", "unknown", "20 digits"
    ),
    "type of a sentence transformer": Hostile(
        "modules.json", b'[{"type": "evil.M"}]', "code", "names 'evil.M'"
    ),
    "YAML of 5 MB": Hostile(
        "a.yaml", b"# " + b"x" * 5_000_000 + b"\na: !!python/name:os\n", "unknown", "over 4 MB"
    ),
    "YAML with Python": Hostile(
        "a.yaml", b"a: !!python/object/apply:os.system [x]\n", "code", "tags of Python objects"
    ),
    "Keras Lambda": Hostile("m.keras", keras({"config": {"layers": [_LAYER]}}), "code", "Lambda layer"),
    "Keras module": Hostile(
        "m.keras", keras({"module": "os", "class_name": "system"}), "code", "module 'os'"
    ),
    "Keras with a function": Hostile(
        "m.keras", keras({"module": "keras.utils", "class_name": "get_file"}), "code", "'get_file'"
    ),
    "Keras in HDF5": Hostile(
        "m.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 90 + b'"class_name": "Lambda"', "code", "Lambda layer"
    ),
    "other HDF5": Hostile("m.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 90, "unknown", "HDF5"),
    "TensorFlow graph": Hostile("saved_model.pb", b"\x08\x01\x12\x03abc", "code", "can read and write files"),
    "skops with another type": Hostile("m.skops", skops(_NODE), "code", "builtins.eval"),
    "skops with a function": Hostile(
        "m.skops", skops({**_NODE, "__loader__": "FunctionNode"}), "code", "builtins.eval"
    ),
    "skops with a function of scikit-learn": Hostile(
        "m.skops",
        skops({"__class__": "run", "__module__": "sklearn.utils", "__loader__": "TypeNode"}),
        "code",
        "sklearn.utils.run",
    ),
    "skops deep inside": Hostile(
        "m.skops",
        skops(
            {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [[_NODE]]}
        ),
        "code",
        "eval",
    ),
    "loader of the model": Hostile(
        "MLmodel",
        mlmodel("{python_function: {loader_module: evilmod}}"),
        "code",
        "imports the module evilmod",
    ),
    "Python model": Hostile(
        "MLmodel", mlmodel("{python_function: {loader_module: mlflow.pyfunc.model}}"), "code", "Python class"
    ),
    "code folder": Hostile(
        "MLmodel",
        mlmodel("{python_function: {loader_module: mlflow.sklearn, code: lib}}"),
        "code",
        "folder 'lib'",
    ),
    "model from code": Hostile(
        "MLmodel", mlmodel("{python_function: {model_code_path: m.py}}"), "code", "runs 'm.py'"
    ),
    "class of another package": Hostile(
        "MLmodel", mlmodel("{xgboost: {model_class: os.system}}"), "code", "calls 'os.system'"
    ),
    "unknown loader of MLflow": Hostile(
        "MLmodel", mlmodel("{python_function: {loader_module: mlflow.new}}"), "unknown", "mlflow.new"
    ),
    "MLmodel with aliases": Hostile("MLmodel", b"a: &a [x]\nflavors: {a: *a}\n", "refused", "aliases"),
    "MLmodel of 3 MB": Hostile("MLmodel", b"flavors: {}\n#" + b"x" * 3_000_000, "refused", "larger than"),
    "signature that is no JSON": Hostile(
        "MLmodel", mlmodel("{}") + b"signature: {inputs: '[[['}\n", "refused", "JSON"
    ),
    "zip bomb": Hostile("w.zip", packed(("zeros", b"\0" * 20_000_000)), "refused", "decompression bomb"),
    "zip bomb without nesting": Hostile("w.zip", overlapping(), "refused", "overlap"),
    "zip with two entries of a name": Hostile("w.zip", twice(), "refused", "two entries 'aa.npy'"),
    "zip with two faces": Hostile("w.zip", two_faced(), "refused", "differs between"),
    "zip with a path": Hostile("w.zip", packed(("../../evil.py", b"x")), "refused", "outside of the folder"),
    "zip with an absolute path": Hostile(
        "w.zip", packed(("/etc/evil", b"x")), "refused", "outside of the folder"
    ),
    "zip with a drive": Hostile("w.zip", packed(("C:/evil", b"x")), "refused", "outside of the folder"),
    "zip with a backslash": Hostile("w.zip", packed(("..\\evil", b"x")), "refused", "outside of the folder"),
    "zip with control characters": Hostile(
        "w.zip", packed(("a\x1b[2Jb", b"x")), "refused", "control characters"
    ),
    "zip with a link": Hostile("w.zip", zip_link(), "refused", "is a link"),
    "zip behind other bytes": Hostile(
        "w.npz", b"PK\x03\x04" + packed(("a", b"x")), "refused", "lies before or behind"
    ),
    "zip before other bytes": Hostile("w.zip", packed(("a", b"x")) + b"more", "refused", "behind the end"),
    "zip without a directory": Hostile("w.zip", packed(("a", b"x"))[:30], "refused", "without a directory"),
    "tar with a path": Hostile("w.tar", tarred(("../evil", b"x")), "refused", "outside of the folder"),
    "tar with a link": Hostile("w.tar", tarred(link="/etc/passwd"), "refused", "is a link"),
    "safetensors with a header of 100 GB": Hostile(
        "m.safetensors", tensors({}, length=10**11), "refused", "claims 100,000,000,000 bytes"
    ),
    "safetensors with a header behind its end": Hostile(
        "m.safetensors", tensors({}, length=10**6), "refused", "claims 1,000,000 bytes, and the file"
    ),
    "safetensors with 10 MB of header": Hostile(
        "m.safetensors", tensors(b"{" + b" " * 10_000_000 + b"}"), "unknown", "10 MB and was not read"
    ),
    "safetensors that overlap": Hostile(
        "m.safetensors", tensors({"a": tensor(0, 8), "b": tensor(4, 12)}, 12), "refused", "overlap"
    ),
    "safetensors with a hole": Hostile(
        "m.safetensors", tensors({"a": tensor(0, 4), "b": tensor(8, 12)}, 12), "refused", "belong to none"
    ),
    "safetensors behind the end": Hostile(
        "m.safetensors", tensors({"a": tensor(0, 400)}, 8), "refused", "behind the end"
    ),
    "safetensors with bytes behind": Hostile(
        "m.safetensors", tensors({"a": tensor(0, 4)}, 4) + pickled(4), "refused", "bytes behind its tensors"
    ),
    "safetensors of another size": Hostile(
        "m.safetensors", tensors({"a": tensor(0, 4, [9, 9])}, 4), "refused", "does not match its shape"
    ),
    "safetensors of an endless shape": Hostile(
        "m.safetensors", tensors({"a": tensor(0, 4, [2**60] * 60)}, 4), "refused", "impossible shape"
    ),
    "safetensors of a negative shape": Hostile(
        "m.safetensors", tensors({"a": tensor(0, 4, [-1])}, 4), "refused", "no shape"
    ),
    "safetensors of an unknown type": Hostile(
        "m.safetensors", tensors({"a": tensor(0, 4, dtype="OBJ")}, 4), "refused", "unknown type 'OBJ'"
    ),
    "safetensors with a name twice": Hostile(
        "m.safetensors", tensors(b'{"a": 1, "a": 2}'), "refused", "the same thing twice"
    ),
    "safetensors too deep": Hostile(
        "m.safetensors", tensors(b'{"a":' + b"[" * 100_000), "refused", "levels|not valid JSON"
    ),
    "safetensors with a number of 10,000 digits": Hostile(
        "m.safetensors", tensors(b'{"a":' + b"9" * 10_000 + b"}"), "refused", "20 digits"
    ),
    "safetensors that is empty": Hostile("m.safetensors", b"", "refused", "empty"),
    "GGUF of another version": Hostile("m.gguf", gguf(version=9), "unknown", "version 9"),
    "GGUF with many entries": Hostile(
        "m.gguf", gguf(claimed=2**60), "refused", "claims 1,152,921,504,606,846,976 entries"
    ),
    "GGUF with an endless text": Hostile(
        "m.gguf", gguf(struct.pack("<Q", 2**62)), "refused", "A text in its header claims"
    ),
    "GGUF with an endless list": Hostile(
        "m.gguf", gguf(text(b"a") + struct.pack("<IIQ", 9, 8, 2**40)), "unknown", "too many parts"
    ),
    "GGUF with a list behind its end": Hostile(
        "m.gguf", gguf(text(b"a") + struct.pack("<IIQ", 9, 4, 2**40)), "refused", "ends too early"
    ),
    "GGUF with lists in lists": Hostile(
        "m.gguf",
        gguf(text(b"a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9),
        "refused",
        "unknown type 9",
    ),
    "GGUF with a key twice": Hostile(
        "m.gguf", gguf(*[text(b"a") + struct.pack("<IB", 0, 1)] * 2), "refused", "'a' twice"
    ),
    "GGUF behind its end": Hostile(
        "m.gguf",
        gguf(text(b"w") + struct.pack("<IQIQ", 1, 999, 0, 0), tensors=1),
        "refused",
        "behind the end",
    ),
    "GGUF that overlaps": Hostile(
        "m.gguf",
        gguf(
            *(text(name) + struct.pack("<IQIQ", 1, 8, 0, at) for name, at in ((b"a", 0), (b"b", 4))),
            tensors=2,
        )
        + b"\0" * 99,
        "refused",
        "overlap",
    ),
    "GGUF with an alignment of 0": Hostile(
        "m.gguf", gguf(text(b"general.alignment") + struct.pack("<II", 4, 0)), "refused", "alignment"
    ),
    "ONNX that reads /etc/passwd": Hostile(
        "m.onnx", onnx(external("/etc/passwd")), "refused", "'/etc/passwd', which is no path"
    ),
    "ONNX that leaves the folder": Hostile(
        "m.onnx", onnx(external("a/../../secret")), "refused", "outside of the model's folder"
    ),
    "ONNX with a backslash": Hostile(
        "m.onnx", onnx(external("..\\secret")), "refused", "outside of the model's folder"
    ),
    "ONNX whose weights are missing": Hostile(
        "m.onnx", onnx(external("weights")), "refused", "no plain file of the model"
    ),
    "ONNX whose weights end early": Hostile(
        "m.onnx", onnx(external("m.onnx", "999")), "refused", "ends too early"
    ),
    "ONNX with an odd place": Hostile("m.onnx", onnx(external("w", "-1")), "refused", "is no number"),
    "ONNX with graphs in graphs": Hostile("m.onnx", onnx(nested(40)), "refused", "over 12 levels"),
    "ONNX with other operators": Hostile(
        "m.onnx", onnx(message(1, message(7, b"com.evil"))), "code", "operators of 'com.evil'"
    ),
    "ONNX without a graph": Hostile("m.onnx", message(1, 8), "refused", "no ONNX graph"),
    "ONNX that ends early": Hostile("m.onnx", message(1, 8) + b"\x3a\x7f", "refused", "ends too early"),
    "ONNX with an endless number": Hostile("m.onnx", b"\x08" + b"\xff" * 20, "refused", "does not end"),
    "index of shards that are missing": Hostile(
        "m.safetensors.index.json",
        b'{"weight_map": {"a": "m-1.safetensors"}}',
        "refused",
        "no file of the model",
    ),
    "index that leaves the folder": Hostile(
        "m.safetensors.index.json", b'{"weight_map": {"a": "../x"}}', "refused", "no file of the model"
    ),
    "link out of the folder": Hostile("m.safetensors", _linked("/etc/passwd"), "refused", "link out of"),
    "link that goes up": Hostile("m.txt", _linked("../../secret"), "refused", "link out of"),
    "link inside": Hostile("m.txt", _linked("m.txt2"), "refused", "link to another file"),
    "hard link": Hostile("m.txt", _hard, "refused", "hard link"),
    "pipe": Hostile("m.safetensors", lambda path: os.mkfifo(path), "refused", "special file"),
    "name with control characters": Hostile("a\x1b[2Jb.txt", b"text", "refused", "control characters"),
}
