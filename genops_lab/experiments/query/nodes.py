"""A query that was read: conditions, and what joins them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .names import Name
from .times import Moment

Operator = Literal["=", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class Every:
    """AND; of nothing, it is every run."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Either:
    """OR."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Inverse:
    """NOT: exactly the runs that ``item`` does not match, those that lack what it asks for included."""

    item: Node


@dataclass(frozen=True)
class Number:
    """A number as a value. Times are in milliseconds since 1970, as in MLflow; durations in milliseconds, too."""

    value: float


@dataclass(frozen=True)
class Text:
    """A text as a value."""

    value: str


Value = Number | Text | Moment


@dataclass(frozen=True)
class Comparison:
    """Of a column with a value."""

    name: Name
    operator: Operator
    value: Value


@dataclass(frozen=True)
class Pair:
    """Of two columns of numbers; times and durations are seconds here."""

    name: Name
    operator: Operator
    other: Name


@dataclass(frozen=True)
class Between:
    """Both ends included."""

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
    """SQL's pattern over the whole text: ``%`` is any text, ``_`` one character, nothing else is special."""

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
    """What stands alone: a part of the run's name, upper and lower case alike, or the beginning of its id."""

    text: str


Condition = Comparison | Pair | Between | OneOf | Like | Matches | Present | NotANumber | Word
Node = Every | Either | Inverse | Condition
