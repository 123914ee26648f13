"""Ask git: the gate file in a commit, and the commit that is checked out."""

from __future__ import annotations

import subprocess
from pathlib import Path

TIMEOUT_S = 10.0


def hash_at_commit(file: Path, commit: str) -> tuple[str, str]:
    """Return the blob hash of a file in a commit, or an empty text and the reason as a clause. Blocks.

    >>> hash_at_commit(Path("/nowhere/gates.yaml"), "ab12")[0]
    ''
    """
    if not file.parent.is_dir() or not commit.isalnum():
        return "", "the folder of the gate file is not known"
    found = git(file.parent, "rev-parse", "--verify", "--quiet", f"{commit}:./{file.name}")
    if found:
        return found, ""
    if git(file.parent, "cat-file", "-t", commit) == "commit":
        return "", f"the run's commit {commit[:8]} has no {file.name}"
    if git(file.parent, "rev-parse", "--is-shallow-repository") == "true":
        return (
            "",
            f"this clone is shallow and lacks the run's commit {commit[:8]}: fetch all commits (fetch-depth: 0)",
        )
    return "", f"this clone lacks the run's commit {commit[:8]}"


def git(folder: Path, *arguments: str) -> str:
    """Return what git answers, without blanks around it; empty if it fails. Blocks."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def commit_of(folder: Path) -> str:
    """Return the commit that is checked out; empty outside of a repository. Blocks."""
    return git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
