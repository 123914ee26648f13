"""What a query may refer to, and how it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .columns import NUMBER_ATTRIBUTES, TEXT_ATTRIBUTES, Kind

#: What stands before the dot, MLflow's aliases included.
PREFIXES: Final[dict[str, Kind]] = {
    **dict.fromkeys(("metrics", "metric"), "metric"),
    **dict.fromkeys(("params", "param", "parameters", "parameter"), "param"),
    **dict.fromkeys(("tags", "tag"), "tag"),
    **dict.fromkeys(("attributes", "attribute", "attr", "run"), "attribute"),
}
#: MLflow can be asked for these; the columns do not hold them.
ELSEWHERE: Final = ("datasets", "dataset")
#: How a name of a kind is best written.
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

#: Words of the language: as names or texts they are written in quotes.
RESERVED: Final = ("and", "or", "not", "in", "between", "like", "ilike", "is")
#: What a name or a text without quotes is made of.
PLAIN: Final = r"""[^\s'"`(),=<>!~]"""
_BARE = re.compile(rf"{PLAIN}+")


@dataclass(frozen=True)
class Name:
    """A column of runs: ``key`` is a metric's, parameter's or tag's name, or an attribute's own (no alias)."""

    kind: Kind
    key: str

    @property
    def is_number(self) -> bool:
        """Whether the column holds numbers; it holds texts otherwise, of which a parameter's may be read as numbers."""
        return self.kind == "metric" or (self.kind == "attribute" and self.key in NUMBER_ATTRIBUTES)

    @property
    def is_time(self) -> bool:
        """Whether the numbers are times."""
        return self.kind == "attribute" and self.key in _TIMES

    def __str__(self) -> str:
        """As one would write it in a query."""
        if self.kind == "attribute":
            return self.key
        return f"{PREFIX_OF[self.kind]}.{quoted_name(self.key)}"


def quoted_name(key: str) -> str:
    """A metric's, parameter's or tag's name as it is written after the dot: in quotes where it needs them."""
    return key if _BARE.fullmatch(key) else '"' + key.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """A text as it is written in a query."""
    return "'" + text.replace("'", "''") + "'"


def attribute(written: str) -> str | None:
    """The attribute that is meant, if one is."""
    name = written.casefold()
    name = _ALIASES.get(name, name)
    return name if name in ATTRIBUTES else None
