"""What GenOps Lab has left on a target's host for good. Sizes in bytes, lengths of time in seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

#: What was used since then stays, unless somebody says otherwise.
OLDER_THAN_DAYS = 30.0


class StorageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What may go: what was not used for ``older_than_days``; with ``force`` also folders with results that are not
    here."""

    older_than_days: float = OLDER_THAN_DAYS
    force: bool = False


class StoredItem(msgspec.Struct, frozen=True, kw_only=True):
    """An environment that was built there, or the copy of a notebook's folder (``here`` on the Lab's machine, empty
    where this Lab does not know it).

    ``size_bytes`` is what a removal frees, ``unused_s`` how long nobody used it; None where it was not looked through.
    ``host_id``: on which host it is, of a target whose hosts have files of their own. ``stays`` says why it is not
    removed, empty where it may be; with ``forcible`` it may be with ``force``.
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
    """What lies on a target's host, the largest first."""

    target: str
    items: list[StoredItem] = []


class RemoveStored(StorageQuery, frozen=True, kw_only=True):
    """Remove one, by its path there (on that host, where hosts have files of their own)."""

    path: str
    host_id: str = ""


class SweepQuery(msgspec.Struct, frozen=True, kw_only=True):
    """On which host, where hosts have files of their own."""

    host_id: str = ""


class RemovedStored(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed. ``left``: its files are still being deleted, see the sweep. ``trouble``: what cannot be."""

    target: str
    item: StoredItem
    left: bool = False
    trouble: str = ""


class SweptTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Whether files of what was removed are left to be deleted; ``trouble``: what cannot be."""

    target: str
    left: bool
    trouble: str = ""
