"""Which files a model consists of, as one digest: what decides whether a model loads unasked (decision 12)."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from genops_lab.core.errors import Failed, NotFound

_CHUNK_BYTES = 1024 * 1024


def model_digest(path: Path | str) -> str:
    """The SHA-256 (hex) over the sorted list of (relative path, SHA-256) of all files under a folder.

    Any changed, added, removed or renamed file changes it. Raises NotFound when there is no such folder, and
    Failed for links and special files: what they point to could change without changing the digest.
    """
    root = Path(path)
    if not root.is_dir():
        raise NotFound(
            f"The model's folder {root.name!r} is not there.", hint="Its artifacts were moved or deleted."
        )
    whole = hashlib.sha256()
    for relative, file in sorted(_files(root)):
        whole.update(relative.encode("utf-8", "surrogateescape") + b"\0" + _digest(file).encode() + b"\n")
    return whole.hexdigest()


def _files(root: Path) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    pending = [root]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                file = Path(entry.path)
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    pending.append(file)
                elif stat.S_ISREG(mode):
                    found.append((file.relative_to(root).as_posix(), file))
                else:
                    raise Failed(
                        f"The model holds {file.relative_to(root).as_posix()!r}, a link or a special file.",
                        hint="Log the model again with plain files only.",
                    )
    return found


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
