"""Define a version as the sources of versions report it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from genops_lab.experiments.columns.cells import Rows
from genops_lab.experiments.columns.changes import Changes, Part, attribute_parts
from genops_lab.experiments.query.subjects import LIST


class VersionRow(NamedTuple):
    """A version in MLflow's form; times in milliseconds since 1970. ``id`` is "MODEL/VERSION"."""

    id: str
    model: str
    version: int
    created: int | None
    updated: int | None
    description: str | None
    user: str | None
    stage: str | None
    source: str | None
    run_id: str | None
    status: str | None
    aliases: str | None


@dataclass
class VersionChanges(Changes):
    """Versions (:class:`VersionRow`) that are new or changed, with their tags; versions that are ``gone``."""

    def attributes(self, where: Rows) -> Iterator[Part]:
        """Yield the columns of the attributes of the versions, which stand at the rows ``where``."""
        rows: list[VersionRow] = self.runs
        texts = ("model", "description", "user", "source", "run_id", "status", "aliases")
        return attribute_parts(
            where,
            {
                **{name: [getattr(row, name) or None for row in rows] for name in texts},
                "stage": [row.stage if row.stage != "None" else None for row in rows],
            },
            {
                "version": [float(row.version) for row in rows],
                "created": [_seconds(row.created) for row in rows],
                "updated": [_seconds(row.updated) for row in rows],
            },
        )

    def put_tags(self, tags: Iterable[tuple[str, str, str]]) -> None:
        """Add tags of the versions: the version's id, the key and the value. Others' tags are left out."""
        places = {row[0]: at for at, row in enumerate(self.runs)}
        self.tags.put([(places[id], key, value) for id, key, value in tags if id in places])


def id_of(model: str, version: object) -> str:
    """Return the id of a version's row; a model's name has no slash."""
    return f"{model}/{version}"


def joined(aliases: Iterable[str]) -> str | None:
    """Return aliases as one text, None without any."""
    return LIST.join(sorted(aliases)) or None


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
