"""What of a folder stays where it is: names that never travel, and the lines of ``.genopsignore``."""

from __future__ import annotations

from pathlib import Path

from genops_lab.agent.tree import is_left_out

IGNORE_FILE = ".genopsignore"
MAX_RULES_BYTES = 256 * 1024
#: Before the person's own lines, which may take them back: passwords and keys of programs.
_DEFAULT_LINES = (".env", ".env.*", "!.env.example", ".netrc")


class Rules:
    """The rules of one folder."""

    def __init__(self, lines: list[str]) -> None:
        from pathspec import GitIgnoreSpec

        self._spec = GitIgnoreSpec.from_lines([*_DEFAULT_LINES, *lines])
        #: whether a line takes something back, which git's own rules may leave out
        self.takes_back = any(line.startswith("!") for line in lines)

    def leaves_out(self, path: str) -> bool:
        """Whether a file neither is sent nor brought."""
        return (
            any(is_left_out(part) for part in path.split("/")) or self._spec.check_file(path).include is True
        )

    def takes(self, path: str) -> bool:
        """Whether a line of the person's own asks for the file, whatever git ignores."""
        return self._spec.check_file(path).include is False and not any(map(is_left_out, path.split("/")))


def rules_of(root: str) -> Rules:
    """The rules of a folder; a file of them that cannot be read counts as none."""
    try:
        with Path(root, IGNORE_FILE).open(encoding="utf-8", errors="replace") as stream:
            lines = stream.read(MAX_RULES_BYTES).splitlines()
    except OSError:
        lines = []
    return Rules(lines)
