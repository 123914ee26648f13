"""Define the names in a query, and how they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .columns import Kind
from .subjects import NUMBERS, TIMES

#: Prefixes before the dot, MLflow's aliases included.
PREFIXES: Final[dict[str, Kind]] = {
    **dict.fromkeys(("metrics", "metric"), "metric"),
    **dict.fromkeys(("params", "param", "parameters", "parameter"), "param"),
    **dict.fromkeys(("tags", "tag"), "tag"),
    **dict.fromkeys(("attributes", "attribute", "attr", "run"), "attribute"),
}
#: MLflow can search for these; the columns lack them.
ELSEWHERE: Final = ("datasets", "dataset")
#: The usual spelling of each kind's names.
PREFIX_OF: Final[dict[Kind, str]] = {
    "metric": "metrics",
    "param": "params",
    "tag": "tags",
    "attribute": "attributes",
}

#: Words of the language: as names or texts they need quotes.
RESERVED: Final = ("and", "or", "not", "in", "between", "like", "ilike", "contains", "is")
#: Characters of a name or a text without quotes.
PLAIN: Final = r"""[^\s'"`(),=<>!~]"""
_BARE = re.compile(rf"{PLAIN}+")


@dataclass(frozen=True)
class Name:
    """A column of runs or versions: ``key`` is the name of a metric, parameter or tag, or an attribute's own."""

    kind: Kind
    key: str

    @property
    def is_number(self) -> bool:
        """Whether the column has numbers; otherwise it has texts, which may be readable as numbers for a
        parameter.
        """
        return self.kind == "metric" or (self.kind == "attribute" and self.key in NUMBERS)

    @property
    def is_time(self) -> bool:
        """Whether the numbers are times."""
        return self.kind == "attribute" and self.key in TIMES

    @property
    def is_seconds(self) -> bool:
        """Whether the numbers are times or durations in seconds, which MLflow has in milliseconds."""
        return self.is_time or (self.kind == "attribute" and self.key == "duration")

    def __str__(self) -> str:
        """Return the name as it is written in a query."""
        if self.kind == "attribute":
            return self.key
        return f"{PREFIX_OF[self.kind]}.{quoted_name(self.key)}"


def quoted_name(key: str) -> str:
    """Return a metric's, parameter's or tag's name as it is written after the dot: in quotes if needed."""
    return key if _BARE.fullmatch(key) else '"' + key.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """Return a text as it is written in a query."""
    return "'" + text.replace("'", "''") + "'"
