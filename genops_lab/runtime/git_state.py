"""Read the git commit under a run and the uncommitted changes."""

from __future__ import annotations

import fnmatch
import functools
import os
import re
import stat
import subprocess
import threading
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..redaction.texts import Counts, Redactor, added, marks_in

GIT_TIMEOUT_S = 3.0
DIFF_TIMEOUT_S = 15.0
#: Bytes of one file's diff (or of a new file), and of all together.
MAX_FILE_BYTES = 500_000
MAX_PATCH_BYTES = 2_000_000
MAX_FILES = 500
#: Bytes of git's own output; the rest is not read.
MAX_OUTPUT_BYTES = 4 * MAX_PATCH_BYTES
LARGE, BINARY, SECRET, MANY, CODED = "large", "binary", "may hold secrets", "too many", "not UTF-8"
#: A notebook's outputs and counts change with each run; the cells that ran are kept by :mod:`.cells`.
NOTEBOOK = "a notebook"
_REASONS = (LARGE.encode(), BINARY.encode(), MANY.encode())
#: Folders that programs write, ignored by git or not.
_NOBODYS = {".ipynb_checkpoints", "__pycache__"}

_USERINFO = re.compile(r"//[^/@]*@")
_SECRET_FILES = (
    ".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
    ".netrc", "_netrc", ".pgpass", ".pypirc", ".npmrc", ".git-credentials", ".htpasswd", "kaggle.json",
    "credentials", "credentials.json", "credentials.ini", "credentials.toml", "credentials.y*ml", "credentials.csv",
    "secrets.json", "secrets.ini", "secrets.toml", "secrets.y*ml",
    "*service-account*.json", "*service_account*.json",
)  # fmt: skip
_EXAMPLES = ("*.example", "*.sample", "*.template", "*.dist")
_EXECUTABLE = 0o100
_HUNK = re.compile(r"@@ -[0-9,]+ \+[0-9,]+ @@")


class LeftOut(NamedTuple):
    """A changed file whose content is not kept; ``size`` of the file in bytes."""

    path: str
    reason: str
    size: int


class Patch(NamedTuple):
    """The uncommitted changes for ``git apply``; ``redacted`` counts the marks by file."""

    text: str
    files: List[str]
    left_out: List[LeftOut]
    redacted: Dict[str, Counts]


def git_tags(folder: str) -> Dict[str, str]:
    """Return the commit, the branch and whether tracked files differ; empty outside of a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    tags = {"mlflow.source.git.commit": commit}
    branch = _git(folder, "rev-parse", "--abbrev-ref", "HEAD")
    if branch and branch != "HEAD":
        tags["mlflow.source.git.branch"] = branch
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if changes is not None:
        tags["mlflow.source.git.dirty"] = "true" if changes else "false"
    return tags


def top_of(folder: str) -> str:
    """Return the repository's top folder; empty outside of a repository."""
    return _git(folder, "rev-parse", "--show-toplevel") or ""


def remote_url(folder: str, branch: str) -> str:
    """Return the URL that the branch is pushed to, without user, password and query."""
    name = _git(folder, "config", "--get", f"branch.{branch}.remote") if branch else ""
    url = _git(folder, "config", "--get", f"remote.{name or 'origin'}.url") or ""
    return _USERINFO.sub("//", url, count=1).partition("?")[0]


def uncommitted(top: str, redactor: Redactor) -> Optional[Patch]:
    """Return the changes since the commit: changed and new files, not ignored ones. None if git does not
    answer in time.

    Binary files, large files and files whose name says that they hold secrets are only named.
    """
    output = _bounded(
        top,
        ["-c", "core.quotePath=false", "-c", f"core.bigFileThreshold={MAX_FILE_BYTES}", "-c", "core.fsmonitor=false",
         "diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--submodule=short",
         "--src-prefix=a/", "--dst-prefix=b/"],
    )  # fmt: skip
    new = _bounded(top, ["ls-files", "--others", "--exclude-standard", "-z"])
    if output is None or new is None:
        return None
    taken = _Taken(top, redactor)
    for path, section in _sections(output):
        taken.add(path, section)
    if len(output) >= MAX_OUTPUT_BYTES:
        taken.leave_out("(further changed files)", MANY)
    for name in (os.fsdecode(name) for name in new.split(b"\0") if name):
        if name.endswith("/") or _NOBODYS.intersection(name.split("/")):
            continue
        # Stop here: a folder of results may have a hundred thousand files.
        full = len(taken.files) >= MAX_FILES or taken.size >= MAX_PATCH_BYTES
        taken.add(name, MANY.encode() if full else _as_new_file(top, name))
    return taken.patch()


class _Taken:
    """Collects the diff's parts, and the files that are left out."""

    def __init__(self, top: str, redactor: Redactor) -> None:
        self._top, self._redactor = top, redactor
        self._texts: List[str] = []
        self._left_out: List[LeftOut] = []
        self._unnamed = 0
        self._redacted: Dict[str, Counts] = {}
        self.files: List[str] = []
        self.size = 0

    def add(self, path: str, section: bytes) -> None:
        """Add a file's part of the diff, or leave the file out with a reason."""
        reason = self._why_not(path, section)
        if reason:
            self.leave_out(path, reason)
            return
        try:
            text = section.decode("utf-8")
        except UnicodeDecodeError:
            self.leave_out(path, CODED)
            return
        text, counts = redacted_diff(text, self._redactor)
        self.size += len(section)
        self._texts.append(text)
        self.files.append(_shown(path))
        if counts:
            self._redacted[_shown(path)] = counts

    def leave_out(self, path: str, reason: str) -> None:
        """Name a file that is left out; above a limit only count it."""
        size = _size(self._top, path)
        if reason == BINARY and size > MAX_FILE_BYTES:  # git takes files above its threshold for binary
            reason = LARGE
        if len(self._left_out) < MAX_FILES:
            self._left_out.append(LeftOut(_shown(path), reason, size))
        else:
            self._unnamed += 1

    def _why_not(self, path: str, section: bytes) -> str:
        name = path.rpartition("/")[2].lower()
        matches = [fnmatch.fnmatchcase(name, pattern) for pattern in _SECRET_FILES]
        if any(matches) and not any(fnmatch.fnmatchcase(name, pattern) for pattern in _EXAMPLES):
            return SECRET
        if name.endswith(".ipynb"):
            return NOTEBOOK
        if section in _REASONS:
            return section.decode()
        if len(self.files) >= MAX_FILES:
            return MANY
        too_large = len(section) > MAX_FILE_BYTES or self.size + len(section) > MAX_PATCH_BYTES
        return LARGE if too_large else ""

    def patch(self) -> Patch:
        more = [LeftOut(f"({self._unnamed} more)", MANY, 0)] if self._unnamed else []
        return Patch("".join(self._texts), self.files, self._left_out + more, self._redacted)


def _sections(output: bytes) -> Iterator[Tuple[str, bytes]]:
    """Yield each file's part of a diff. Lines of content begin with a sign, so ``diff --git`` begins a file."""
    for part in re.split(rb"(?m)^(?=diff --git )", output):
        if not part:
            continue
        head = part.partition(b"\n@@ ")[0]
        path = _path_of(head)
        if re.search(rb"(?m)^Binary files .* differ$", head):
            yield path, BINARY.encode()
        elif part.endswith(b"\n"):
            yield path, part
        else:  # git was stopped in the middle of it
            yield path, LARGE.encode()


def _path_of(head: bytes) -> str:
    found = re.search(rb'(?m)^\+\+\+ (?:"b/(.*)"|b/(.*?))\t?$', head)
    found = found or re.search(rb'(?m)^--- (?:"a/(.*)"|a/(.*?))\t?$', head)
    if found:
        return os.fsdecode(found.group(1) or found.group(2))
    # Without content (a mode, a binary file) both names are the same.
    line = head.partition(b"\n")[0][len(b"diff --git ") :]
    return os.fsdecode(line[: len(line) // 2].strip(b'"')[2:])


def _as_new_file(top: str, name: str) -> bytes:
    """Return a new file in the form of git's diff, or the reason why its content is left out."""
    path = os.path.join(top, name)
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            return BINARY.encode()
        if found.st_size > MAX_FILE_BYTES:
            return LARGE.encode()
        with open(path, "rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError:
        return BINARY.encode()
    if b"\0" in content:
        return BINARY.encode()
    old, new = _quoted("a/" + name), _quoted("b/" + name)
    mode = b"100755" if found.st_mode & _EXECUTABLE else b"100644"
    head = b"diff --git " + old + b" " + new + b"\nnew file mode " + mode + b"\n"
    lines = content.split(b"\n")
    ends = lines.pop() == b""
    if not ends:
        lines.append(content.rpartition(b"\n")[2])
    if not content:
        return head + b"index 0000000..e69de29\n"
    head += b"--- /dev/null\n+++ " + new + (b"\t" if b" " in new else b"") + b"\n"
    head += b"@@ -0,0 +1" + (b",%d" % len(lines) if len(lines) > 1 else b"") + b" @@\n"
    body = b"".join(b"+" + line + b"\n" for line in lines)
    return head + body + (b"" if ends else b"\\ No newline at end of file\n")


def _quoted(name: str) -> bytes:
    """Return a name as git writes it."""
    raw = os.fsencode(name)
    if not re.search(rb'[\x00-\x1f"\\\x7f]', raw):
        return raw
    escaped = re.sub(rb'[\x00-\x1f"\\\x7f]', lambda found: b"\\%03o" % found.group()[0], raw)
    return b'"' + escaped + b'"'


def redacted_diff(text: str, redactor: Redactor) -> Tuple[str, Counts]:
    """Return a diff without secrets. Its lines keep their first signs, so that it stays a diff."""
    signs: List[str] = []
    contents: List[str] = []
    in_hunk = False
    for line in text.split("\n"):
        hunk = _HUNK.match(line)
        in_hunk = bool(hunk) or in_hunk
        sign = hunk.group() if hunk else line[:1] if in_hunk else line
        signs.append(sign)
        contents.append(line[len(sign) :])
    whole = "\n".join(contents)
    clean = redactor.redact(whole)
    if clean == whole:
        return text, {}
    lines = clean.split("\n")
    before, after = marks_in(whole), marks_in(clean)
    counts = {
        kind: number - before.get(kind, 0) for kind, number in after.items() if number > before.get(kind, 0)
    }
    return "\n".join(sign + line for sign, line in zip(signs, lines)), counts  # noqa: B905 - Python 3.8


def redacted_again(patch: Patch, redactor: Redactor) -> Patch:
    """Redact secrets that became known after the patch was made."""
    texts: List[str] = []
    redacted = dict(patch.redacted)
    for path, section in _sections(patch.text.encode()):
        text, counts = redacted_diff(section.decode(), redactor)
        texts.append(text)
        if counts:
            redacted[_shown(path)] = added(redacted.get(_shown(path), {}), counts)
    return patch._replace(text="".join(texts), redacted=redacted)


def all_counts(patch: Patch) -> Counts:
    """Return the marks of all files together."""
    return functools.reduce(added, patch.redacted.values(), {})


def _size(top: str, path: str) -> int:
    try:
        return os.lstat(os.path.join(top, path)).st_size
    except OSError:
        return 0


def _shown(path: str) -> str:
    return path.encode("utf-8", "replace").decode()


def _environment() -> Dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "GIT_EXTERNAL_DIFF"}
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def _git(folder: str, *arguments: str) -> Optional[str]:
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=folder, env=_environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            universal_newlines=True, timeout=GIT_TIMEOUT_S,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _bounded(folder: str, arguments: List[str]) -> Optional[bytes]:
    """Return git's output up to the limit; None if git fails or takes too long."""
    try:
        process = subprocess.Popen(
            ["git", *arguments], cwd=folder, env=_environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return None
    assert process.stdout is not None
    late = threading.Timer(DIFF_TIMEOUT_S, process.kill)
    late.start()
    try:
        output = process.stdout.read(MAX_OUTPUT_BYTES)
        cut = bool(process.stdout.read(1))
        if cut:
            process.kill()
        return output if process.wait() == 0 or cut else None
    finally:
        late.cancel()
        process.stdout.close()
