"""Compute one digest of a model's files: when a kernel logs the model, and before the Lab loads it."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import List, Tuple

_CHUNK_BYTES = 1024 * 1024


class SpecialFile(ValueError):
    """A folder has a link or a special file; the text is its path in the folder."""


def plain_files(root: str) -> List[Tuple[str, str]]:
    """Return the path in the folder (with ``/``) and the full path of each file. Raises SpecialFile, OSError."""
    found: List[Tuple[str, str]] = []
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                relative = f"{folder}/{entry.name}" if folder else entry.name
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    pending.append(relative)
                elif stat.S_ISREG(mode):
                    found.append((relative, entry.path))
                else:
                    raise SpecialFile(relative)
    return found


def digest_of(root: str) -> str:
    """Return the SHA-256 (hex) over the sorted list of (relative path, SHA-256) of all files in a folder.

    Any changed, added, removed or renamed file changes the digest. Raises SpecialFile for links and special
    files, because their targets could change without changing the digest, and OSError.
    """
    whole = hashlib.sha256()
    for relative, file in sorted(plain_files(root)):
        whole.update(relative.encode("utf-8", "surrogateescape") + b"\0" + file_digest(file).encode() + b"\n")
    return whole.hexdigest()


def file_digest(file: str) -> str:
    """Return the SHA-256 (hex) of a file. Raises OSError."""
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        for chunk in iter(lambda: stream.read(_CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()
