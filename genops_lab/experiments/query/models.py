"""What of a query may cross the wire."""

from __future__ import annotations

from typing import Literal

import msgspec


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """A query that can be answered, and that perhaps asks for something else than was meant.

    ``position``, ``length``: the piece of the text that is meant, in characters (code points).
    """

    message: str
    hint: str = ""
    position: int
    length: int


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """``text`` may stand in place of the characters from ``start`` to before ``end`` (code points).

    ``kind`` of a name is its column's. ``detail``: a few words for the person, in English.
    """

    text: str
    start: int
    end: int
    kind: Literal["attribute", "metric", "param", "tag", "operator", "keyword", "value"]
    detail: str = ""
