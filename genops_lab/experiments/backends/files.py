"""Files that a kernel hands over, checked before they are read (in the worker process)."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from genops_lab.core.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from mlflow import MlflowClient


def hand_over(client: MlflowClient, run_id: str, source: Path, path: str, spool: Path, scratch: Path) -> None:
    """Keep ``source`` as the run's artifact ``path``.

    Raises InvalidRequest for what is no plain file of this user's own outside the spool, or leads out of
    the spool by a link; NotFound when it is gone.
    """
    if not source.is_absolute():
        raise InvalidRequest(f"The file {str(source)[:80]!r} was not kept.", hint="Give its absolute path.")
    with tempfile.TemporaryDirectory(prefix="artifact-", dir=scratch) as folder:
        target = PurePosixPath(path)
        copy = Path(folder) / target.name
        _copy_checked(source, copy, spool)
        parent = str(target.parent)
        client.log_artifact(run_id, str(copy), None if parent == "." else parent)


def _copy_checked(source: Path, copy: Path, spool: Path) -> None:
    # The checks are made on what was opened, so that nothing can be put in its place in between.
    try:
        descriptor = os.open(
            source, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        )
    except FileNotFoundError as error:
        raise NotFound(
            f"The file {source.name[:80]!r} was not kept.", hint="It was gone when it was to be read."
        ) from error
    except OSError as error:
        raise InvalidRequest(
            f"The file {source.name[:80]!r} was not kept.", hint=f"It cannot be read: {error.strerror}."
        ) from error
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise InvalidRequest(f"{source.name[:80]!r} was not kept.", hint="It is no plain file.")
        inside = source.resolve().is_relative_to(spool.resolve())
        if not inside and hasattr(os, "getuid") and found.st_uid != os.getuid():
            raise InvalidRequest(
                f"The file {source.name[:80]!r} was not kept.", hint="It belongs to another user."
            )
        with copy.open("wb") as target:
            shutil.copyfileobj(stream, target)
