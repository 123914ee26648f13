"""Sentences that users read, each once in ``tests/golden/sentences.txt``: a changed sentence is one difference there.

``pytest --rewrite-golden`` writes the sections that the chosen tests compare.
"""

from __future__ import annotations

import difflib
import fcntl
from collections.abc import Iterable
from pathlib import Path

FILE = Path(__file__).parents[1] / "golden" / "sentences.txt"
_HEAD = "## "


class Sentences:
    """Compares sections of the file, or writes them."""

    def __init__(self, *, rewrite: bool, file: Path = FILE) -> None:
        self._rewrite = rewrite
        self._file = file

    def check(self, section: str, said: Iterable[str]) -> None:
        """Compare what is ``said`` with the section. Raises AssertionError, with the lines that differ."""
        lines = [line.rstrip() for each in said for line in each.split("\n")]
        assert not any(line.startswith(_HEAD) for line in lines), "a line looks like the head of a section"
        if self._rewrite:
            self._write(section, lines)
            return
        kept = _sections(self._file.read_text(encoding="utf-8")).get(section, [])
        changed = difflib.unified_diff(kept, lines, "kept", "said", lineterm="", n=1)
        assert kept == lines, "\n".join(
            [
                f"The sentences of {section!r} changed. If that is meant, run this test with --rewrite-golden and "
                f"commit {self._file.name}.",
                *changed,
            ]
        )

    def _write(self, section: str, lines: list[str]) -> None:
        with self._file.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # of pytest's other workers
            file.seek(0)
            sections = _sections(file.read())
            sections[section] = lines
            file.truncate(0)
            file.write(
                "\n\n".join("\n".join([_HEAD + name, *sections[name]]) for name in sorted(sections)) + "\n"
            )


def _sections(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in f"\n{text}".split(f"\n{_HEAD}")[1:]:
        name, *lines = part.rstrip("\n").split("\n")
        found[name] = lines
    return found
