"""What was read, kept between starts: one Arrow IPC file a store, with a digest of its content before it.

All columns' arrays lie end to end in one row of large lists; ``meta`` says where each begins. A file that is not
whole, or of another layout, is thrown away: it can be read again from MLflow.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from genops_lab.core.paths import private_dir

from genops_lab.core.arrow import integers, strings
from .cells import Cells, NumberColumn, TextColumn, narrow
from .changes import ExperimentRow
from .snapshot import KINDS, Columns, Snapshot

log = logging.getLogger("genops_lab")

_MAGIC = b"genops runs 1\n\x00\x00"
_DIGEST_BYTES = 32
#: Of that many stores: the address may be changed to and fro.
_STORES = 4


@dataclass(frozen=True)
class Kept:
    """``mark``: from where the source can go on; ``as_of``: each change before that time is in it."""

    snapshot: Snapshot
    mark: str
    as_of: float


def file_of(folder: Path, identity: str) -> Path:
    """Where this store's runs are kept."""
    return folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.arrow"


def save(folder: Path, identity: str, kept: Kept) -> None:
    """Keep it; a disk that is full or cannot be written costs a log line and nothing else."""
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
    except (OSError, pa.ArrowException) as error:
        log.warning("The runs that were read could not be kept in %s: %s", folder, error)


def load(folder: Path, identity: str) -> Kept | None:
    """What was kept of this store, None where there is nothing of use."""
    path = file_of(folder, identity)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("The runs that were kept in %s could not be read: %s", path, error)
        return None
    begin = len(_MAGIC) + _DIGEST_BYTES
    content = memoryview(raw)[begin:]
    try:
        if raw[: len(_MAGIC)] != _MAGIC:
            raise ValueError("another layout")
        if hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest() != raw[len(_MAGIC) : begin]:
            raise ValueError("damaged")
        return _decoded(identity, content)
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        log.warning("The runs that were kept in %s are thrown away: %s", path, error)
        path.unlink(missing_ok=True)
        return None


def _encoded(identity: str, kept: Kept) -> pa.Buffer:
    snapshot = kept.snapshot
    rows: list[Any] = []
    numbers: list[Any] = []
    codes: list[Any] = []
    words: list[Any] = []
    columns = []
    for kind in KINDS:
        for name, column in snapshot.columns[kind].items():
            at, values = column.cells.pairs()
            rows.append(at)
            held = 0
            if isinstance(column, TextColumn):
                codes.append(values.astype(np.int32))
                words.append(column.words)
                held = len(column.words)
            else:
                numbers.append(values)
            columns.append([kind, name, isinstance(column, TextColumn), len(at), held])
    meta = {
        "identity": identity,
        "mark": kept.mark,
        "as_of": kept.as_of,
        "columns": columns,
        "experiments": {id: list(known) for id, known in snapshot.experiments.items()},
    }
    parts = {
        "meta": strings([json.dumps(meta)]),
        "ids": strings(snapshot.ids[: snapshot.rows]),
        "rows": _array(rows, np.int32, pa.int32()),
        "numbers": _array(numbers, np.float64, pa.float64()),
        "codes": _array(codes, np.int32, pa.int32()),
        "words": pa.concat_arrays([word.cast(pa.large_string()) for word in words] or [strings([])]),
    }
    fields = {name: _one_row(array) for name, array in parts.items()}
    batch = pa.RecordBatch.from_arrays(list(fields.values()), names=list(fields))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _array(parts: list[Any], kind: Any, arrow: pa.DataType) -> pa.Array:
    whole = np.ascontiguousarray(np.concatenate(parts) if parts else [], kind)
    return pa.Array.from_buffers(arrow, len(whole), [None, pa.py_buffer(whole)])


def _one_row(array: pa.Array) -> pa.LargeListArray:
    offsets = np.array([0, len(array)], np.int64)
    return pa.LargeListArray.from_arrays(_array([offsets], np.int64, pa.int64()), array)


def _decoded(identity: str, content: memoryview) -> Kept:
    with pa.ipc.open_file(pa.py_buffer(content)) as reader:
        batch = reader.get_batch(0)
    part = {name: batch.column(at).values for at, name in enumerate(batch.schema.names)}
    meta = json.loads(part["meta"][0].as_py())
    if meta["identity"] != identity:
        raise ValueError("of another store")
    rows, codes = integers(part["rows"]), integers(part["codes"])
    numbers = np.frombuffer(part["numbers"].buffers()[1] or b"", np.float64)
    columns: Columns = {kind: {} for kind in KINDS}
    at = number = code = word = 0
    for kind, name, is_text, count, held in meta["columns"]:
        where = rows[at : at + count]
        at += count
        if is_text:
            texts = part["words"].slice(word, held).cast(pa.string())
            cells = Cells.of(where, narrow(codes[code : code + count], held))
            columns[kind][name] = TextColumn(cells, texts)
            code, word = code + count, word + held
        else:
            columns[kind][name] = NumberColumn.of(where, numbers[number : number + count])
            number += count
    ids = part["ids"].to_pylist()
    experiments = {id: ExperimentRow(*known) for id, known in meta["experiments"].items()}
    snapshot = Snapshot(len(ids), ids, {run_id: row for row, run_id in enumerate(ids)}, columns, experiments)
    return Kept(snapshot, meta["mark"], meta["as_of"])
