"""List the files of a model's folder without following links."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

MAX_FILES = 5_000
MAX_DEPTH = 20


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file by its path in the folder. ``problem`` says why it is not read; empty for plain files."""

    path: str
    size: int
    changed_ns: int = 0
    problem: str = ""


def entries(root: Path, shared: Collection[tuple[int, int]] = ()) -> tuple[list[Entry], bool]:
    """Return the files of a folder, at most 5,000, sorted by path, and whether there are more. Raises OSError.

    ``shared`` has device and inode of files whose other links are GenOps Lab's own: those are no problem.
    """
    found: list[Entry] = []
    links: dict[tuple[int, int], list[int]] = {}
    pending = [("", 0)]
    more = False
    while pending:
        folder, depth = pending.pop()
        with os.scandir(root / folder) as inside:
            for each in inside:
                if len(found) + len(pending) >= MAX_FILES:
                    more = True
                    break
                path = f"{folder}/{each.name}" if folder else each.name
                state = each.stat(follow_symlinks=False)
                if stat.S_ISDIR(state.st_mode):
                    if depth < MAX_DEPTH:
                        pending.append((path, depth + 1))
                    else:
                        more = True
                    continue
                problem = _problem(root, path, state)
                if state.st_nlink > 1 and not problem and (state.st_dev, state.st_ino) not in shared:
                    links.setdefault((state.st_dev, state.st_ino), [state.st_nlink]).append(len(found))
                found.append(
                    Entry(path=path, size=state.st_size, changed_ns=state.st_mtime_ns, problem=problem)
                )
    for count, *places in links.values():
        if count > len(places):
            for at in places:
                found[at] = Entry(
                    path=found[at].path,
                    size=found[at].size,
                    changed_ns=found[at].changed_ns,
                    problem="It is a hard link: a file elsewhere has the same content, and can change it.",
                )
    return sorted(found, key=lambda entry: entry.path), more


def _problem(root: Path, path: str, state: os.stat_result) -> str:
    if stat.S_ISLNK(state.st_mode):
        try:
            inside = (root / path).resolve().is_relative_to(root.resolve())
        except (OSError, RuntimeError):
            inside = False
        return (
            "It is a link to another file of the model."
            if inside
            else "It is a link out of the model's folder."
        )
    if not stat.S_ISREG(state.st_mode):
        return "It is a special file, such as a pipe or a device."
    if not path.isprintable():
        return "It has control characters in its name."
    return ""
