"""Store columns in a folder and open them memory-mapped, so that a trace is read only once.

``save(columns, folder)`` leaves a complete folder or the previous one. ``load(folder) -> Columns`` returns
the same columns with arrays mapped read-only from the files, or refuses an incomplete folder. Readers touch
only the pages that they need. A folder has one ``.npy`` file per array, which any NumPy opens, and
``columns.json`` with everything else, which is written last.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from genops_lab.core.errors import InvalidRequest, NotFound

from .columns import Allocations, Columns, Counters, CounterSeries, Lane, MarkedCell, Sparse
from .nsight_compute.launch import Measured

#: Raised by one when an older reader could not read a new folder, or would read it wrongly.
VERSION = 6
MANIFEST = "columns.json"

_SLICES = ("ts", "dur", "name", "lane", "kind", "correlation", "external")
_ALLOCATIONS = ("ts", "lane", "device", "bytes", "address", "allocated", "reserved")
_COUNTERS = ("ts", "value")
#: Groups of arrays; all other arrays are sparse columns.
_ARRAYS = {"slices": _SLICES, "allocations": _ALLOCATIONS, "counters": _COUNTERS}
_WHOLE = (np.int32, np.int64)
#: Types of arrays that are neither int64 nor the indices of a sparse column.
_DTYPES = {
    "slices.dur": _WHOLE,
    "slices.correlation": _WHOLE,
    "slices.external": _WHOLE,
    "slices.name": (np.int32,),
    "slices.lane": (np.int32,),
    "slices.kind": (np.int8,),
    "allocations.lane": (np.int32,),
    "allocations.device": (np.int32,),
    "counters.value": (np.float64,),
}


class _Manifest(msgspec.Struct):
    """The data that is stored beside the arrays."""

    version: int
    slices: int
    #: Names of sparse columns, with their lengths.
    sparse: dict[str, int]
    names: list[str]
    lanes: list[Lane]
    texts: list[str]
    #: None: the trace has no memory events.
    allocations: int | None
    allocation_devices: list[str]
    origin_ns: int
    events: int
    rank: int | None
    world_size: int | None
    device_properties: list[dict[str, Any]]
    damage: list[str]
    cells: list[MarkedCell] = []
    #: ``bounds`` has one more entry than the counters; without counters both are empty.
    counters: list[CounterSeries] = []
    bounds: list[int] = []
    measured: Measured | None = None
    incomplete: bool = False


class _Version(msgspec.Struct):
    version: int


def save(columns: Columns, folder: str | os.PathLike[str]) -> None:
    """Write ``columns`` into ``folder`` and replace its content.

    They are written next to the folder, then renamed. Raises OSError (such as a full disk); ``folder`` is
    unchanged then.
    """
    with written_whole(Path(folder)) as aside:
        for name, array in _arrays(columns):
            np.save(aside / f"{name}.npy", array, allow_pickle=False)
        (aside / MANIFEST).write_bytes(msgspec.json.encode(_manifest(columns)))


@contextlib.contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """Yield a folder to write into; it then replaces ``folder``. Raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield aside
        _replace(folder, aside)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def load(folder: str | os.PathLike[str]) -> Columns:
    """Return the columns that ``save`` wrote. Raises NotFound without a folder, InvalidRequest for an
    incomplete one or another version."""
    folder = Path(folder)
    manifest = _read_manifest(folder)
    lengths = {f"slices.{each}": manifest.slices for each in _SLICES}
    for name, length in manifest.sparse.items():
        lengths |= {f"sparse.{name}.index": length, f"sparse.{name}.value": length}
    if manifest.allocations is not None:
        lengths |= {f"allocations.{each}": manifest.allocations for each in _ALLOCATIONS}
    if manifest.counters:
        _check_bounds(folder, manifest)
        lengths |= {f"counters.{each}": manifest.bounds[-1] for each in _COUNTERS}
    arrays = {name: _map(folder, name, length) for name, length in lengths.items()}
    return Columns(
        **{each: arrays[f"slices.{each}"] for each in _SLICES},
        names=manifest.names,
        lanes=manifest.lanes,
        sparse={
            name: Sparse(arrays[f"sparse.{name}.index"], arrays[f"sparse.{name}.value"])
            for name in manifest.sparse
        },
        texts=manifest.texts,
        allocations=(
            Allocations(
                **{each: arrays[f"allocations.{each}"] for each in _ALLOCATIONS},
                devices=manifest.allocation_devices,
            )
            if manifest.allocations is not None
            else None
        ),
        counters=(
            Counters(
                **{each: arrays[f"counters.{each}"] for each in _COUNTERS},
                series=manifest.counters,
                bounds=manifest.bounds,
            )
            if manifest.counters
            else None
        ),
        origin_ns=manifest.origin_ns,
        events=manifest.events,
        rank=manifest.rank,
        world_size=manifest.world_size,
        device_properties=manifest.device_properties,
        damage=manifest.damage,
        cells=manifest.cells,
        measured=manifest.measured,
        incomplete=manifest.incomplete,
    )


def is_stored(folder: str | os.PathLike[str]) -> bool:
    """Return whether the folder has this version. ``load`` may still find that it is incomplete."""
    try:
        text = (Path(folder) / MANIFEST).read_bytes()
        return msgspec.json.decode(text, type=_Version).version == VERSION
    except (OSError, msgspec.DecodeError):
        return False


def _arrays(columns: Columns) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    sparse = {f"sparse.{name}": each for name, each in columns.sparse.items()}
    holders = {"slices": columns, **sparse, "allocations": columns.allocations, "counters": columns.counters}
    for group, holder in holders.items():
        for name in _ARRAYS.get(group, ("index", "value")) if holder is not None else ():
            yield f"{group}.{name}", getattr(holder, name)


def _manifest(columns: Columns) -> _Manifest:
    return _Manifest(
        version=VERSION,
        slices=len(columns),
        sparse={name: len(sparse) for name, sparse in columns.sparse.items()},
        names=columns.names,
        lanes=columns.lanes,
        texts=columns.texts,
        allocations=len(columns.allocations.ts) if columns.allocations is not None else None,
        allocation_devices=columns.allocations.devices if columns.allocations is not None else [],
        origin_ns=columns.origin_ns,
        events=columns.events,
        rank=columns.rank,
        world_size=columns.world_size,
        device_properties=columns.device_properties,
        damage=columns.damage,
        cells=columns.cells,
        counters=columns.counters.series if columns.counters is not None else [],
        bounds=columns.counters.bounds if columns.counters is not None else [],
        measured=columns.measured,
        incomplete=columns.incomplete,
    )


def _check_bounds(folder: Path, manifest: _Manifest) -> None:
    bounds = manifest.bounds
    rising = all(before <= after for before, after in pairwise([0, *bounds]))
    if len(bounds) != len(manifest.counters) + 1 or not rising:
        raise _not_whole(folder, f"{MANIFEST} has no valid counter bounds")


def _replace(folder: Path, aside: Path) -> None:
    """Replace ``folder`` by ``aside``. A folder that is not empty cannot be renamed over."""
    before = aside.with_name(f"{aside.name}.before")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(before)
    try:
        aside.rename(folder)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            before.rename(folder)
        raise
    shutil.rmtree(before, ignore_errors=True)


def _read_manifest(folder: Path) -> _Manifest:
    try:
        text = (folder / MANIFEST).read_bytes()
    except FileNotFoundError as error:
        if folder.is_dir():
            raise _not_whole(folder, f"it has no {MANIFEST}") from error
        raise NotFound(f"There is no folder {folder}.", hint="Read the trace again.") from error
    try:
        version = msgspec.json.decode(text, type=_Version).version
        if version == VERSION:
            return msgspec.json.decode(text, type=_Manifest)
    except msgspec.DecodeError as error:
        raise _not_whole(folder, f"{MANIFEST} is damaged") from error
    raise InvalidRequest(
        f"The columns in {folder} have version {version}; this program reads version {VERSION}.",
        hint="Read the trace again.",
    )


def _map(folder: Path, name: str, length: int) -> npt.NDArray[Any]:
    path = folder / f"{name}.npy"
    dtypes = _DTYPES.get(name, (np.int32,) if name.endswith(".index") else (np.int64,))
    try:
        # An empty array has no data to map.
        array = np.load(path, mmap_mode="r" if length else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _not_whole(folder, f"{path.name} is missing or damaged") from error
    if array.shape != (length,) or array.dtype not in dtypes:
        raise _not_whole(folder, f"{path.name} does not match {MANIFEST}")
    # Without the memmap subclass, indexing gives plain arrays.
    return np.asarray(array)


def _not_whole(folder: Path, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"The columns in {folder} are incomplete: {why}.", hint="Delete the folder and read the trace again."
    )
