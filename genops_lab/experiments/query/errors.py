"""Describe errors of a query, with their positions."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

from ...core.errors import InvalidRequest

_WINDOW = 72
"""Most columns of a terminal for a rendered query."""


class QueryError(InvalidRequest):
    """An error at ``text[position:position + length]``; at the end of the text ``length`` is 1.

    Positions are counted in characters (code points), also in the ``details`` on the wire.
    """

    code = "query"

    def __init__(self, message: str, *, text: str, position: int, length: int = 1, hint: str = "") -> None:
        super().__init__(message, hint=hint, details={"position": position, "length": length})
        self.text = text
        self.position = position
        self.length = max(1, length)

    def render(self) -> str:
        """Return lines for a terminal: the query, carets under the error, the message, the hint."""
        lines = [pointed(self.text, self.position, self.length), self.message, self.hint]
        return "\n".join(line for line in lines if line)


def pointed(text: str, position: int, length: int) -> str:
    """Return two lines for a terminal: the query, and carets under a piece of it."""
    begin = max(0, min(position - _WINDOW // 2, len(text) - _WINDOW))
    shown = _on_one_line(text[begin : begin + _WINDOW])
    before = _width(_on_one_line(text[begin:position]))
    under = _width(_on_one_line(text[position : position + length]))
    left = "…" if begin else ""
    right = "…" if begin + _WINDOW < len(text) else ""
    carets = "^" * max(1, min(under, _width(shown) - before))
    return f"{left}{shown}{right}\n{' ' * (len(left) + before)}{carets}"


class NotInColumns(QueryError):
    """The query asks for data that the columns of runs lack; MLflow itself can answer it."""

    code = "query_not_in_columns"


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return at most three known words that are similar to ``word``, best first."""
    by_folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=3, cutoff=0.6)
    return [by_folded[folded] for folded in found]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint with similar names, or an empty text."""
    found = nearest(word, known)
    return f"Did you mean {' or '.join(found)}?" if found else ""


def _on_one_line(text: str) -> str:
    """Replace each control character (line ends too) by a blank, so that carets keep their places."""
    return "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in text)


def _width(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)
