"""Columns in a folder: written once, then memory-mapped."""

from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from .columns import Allocations, Columns, Lane, Sparse

VERSION = 1
_META = "columns.json"
_SLICES = ("ts", "dur", "name", "lane", "kind", "correlation", "external")
_TOLD = ("names", "texts", "origin_ns", "events", "rank", "world_size", "device_properties", "damage")


def save(columns: Columns, folder: Path) -> None:
    """Write ``columns`` as ``folder``, whole or not at all; what was there is replaced."""
    aside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        for name in _SLICES:
            np.save(aside / f"{name}.npy", getattr(columns, name))
        for name, sparse in columns.sparse.items():
            np.save(aside / f"sparse-{name}-index.npy", sparse.index)
            np.save(aside / f"sparse-{name}-value.npy", sparse.value)
        told: dict[str, Any] = {name: getattr(columns, name) for name in _TOLD}
        told |= {"version": VERSION, "lanes": [lane._asdict() for lane in columns.lanes]}
        told |= {"sparse": list(columns.sparse), "memory_devices": None}
        if columns.allocations is not None:
            told["memory_devices"] = columns.allocations.devices
            for name in _allocation_columns():
                np.save(aside / f"memory-{name}.npy", getattr(columns.allocations, name))
        (aside / _META).write_bytes(msgspec.json.encode(told))
        shutil.rmtree(folder, ignore_errors=True)
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def is_stored(folder: Path) -> bool:
    """Whether ``load`` can read the folder."""
    try:
        return bool(msgspec.json.decode((folder / _META).read_bytes())["version"] == VERSION)
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return False


def load(folder: Path) -> Columns:
    """The columns, memory-mapped. Raises FileNotFoundError."""
    told = msgspec.json.decode((folder / _META).read_bytes())
    allocations = None
    if told["memory_devices"] is not None:
        memory = {name: _mapped(folder / f"memory-{name}.npy") for name in _allocation_columns()}
        allocations = Allocations(**memory, devices=told["memory_devices"])
    return Columns(
        **{name: _mapped(folder / f"{name}.npy") for name in _SLICES},
        **{name: told[name] for name in _TOLD},
        lanes=[Lane(**lane) for lane in told["lanes"]],
        sparse={
            name: Sparse(
                _mapped(folder / f"sparse-{name}-index.npy"), _mapped(folder / f"sparse-{name}-value.npy")
            )
            for name in told["sparse"]
        },
        allocations=allocations,
    )


def _allocation_columns() -> list[str]:
    return [each.name for each in fields(Allocations) if each.name != "devices"]


def _mapped(path: Path) -> Any:
    return np.load(path, mmap_mode="r", allow_pickle=False)
