"""Save the read runs between starts: one MessagePack file a store, with a digest of its content in front.

An incomplete file, or one of another layout, is deleted: MLflow still has the runs.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from genops_lab.core.arrow import strings
from genops_lab.core.paths import private_dir
from genops_lab.experiments.query.columns import Kind

from .cells import Cells, NumberColumn, TextColumn
from .changes import ExperimentRow
from .snapshot import KINDS, Columns, Snapshot

log = logging.getLogger("genops_lab")

_MAGIC = b"genops runs 2\n\x00\x00"
_DIGEST_BYTES = 32
#: Stores that are saved, because users switch between addresses.
_STORES = 4


@dataclass(frozen=True)
class Kept:
    """Saved runs. ``mark``: the source's position; ``as_of``: all changes before that time are included."""

    snapshot: Snapshot
    mark: str
    as_of: float


def file_of(folder: Path, identity: str) -> Path:
    """Return the file of this store's runs. Earlier layouts had the same name, so their files are replaced."""
    return folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.arrow"


def save(folder: Path, identity: str, kept: Kept) -> None:
    """Save runs; a full or read-only disk costs a log line and nothing else."""
    try:
        private_dir(folder)
        content = _encoded(identity, kept)
        path = file_of(folder, identity)
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(_MAGIC + hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest())
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        files = sorted(folder.glob("*.arrow"), key=lambda file: file.stat().st_mtime)
        for old in files[:-_STORES]:
            old.unlink(missing_ok=True)
    except OSError as error:
        log.warning("The read runs could not be saved in %s: %s", folder, error)


def load(folder: Path, identity: str) -> Kept | None:
    """Return this store's saved runs, or None if there are none of use."""
    path = file_of(folder, identity)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("The saved runs in %s could not be read: %s", path, error)
        return None
    begin = len(_MAGIC) + _DIGEST_BYTES
    content = memoryview(raw)[begin:]
    try:
        if raw[: len(_MAGIC)] != _MAGIC:
            raise ValueError("another layout")
        if hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest() != raw[len(_MAGIC) : begin]:
            raise ValueError("damaged")
        return _decoded(identity, content)
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        log.warning("The saved runs in %s are deleted: %s", path, error)
        path.unlink(missing_ok=True)
        return None


class _Column(msgspec.Struct, array_like=True, frozen=True):
    """``values`` at ``rows`` (int32), as arrays' bytes; with ``words``, their places in these."""

    kind: Kind
    name: str
    rows: bytes
    dtype: str
    values: bytes
    words: list[str] | None


class _File(msgspec.Struct, frozen=True):
    identity: str
    mark: str
    as_of: float
    ids: list[str]
    experiments: dict[str, ExperimentRow]
    columns: list[_Column]


def _encoded(identity: str, kept: Kept) -> bytes:
    snapshot, columns = kept.snapshot, []
    for kind in KINDS:
        for name, column in snapshot.columns[kind].items():
            rows, values = column.cells.pairs()
            words = column.words.to_pylist() if isinstance(column, TextColumn) else None
            columns.append(_Column(kind, name, rows.tobytes(), values.dtype.str, values.tobytes(), words))
    ids = snapshot.ids[: snapshot.rows]
    return msgspec.msgpack.encode(_File(identity, kept.mark, kept.as_of, ids, snapshot.experiments, columns))


def _decoded(identity: str, content: memoryview) -> Kept:
    file = msgspec.msgpack.decode(content, type=_File)
    if file.identity != identity:
        raise ValueError("of another store")
    columns: Columns = {kind: {} for kind in KINDS}
    for each in file.columns:
        cells = Cells.of(np.frombuffer(each.rows, np.int32), np.frombuffer(each.values, each.dtype))
        made = NumberColumn(cells) if each.words is None else TextColumn(cells, strings(each.words))
        columns[each.kind][each.name] = made
    places = {run_id: row for row, run_id in enumerate(file.ids)}
    return Kept(Snapshot(len(file.ids), file.ids, places, columns, file.experiments), file.mark, file.as_of)
