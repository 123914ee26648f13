"""What a person reads of folders: in the notebook, in questions, in answers."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from genops_lab.agent.tree import Seen
from genops_lab.core.words import size_of

from .bringing import Report
from .models import MAX_NAMED, Change, FolderFile

_NAMED = 5
_LISTED = 25


def shown(path: str) -> str:
    """A name of a host's choosing, on one line and without what would move or hide other text."""
    if path.isprintable():
        return unicodedata.normalize("NFC", path)
    return path.encode("unicode_escape").decode("ascii")


def files_of(count: int) -> str:
    """``1 file``, ``3 files``."""
    return "1 file" if count == 1 else f"{count:,} files"


def named(paths: Iterable[str]) -> str:
    """Some of the names, and how many more there are."""
    found = sorted(paths)
    text = ", ".join(shown(path) for path in found[:_NAMED])
    rest = len(found) - _NAMED
    return f"{text} and {rest:,} more" if rest > 0 else text


def largest(files: Iterable[Seen], words: Mapping[str, str] | None = None) -> str:
    """The largest files, a line each."""
    found = sorted(files, key=lambda each: each.size, reverse=True)
    lines = []
    for each in found[:_LISTED]:
        word = f"  ({words[each.path]})" if words and each.path in words else ""
        lines.append(f"{size_of(each.size):>12}  {shown(each.path)}{word}")
    rest = len(found) - _LISTED
    if rest > 0:
        left = sum(each.size for each in found[_LISTED:])
        lines.append(f"{size_of(left):>12}  in {files_of(rest)} more")
    return "\n".join(lines)


def entries(
    files: Iterable[Seen], change: Change | Mapping[str, Change], kept: Mapping[str, str] | None = None
) -> list[FolderFile]:
    """Files as they cross the wire, at most :data:`~.models.MAX_NAMED`, by name."""
    found = sorted(files, key=lambda each: each.path)[:MAX_NAMED]
    return [
        FolderFile(
            path=each.path,
            change=change if isinstance(change, str) else change.get(each.path, "changed"),
            size=each.size,
            modified_at=each.mtime_ns / 1e9,
            kept=(kept or {}).get(each.path, ""),
        )
        for each in found
    ]


def reasons(why: Mapping[str, str]) -> list[FolderFile]:
    """Files that could not travel."""
    return [FolderFile(path=path, why=why[path]) for path in sorted(why)[:MAX_NAMED]]


def told_in_notebook(report: Report, target: str) -> list[str]:
    """What of a push a person has to know in the notebook; empty when all is as it should be."""
    said = []
    if report.conflicts:
        said.append(
            f"Changed here and on {target} since they were last the same, and left as they are on both sides: "
            f"{named(report.conflicts)}. `genops folders status` in a terminal of JupyterLab shows them; "
            "`genops pull --theirs PATH` takes those of the host, `genops push --ours PATH` yours."
        )
    if report.failed:
        first = sorted(report.failed)[0]
        said.append(
            f"{files_of(len(report.failed))} could not be sent to {target}: {named(report.failed)} "
            f"({report.failed[first].rstrip('.')})."
        )
    return said
