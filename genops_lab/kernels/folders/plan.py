"""Plan a transfer from three lists: here, on the host, and both at the last synchronisation.

Nothing here reads or writes; hashes are requested where size and time cannot decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from genops_lab.agent.tree import Seen

from .last_sync import Known

Sha = Callable[[str], str]
"""The hash of a file; empty where it cannot be read."""


@dataclass
class Push:
    """``send``: with the expected state on the host (None: no file). ``same``: equal on both sides by their
    hashes, ``conflicts``: changed on both."""

    send: dict[str, Seen | None] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)
    forget: list[str] = field(default_factory=list)
    same: dict[str, Seen] = field(default_factory=dict)
    conflicts: dict[str, Seen] = field(default_factory=dict)


@dataclass
class Pull:
    """``bring``: with the expected state here (None: no file)."""

    bring: dict[str, Seen | None] = field(default_factory=dict)
    same: dict[str, Seen] = field(default_factory=dict)
    conflicts: dict[str, Seen] = field(default_factory=dict)


def unchanged_here(known: Known | None, here: Seen, sha: Sha) -> bool:
    """Return whether a file here is unchanged since both sides were the same."""
    if known is None or known.size != here.size or (known.mode ^ here.mode) & 0o111:
        return False
    return known.mtime_ns == here.mtime_ns or known.sha == sha(here.path)


def doubtful(
    here: dict[str, Seen], there: dict[str, Seen], files: dict[str, Known], sha: Sha, *, pulling: bool
) -> list[str]:
    """Return the files whose hashes on the host are needed for a plan."""
    found = []
    for path, seen in there.items():
        known, mine = files.get(path), here.get(path)
        if mine is None or mine.size != seen.size or (known is not None and known.there == seen.state):
            continue
        if pulling or not unchanged_here(known, mine, sha):
            found.append(path)
    return found


def push(
    here: dict[str, Seen],
    there: dict[str, Seen],
    files: dict[str, Known],
    sha: Sha,
    sha_there: dict[str, str],
    gone_here: Callable[[str], bool],
    blocked: Iterable[str] = (),
) -> Push:
    """Plan the changes that make the host's folder equal to the one here. ``blocked``: links on the host,
    below which nothing is changed."""
    plan = Push()
    links = tuple(f"{path}/" for path in blocked)
    exact = {path[:-1] for path in links}
    for path, mine in here.items():
        seen, known = there.get(path), files.get(path)
        if path in exact or (links and path.startswith(links)):
            continue
        if seen is None:
            plan.send[path] = None
        elif known is not None and known.there == seen.state:
            if not unchanged_here(known, mine, sha):
                plan.send[path] = seen
        elif unchanged_here(known, mine, sha):
            continue  # a result, to be pulled
        elif _same(path, sha, sha_there):
            plan.same[path] = seen
        else:
            plan.conflicts[path] = seen
    for path, known in files.items():
        if path in here:
            continue
        seen = there.get(path)
        if seen is not None and known.there == seen.state and gone_here(path):
            plan.delete.append(path)
        else:
            plan.forget.append(path)
    return plan


def pull(
    here: dict[str, Seen],
    there: dict[str, Seen],
    files: dict[str, Known],
    sha: Sha,
    sha_there: dict[str, str],
) -> Pull:
    """Plan a pull of new and changed files. ``here`` has the files here under those paths, also those that
    git ignores."""
    plan = Pull()
    for path, seen in there.items():
        mine, known = here.get(path), files.get(path)
        if known is not None and known.there == seen.state:
            continue
        if mine is None:
            plan.bring[path] = None
        elif _same(path, sha, sha_there):
            plan.same[path] = seen
        elif unchanged_here(known, mine, sha):
            plan.bring[path] = mine
        else:
            plan.conflicts[path] = seen
    return plan


def _same(path: str, sha: Sha, sha_there: dict[str, str]) -> bool:
    theirs = sha_there.get(path, "")
    return theirs != "" and theirs == sha(path)
