"""Format texts about folders for users: in the notebook, in questions, in answers."""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING

from genops_lab.agent.tree import Seen
from genops_lab.core.formatting import size_of
from genops_lab.hosts.providers import provider_of

from .download import Report
from .models import MAX_NAMED, Change, FolderFile

if TYPE_CHECKING:
    from genops_lab.hosts.link.route import Route

_NAMED = 5
_LISTED = 25
#: The most listed files that replace nothing, are not hidden and do not run.
_LISTED_HARMLESS = 500
#: Endings of files that programs run, or read for what to run, whatever the file's mode is.
_CODE_ENDINGS = (
    ".py", ".pyw", ".pyd", ".pyx", ".ipynb", ".sh", ".bash", ".zsh", ".fish", ".js", ".mjs", ".cjs", ".r", ".jl", ".pl",
    ".rb", ".lua", ".ps1", ".bat", ".cmd", ".exe", ".so", ".dll", ".dylib", ".mk", ".toml", ".cfg", ".ini", ".desktop",
)  # fmt: skip
_CODE_NAMES = frozenset({"makefile", "gnumakefile", "dockerfile", "justfile", "rakefile", "package.json"})


def shown(path: str) -> str:
    """Return a host's file name on one line, without characters that move or hide other text."""
    if path.isprintable():
        return unicodedata.normalize("NFC", path)
    return path.encode("unicode_escape").decode("ascii")


def files_of(count: int) -> str:
    """Return ``1 file``, ``3 files``."""
    return "1 file" if count == 1 else f"{count:,} files"


def named(paths: Iterable[str]) -> str:
    """Return some of the names, and the number of the others."""
    found = sorted(paths)
    text = ", ".join(shown(path) for path in found[:_NAMED])
    rest = len(found) - _NAMED
    return f"{text} and {rest:,} more" if rest > 0 else text


def largest(files: Iterable[Seen]) -> str:
    """Return the largest files, a line each."""
    found = sorted(files, key=lambda each: each.size, reverse=True)
    lines = []
    for each in found[:_LISTED]:
        lines.append(f"{size_of(each.size):>12}  {shown(each.path)}")
    rest = len(found) - _LISTED
    if rest > 0:
        left = sum(each.size for each in found[_LISTED:])
        lines.append(f"{size_of(left):>12}  in {files_of(rest)} more")
    return "\n".join(lines)


def coming(files: Mapping[str, Seen], replaced: Mapping[str, str]) -> str:
    """Return a host's files, a line each.

    First come all files that replace one here (``replaced`` says how), are hidden, can be executed or are
    code; none of these is left out. Then come the others, the largest first.
    """
    words = {path: replaced.get(path) or _new(each) for path, each in files.items()}
    first = sorted(risky_files(files, replaced), key=lambda path: (path not in replaced, path))
    rest = sorted(files.keys() - set(first), key=lambda path: (-files[path].size, path))
    lines = [
        f"{size_of(files[path].size):>12}  {shown(path)}  ({words[path]})"
        for path in (*first, *rest[:_LISTED_HARMLESS])
    ]
    if len(rest) > _LISTED_HARMLESS:
        left = sum(files[path].size for path in rest[_LISTED_HARMLESS:])
        lines.append(
            f"{size_of(left):>12} in {files_of(len(rest) - _LISTED_HARMLESS)} more, all new, none of "
            "them hidden, executable or code"
        )
    return "\n".join(lines)


def risky_files(files: Mapping[str, Seen], replaced: Mapping[str, str]) -> list[str]:
    """Return the files that a user must see before they are written."""
    return [path for path, each in files.items() if path in replaced or _new(each) != "new"]


def _new(file: Seen) -> str:
    name = file.path.rpartition("/")[2].lower()
    if any(part.startswith(".") for part in file.path.split("/")):
        return "new, hidden"
    if file.mode & 0o111:
        return "new, executable"
    return "new, code" if name.endswith(_CODE_ENDINGS) or name in _CODE_NAMES else "new"


def entries(
    files: Iterable[Seen],
    change: Change | Mapping[str, Change],
    kept: Mapping[str, str] | None = None,
    first: Container[str] = (),
) -> list[FolderFile]:
    """Return files in their wire format, at most :data:`~.models.MAX_NAMED`: those in ``first``, then the
    others by name."""
    found = sorted(files, key=lambda each: (each.path not in first, each.path))[:MAX_NAMED]
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
    """Return the files that could not be transferred."""
    return [FolderFile(path=path, why=why[path]) for path in sorted(why)[:MAX_NAMED]]


def shared(root: str, host: Route) -> str:
    """Return the sentence for a folder that the host has itself, by a shared file system."""
    noun = provider_of(host.kind).host_noun
    return f"Nothing needs to be copied: each {noun} of {host.target} works in {root} itself."


def push_notices(report: Report, target: str) -> list[str]:
    """Return the sentences about a push for the notebook; empty after a complete push."""
    said = []
    if report.conflicts:
        said.append(
            f"These files changed here and on {target}, and both sides keep their version: "
            f"{named(report.conflicts)}. `genops folders status` in a terminal of JupyterLab shows "
            "them; `genops pull --theirs PATH` takes those of the host, `genops push --ours PATH` "
            "yours."
        )
    if report.failed:
        first = sorted(report.failed)[0]
        said.append(
            f"{files_of(len(report.failed))} could not be sent to {target}: {named(report.failed)} "
            f"({report.failed[first].rstrip('.')})."
        )
    return said
