"""Define the nodes of a parsed query: conditions, and AND, OR, NOT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .names import Name
from .times import Moment

Operator = Literal["=", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class Every:
    """AND; without items, every run."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Either:
    """OR."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Inverse:
    """NOT: exactly the runs that ``item`` does not match, also those that lack its column."""

    item: Node


@dataclass(frozen=True)
class Number:
    """A number as a value. Times are in milliseconds since 1970, as in MLflow; durations in milliseconds,
    too.
    """

    value: float


@dataclass(frozen=True)
class Text:
    """A text as a value."""

    value: str


Value = Number | Text | Moment


@dataclass(frozen=True)
class Comparison:
    """A comparison of a column with a value."""

    name: Name
    operator: Operator
    value: Value


@dataclass(frozen=True)
class Pair:
    """A comparison of two columns of numbers; times and durations are in seconds here."""

    name: Name
    operator: Operator
    other: Name


@dataclass(frozen=True)
class Between:
    """BETWEEN, both ends included."""

    name: Name
    low: Value
    high: Value
    negated: bool


@dataclass(frozen=True)
class OneOf:
    """IN."""

    name: Name
    values: tuple[Value, ...]
    negated: bool


@dataclass(frozen=True)
class Like:
    """LIKE: SQL's pattern over the whole text: ``%`` is any text, ``_`` one character, nothing else is
    special.
    """

    name: Name
    pattern: str
    ignore_case: bool
    negated: bool


@dataclass(frozen=True)
class Matches:
    """An RE2 expression that is found somewhere in the text."""

    name: Name
    pattern: str
    negated: bool


@dataclass(frozen=True)
class Present:
    """IS NOT NULL."""

    name: Name


@dataclass(frozen=True)
class NotANumber:
    """IS NAN, or with ``negated`` a value that is a number."""

    name: Name
    negated: bool


@dataclass(frozen=True)
class Word:
    """A word alone: in any case a part of a text of ``parts``, or the beginning of one of ``ids``."""

    text: str
    parts: tuple[Name, ...]
    ids: tuple[Name, ...]


Condition = Comparison | Pair | Between | OneOf | Like | Matches | Present | NotANumber | Word
Node = Every | Either | Inverse | Condition
