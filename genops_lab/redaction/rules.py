"""Apply all rules to a text: the engine below marks and placeholders."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Callable, Dict, Iterable, List, Match, NamedTuple, Optional, Pattern, Sequence, Tuple

from . import assigned, personal, randomness
from .checksums import is_checked_token
from .token_patterns import FORMS
from .token_patterns import KINDS as TOKEN_KINDS

VARIABLE = "secret variable"
ASSIGNED = "secret value"
RANDOM = "high-entropy string"
SECRET_KINDS = (*TOKEN_KINDS, VARIABLE, ASSIGNED, RANDOM)

#: How a rule knows what it finds.
BY_VALUE, BY_FORM, BY_CHECKSUM = "known value", "form", "form and checksum"
BY_NAME, BY_RANDOMNESS = "name", "randomness"

Counts = Dict[str, int]
_Place = Optional[Tuple[int, int]]
#: Finds kinds of its own in a text: (start, end, kind), in order, without overlaps.
Recognizer = Callable[[str], List[Tuple[int, int, str]]]

#: A token that a word stands before, as in ``keyghp_...``, counts with the right checksum alone.
_GLUED = r"(?<=\w)(?:gh[pousr]|npm)_[A-Za-z0-9]{36}(?![A-Za-z0-9])"
#: Pictures and sound in a text are not searched.
_DATA_URL = r"data:(?:image|audio|video|font)/[\w.+-]{1,60};base64,[A-Za-z0-9+/=]+"


class Piece(NamedTuple):
    """A part of a text; ``kind`` and ``rule`` are empty where nothing was found. A ``fixed`` one is searched no
    more: a mark, a placeholder, a picture.
    """

    text: str
    kind: str = ""
    rule: str = ""
    fixed: bool = False


class _Rule(NamedTuple):
    kind: str
    rule: str
    hints: Tuple[str, ...]
    pattern: str
    place: Callable[[Match[str]], _Place]


@lru_cache(maxsize=None)
def compiled(pattern: str) -> Pattern[str]:
    """Return the compiled pattern. A kernel compiles those that it needs, when it needs them."""
    return re.compile(pattern)


def _all(match: Match[str]) -> _Place:
    return match.span()


def _secret_part(match: Match[str]) -> _Place:
    return match.span(1) if match.re.groups else match.span()


def _checked(match: Match[str]) -> _Place:
    return match.span() if is_checked_token(match.group()) else None


_EQUALS = ("=", ":")
_SECRETS: Tuple[_Rule, ...] = (
    *(_Rule(kind, BY_FORM, hints, pattern, _secret_part) for kind, hints, pattern in FORMS),
    _Rule("github token", BY_CHECKSUM, ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), _GLUED, _checked),
    _Rule("npm token", BY_CHECKSUM, ("npm_",), _GLUED, _checked),
    _Rule(ASSIGNED, BY_NAME, _EQUALS, assigned.QUOTED, assigned.assigned),
    _Rule(ASSIGNED, BY_NAME, _EQUALS, assigned.BARE, assigned.assigned_bare),
    _Rule(ASSIGNED, BY_NAME, ("getenv", "environ", "pop"), assigned.DEFAULT, assigned.assigned),
    _Rule(ASSIGNED, BY_NAME, ("=",), assigned.TUPLE, assigned.assigned_together),
    _Rule(ASSIGNED, BY_NAME, ("=",), assigned.CONNECTION, assigned.of_a_connection),
    _Rule(ASSIGNED, BY_NAME, (" is ", " was ", ": ", " = "), assigned.SPOKEN, assigned.spoken),
    _Rule(RANDOM, BY_RANDOMNESS, (), randomness.CANDIDATE, randomness.random_text),
    _Rule(RANDOM, BY_RANDOMNESS, ('"', "'"), randomness.QUOTED_HEX, randomness.random_hex),
)
_PERSONAL = tuple(
    _Rule(kind, BY_FORM, hints, pattern, place) for kind, hints, pattern, place in personal.FORMS
)
#: Names of secrets, in the spellings that patterns look for: a text without one has no assigned secret.
_ANY_NAME = re.compile(r"(?i)token|secret|passw|passphrase|credential|key|pass|pwd|pw")


class Rules:
    """Finds secrets, and with ``people`` personal data. ``values`` are known secrets, the longest first.

    ``fixed`` is the pattern of what is searched no more: marks or placeholders of an earlier time.
    ``recognize`` finds further personal data (:mod:`.presidio`).
    """

    def __init__(
        self,
        values: Iterable[str] = (),
        *,
        fixed: str,
        people: bool = False,
        recognize: Optional[Recognizer] = None,
    ) -> None:
        known = [value for value in values if value]
        self._fixed = re.compile(f"(?:{fixed})|{_DATA_URL}")
        self._recognize = recognize
        self._rules: List[_Rule] = []
        if known:
            self._rules.append(_Rule(VARIABLE, BY_VALUE, tuple(known), any_of(known), _all))
        # Cards before random strings and tokens: their forms do not meet, and the order is that of trust.
        self._rules += [*_SECRETS, *(_PERSONAL if people else ())]

    def split(self, text: str) -> List[Piece]:
        """Return the pieces of a text, in order; joined they are the text."""
        # What is taken out may change how the text around it looks, so each piece is searched until nothing
        # more is found. A piece that had a secret gets shorter, so the loop ends.
        done: List[Piece] = []
        waiting = self._around_fixed(text)[::-1]
        while waiting:
            piece = waiting.pop()
            if piece.kind or piece.fixed or not piece.text:
                done.append(piece)
                continue
            parts = self._by_first_rule(piece.text)
            if parts is None:
                done += self._recognized(piece)
            else:
                waiting += parts[::-1]
        return done

    def _around_fixed(self, text: str) -> List[Piece]:
        pieces: List[Piece] = []
        end = 0
        for match in self._fixed.finditer(text):
            pieces += (Piece(text[end : match.start()]), Piece(match.group(), fixed=True))
            end = match.end()
        pieces.append(Piece(text[end:]))
        return pieces

    def _by_first_rule(self, text: str) -> Optional[List[Piece]]:
        """Split by what the first applicable rule finds; None if no rule applies."""
        named = _ANY_NAME.search(text) is not None
        for kind, rule, hints, pattern, place in self._rules:
            if (rule == BY_NAME and not named) or (hints and not any(hint in text for hint in hints)):
                continue
            pieces: List[Piece] = []
            end = 0
            for match in compiled(pattern).finditer(text):
                span = place(match)
                if span is None or span[0] < end or span[0] == span[1]:
                    continue
                pieces += (Piece(text[end : span[0]]), Piece(text[span[0] : span[1]], kind, rule))
                end = span[1]
            if pieces:
                return [*pieces, Piece(text[end:])]
        return None

    def _recognized(self, piece: Piece) -> List[Piece]:
        if self._recognize is None:
            return [piece]
        pieces: List[Piece] = []
        end = 0
        for start, stop, kind in self._recognize(piece.text):
            if start >= end:
                pieces += (
                    Piece(piece.text[end:start]),
                    Piece(piece.text[start:stop], kind, "presidio"),
                )
                end = stop
        return [*pieces, Piece(piece.text[end:])]


def any_of(values: Sequence[str]) -> str:
    """Return the pattern of these texts. A short one that is a word is searched as a whole word."""
    return "|".join(
        rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])"
        if len(value) < 10 and value.isalnum()
        else re.escape(value)
        for value in values
    )


def added(one: Counts, other: Counts) -> Counts:
    """Return the sums of two counts by kind."""
    return {kind: one.get(kind, 0) + other.get(kind, 0) for kind in (*one, *other)}
