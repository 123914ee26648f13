"""What is wrong with a query, and where."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

from ...core.errors import InvalidRequest

_WINDOW = 72
"""Columns of a terminal that a rendered query takes at most."""


class QueryError(InvalidRequest):
    """``text[position:position + length]`` is what the message speaks of; at the end of the text ``length`` is 1.

    Places are counted in characters (code points), on the wire too, where they stand in ``details``.
    """

    code = "query"

    def __init__(self, message: str, *, text: str, position: int, length: int = 1, hint: str = "") -> None:
        super().__init__(message, hint=hint, details={"position": position, "length": length})
        self.text = text
        self.position = position
        self.length = max(1, length)

    def render(self) -> str:
        """Lines for a terminal: the query, carets under what is wrong, the message, the hint."""
        begin = max(0, min(self.position - _WINDOW // 2, len(self.text) - _WINDOW))
        shown = _on_one_line(self.text[begin : begin + _WINDOW])
        before = _width(_on_one_line(self.text[begin : self.position]))
        under = _width(_on_one_line(self.text[self.position : self.position + self.length]))
        left = "…" if begin else ""
        right = "…" if begin + _WINDOW < len(self.text) else ""
        carets = "^" * max(1, min(under, _width(shown) - before))
        lines = [f"{left}{shown}{right}", " " * (len(left) + before) + carets, self.message, self.hint]
        return "\n".join(line for line in lines if line)


class NotInColumns(QueryError):
    """The query asks for what the columns of runs do not hold; MLflow itself can answer it."""

    code = "query_not_in_columns"


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """The known words that ``word`` was perhaps meant to be, best first, at most three."""
    by_folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=3, cutoff=0.6)
    return [by_folded[folded] for folded in found]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names what is near, or an empty one."""
    found = nearest(word, known)
    return f"Did you mean {' or '.join(found)}?" if found else ""


def _on_one_line(text: str) -> str:
    """Control characters (line ends too) as one blank each, so that carets stand where they belong."""
    return "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in text)


def _width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)
