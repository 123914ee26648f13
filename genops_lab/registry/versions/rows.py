"""Define versions as the sources of versions report them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any

from genops_lab.experiments.columns.cells import Rows
from genops_lab.experiments.columns.changes import Changes, Entries, Part, attribute_parts
from genops_lab.experiments.query.subjects import LIST

#: The values of a version in the order in which the sources give them; times in milliseconds since 1970.
FIELDS = (
    "model",
    "version",
    "created",
    "updated",
    "description",
    "user",
    "stage",
    "source",
    "run_id",
    "status",
)
_TEXTS = ("model", "description", "user", "source", "run_id", "status")


class VersionChanges(Changes):
    """Versions that are new or changed, each once and whole, as columns: 10,000 objects would take longer.

    ``versions`` have the values of :data:`FIELDS`. ``aliases`` are (model, version, alias), ``tags`` (model, version,
    key, value); those of other versions are left out.
    """

    def __init__(
        self,
        versions: Sequence[Sequence[Any]] = (),
        aliases: Sequence[tuple[str, int, str]] = (),
        tags: Sequence[tuple[str, int, str, str]] = (),
        gone: Sequence[str] = (),
    ) -> None:
        super().__init__(runs=list(versions), gone=list(gone))
        self._columns = dict(zip(FIELDS, zip(*versions, strict=True), strict=True)) if versions else {}
        keys = list(zip(self._columns["model"], self._columns["version"], strict=True)) if versions else []
        self._ids = [id_of(model, version) for model, version in keys]
        places = dict(zip(keys, range(len(keys)), strict=True))
        self._aliases: dict[int, list[str]] = {}
        for model, version, alias in aliases:
            if (place := places.get((model, version))) is not None:
                self._aliases.setdefault(place, []).append(alias)
        if tags:
            models, numbers, names, values = zip(*tags, strict=True)
            found = list(map(places.get, zip(models, numbers, strict=True)))
            ours = [place is not None for place in found]
            self.tags = Entries(*(list(compress(each, ours)) for each in (found, names, values)))

    @property
    def ids(self) -> list[str]:
        """The id of each version, "MODEL/VERSION"."""
        return self._ids

    def attributes(self, where: Rows) -> Iterator[Part]:
        """Yield the columns of the attributes of the versions, which stand at the rows ``where``."""
        columns = self._columns
        aliases: list[str | None] = [None] * len(self._ids)
        for place, names in self._aliases.items():
            aliases[place] = LIST.join(sorted(names))
        return attribute_parts(
            where,
            {
                **{name: [text or None for text in columns[name]] for name in _TEXTS},
                "stage": [stage if stage and stage != "None" else None for stage in columns["stage"]],
                "aliases": aliases,
            },
            {
                "version": columns["version"],
                **{name: [_seconds(time) for time in columns[name]] for name in ("created", "updated")},
            },
        )


def id_of(model: str, version: object) -> str:
    """Return the id of a version's row; a model's name has no slash."""
    return f"{model}/{version}"


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
