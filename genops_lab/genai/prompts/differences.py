"""Compare texts word by word."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from .models import PromptContent, PromptDifference, PromptPart, PromptVersion, TextPiece, Turn

_WORD = re.compile(r"\w+|\s+|[^\w\s]")
#: Above this many words in a changed block, its lines are compared and not its words: that would take seconds.
_MOST_WORDS = 6000


def words_changed(before: str, after: str) -> list[TextPiece]:
    """Return what two texts share and what each has alone, in the order of the text.

    >>> [(piece.change, piece.text) for piece in words_changed("Answer in a word.", "Answer in one word.")]
    [('same', 'Answer in '), ('removed', 'a'), ('added', 'one'), ('same', ' word.')]
    """
    if before == after:
        return [TextPiece(change="same", text=before)] if before else []
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    found: list[TextPiece] = []
    for kind, i, j, k, m in _blocks(old, new):
        gone, come = "".join(old[i:j]), "".join(new[k:m])
        if kind == "equal":
            _add(found, "same", gone)
            continue
        first, second = _WORD.findall(gone), _WORD.findall(come)
        if len(first) + len(second) > _MOST_WORDS:
            _add(found, "removed", gone)
            _add(found, "added", come)
            continue
        for inner, a, b, c, d in _blocks(first, second):
            if inner == "equal":
                _add(found, "same", "".join(first[a:b]))
            else:
                _add(found, "removed", "".join(first[a:b]))
                _add(found, "added", "".join(second[c:d]))
    return found


def differences(before: PromptContent, after: PromptContent) -> list[PromptPart]:
    """Return the turns of two prompts in order, then their settings, tools and answer schemas, where there are any."""
    found = [
        _difference(
            f"{place + 1} {_role(before.turns, after.turns, place)}",
            _text(before.turns, place),
            _text(after.turns, place),
        )
        for place in range(max(len(before.turns), len(after.turns)))
    ]
    for part in ("settings", "tools", "response_format"):
        one, other = getattr(before, part), getattr(after, part)
        if one or other:
            found.append(_difference(part, _shown(one), _shown(other)))
    return found


def difference_of(before: PromptVersion, after: PromptVersion) -> PromptDifference:
    """Return how two versions differ."""
    parts = differences(before, after)
    same = all(piece.change == "same" for part in parts for piece in part.pieces)
    same = same and [each.role for each in before.turns] == [each.role for each in after.turns]
    return PromptDifference(before=before, after=after, parts=parts, same=same)


def _difference(part: str, before: str, after: str) -> PromptPart:
    return PromptPart(part=part, pieces=words_changed(before, after))


def _role(old: Sequence[Turn], new: Sequence[Turn], place: int) -> str:
    roles = [turns[place].role for turns in (old, new) if place < len(turns)]
    return " → ".join(dict.fromkeys(roles))


def _text(turns: Sequence[Turn], place: int) -> str:
    if place >= len(turns):
        return ""
    turn = turns[place]
    return turn.content + (f"\n{_shown(turn.parts)}" if turn.parts else "")


def _shown(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) if value else ""


def _blocks(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    return list(difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes())


def _add(pieces: list[TextPiece], change: Literal["same", "added", "removed"], text: str) -> None:
    if not text:
        return
    if pieces and pieces[-1].change == change:
        text = pieces.pop().text + text
    pieces.append(TextPiece(change=change, text=text))
