"""Write files whole or not at all, and never over another file."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from genops_lab.core.errors import Conflict, Failed


def free_path(path: Path) -> Path:
    """Return ``path``, or the first free one of ``name-1.ipynb``, ``name-2.ipynb``, ..."""
    names = itertools.chain(
        [path], (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(1))
    )
    return next(each for each in names if not os.path.lexists(each))


def is_there(path: Path) -> Conflict:
    """Return the error for a file that would be overwritten."""
    return Conflict(
        f"{path} exists and was not changed.", hint=f"Give another name, such as {free_path(path)}."
    )


def write_new(path: Path, text: str | Iterable[str]) -> None:
    """Write a new file, byte for byte. Raises Conflict with a free name, or Failed."""
    temporary = ""
    reserved = False
    try:
        # The name is taken first, so that one of two writers is refused. The content then replaces the empty file.
        with path.open("xb"):
            reserved = True
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as stream:
            for part in [text] if isinstance(text, str) else text:
                stream.write(part.encode("utf-8", "surrogatepass"))
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(path.stat().st_mode & 0o777)
        Path(temporary).replace(path)
    except FileExistsError as error:
        raise is_there(path) from error
    except OSError as error:
        for left in [Path(temporary)] * bool(temporary) + [path] * reserved:
            with contextlib.suppress(OSError):
                left.unlink()
        raise Failed(
            f"Cannot write {path}: {error.strerror or error}.",
            hint="Give a path in a folder that you may write to.",
        ) from error
