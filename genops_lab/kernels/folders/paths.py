"""Select the files of a folder that a user names."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Callable, Sequence
from pathlib import Path

from genops_lab.core.errors import InvalidRequest

from .local_folder import Place

MAX_PATHS = 1000


def chosen(paths: Sequence[str], place: Place) -> Callable[[str], bool]:
    """Return a check whether a file is one of those named, relative to the place's inner folder; all without
    names.

    Raises InvalidRequest for a path outside of the folder.
    """
    if len(paths) > MAX_PATHS:
        raise InvalidRequest(f"{len(paths):,} paths are too many.", hint="Name folders, or use patterns.")
    wanted = [_inside(path, place) for path in paths]
    if not paths or "" in wanted:
        return lambda path: True

    def among(path: str) -> bool:
        return any(
            path == each or path.startswith(each + "/") or fnmatch.fnmatchcase(path, each) for each in wanted
        )

    return among


def _inside(path: str, place: Place) -> str:
    given = path
    if Path(path).is_absolute():
        try:
            given = Path(path).relative_to(place.root).as_posix()
        except ValueError:
            raise _outside(path, place) from None
        found = posixpath.normpath(given)
    else:
        found = posixpath.normpath(posixpath.join(place.inside, given or "."))
    if found.startswith("../") or found in ("..", "/"):
        raise _outside(path, place)
    return "" if found == "." else found


def _outside(path: str, place: Place) -> InvalidRequest:
    return InvalidRequest(f"{path[:200]!r} is not in {place.root}.", hint="Name files in this folder.")
