"""What crosses the wire."""

from __future__ import annotations

import msgspec


class NewQuickstart(msgspec.Struct, frozen=True):
    """The folder that gets the notebook, as the file browser names it ("" is its root)."""

    folder: str = ""


class Quickstart(msgspec.Struct, frozen=True):
    """Where the notebook is, as the file browser names it; ``copied`` is false where one was there already."""

    path: str
    copied: bool
