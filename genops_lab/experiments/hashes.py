"""Compute one digest of a model's files, which decides whether a model loads without a question (decision
12).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from genops_lab.core.errors import Failed, NotFound
from genops_lab.runtime.model_files import SpecialFile, digest_of, plain_files


def model_digest(path: Path | str) -> str:
    """Return the digest of a model's folder (:func:`~genops_lab.runtime.model_files.digest_of`): 64
    hexadecimal digits.

    Raises NotFound if there is no such folder, and Failed for links and special files.
    """
    with _file_errors(Path(path)):
        return digest_of(str(path))


def check_plain(path: Path) -> None:
    """Raise NotFound if there is no such folder, and Failed if it has a link or a special file."""
    with _file_errors(path):
        plain_files(str(path))


@contextlib.contextmanager
def _file_errors(root: Path) -> Iterator[None]:
    if not root.is_dir():
        raise NotFound(
            f"The model's folder {root.name!r} does not exist.",
            hint="Its artifacts were moved or deleted. Log the model again.",
        )
    try:
        yield
    except SpecialFile as error:
        raise Failed(
            f"The model has a link or a special file: {str(error)!r}.",
            hint="Log the model again with plain files only.",
        ) from error
