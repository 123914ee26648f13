"""Define the wire types of queries."""

from __future__ import annotations

from typing import Literal

import msgspec


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """A warning: the query can be answered, but may not mean what its author wants.

    ``position``, ``length``: the piece of the text, in characters (code points).
    """

    message: str
    hint: str = ""
    position: int
    length: int


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """``text`` can replace the characters from ``start`` to before ``end`` (code points).

    ``kind`` of a name is its column's. ``detail``: a few words for the user, in English.
    """

    text: str
    start: int
    end: int
    kind: Literal["attribute", "metric", "param", "tag", "operator", "keyword", "value"]
    detail: str = ""
