"""Find the folder of a notebook on the Lab's machine, and list its files. All functions block."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from genops_lab.agent.tree import Changed, Seen, Tree, is_left_out

#: A folder with more files is not listed completely, and not sent.
MAX_FILES = 200_000
_GIT_S = 60.0

IGNORE_FILE = ".genopsignore"
MAX_RULES_BYTES = 256 * 1024
#: Passwords and keys of programs. The user's own lines follow and may include them again.
_DEFAULT_LINES = (".env", ".env.*", "!.env.example", ".netrc")


class NotSendable(Exception):
    """This folder is never sent; the message says why."""


@dataclass(frozen=True)
class Place:
    """A folder that is sent as a whole, and the notebook's folder in it (relative, empty for the folder
    itself)."""

    root: str
    inside: str
    is_git: bool


@dataclass
class Contents:
    """The files of a folder that are sent. ``left_out``: path to reason, for files that a user could miss."""

    files: dict[str, Seen] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    whole: bool = True

    @property
    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(each.size for each in self.files.values())


def place_of(folder: str) -> Place:
    """Return the git work tree around a folder, or the folder itself. Raises NotSendable, OSError."""
    inner = Path(folder).resolve(strict=True)
    found = _work_tree(inner)
    root = found or inner
    home = Path.home().resolve()
    if root == home or root in home.parents:
        if found and inner != home and inner not in home.parents:
            root, found = inner, None  # a home under version control: only the notebook's own folder
        else:
            what = "your home folder" if root == home else f"{root}, which contains your home folder"
            raise NotSendable(f"The notebook is directly in {what}, which GenOps Lab never sends.")
    inside = "" if inner == root else inner.relative_to(root).as_posix()
    return Place(str(root), inside, found is not None)


def _work_tree(folder: Path) -> Path | None:
    try:
        printed = _git(str(folder), "rev-parse", "--show-toplevel")
    except (OSError, subprocess.SubprocessError):
        return None
    top = os.fsdecode(printed).rstrip("\n")
    return Path(top).resolve() if top else None


def contents(place: Place) -> Contents:
    """Return the files of the folder. Raises OSError."""
    rules = rules_of(place.root)
    with Tree(place.root) as tree:
        if place.is_git:
            try:
                return _of_git(place, tree, rules)
            except subprocess.SubprocessError:
                pass  # git refuses (it does not trust the owner): every file counts
        return _of_walk(tree, rules)


def _of_walk(tree: Tree, rules: Rules) -> Contents:
    listing = tree.listing(MAX_FILES)
    found = Contents(whole=listing.whole)
    found.files = {each.path: each for each in listing.files if not rules.leaves_out(each.path)}
    found.folders = [path for path in listing.folders if not rules.leaves_out(path)]
    found.left_out = {path: "It is a link." for path in listing.links if not rules.leaves_out(path)}
    found.left_out |= dict.fromkeys(listing.unreadable, "It cannot be read, or its name is not UTF-8.")
    return found


def _of_git(place: Place, tree: Tree, rules: Rules) -> Contents:
    found = Contents()
    printed = _git(place.root, "ls-files", "-co", "--exclude-standard", "-z")
    for name in dict.fromkeys(printed.split(b"\0")):  # a merge's conflict names a file three times
        if not name:
            continue
        if len(found.files) >= MAX_FILES:
            found.whole = False
            break
        try:
            path = name.decode("utf-8")
        except UnicodeDecodeError:
            found.left_out[name.decode("utf-8", "replace")] = "Its name is not UTF-8."
            continue
        if path.endswith("/"):
            found.left_out[path] = "It is a git repository of its own."
        elif not rules.leaves_out(path):
            _take(tree, path, found)
    if rules.takes_back:
        listing = tree.listing(MAX_FILES)
        for each in listing.files:
            if each.path not in found.files and rules.takes(each.path):
                found.files[each.path] = each
    return found


def _take(tree: Tree, path: str, found: Contents) -> None:
    try:
        seen = tree.look(path)
    except Changed:
        full = Path(tree.root, path)
        if full.is_symlink():
            found.left_out[path] = "It is a link."
        elif full.is_dir():
            found.left_out[path] = "It is a submodule."
        else:
            found.left_out[path] = "It is not a plain file, or its path contains a link."
    except (OSError, ValueError) as error:
        found.left_out[path] = f"It cannot be read: {getattr(error, 'strerror', None) or error}."
    else:
        if seen is not None:  # in git's index, deleted from the folder
            found.files[path] = seen


def _git(folder: str, *arguments: str) -> bytes:
    """Return git's output. Raises OSError, SubprocessError."""
    unwanted = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    return subprocess.run(
        # A repository's own configuration may name programs to run.
        ["git", "-c", "core.fsmonitor=false", "-C", folder, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_GIT_S,
        check=True,
    ).stdout


class Rules:
    """The rules of one folder."""

    def __init__(self, lines: list[str]) -> None:
        from pathspec import GitIgnoreSpec

        self._spec = GitIgnoreSpec.from_lines([*_DEFAULT_LINES, *lines])
        #: whether a line includes a file again, which git's own rules may leave out
        self.takes_back = any(line.startswith("!") for line in lines)

    def leaves_out(self, path: str) -> bool:
        """Return whether a file is neither sent nor pulled."""
        return (
            any(is_left_out(part) for part in path.split("/")) or self._spec.check_file(path).include is True
        )

    def takes(self, path: str) -> bool:
        """Return whether a line of the user's own includes the file, whatever git ignores."""
        return self._spec.check_file(path).include is False and not any(map(is_left_out, path.split("/")))


def rules_of(root: str) -> Rules:
    """Return the rules of a folder; an unreadable rules file counts as none."""
    try:
        with Path(root, IGNORE_FILE).open(encoding="utf-8", errors="replace") as stream:
            lines = stream.read(MAX_RULES_BYTES).splitlines()
    except OSError:
        lines = []
    return Rules(lines)
