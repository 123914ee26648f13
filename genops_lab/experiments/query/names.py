"""Define the names in a query, and how they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .columns import NUMBER_ATTRIBUTES, TEXT_ATTRIBUTES, Kind

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

ATTRIBUTES: Final = (*NUMBER_ATTRIBUTES, *TEXT_ATTRIBUTES)
_TIMES: Final = ("start_time", "end_time")
_ALIASES: Final = {
    "created": "start_time",
    "run name": "run_name",
    "name": "run_name",
    "id": "run_id",
    "user_id": "user",
    "experiment_name": "experiment",
}

#: Words of the language: as names or texts they need quotes.
RESERVED: Final = ("and", "or", "not", "in", "between", "like", "ilike", "is")
#: Characters of a name or a text without quotes.
PLAIN: Final = r"""[^\s'"`(),=<>!~]"""
_BARE = re.compile(rf"{PLAIN}+")


@dataclass(frozen=True)
class Name:
    """A column of runs: ``key`` is a metric's, parameter's or tag's name, or an attribute's own (no alias)."""

    kind: Kind
    key: str

    @property
    def is_number(self) -> bool:
        """Whether the column has numbers; otherwise it has texts, which may be readable as numbers for a
        parameter.
        """
        return self.kind == "metric" or (self.kind == "attribute" and self.key in NUMBER_ATTRIBUTES)

    @property
    def is_time(self) -> bool:
        """Whether the numbers are times."""
        return self.kind == "attribute" and self.key in _TIMES

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


def attribute(written: str) -> str | None:
    """Return the attribute that is meant, or None."""
    name = written.casefold()
    name = _ALIASES.get(name, name)
    return name if name in ATTRIBUTES else None
