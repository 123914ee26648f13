"""Remove secrets from the source of a run before it is written.

Secrets are known tokens (:mod:`.token_patterns`), the present values of secret-named variables, texts
assigned to secret names, and strings that look random. A mark replaces each: ``[redacted: github token]``.
Redacting twice changes nothing more, and the number of lines stays.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Iterable

from .rules import ASSIGNED, RANDOM, SECRET_KINDS, VARIABLE, Counts, Piece, Rules, added

__all__ = ["ASSIGNED", "MARK", "RANDOM", "VARIABLE", "Counts", "Redactor", "added", "mark", "marks_in"]

#: The form of a mark; its group is the kind.
MARK = re.compile(r"\[redacted: ({})\]".format("|".join(re.escape(kind) for kind in SECRET_KINDS)))


def mark(kind: str) -> str:
    """Return the mark that replaces a secret of this kind."""
    return f"[redacted: {kind}]"


def marks_in(text: str) -> Counts:
    """Return how many marks of each kind a text has."""
    return dict(Counter(found.group(1) for found in MARK.finditer(text)))


class Redactor:
    """Removes secrets from texts. ``values`` are further texts to remove, the longest first."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._rules = Rules(values, fixed=MARK.pattern)

    def redact(self, text: str) -> str:
        """Return the text with marks in place of secrets."""
        return "".join(_marked(piece) for piece in self._rules.split(text))


def _marked(piece: Piece) -> str:
    if not piece.kind:
        return piece.text
    # One a line, after the sign of a diff.
    _, *others = piece.text.split("\n")
    return "\n".join(
        [
            mark(piece.kind),
            *(line[:1] * (line[:1] in (" ", "+", "-")) + mark(piece.kind) for line in others),
        ]
    )
