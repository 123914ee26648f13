"""Which files a model consists of, as one digest: what decides whether a model loads unasked (decision 12)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from genops_lab.core.errors import Failed, NotFound
from genops_lab.runtime.model_files import SpecialFile, digest_of, plain_files


def model_digest(path: Path | str) -> str:
    """The digest of a model's folder (:func:`~genops_lab.runtime.model_files.digest_of`), as 64 hexadecimal digits.

    Raises NotFound when there is no such folder, and Failed for links and special files.
    """
    with _told(Path(path)):
        return digest_of(str(path))


def check_plain(path: Path) -> None:
    """Raise NotFound when there is no such folder, and Failed where it holds a link or a special file."""
    with _told(path):
        plain_files(str(path))


@contextlib.contextmanager
def _told(root: Path) -> Iterator[None]:
    if not root.is_dir():
        raise NotFound(
            f"The model's folder {root.name!r} is not there.", hint="Its artifacts were moved or deleted."
        )
    try:
        yield
    except SpecialFile as error:
        raise Failed(
            f"The model holds {str(error)!r}, a link or a special file.",
            hint="Log the model again with plain files only.",
        ) from error
