"""Complete a query at the cursor."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from lark.exceptions import UnexpectedInput
from lark.lexer import Token

from genops_lab.core.arrow import strings

from . import patterns
from .build import column_meant
from .columns import Columns, Kind
from .grammar import MAX_LENGTH, SURROGATE, parser
from .models import Completion
from .names import PLAIN, PREFIX_OF, Name, quoted_text
from .subjects import LIST, Subject

MOST: Final = 50
"""Most completions."""
_LONGEST_VALUE: Final = 100
"""Longest value that is offered, in characters."""

_PLAIN_END = re.compile(rf"{PLAIN}*\Z")
_PLAIN_REST = re.compile(rf"{PLAIN}*")
_PREFIXED = re.compile(r"(?:\w+|`\w+`)\.\Z")
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|[^'"`]+""")

_NUMBER_OPERATORS: Final = (
    "=",
    "!=",
    ">",
    ">=",
    "<",
    "<=",
    "BETWEEN",
    "IN",
    "NOT IN",
    "IS NULL",
    "IS NOT NULL",
)
_TEXT_OPERATORS: Final = (
    "=",
    "!=",
    "CONTAINS",
    "LIKE",
    "ILIKE",
    "=~",
    "!~",
    "IN",
    "NOT IN",
    "IS NULL",
    "IS NOT NULL",
)
#: Operators for parameters and tags whose texts can be read as numbers.
_LOGGED_OPERATORS: Final = (*_TEXT_OPERATORS, ">", ">=", "<", "<=", "BETWEEN")
_TIMES: Final = ("today", "yesterday", "-1h", "-1d", "-7d", "-30d")
_PERIODS: Final = ("LAST HOUR", "LAST 24 HOURS", "LAST 7 DAYS", "LAST 30 DAYS")
_DURATIONS: Final = ("1m", "10m", "1h", "1d")

_COMPARES: Final = {
    "COMPARE",
    "MATCH",
    "LIKE",
    "NOT_LIKE",
    "CONTAINS",
    "NOT_CONTAINS",
    "IN",
    "NOT_IN",
    "BETWEEN",
    "NOT_BETWEEN",
    "IS",
}
_OF_TEXTS: Final = {"MATCH", "LIKE", "NOT_LIKE", "CONTAINS", "NOT_CONTAINS", "IN", "NOT_IN"}
_JOINS: Final = {"AND", "OR", "NOT", "LPAR"}

Counts = npt.NDArray[np.int64]

_Piece = tuple[str, Literal["attribute", "metric", "param", "tag", "operator", "keyword", "value"], str]


@dataclass(frozen=True)
class _Place:
    """The cursor's place: the begun word, the tokens that the grammar accepts, and the column of a value.

    ``values`` says whether the value may be one of the column's texts.
    """

    start: int
    end: int
    begun: str
    accepts: frozenset[str]
    subject: Token | None
    texts: bool


def completions(text: str, cursor: int, columns: Columns, subject: Subject) -> list[Completion]:
    """See :func:`genops_lab.experiments.query.complete`."""
    place = _place(text, max(0, min(cursor, len(text), MAX_LENGTH)), subject)
    if place is None or SURROGATE.search(place.begun):
        return []
    name = column_meant(place.subject, subject) if place.subject is not None else None
    pieces = _ranked(_pieces(place, name, columns, subject), place.begun)
    at_value = "SPACED" in place.accepts and "LPAR" not in place.accepts
    if name is not None and at_value and place.texts and not name.is_number:
        pieces = [*_values(name, place.begun, columns, subject), *pieces]
    return [
        Completion(text=piece, start=place.start, end=place.end, kind=kind, detail=detail)
        for piece, kind, detail in pieces[:MOST]
    ]


def _place(text: str, cursor: int, about: Subject) -> _Place | None:
    """Return the place; None if nothing can begin there, or if the text before the cursor is wrong."""
    start, quote = _begin(text[:cursor])
    if start == cursor and text[:cursor].endswith(("'", '"', "`")):
        return None  # nothing can begin behind a closed quote
    if quote and text.count(quote, cursor) % 2:
        end = text.index(quote, cursor) + 1
    else:
        found = _PLAIN_REST.match(text, cursor)
        end = found.end() if found else cursor
    state = parser().parse_interactive(text[:start])
    try:
        tokens = list(state.iter_parse())
    except UnexpectedInput:
        return None
    accepts = frozenset(state.accepts())  # type: ignore[no-untyped-call]
    before: list[Token | None] = [None, None, None, *tokens]
    joined, subject, last = before[-3:]
    compared, how = next(
        ((one, other) for one, other in reversed([*pairwise(tokens)]) if other.type in _COMPARES),
        (None, None),
    )
    if last and last.type == "NOT" and (joined is None or joined.type in _JOINS):
        # NOT IN has begun if a column is in front of it; else a condition.
        accepts |= {"NEGATED"} if subject and column_meant(subject, about) else set()
    elif "COMPARE" in accepts:
        subject = last
    else:
        subject = compared
    texts = how is not None and (how.type in _OF_TEXTS or how in ("=", "==", "!=", "<>"))
    return _Place(start, end, text[start:cursor], accepts, subject, texts)


def _begin(before: str) -> tuple[int, str]:
    """Return the begin of the word at the cursor, and its open quote."""
    at = 0
    while found := _QUOTED.match(before, at):
        at = found.end()
    if at < len(before):  # an open quote, perhaps behind a prefix
        prefix = _PREFIXED.search(before, 0, at)
        return (prefix.start() if prefix else at), before[at]
    plain = _PLAIN_END.search(before)
    return (plain.start() if plain else len(before)), ""


def _pieces(place: _Place, name: Name | None, columns: Columns, subject: Subject) -> Iterator[_Piece]:
    """Yield all pieces that the grammar accepts, except texts as values."""
    accepts = place.accepts
    if "NULL" in accepts:
        yield from (("NULL", "keyword", ""), ("NOT NULL", "keyword", ""))
        if name is not None and name.kind == "metric":
            yield from (("NAN", "keyword", ""), ("NOT NAN", "keyword", ""))
    elif "NEGATED" in accepts and name is not None:
        for word in _operators(name):
            if word in ("IN", "CONTAINS", "LIKE", "ILIKE", "BETWEEN"):
                yield word, "operator", ""
    elif "COMPARE" in accepts and name is not None:
        yield from ((word, "operator", "") for word in _operators(name))
        if name.kind == "metric":
            yield ("IS NAN", "operator", "")
    elif "SPACED" in accepts:
        if "LPAR" in accepts:
            yield ("(", "keyword", "")
            if name is not None and name.is_time:
                yield from ((period, "value", "") for period in _PERIODS)
        elif name is not None and name.is_seconds:
            yield from ((word, "value", "") for word in (_TIMES if name.is_time else _DURATIONS))
    elif "AND" in accepts:
        yield ("AND", "keyword", "")
        if "OR" in accepts:
            yield ("OR", "keyword", "")
    elif "NOT" in accepts:
        yield from _names(columns, subject)
        yield ("NOT", "keyword", "")


def _operators(name: Name) -> tuple[str, ...]:
    if name.is_number:
        return _NUMBER_OPERATORS
    return _TEXT_OPERATORS if name.kind == "attribute" else _LOGGED_OPERATORS


def _names(columns: Columns, subject: Subject) -> Iterator[_Piece]:
    for key in subject.attributes:
        name = Name("attribute", key)
        detail = (
            "time"
            if name.is_time
            else "duration"
            if name.is_seconds
            else "number"
            if name.is_number
            else "text"
        )
        yield key, "attribute", detail
    kinds: tuple[Kind, ...] = get_args(Kind)
    for kind in kinds:
        if kind != "attribute":
            for key in columns.names(kind):
                yield str(Name(kind, key)), kind, ""


def _values(name: Name, begun: str, columns: Columns, subject: Subject) -> list[_Piece]:
    """Return the rows' texts that contain the begun word, those of most rows first."""
    texts = columns.texts(name.kind, name.key)
    if texts is None:
        return []
    begun = begun.lstrip("'\"")
    rows = np.bincount(texts.codes[texts.codes >= 0], minlength=len(texts.words))
    words = texts.words
    if name.kind == "attribute" and name.key in subject.lists:
        words, rows = _members(words, rows)
    fitting = np.flatnonzero((rows > 0) & patterns.containing(words, begun))
    fitting = fitting[np.argsort(-rows[fitting], kind="stable")]
    found: list[_Piece] = []
    for place in fitting.tolist():
        word = str(words[place].as_py())
        if len(word) <= _LONGEST_VALUE:
            several = f"{rows[place]:,} {subject.one}s"
            found.append((quoted_text(word), "value", f"1 {subject.one}" if rows[place] == 1 else several))
        if len(found) == MOST:
            break
    return found


def _members(words: pa.StringArray, rows: Counts) -> tuple[pa.StringArray, Counts]:
    """Return the single values of lists, and how many rows have each."""
    counts: Counter[str] = Counter()
    for word, count in zip(words.to_pylist(), rows.tolist(), strict=True):
        for member in word.split(LIST):
            counts[member] += count
    return strings(list(counts)), np.array(list(counts.values()), np.int64)


def _ranked(pieces: Iterable[_Piece], begun: str) -> list[_Piece]:
    """Return the pieces that contain the begun word, best first."""
    wanted = _plain(begun)
    ranks = [(_rank(_plain(piece[0]), wanted), piece) for piece in pieces]
    fitting = [(rank, piece) for rank, piece in ranks if rank is not None]
    return [piece for _, piece in sorted(fitting, key=lambda pair: pair[0])]


def _rank(word: str, wanted: str) -> int | None:
    """Return 0 if a word begins so, 1 if its name behind the prefix does, 2 if it contains the text, else
    None.
    """
    prefix, _, key = word.partition(".")
    wanted_prefix, dot, wanted_key = wanted.partition(".")
    if dot and wanted_prefix in PREFIX_OF.values():
        if prefix != wanted_prefix or wanted_key not in key:
            return None
        return 0 if key.startswith(wanted_key) else 2
    if wanted not in word:
        return None
    return 0 if word.startswith(wanted) else 1 if key.startswith(wanted) else 2


def _plain(written: str) -> str:
    """Return a word without quotes and in lower case, with the long form of its prefix."""
    plain = re.sub(r"[\"'`]", "", written).casefold()
    prefix, dot, key = plain.partition(".")
    long = {
        "metric": "metrics",
        "param": "params",
        "parameter": "params",
        "parameters": "params",
        "tag": "tags",
    }
    return f"{long.get(prefix, prefix)}.{key}" if dot else plain
