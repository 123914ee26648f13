"""How a deployment file is named, so that it is the same file in a terminal and in the panel."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TypeVar

from msgspec.structs import replace

from .models import PlanDescription

Body = TypeVar("Body", bound=PlanDescription)


def known_as(path: Path) -> str:
    """Return the path below its git repository, which is the same in each clone; else the whole path."""
    for folder in path.parents:
        if (folder / ".git").exists():
            return path.relative_to(folder).as_posix()
    return path.as_posix()


def located(body: Body, root: Path) -> Body:
    """Return a file that the panel names by its ``path`` with its name and folder, as a terminal names it.

    A path that is not below ``root``, or not on this disk, is the name itself. Nothing is read here.
    """
    if not body.path:
        return body
    given = PurePosixPath(body.path)
    path = (root / given).resolve()  # as in a terminal: a link is the file that it leads to
    if given.is_absolute() or ".." in given.parts or not path.is_file():
        return replace(body, file=body.path)
    return replace(body, file=known_as(path), folder=str(path.parent))
