"""Define the grammar, and describe what it expects at an error. Imports lark."""

from __future__ import annotations

import functools
import re
from typing import Final, cast

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.lexer import Token
from lark.tree import Tree

from .errors import QueryError, did_you_mean
from .names import PLAIN, RESERVED
from .times import SPACED

#: Limits that no user reaches: a query is parsed in the server's process.
MAX_LENGTH: Final = 50_000
MAX_DEPTH: Final = 50

_DOUBLE, _SINGLE, _BACKTICK = r'"(?:[^"]|"")*"', r"'(?:[^']|'')*'", r"`(?:[^`]|``)*`"
_NO_KEYWORD = rf"(?!(?i:{'|'.join(RESERVED)})(?!{PLAIN}))"
SURROGATE = re.compile("[\ud800-\udfff]")

_GRAMMAR = rf"""
start: any?
?any: every (OR every)*
?every: inverse (AND inverse | inverse)*
?inverse: NOT+ atom -> inverse
        | atom
?atom: "(" any ")"
     | term -> free
     | term COMPARE value -> comparison
     | term (MATCH | LIKE | NOT_LIKE | CONTAINS | NOT_CONTAINS) value -> matching
     | term (BETWEEN | NOT_BETWEEN) value AND value -> between
     | term (IN | NOT_IN) "(" value ("," value)* ","? ")" -> one_of
     | term (IN | NOT_IN) SPACED -> recent
     | term IS NOT? (NULL | NAN) -> presence
?term: WORD | QUALIFIED | DOUBLE | SINGLE | BACKTICK
?value: term | SPACED

COMPARE: ">=" | "<=" | "!=" | "<>" | "==" | "=" | "<" | ">"
MATCH.2: "=~" | "!~"
AND.5: /and(?!{PLAIN})/i
OR.5: /or(?!{PLAIN})/i
NOT.5: /not(?!{PLAIN})/i
IN.5: /in(?!{PLAIN})/i
IS.5: /is(?!{PLAIN})/i
BETWEEN.5: /between(?!{PLAIN})/i
LIKE.5: /i?like(?!{PLAIN})/i
CONTAINS.5: /contains(?!{PLAIN})/i
NOT_IN.6: /not\s+in(?!{PLAIN})/i
NOT_BETWEEN.6: /not\s+between(?!{PLAIN})/i
NOT_LIKE.6: /not\s+i?like(?!{PLAIN})/i
NOT_CONTAINS.6: /not\s+contains(?!{PLAIN})/i
NULL.4: /null(?!{PLAIN})/i
NAN.4: /nan(?!{PLAIN})/i
SPACED.4: /{SPACED}/i
QUALIFIED.3: /(?:\w+|`\w+`)\.(?:{_DOUBLE}|{_SINGLE}|{_BACKTICK})/
WORD.1: /`\w+`\.{PLAIN}+|{_NO_KEYWORD}{PLAIN}+/
DOUBLE: /{_DOUBLE}/
SINGLE: /{_SINGLE}/
BACKTICK: /{_BACKTICK}/
%ignore /\s+/
"""


@functools.cache
def parser() -> Lark:
    """Make the parser once, in some tens of milliseconds."""
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", propagate_positions=True)


def read(text: str) -> Tree[Token]:
    """Return the text as a tree of limited depth. Raises QueryError."""
    if len(text) > MAX_LENGTH:
        raise QueryError(
            f"The query has {len(text):,} characters; at most {MAX_LENGTH:,} are possible.",
            text=text,
            position=MAX_LENGTH,
            hint="Split the query, or tag the runs and search for the tag.",
        )
    if found := SURROGATE.search(text):
        raise QueryError("This is half of a character.", text=text, position=found.start(), hint="Remove it.")
    try:
        return _bounded(text)
    except UnexpectedInput as wrong:
        raise _explained(text, wrong) from None


#: A number with a decimal comma.
_DECIMAL_COMMA = re.compile(r"(?<![\w.])(\d+),(\d+)(?![\w.])")


def _bounded(text: str) -> Tree[Token]:
    """Parse token by token, and count open parentheses."""
    state = parser().parse_interactive(text)
    depth = 0
    for token in state.iter_parse():
        depth += (token.type == "LPAR") - (token.type == "RPAR")
        if depth > MAX_DEPTH:
            raise QueryError(
                f"More than {MAX_DEPTH} parentheses are open here.",
                text=text,
                position=token.start_pos or 0,
                hint="(a OR b) OR c means the same as a OR b OR c.",
            )
    return cast("Tree[Token]", state.feed_eof())  # type: ignore[no-untyped-call]


def _explained(text: str, found: UnexpectedInput) -> QueryError:
    if isinstance(found, UnexpectedCharacters):
        return _strange(text, found.pos_in_stream or 0)
    assert isinstance(found, UnexpectedToken)
    token, accepts = found.token, set(found.accepts or found.expected)
    wanted, hint, keywords = _wanted(accepts)
    if token.type == "$END":
        opened = _never_closed(text)
        if opened is not None and "RPAR" in accepts:
            return QueryError(
                "This parenthesis is never closed.", text=text, position=opened, hint="Add a )."
            )
        return QueryError(
            f"The query ends where {wanted} is expected.", text=text, position=len(text.rstrip()), hint=hint
        )
    position, length = token.start_pos or 0, len(token)
    if token.type == "RPAR" and "COMPARE" not in accepts and _never_closed(text[:position]) is None:
        return QueryError("No parenthesis is open here.", text=text, position=position, hint="Remove the ).")
    shown = token if len(token) <= 40 else token[:39] + "…"
    others = [word for word in keywords if word.casefold() != token.casefold()]
    meant = did_you_mean(token, others) if token.type == "WORD" else ""
    return QueryError(
        f"{shown} is wrong here: {wanted} is expected.",
        text=text,
        position=position,
        length=length,
        hint=meant or _with_a_point(text, position) or hint,
    )


def _with_a_point(text: str, position: int) -> str:
    """Return a hint if a comma stands for the decimal point."""
    found = _DECIMAL_COMMA.search(text)
    return f"Did you mean {found[1]}.{found[2]}?" if found and found.start(2) - 1 == position else ""


def _wanted(accepts: set[str]) -> tuple[str, str, list[str]]:
    """Return what is expected, a hint, and the keywords that may be meant, from the tokens that could follow."""
    if "NULL" in accepts:
        return "NULL or NAN", "Possible: IS NULL, IS NOT NULL, IS NAN and IS NOT NAN.", ["NULL", "NAN"]
    if "COMPARE" in accepts:
        return "a comparison", OPERATORS_HINT, OPERATOR_WORDS
    if "LPAR" in accepts and "SPACED" in accepts:
        return "a list in parentheses", "For example IN ('a', 'b') or IN LAST 7 DAYS.", ["LAST"]
    if "LPAR" in accepts and "AND" not in accepts:
        return "a condition", "For example metrics.accuracy > 0.9, or a word of the run's name.", []
    if "SPACED" in accepts:
        return "a value", "A number, or a text in quotes: 'adam'.", []
    if "COMMA" in accepts:
        return "a comma or )", "", []
    if accepts == {"AND"}:
        return "AND and the upper end", "For example BETWEEN 1 AND 2.", ["AND"]
    return "AND, OR or the end", "", ["AND", "OR"]


OPERATORS_HINT: Final = (
    "Possible: = != < <= > >= IN, NOT IN, BETWEEN, CONTAINS, LIKE, ILIKE, =~, !~, IS NULL and IS NOT NULL."
)
OPERATOR_WORDS: Final = ["IN", "NOT IN", "BETWEEN", "CONTAINS", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"]


def _strange(text: str, position: int) -> QueryError:
    """Return the error for a character that begins nothing."""
    char = text[position]
    if char in "'\"`":
        what = "name" if char == "`" else "text"
        return QueryError(
            f"This {what} is not closed.",
            text=text,
            position=position,
            hint=f"Add a {char}; inside it, write {char * 2}.",
        )
    hints = {"~": "Regular expressions need =~ or !~.", "!": "Write NOT, != or !~."}
    return QueryError(f"{char} has no meaning here.", text=text, position=position, hint=hints.get(char, ""))


def _never_closed(text: str) -> int | None:
    """Return where the last open parenthesis was opened."""
    opened: list[int] = []
    state = parser().parse_interactive(text)
    try:
        for token in state.iter_parse():
            if token.type == "LPAR":
                opened.append(token.start_pos or 0)
            elif token.type == "RPAR":
                opened.pop()
    except UnexpectedInput:
        return opened[-1] if opened else None
    return opened[-1] if opened else None
