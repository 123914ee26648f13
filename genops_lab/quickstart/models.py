"""Wire types of the quickstart."""

from __future__ import annotations

import msgspec


class NewQuickstart(msgspec.Struct, frozen=True):
    """The folder for the notebook, as a path of the file browser; empty for its root."""

    folder: str = ""


class Quickstart(msgspec.Struct, frozen=True):
    """The path of the notebook in the file browser. ``copied`` is false if the notebook existed already."""

    path: str
    copied: bool
