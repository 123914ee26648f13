"""Compute fingerprints of data sets, so that a later run can tell whether its data is the same.

The fingerprint of a file is the SHA-256 of its content. Above 1 GB it is the SHA-256 of the file's size and
64 blocks of 1 MB, evenly spread (``sampled`` says so). A folder's is made from the names and fingerprints of
its files. An object in memory (pandas, numpy, torch, or what numpy accepts) gives its shape, types and
content.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from typing import Any, Dict, List, NamedTuple, Optional
from urllib.parse import urlsplit, urlunsplit

from .errors import GenOpsError

WHOLE_UP_TO_BYTES = 1_000_000_000
SAMPLES, SAMPLE_BYTES = 64, 1_000_000
MAX_FOLDER_FILES = 10_000
#: MLflow's limit for a digest, in characters.
DIGEST_LENGTH = 36


class Fingerprint(NamedTuple):
    """The fingerprint of a file, folder, address, or object of pandas, numpy or torch (``kind``).

    ``sha256`` is empty for an address, which is not read. ``details`` fit the kind: size_bytes, mtime
    (seconds since 1970), files, shape, dtypes, sampled.
    """

    name: str
    kind: str
    source: str
    sha256: str
    details: Dict[str, Any]

    @property
    def digest(self) -> str:
        """A short digest that differs between two contents."""
        return (self.sha256 or hashlib.sha256(self.source.encode()).hexdigest())[:DIGEST_LENGTH]

    def event(self, context: str) -> Dict[str, Any]:
        """Return the fields of the MLflow dataset, as the event carries them."""
        schema = {key: self.details[key] for key in ("shape", "dtypes") if key in self.details}
        profile = {"sha256": self.sha256, **self.details}
        return {
            "name": self.name,
            "digest": self.digest,
            "source_type": self.kind,
            "source": json.dumps({"uri": self.source}),
            "schema": json.dumps(schema) if schema else "",
            "profile": json.dumps(profile),
            "context": context,
        }


def fingerprint(data: Any, name: str = "") -> Fingerprint:
    """Return the fingerprint of a path, an address (``s3://...``, not read) or an object. Raises GenOpsError."""
    if isinstance(data, (str, os.PathLike)):
        text = os.fspath(data)
        text = os.fsdecode(text) if isinstance(text, bytes) else text
        if "://" in text:
            return _of_address(text, name)
        return _of_path(text, name)
    made = _of_object(data)
    if made is None:
        raise GenOpsError(
            f"Data of the type {type(data).__name__} has no fingerprint.",
            "Give a path, an address, a data frame, an array or a tensor.",
        )
    kind, sha256, details = made
    return Fingerprint(name or kind, kind, "", sha256, details)


def _of_address(address: str, name: str) -> Fingerprint:
    parts = urlsplit(address)
    shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return Fingerprint(name or os.path.basename(parts.path) or shown, "address", shown, "", {"read": False})


def _of_path(path: str, name: str) -> Fingerprint:
    full = os.path.abspath(os.path.expanduser(path))
    title = name or os.path.basename(full)
    try:
        found = os.stat(full)
        if stat.S_ISDIR(found.st_mode):
            return _of_folder(full, title)
        if not stat.S_ISREG(found.st_mode):
            raise GenOpsError(
                f"{full} is neither a plain file nor a folder.", "Give the path of a file or folder."
            )
        sampled = found.st_size > WHOLE_UP_TO_BYTES
        details = {"size_bytes": found.st_size, "mtime": found.st_mtime, "sampled": sampled}
        return Fingerprint(title, "file", full, _sha256(full, found.st_size), details)
    except OSError as error:
        raise GenOpsError(
            f"Cannot read {full}: {error.strerror}.",
            "Give the path of a file that exists and that you may read.",
        ) from error


def _of_folder(folder: str, name: str) -> Fingerprint:
    files: List[str] = []
    for parent, folders, names in os.walk(folder):
        folders.sort()
        files += [os.path.join(parent, each) for each in sorted(names)]
        if len(files) > MAX_FOLDER_FILES:
            raise GenOpsError(
                f"{folder} has more than {MAX_FOLDER_FILES:,} files.",
                "Give an archive, or a list of the files.",
            )
    digest = hashlib.sha256()
    size, newest, sampled = 0, 0.0, False
    for file in files:
        found = os.stat(file)
        if not stat.S_ISREG(found.st_mode):
            continue
        relative = os.path.relpath(file, folder).replace(os.sep, "/")
        line = json.dumps([relative, _sha256(file, found.st_size)])
        digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
        size, newest = size + found.st_size, max(newest, found.st_mtime)
        sampled = sampled or found.st_size > WHOLE_UP_TO_BYTES
    details = {"size_bytes": size, "mtime": newest, "files": len(files), "sampled": sampled}
    return Fingerprint(name, "folder", folder, digest.hexdigest(), details)


def _sha256(path: str, size: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        if size <= WHOLE_UP_TO_BYTES:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
            return digest.hexdigest()
        digest.update(f"{size}\n".encode())
        for index in range(SAMPLES):
            stream.seek((size - SAMPLE_BYTES) * index // (SAMPLES - 1))
            digest.update(stream.read(SAMPLE_BYTES))
    return digest.hexdigest()


class _Made(NamedTuple):
    kind: str
    sha256: str
    details: Dict[str, Any]


def _of_object(data: Any) -> Optional[_Made]:
    pandas, torch = sys.modules.get("pandas"), sys.modules.get("torch")
    if pandas is not None and isinstance(data, (pandas.DataFrame, pandas.Series)):
        return _of_pandas(pandas, data)
    if torch is not None and isinstance(data, torch.Tensor):
        dtype, shape = str(data.dtype), list(data.shape)
        plain = data.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        return _Made("torch", _of_parts(repr((dtype, shape)), plain.data), {"shape": shape, "dtypes": dtype})
    if hasattr(data, "__array__"):
        import numpy

        array = numpy.asarray(data)
        dtype, shape = str(array.dtype), list(array.shape)
        content = repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()
        return _Made("numpy", _of_parts(repr((dtype, shape)), content), {"shape": shape, "dtypes": dtype})
    return None


def _of_pandas(pandas: Any, data: Any) -> _Made:
    frame = data.to_frame() if isinstance(data, pandas.Series) else data
    dtypes = {str(name): str(dtype) for name, dtype in frame.dtypes.items()}
    try:
        hashes = pandas.util.hash_pandas_object(frame, index=True)
    except TypeError:  # lists and dicts in cells
        hashes = pandas.util.hash_pandas_object(frame.astype(str), index=True)
    head = repr((list(frame.shape), list(dtypes.items())))
    details = {"shape": list(frame.shape), "dtypes": dtypes}
    return _Made("pandas", _of_parts(head, hashes.to_numpy().tobytes()), details)


def _of_parts(head: str, content: Any) -> str:
    digest = hashlib.sha256(head.encode("utf-8", "replace") + b"\n")
    digest.update(content)
    return digest.hexdigest()
