"""Keep the formats of versions' files as a column. The files are read elsewhere, and a version at a time."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.paths import private_dir

if TYPE_CHECKING:
    from genops_lab.experiments.columns.cells import TextColumn
    from genops_lab.experiments.columns.snapshot import Snapshot

#: Lines of the file, after which it begins anew.
_MOST_LINES = 100_000
#: Seconds until files that could not be read are tried again.
_AGAIN_S = 600.0

log = logging.getLogger("genops_lab")

#: The id of a version's row, and its creation (seconds since 1970): a model made anew has its numbers again.
Known = tuple[str, float]


class KeptFormats:
    """The formats of versions, in a file of one line each. ``version`` counts the changes of this process."""

    def __init__(self, folder: Path, tracking_uri: str) -> None:
        digest = hashlib.sha256(tracking_uri.encode()).hexdigest()[:32]
        self._file = folder / f"formats-{digest}.jsonl"
        self._known: dict[Known, str] = {}
        self._failed: dict[Known, float] = {}
        self._made: tuple[Snapshot, int, TextColumn | None] | None = None
        self.version = 0
        self._load()

    def put(self, found: Iterable[tuple[str, float, str | None]]) -> None:
        """Keep formats by id and creation; None: the files cannot be read now."""
        lines = []
        for id, created, formats in found:
            if formats is None:
                self._failed[id, created] = time.monotonic()
            else:
                self._known[id, created] = formats
                lines.append(msgspec.json.encode((id, created, formats)))
        if not lines:
            return
        self.version += 1
        try:
            private_dir(self._file.parent)
            with self._file.open("ab") as stream:
                stream.write(b"".join(line + b"\n" for line in lines))
        except OSError as error:
            log.warning("The formats of versions could not be saved in %s: %s", self._file, error)

    def column(self, versions: Snapshot) -> TextColumn | None:
        """Return the column of formats; None if no version has one."""
        if self._made is None or self._made[0] is not versions or self._made[1] != self.version:
            self._made = (versions, self.version, self._column(versions))
        return self._made[2]

    def unread(self, versions: Snapshot, rows: Iterable[int]) -> list[Known]:
        """Return the versions of ``rows`` whose files were not read, in order, without those that failed lately."""
        created = _created(versions)
        soon = time.monotonic() - _AGAIN_S
        found = []
        for row in rows:
            known = (versions.ids[row], created.get(row, 0.0))
            if known not in self._known and self._failed.get(known, soon) <= soon:
                found.append(known)
        return found

    def _column(self, versions: Snapshot) -> TextColumn | None:
        import numpy as np

        from genops_lab.core.arrow import strings
        from genops_lab.experiments.columns.cells import TextColumn

        created = _created(versions)
        known = self._known
        found = [
            (row, formats)
            for row, id in enumerate(versions.ids[: versions.rows])
            if (formats := known.get((id, created.get(row, 0.0))))
        ]
        if not found:
            return None
        return TextColumn.of(
            np.array([row for row, _ in found], np.int32), strings([text for _, text in found])
        )

    def _load(self) -> None:
        try:
            lines = self._file.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("The formats of versions in %s could not be read: %s", self._file, error)
            return
        if len(lines) > _MOST_LINES:
            self._file.unlink(missing_ok=True)
            return
        decoder = msgspec.json.Decoder(tuple[str, float, str])
        for line in lines:
            try:
                id, created, formats = decoder.decode(line)
            except msgspec.MsgspecError:  # its process was killed while it wrote
                continue
            self._known[id, created] = formats


def _created(versions: Snapshot) -> dict[int, float]:
    column = versions.columns["attribute"].get("created")
    if column is None:
        return {}
    rows, values = column.cells.pairs()
    return dict(zip(rows.tolist(), values.tolist(), strict=True))
