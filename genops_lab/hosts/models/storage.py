"""Wire types of the files that GenOps Lab stores on a target's host. Sizes in bytes, durations in seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

#: Items used within this time stay, unless the request gives another time.
OLDER_THAN_DAYS = 30.0


class StorageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The items that may be removed: those that were unused for ``older_than_days``; with ``force`` also folders with
    results that are not on the Lab's machine."""

    older_than_days: float = OLDER_THAN_DAYS
    force: bool = False


class StoredItem(msgspec.Struct, frozen=True, kw_only=True):
    """An environment built on the host, or the copy of a notebook's folder.

    ``here`` is the folder on the Lab's machine, empty where this Lab does not know it. ``size_bytes`` is what
    a removal frees, ``unused_s`` how long it was unused; None where its files were not counted. ``host_id``
    names the host, for a target whose hosts have their own files. ``stays`` says why it is not removed, empty
    where it may be; with ``forcible`` it may be removed with ``force``.
    """

    kind: Literal["environment", "folder"]
    name: str
    path: str
    host_id: str = ""
    here: str = ""
    size_bytes: int | None = None
    unused_s: float | None = None
    stays: str = ""
    forcible: bool = False


class TargetStorage(msgspec.Struct, frozen=True, kw_only=True):
    """The items on a target's host, the largest first."""

    target: str
    items: list[StoredItem] = []


class RemoveStored(StorageQuery, frozen=True, kw_only=True):
    """Remove one item by its path on the host. ``host_id`` names the host where hosts have their own files."""

    path: str
    host_id: str = ""


class SweepQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The host, where hosts have their own files."""

    host_id: str = ""


class RemovedStored(msgspec.Struct, frozen=True, kw_only=True):
    """The removed item. ``left``: its files are still being deleted, see the sweep. ``trouble``: what cannot
    be deleted."""

    target: str
    item: StoredItem
    left: bool = False
    trouble: str = ""


class SweptTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Whether files of removed items remain to be deleted; ``trouble``: what cannot be deleted."""

    target: str
    left: bool
    trouble: str = ""
