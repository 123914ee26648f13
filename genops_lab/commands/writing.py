"""Write files whole or not at all."""

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


def write_over(path: Path, text: str) -> None:
    """Write a file in UTF-8, in place of an earlier one. An earlier one stays whole until then. Raises OSError."""
    if path.exists() and not path.is_file():  # a pipe, a terminal
        path.write_text(text, encoding="utf-8")
        return
    path = path.resolve()  # a link stays a link
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def append_whole(path: Path, text: str) -> None:
    """Append to a file in UTF-8. After an error the file is as it was before. Raises OSError."""
    before = path.stat().st_size if path.exists() else None
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError:
        with contextlib.suppress(OSError):
            if before is None:
                path.unlink(missing_ok=True)
            elif path.is_file():
                os.truncate(path, before)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
